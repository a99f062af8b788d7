"""What a service shows of itself by being loaded and started, before it serves anybody."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twelvefactor.cli.service import load_service
from twelvefactor.exceptions import ConfigError, UsageError
from twelvefactor.report import evidence
from twelvefactor.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "TWELVEFACTOR_EVIDENCE"


def look(reference: str | None) -> evidence.Record:
    """
    Import the service, start it, stop it, and tell what its sensors saw; no resource is connected to.

    Args:
        reference: ``module:attribute``; else what pyproject says.

    Raises:
        UsageError: There is no service there.
    """
    with tempfile.TemporaryDirectory() as folder, _without_events():
        file = Path(folder, "refused.json")
        try:
            service = _loaded(reference, file)
        except ConfigError:
            if file.exists():  # a config that does not hold is a failed factor, not a failed check
                return evidence.read_record(file)
            raise
        service.start()
        service.close()
        return evidence.parse(evidence.document(service))


def _loaded(reference: str | None, file: Path) -> Service[Any]:
    """The service; where its config is refused, what it saw until then is in *file*."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(file)
    try:
        service = load_service(reference)
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
    if not isinstance(service, Service):
        raise UsageError(f"{reference or 'what pyproject names'} is a {type(service).__name__}, not a service")
    return service


@contextlib.contextmanager
def _without_events() -> Iterator[None]:
    """Stdout is the report's: what the app says there while it starts is not shown."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
