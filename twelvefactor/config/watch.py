"""What watches the config of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.config.rules import TF301

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor


class Satisfied:
    """TF301: a process that has its config has proved that the environment provides it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Say what the construction of the service proved."""
        config = self._process.config
        if config is None:
            self._process.evidence.could_not_look(TF301, "no Config class was given to tf.Service")
        else:
            self._process.evidence.looked(TF301, f"the environment satisfies {type(config).__name__}")

    def remove(self) -> None:
        """Nothing was installed."""


def sensors(process: Process) -> tuple[Sensor, ...]:
    """The sensors of factor III, in the order in which they are installed."""
    from twelvefactor.config.constants import Constants
    from twelvefactor.config.dotenv import DotEnv
    from twelvefactor.config.guard import Reads, Writes
    from twelvefactor.config.misspelt import Misspelt

    return (
        Satisfied(process),
        Reads(process),
        Writes(process),
        Constants(process),
        DotEnv(process),
        Misspelt(process),
    )
