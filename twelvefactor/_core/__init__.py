"""What every room stands on; private."""
