"""orders: a twelve-factor service."""
