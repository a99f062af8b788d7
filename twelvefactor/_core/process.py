"""The running process as its rooms see it; the service is one, a test makes its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twelvefactor._core.appcode import AppCode
    from twelvefactor._core.clock import Clock
    from twelvefactor.factor import Evidence, Findings
    from twelvefactor.work import InFlight


class Process(Protocol):
    """What a room may know about the process it judges and serves."""

    name: str
    environ: Mapping[str, str]
    evidence: Evidence
    findings: Findings
    app_code: AppCode
    in_flight: InFlight
    process_type: str | None

    @property
    def clock(self) -> Clock:
        """Tells the time."""

    @property
    def declaration(self) -> Mapping[str, Any]:
        """The ``[tool.twelvefactor]`` table: the build manifest's, else pyproject's."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The build manifest; empty where there is none."""

    @property
    def deploy(self) -> str | None:
        """The platform or the name of the deploy; None where nobody told."""

    @property
    def config(self) -> Any:
        """The validated config."""

    def event(self, level: str, event: str, **fields: Any) -> None:
        """Say *event* on the stream; never raises."""

    def fault(self, where: str, error: BaseException) -> None:
        """Report a fault of the library itself as one event; never raises."""


class Sensor(Protocol):
    """What a room watches with: installed at start, removed at close, both idempotent."""

    def install(self) -> None:
        """Begin to look; tell the evidence what is looked at, or why it cannot be."""

    def remove(self) -> None:
        """Undo everything that `install` did."""
