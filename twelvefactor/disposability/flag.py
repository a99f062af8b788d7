"""The drain as a file: how `twelvefactor run -- CMD` tells readiness in a process that it does not signal yet."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "TWELVEFACTOR_DRAIN_FLAG"


class DrainFlag:
    """
    A path that exists from the moment at which the runner was told to stop.

    >>> DrainFlag({}).raised
    False
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.path = environ.get(VARIABLE) or None

    @property
    def raised(self) -> bool:
        """Whether the runner drains."""
        return self.path is not None and os.path.exists(self.path)  # noqa: PTH110 - a probe is answered with it

    def age(self) -> float:
        """Seconds for which the runner drains already; 0 where it does not."""
        try:
            return max(0.0, time.time() - os.stat(self.path).st_mtime) if self.path else 0.0  # noqa: PTH116
        except OSError:
            return 0.0
