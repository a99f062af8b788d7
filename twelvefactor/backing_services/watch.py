"""What watches how a process uses its backing services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.backing_services.egress import Egress
from twelvefactor.backing_services.leases import Leases
from twelvefactor.backing_services.limits import Limits
from twelvefactor.backing_services.resources import begin, end
from twelvefactor.backing_services.strays import Strays

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor


class Late:
    """A resource that is attached after the start is watched at once; those before it are waited for."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """From now on."""
        begin(self._process)

    def remove(self) -> None:
        """Closing the resources ends their watch."""
        end(self._process)


def sensors(process: Process) -> tuple[Sensor, ...]:
    """The sensors of factor IV, and of TF804, whose limits only the services know."""
    return Egress(process), Strays(process), Leases(process), Limits(process), Late(process)
