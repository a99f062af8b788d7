"""How a service takes jobs over: one function by a decorator, or every job of a queue at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from twelvefactor._core.lazy import load

if TYPE_CHECKING:
    from collections.abc import Callable

J = TypeVar("J", bound="Callable[..., Any]")
Q = TypeVar("Q")


class TakingJobs:
    """What has jobs: each a unit of work, with its context, one event at its end, and the leak watch."""

    @overload
    def job(self, function: J, /) -> J: ...
    @overload
    def job(self, function: None = None, /, *, name: str | None = ...) -> Callable[[J], J]: ...
    def job(self, function: J | None = None, /, *, name: str | None = None) -> J | Callable[[J], J]:
        """
        Make each call of *function* a job; sync, async, generator or method, above or below the queue's own decorator.

        It keeps its signature and its type. A call inside an open job is part of that job. Hand-back at SIGTERM needs
        `jobs` too.

        Args:
            function: Any callable, or the task object that the queue's decorator made of it.
            name: What the event calls it; the function's qualified name if not given.
        """
        decorate = load("twelvefactor.integrations._job_function:job")

        def made(each: J) -> J:
            decorated: J = decorate(self, each, name)
            return decorated

        return made if function is None else made(function)

    def jobs(self, queue: Q) -> Q:
        """
        Take over every job of *queue*, and give it back as it is. Idempotent.

        Each job is a unit of work that carries the ids of the work that sent it. What hand-back at SIGTERM needs is
        set where the user set nothing, and told in one event when a worker starts.

        Args:
            queue: A Celery app, RQ queue, Dramatiq broker, arq ``WorkerSettings`` class, taskiq or FastStream broker,
                huey, or APScheduler.

        Raises:
            UsageError: Nothing is known of this kind of object.
            MissingExtraError: Its library is not installed.
        """
        load("twelvefactor.integrations._queues:take_over")(self, queue)
        return queue
