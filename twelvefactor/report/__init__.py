"""Findings in; score, text and JSON out."""
