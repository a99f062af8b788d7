"""The site: its settings, URLs and application."""
