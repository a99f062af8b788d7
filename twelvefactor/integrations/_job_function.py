"""
A function whose every call is a job: sync, async or generator, function or method, its signature kept.

Where a job is open already, as the queue's own adapter opens one around each message, the call steps aside.
"""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any, cast

from twelvefactor._core.lazy import load
from twelvefactor.integrations._job import Job, Message, job_in_hand, open_job

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from twelvefactor.service import Service

    Opener = Callable[[], Job | None]

HOLDERS = {
    "celery": "run",
    "dramatiq": "fn",
    "taskiq": "original_func",
    "huey": "task_class.execute",
}
"""Where the task object of each library, as its own decorator makes it, keeps the function that its worker calls."""

SPEAKERS = {
    "celery": "twelvefactor.integrations.celery:current",
    "rq": "twelvefactor.integrations.rq:current",
    "dramatiq": "twelvefactor.integrations.dramatiq:current",
}
"""Who can tell what message is in hand, once the library is loaded."""


def job(service: Service[Any], function: Any, name: str | None = None) -> Any:
    """*function* with a job around each call; the task object of a queue is given back as it is, changed inside."""
    if service.off:
        return function
    if hasattr(type(function), "__then__"):  # Celery's promise of a task: any look at it would make it now
        function.__then__(lambda: _inside(service, function, "run", name))
        return function
    if getattr(function, "__twelvefactor_job__", False):
        return function
    if isinstance(function, classmethod | staticmethod):
        return type(function)(job(service, function.__func__, name))
    holder = _holder(function)
    if holder is not None:
        return _inside(service, function, holder, name)
    return _wrapped(service, function, name)


def _holder(function: Any) -> str | None:
    if inspect.isfunction(function):
        return None
    for base in type(function).__mro__:
        held = HOLDERS.get(base.__module__.partition(".")[0])
        if held is not None and hasattr(function, held.partition(".")[0]):
            return held
    return None


def _inside(service: Service[Any], task: Any, holder: str, name: str | None) -> Any:
    *way, last = holder.split(".")
    keeper = functools.reduce(getattr, way, task)
    inner = getattr(keeper, last)
    if not getattr(inner, "__twelvefactor_job__", False):
        setattr(keeper, last, _wrapped(service, inner, name or _called(keeper)))
    return task


def _called(keeper: Any) -> str | None:
    """The name of a class that a queue has made of a function."""
    return keeper.__name__ if isinstance(keeper, type) else None


def _wrapped(service: Service[Any], function: Callable[..., Any], name: str | None) -> Any:
    opener = functools.partial(_open, service, name or _name_of(function))
    made: Any = _shape(function)(function, opener)
    functools.update_wrapper(made, function)
    made.__twelvefactor_job__ = True  # so that it is done once
    try:
        made.__signature__ = inspect.signature(function)  # Celery reads no __wrapped__
    except (ValueError, TypeError):
        pass  # one of C that has none
    return made


def _shape(function: Callable[..., Any]) -> Callable[[Any, Opener], Any]:
    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004 - the method itself
    for test, shape in _SHAPES:
        if test(function) or test(called):
            return shape
    return _sync


def _name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    named = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(named).rpartition("<locals>.")[2]


def _open(service: Service[Any], name: str) -> Job | None:
    """The job of a call, or None where one is open already; a fault of ours costs the event, never the call."""
    if job_in_hand() is not None:
        return None
    return open_job(service, _message(service, name))


def _message(service: Service[Any], name: str) -> Message:
    """What the queue tells of the call, where its library is loaded and knows; else the name alone."""
    for library, reference in SPEAKERS.items():
        if library in sys.modules:
            try:
                told = load(reference)()
            except Exception as error:  # noqa: BLE001 - a library that has changed must not cost the job
                service.fault(f"{library}: current job", error)
                continue
            if told is not None:
                return cast("Message", told)
    return Message(name)


def _sync(function: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        job = opener()
        if job is None:
            return function(*args, **kwargs)
        with job:
            return function(*args, **kwargs)

    return call


def _async(function: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        job = opener()
        if job is None:
            return await function(*args, **kwargs)
        with job:
            return await function(*args, **kwargs)

    return call


def _generator(function: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        job = opener()
        steps = function(*args, **kwargs)
        return (yield from steps if job is None else _stepped(job, steps))

    return call


def _stepped(job: Job, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """*steps*, each of them inside *job*; the consumer's code between two of them is not."""
    job.begin()
    step: Any = steps.send
    given: Any = None
    try:
        while True:
            item = step(given)
            job.pause()
            try:
                step, given = steps.send, (yield item)
            except GeneratorExit:
                job.resume()
                steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the generator's to handle
                step, given = steps.throw, error
            job.resume()
    except StopIteration as end:
        job.end()
        return end.value
    except BaseException as error:
        job.end(error)
        raise


def _async_generator(function: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        job = opener() or _Nobody()
        steps = function(*args, **kwargs)
        job.begin()
        step = steps.asend(None)
        try:
            while True:
                item = await step
                job.pause()
                try:
                    step = steps.asend((yield item))
                except GeneratorExit:
                    job.resume()
                    await steps.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the generator's to handle
                    step = steps.athrow(error)
                job.resume()
        except StopAsyncIteration:
            job.end()
        except BaseException as error:
            job.end(error)
            raise

    return call


class _Nobody:
    """Stands for the job of a call that steps aside."""

    def begin(self) -> None:
        """Nothing is opened."""

    pause = resume = begin

    def end(self, error: BaseException | None = None) -> None:
        """Nothing is closed."""


_SHAPES = (
    (inspect.iscoroutinefunction, _async),
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.isgeneratorfunction, _generator),
)
