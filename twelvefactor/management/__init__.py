"""A running process tells of itself on a port of its own: probes, release, score, findings, metrics, log level."""

from __future__ import annotations

from twelvefactor.management.port import Management

__all__ = ["Management"]
