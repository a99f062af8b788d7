"""
The life of a Celery worker as the service's: start, SIGTERM, the tasks given back, the pool's processes.

Celery's own order of a stop is kept. What is added: a limit. When the time of the tasks is over, a prefork worker is
told to shut down cold, which leaves unacknowledged messages to the broker; other pools cannot stop their tasks, so
their messages are given back one by one and the process ends.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from celery import signals
from celery.worker import state
from kombu.transport import virtual

from twelvefactor._core import threads
from twelvefactor.disposability.lineage import ChildSigterm
from twelvefactor.exceptions import TwelveFactorError
from twelvefactor.integrations._job import HANDED_BACK, say_handed_back
from twelvefactor.integrations.celery import turns
from twelvefactor.integrations.celery.settings import look
from twelvefactor.integrations.celery.unheard import hear_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celery import Celery

    from twelvefactor.service import Service

_COLD = 3.5  # seconds that a cold shutdown needs on a busy machine
_EARLY = 0.5  # seconds before the end of the tasks' time; the rest of the grace period is for it too


class Worker:
    """
    What a service does in the worker processes of *app*.

    Args:
        service: Whose processes they are.
        app: The Celery app that the worker runs.
    """

    def __init__(self, service: Service[Any], app: Celery) -> None:
        self.service = service
        self.app = app
        self.main: int | None = None
        self._worker: Any = None
        self._guarded: int | None = None

    def connect(self) -> None:
        """Listen to Celery from now on."""
        turns.follow(self.service, self.app)
        signals.worker_init.connect(guarded(self.service, self._init), weak=False)
        signals.celeryd_after_setup.connect(guarded(self.service, self._set_up), weak=False)
        signals.worker_ready.connect(guarded(self.service, self._ready), weak=False)
        signals.worker_shutting_down.connect(guarded(self.service, self._shutting_down), weak=False)
        signals.worker_shutdown.connect(guarded(self.service, self._shutdown), weak=False)
        signals.worker_process_init.connect(guarded(self.service, self._child_init), weak=False)
        signals.worker_process_shutdown.connect(guarded(self.service, self._child_shutdown), weak=False)

    # -- the main process ------------------------------------------------------------------------------------------

    def _init(self, sender: Any, **_: Any) -> None:
        if sender.app is not self.app:
            return
        self.main, self._worker = os.getpid(), sender
        self.service.takes_jobs()
        self.service.lead()
        _or_leave(functools.partial(self.service.start, sigterm=False))

    def _set_up(self, instance: Any, **_: Any) -> None:
        if instance.app is not self.app:
            return
        budget = self.service.budget
        settings = look(self.app, instance, budget.drain + budget.work)
        settings.tell(self.service)
        early = _EARLY + float(self.app.conf.get("worker_soft_shutdown_timeout") or 0)
        self.service.on_time_over(self._give_back, early=min(early, (budget.drain + budget.work) / 2))

    def _ready(self, sender: Any, **_: Any) -> None:
        if self._is_main() and sender.app is self.app:
            self.service.catch_sigterm()
            hear_first(self.service, self._worker.pool)
            _or_leave(self.service.ready)

    def _is_main(self) -> bool:
        return self.main == os.getpid()

    def _shutting_down(self, how: str, **_: Any) -> None:
        """In Celery's signal handler."""
        if not self._is_main():
            return
        self.service.drain()
        if how == "Cold" and self.service.lineage is not None:
            self.service.lineage.kill()

    def _shutdown(self, sender: Any, **_: Any) -> None:
        if self._is_main() and sender is self._worker:
            self.service.close()

    # -- giving back -----------------------------------------------------------------------------------------------

    def _give_back(self) -> bool:
        if not self._is_main():
            return False
        begun = [each for each in tuple(state.active_requests) if each.task.app is self.app]
        for request in begun:
            self._say(request)
        if _is_prefork(self._worker.pool):
            if self.service.seconds_left() >= _COLD or not sys.platform.startswith("linux"):
                self._cold()
                return False
            _stop_processes(begun)
        self._leave_nothing()
        return True

    def _say(self, request: Any) -> None:
        if request.acknowledged:  # early, as the app wants it
            self.service.cut(f"job {request.name}", request.id)
            return
        for work in self.service.in_flight:
            if work.id == request.id:
                work.outcome = HANDED_BACK
        queue = (request.delivery_info or {}).get("routing_key")
        attempt = int(request.request_dict.get("retries") or 0) + 1
        say_handed_back(self.service, name=request.name, id=request.id, queue=queue, attempt=attempt)

    def _cold(self) -> None:
        """Celery's own way: it signals the processes, which end their tasks by SystemExit, and leaves the messages."""
        if self.service.lineage is not None:
            self.service.lineage.kill()
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGQUIT)

    def _leave_nothing(self) -> None:
        """
        Every message back to its queue now, those that were only fetched too: the process is about to end.

        AMQP's broker does so by itself when the connection ends; others would wait for their visibility timeout.
        """
        for request in tuple(state.reserved_requests):
            if request.acknowledged or request.task.app is not self.app:
                continue
            request.acknowledged = True  # whoever ends it later does not take it off the queue
            if _is_emulated(request.message):
                request.message.reject(requeue=True)

    # -- the pool's processes --------------------------------------------------------------------------------------

    def _child_init(self, **_: Any) -> None:
        if self.main is not None and not self._is_main():  # the solo pool sends it in the main process too
            _or_leave(self.service.follow)

    def _child_shutdown(self, **_: Any) -> None:
        if self.main is not None and not self._is_main():
            self.service.close()

    def guard(self) -> None:
        """Let a pool process obey its parent alone; with its first task, for billiard sets handlers after the start."""
        pid = os.getpid()
        if self._guarded == pid:
            return
        self._guarded = pid
        line = self.service.lineage
        if line is None or self.main is None or self._is_main():
            return
        if threading.current_thread() is threading.main_thread():
            behind = signal.getsignal(signal.SIGTERM)
            again = functools.partial(os.kill, pid, signal.SIGTERM)
            signal.signal(signal.SIGTERM, ChildSigterm(line, behind, again, _in_thread))

    @property
    def is_killed(self) -> bool:
        """Whether this pool process is ended by its parent, which gave the task back."""
        line = self.service.lineage
        return line is not None and line.kills and not self._is_main()


def _stop_processes(requests: Iterable[Any]) -> None:
    """Hold what runs, so that nothing is done twice; the kernel kills a pool's processes with their parent (Linux)."""
    for pid in {each.worker_pid for each in requests if each.worker_pid}:
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            pass  # it has just ended


def _is_emulated(message: Any) -> bool:
    """Whether kombu, and no broker, keeps what is not acknowledged."""
    return isinstance(message.channel, virtual.Channel)


def _is_prefork(pool: Any) -> bool:
    return type(pool).__module__.endswith(".prefork")


def _in_thread(act: Callable[[], None]) -> None:
    threads.start(act, name="twelvefactor sigterm")


def guarded(service: Service[Any], receiver: Callable[..., None]) -> Callable[..., None]:
    """*receiver*, whose own faults are told as ours, and cost Celery nothing."""

    @functools.wraps(receiver)
    def receive(**named: Any) -> None:
        try:
            receiver(**named)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not cost a task
            service.fault(f"celery: {receiver.__name__.strip('_')}", error)

    return receive


def _or_leave(act: Callable[[], None]) -> None:
    """Celery logs what a receiver raises and goes on; a service that must not start leaves instead."""
    try:
        act()
    except TwelveFactorError as error:
        raise SystemExit(error.exit_code) from error
