"""What asks once, at start, for the facts of factor V."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.build_release_run.names import identify
from twelvefactor.build_release_run.rules import TF501
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from twelvefactor._core.process import Process


class Named:
    """TF501: asks who names the release, once."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Ask."""
        release = identify(self._process)
        if release.named_by is not None:
            self._process.evidence.looked(TF501, f"release {release.name}, says {release.named_by}")
            return
        message = "no build manifest and no release variable names the release"
        self._process.evidence.report(Finding(TF501, message, "release"))

    def remove(self) -> None:
        """Nothing to undo."""
