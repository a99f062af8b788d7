"""
uvicorn: its handler is met in the lifespan.

With ``--lifespan off`` nobody tells the app of the end, and uvicorn ends by raising the signal once more with the
handler that stood before its own. So one stands there that finishes the service first.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import MissingExtraError

if TYPE_CHECKING:
    from types import FrameType

    from twelvefactor.integrations._serving import Serving
    from twelvefactor.service import Service


def adopt(service: Service[Any]) -> None:
    """Stand under uvicorn's handler where nobody else does."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _Last(service))


class _Last:
    """Finish, then die of the signal as uvicorn would."""

    def __init__(self, service: Service[Any]) -> None:
        self._service = service

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)
        self._service.close()
        os.kill(os.getpid(), signum)


def serve(serving: Serving) -> int:
    """Serve in this process, or in workers where there are to be more."""
    try:
        import uvicorn
    except ImportError:
        raise MissingExtraError("uvicorn") from None
    many = serving.binding.workers > 1
    config = uvicorn.Config(
        serving.needs_reference("uvicorn") if many else serving.app,
        workers=serving.binding.workers,
        lifespan="on",
        log_config=None,
        access_log=False,
        forwarded_allow_ips=serving.binding.forwarded_allow_ips,
    )
    if many:
        _many(config, serving)
        return 0
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):  # it has stopped well and raises Ctrl-C anew; its own command says 0
        server.run(sockets=list(serving.sockets))
    return 0 if server.started else 3  # what uvicorn's own command says of a start that failed


def _many(config: Any, serving: Serving) -> None:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    arguments = {"config": config, "sockets": list(serving.sockets)}
    if "target" in inspect.signature(Multiprocess).parameters:  # before uvicorn 0.50
        arguments["target"] = uvicorn.Server(config=config).run
    Multiprocess(**arguments).run()
