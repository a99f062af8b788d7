"""
One job, as every queue's adapter opens it: its ids from the message, one event at the end.

An adapter translates what its queue says into a `Message`, and calls `begin` and `end`; all the rest is here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from twelvefactor.integrations import _job_headers
from twelvefactor.integrations._web import milliseconds
from twelvefactor.work import Work, current_work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twelvefactor.service import Service

HANDED_BACK = "handed_back"

OUTCOMES = {
    "celery.exceptions.Retry": "retry",
    "celery.exceptions.Ignore": "ignored",
    "celery.exceptions.Reject": "rejected",
    "dramatiq.errors.Retry": "retry",
    "dramatiq.errors.RateLimitExceeded": "retry",
    "dramatiq.middleware.time_limit.TimeLimitExceeded": "error",
    "arq.worker.Retry": "retry",
    "arq.worker.RetryJob": "retry",
    "taskiq.exceptions.NoResultError": "ok",
    "taskiq.exceptions.TaskRejectedError": "rejected",
    "huey.exceptions.RetryTask": "retry",
    "huey.exceptions.CancelExecution": "ignored",
    "faststream.exceptions.AckMessage": "ok",
    "faststream.exceptions.NackMessage": "retry",
    "faststream.exceptions.RejectMessage": "rejected",
    "faststream.exceptions.SkipMessage": "ignored",
}
"""Exceptions by which a job speaks to its queue, by name: they are no errors."""


@dataclass(slots=True)
class Message:
    """
    What a queue tells of a job.

    Attributes:
        name: What is done.
        id: The queue's id of it; minted where there is none.
        queue: Where it was taken from.
        attempt: 1 the first time; None where the queue does not count.
        due: When it could have been taken, in seconds since the epoch; the headers may know it too.
        headers: What came with the message; ids, trace and time are read from it.
        timeout: Seconds that the queue lets it run, or None.
        carrier: The message itself, for the leak watch to know what belongs to it.
        redelivered: Whether the broker says that it delivered the message before, and nobody acknowledged it.
    """

    name: str
    id: str | None = None
    queue: str | None = None
    attempt: int | None = None
    due: float | None = None
    headers: Mapping[str, Any] | None = None
    timeout: float | None = None
    carrier: Any = field(default=None, repr=False)
    redelivered: bool = False


class Job(Work):
    """
    A job in hand.

    Attributes:
        queue: Where it was taken from, or None.
        attempt: 1 the first time, or None.
        delay: Seconds that it waited in the queue, or None.
        comes_back: Whether its message comes back by itself where this process ends without acknowledging it.
        redelivered: Whether its broker delivered it before: somebody may have begun it, or have done it.
    """

    __slots__ = ("_service", "attempt", "comes_back", "delay", "queue", "redelivered")

    def __init__(self, service: Service[Any], message: Message) -> None:
        super().__init__(service.in_flight, "job", message.name, message.id)
        self._service = service
        self.comes_back, self.redelivered = False, message.redelivered
        self.queue, self.attempt, self.carrier = message.queue, message.attempt, message.carrier
        if message.queue is not None:
            self.context["queue"] = message.queue
        if message.attempt is not None:
            self.context["attempt"] = message.attempt
        due = message.due
        if message.headers:
            sent = _job_headers.read(self, message.headers)
            due = sent if due is None else due
        else:
            self._inherit()
        self.delay = None if due is None else max(0.0, service.clock.time() - due)
        self.deadline = _sooner(
            None if message.timeout is None else service.clock.monotonic() + message.timeout, service.stop_ends
        )

    def _inherit(self) -> None:
        """A job that is called as a function, without a queue, belongs to the work that calls it."""
        parent = current_work()
        if parent is None or parent.closed:
            return
        self.request_id, self.trace_id, self.span_id = parent.request_id, parent.trace_id, parent.span_id
        self.trace_flags, self.trace_state = parent.trace_flags, parent.trace_state
        self.context.update({key: parent.context[key] for key in _IDS if key in parent.context})

    def begin(self) -> None:
        """Open it, and say so where it may have been begun before."""
        super().begin()
        if self.redelivered:
            told = {"name": self.name, "because": "its broker delivered it again"}
            self._service.event("warning", "job.begins_again", **told)

    def pause(self) -> None:
        """Leave its context for as long as somebody else's code runs, as between two steps of a generator."""
        self._restore()

    def resume(self) -> None:
        """Come back into its context."""
        self._enter()

    def end(self, error: BaseException | None = None) -> None:
        """Say how it went in one event, then close it. Idempotent."""
        if self.closed:
            return
        outcome = self.outcome
        if outcome is None:
            outcome = self.outcome = outcome_of(error)
        fields: dict[str, Any] = {
            "name": self.name,
            "outcome": outcome,
            "duration_ms": milliseconds(self.hands.now() - self.started),
        }
        if self.queue is not None:
            fields["queue"] = self.queue
        if self.attempt is not None:
            fields["attempt"] = self.attempt
        if self.delay is not None:
            fields["queue_delay_ms"] = milliseconds(self.delay)
        if outcome == "error":
            self._service.event("error", "job", **fields, exc_info=error)
        elif outcome == "retry" and (cause := _cause(error)) is not None:
            self._service.event("warning", "job", **fields, exc_info=cause)
        else:
            self._service.event("info", "job", **fields)
        super().end(error)

    def hand_back(self) -> None:
        """Say that another worker will begin it again; the adapter has given it back. Idempotent."""
        if self.outcome != HANDED_BACK:
            self.outcome = HANDED_BACK
            say_handed_back(self._service, name=self.name, id=self.id, queue=self.queue, attempt=self.attempt)


def say_handed_back(service: Service[Any], **told: Any) -> None:
    """One event for a job that is given back at the end of its time: twice-begun only then, and said so."""
    fields = {key: value for key, value in told.items() if value is not None}
    service.event("warning", "job.handed_back", because="its time is over", **fields)


def open_job(service: Service[Any], message: Message, *, start: bool = True) -> Job:
    """
    The job that *message* brings, to be entered with ``with``; the service is started if it was not.

    Args:
        service: Whose work it is.
        message: What the queue tells of it.
        start: Whether the process is the service's own; not so where each job has a process to itself.
    """
    if start:
        service.wake()
    return Job(service, message)


def of_loop(
    service: Service[Any],
    name: str,
    id: str | None,  # noqa: A002 - the word users know
    *,
    comes_back: bool,
    **told: Any,
) -> Job:
    """The job of a loop that no adapter covers; *told* are fields of `Message`."""
    if comes_back and service not in _giving_back:
        _giving_back.add(service)
        service.on_time_over(lambda: _let_go(service))
    job = open_job(service, Message(name, id, **told))
    if comes_back:
        job.comes_back = True
    return job


def _let_go(service: Service[Any]) -> bool:
    """Whose message is not acknowledged comes back when the process ends, so it ends now."""
    jobs = [work for work in service.in_flight if isinstance(work, Job) and work.comes_back]
    for job in jobs:
        job.hand_back()
    return bool(jobs)


_giving_back: WeakSet[Any] = WeakSet()


def job_in_hand() -> Work | None:
    """The open job that this code runs in, or None: whoever finds one steps aside."""
    work = current_work()
    return work if work is not None and work.kind == "job" and not work.closed else None


def outcome_of(error: BaseException | None) -> str:
    """
    How a job ended, in a word.

    >>> outcome_of(None), outcome_of(ValueError()), outcome_of(KeyboardInterrupt())
    ('ok', 'error', 'cancelled')
    """
    if error is None:
        return "ok"
    for kind in type(error).__mro__:
        known = OUTCOMES.get(f"{kind.__module__}.{kind.__qualname__}")
        if known is not None:
            return known
    return "error" if isinstance(error, Exception) else "cancelled"


def _cause(error: BaseException | None) -> BaseException | None:
    """What made a job ask for another try."""
    told = getattr(error, "exc", None)
    return told if isinstance(told, BaseException) else getattr(error, "__cause__", None)


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


_IDS = ("request_id", "trace_id", "span_id")
