"""Thin adapters, flat, by the other library's name."""
