"""Digests of texts, made by workers."""
