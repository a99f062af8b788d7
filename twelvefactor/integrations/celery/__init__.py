"""Celery: each task a job, in every pool; what a worker needs so that its tasks come back."""

from __future__ import annotations

import logging
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from twelvefactor.exceptions import MissingExtraError
from twelvefactor.integrations import _job_headers
from twelvefactor.integrations._job import HANDED_BACK, Job, Message, open_job

try:
    from celery import signals
    from celery._state import get_current_task
    from celery.exceptions import WorkerLostError
except ImportError as exc:
    raise MissingExtraError("celery") from exc

from twelvefactor.integrations.celery.settings import put_below
from twelvefactor.integrations.celery.worker import Worker, guarded

if TYPE_CHECKING:
    from celery import Celery

    from twelvefactor.service import Service

_JOB, _ERROR = "_twelvefactor_job", "_twelvefactor_error"
_OUTCOMES = {"SUCCESS": "ok", "FAILURE": "error", "RETRY": "retry", "REJECTED": "rejected", "IGNORED": "ignored"}
_taken: WeakKeyDictionary[Any, Tasks] = WeakKeyDictionary()


def jobs(service: Service[Any], app: Celery) -> None:
    """Take every task of *app* over, and its workers' output, life and settings. Idempotent."""
    app = getattr(app, "_get_current_object", lambda: app)()
    if app in _taken:
        return
    _taken[app] = tasks = Tasks(service, app)
    quiet(app)
    app.on_after_configure.connect(guarded(service, put_below), weak=False)
    if app.configured:
        put_below(app.conf)
    tasks.connect()


class Tasks:
    """
    Each task of *app* as a job of *service*.

    Args:
        service: Whose jobs they are.
        app: Whose tasks.
    """

    def __init__(self, service: Service[Any], app: Celery) -> None:
        self.service = service
        self.app = app
        self.worker = Worker(service, app)

    def connect(self) -> None:
        """Listen to Celery from now on."""
        self.worker.connect()
        signals.before_task_publish.connect(guarded(self.service, self._publish), weak=False)
        signals.task_prerun.connect(guarded(self.service, self._begin), weak=False)
        signals.task_failure.connect(guarded(self.service, self._failed), weak=False)
        signals.task_retry.connect(guarded(self.service, self._retried), weak=False)
        signals.task_postrun.connect(guarded(self.service, self._end), weak=False)

    def _publish(self, headers: dict[str, Any], **_: Any) -> None:
        _job_headers.put(headers)

    def _begin(self, sender: Any, **_: Any) -> None:
        if sender.app is not self.app:
            return
        self.worker.guard()
        request = sender.request
        job = open_job(self.service, message(sender, request))
        job.begin()
        setattr(request, _JOB, job)

    def _failed(self, sender: Any, exception: BaseException, **_: Any) -> None:
        if sender.app is self.app:
            self._note(sender, sender.request, exception)

    def _retried(self, sender: Any, request: Any, reason: Any, **_: Any) -> None:
        if sender.app is self.app and isinstance(reason, BaseException):
            self._note(sender, request, reason)

    def _note(self, task: Any, request: Any, error: BaseException) -> None:
        """Keep it for the task's end; where its process ended first, the main process tells."""
        if getattr(request, _JOB, None) is not None:
            setattr(request, _ERROR, error)
            return
        cause = getattr(error, "exc", error)
        if isinstance(cause, WorkerLostError):
            told = message(task, request)
            fields = {"name": told.name, "id": told.id, "queue": told.queue, "attempt": told.attempt}
            again = error is not cause
            self.service.event("error", "job.lost", **fields, begins_again=again, because=str(cause))

    def _end(self, sender: Any, state: str | None, **_: Any) -> None:
        request = sender.request
        job: Job | None = getattr(request, _JOB, None)
        if job is None or job.closed:
            return
        setattr(request, _JOB, None)
        error: BaseException | None = getattr(request, _ERROR, None)
        if job.outcome is None:
            if state is None and self.worker.is_killed:
                job.outcome = HANDED_BACK
            else:
                job.outcome = _OUTCOMES.get(state or "", "cancelled")
        job.end(error)


def message(task: Any, request: Any) -> Message:
    """What a task's request tells of it."""
    told = request.__dict__
    headers = {**(request.headers or {}), **told} if request.headers else told
    delivery = request.delivery_info or {}
    return Message(
        name=task.name,
        id=request.id,
        queue=delivery.get("routing_key"),
        attempt=(request.retries or 0) + 1,
        due=_due(request.eta),
        headers=headers,
        timeout=_limit(task, request),
        carrier=request,
        redelivered=bool(delivery.get("redelivered")),
    )


def _due(eta: Any) -> float | None:
    if not eta:
        return None
    try:
        moment = eta if isinstance(eta, datetime) else datetime.fromisoformat(str(eta))
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


def _limit(task: Any, request: Any) -> float | None:
    """Seconds until the task is interrupted, softly or not."""
    hard, soft = request.timelimit or (None, None)
    known = (soft, hard) if soft or hard else (task.soft_time_limit, task.time_limit)
    return min((float(each) for each in known if each), default=None)


def current() -> Message | None:
    """What Celery tells of the task that runs here, or None."""
    task = get_current_task()
    return None if task is None or not task.request.id else message(task, task.request)


def quiet(app: Celery) -> None:
    """
    Leave the process's output to the event stream: Celery sets up no logging and prints nothing. Idempotent.

    Without it Celery takes over the root logger and stdout, and writes lines that are no events.
    """
    app.conf.worker_hijack_root_logger = False
    app.conf.worker_redirect_stdouts = False
    signals.setup_logging.connect(_leave_logging_alone, weak=False)
    signals.celeryd_after_setup.connect(_leave_stdout_alone, weak=False)


def _leave_logging_alone(**_: Any) -> None:
    """Celery sets logging up itself unless somebody listens to this signal."""


def _leave_stdout_alone(instance: Any, **_: Any) -> None:
    """What a worker prints goes to the descriptor itself, past everything that could make events of it."""
    instance.quiet = True  # no banner
    import_module("celery.apps.worker").safe_say = _say  # type: ignore[attr-defined]  # "Warm shutdown"


def _say(message: str, _: Any = None) -> None:
    logging.getLogger("celery.worker").info("%s", message.strip())
