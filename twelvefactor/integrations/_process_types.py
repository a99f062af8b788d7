"""Start a process type that is no web app: a queue's own worker program, the clock, or a function."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twelvefactor._core.lazy import load
from twelvefactor.clock import ServiceClock
from twelvefactor.exceptions import UsageError
from twelvefactor.integrations._queues import packages
from twelvefactor.integrations.asgi import ASGIMiddleware
from twelvefactor.integrations.wsgi import WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twelvefactor.service import Service


def serves(name: str, what: Any) -> bool:
    """Whether the process type *name* is an app that a web server serves."""
    return name == "web" or isinstance(what, ASGIMiddleware | WSGIMiddleware)


def run(service: Service[Any], name: str, what: Any, arguments: Sequence[str]) -> int:
    """
    Be the process type *name* until it ends or is told to; the exit status, unless a program has become this process.

    Raises:
        UsageError: *what* is nothing that can be run, or its program could not find it again.
    """
    if isinstance(what, ServiceClock):
        ticked: int = load("twelvefactor.integrations._clock:run")(service)
        return ticked
    if library_of(what) == "rq":
        return _work_rq(service, what)
    program = program_of(service, what, arguments)
    if program is not None:
        return _become(program)
    if inspect.iscoroutinefunction(what):
        return int(asyncio.run(_call_async(service, what)) or 0)
    if callable(what):
        return _call(service, what)
    kind = type(what)
    raise UsageError(
        f"process type {name!r}: {kind.__module__}.{kind.__qualname__} is nothing that can be run; give an app, "
        f"a queue ({', '.join(sorted([*_PROGRAMS, 'rq']))}), service.clock or a function"
    )


# -- queues ------------------------------------------------------------------------------------------------------------


def library_of(what: Any) -> str | None:
    """Which queue's object *what* is: ``celery``, ``rq``, … or None."""
    if inspect.isfunction(what) or inspect.ismethod(what):
        return None
    first = what[0] if isinstance(what, list | tuple) and what else what
    return next((each for each in packages(first) if each in _PROGRAMS or each == "rq"), None)


def program_of(service: Service[Any], what: Any, arguments: Sequence[str]) -> list[str] | None:
    """
    The words of the queue's own worker program for *what*, after ``python -m``; None where it is no queue's object.

    Raises:
        UsageError: No module of the app has it as an attribute, by which the program could find it.
    """
    library = library_of(what)
    words = _PROGRAMS.get(library or "")
    return None if words is None else words(service, reference(service, what), list(arguments))


def reference(service: Service[Any], what: Any) -> str:
    """
    ``module:attribute`` of *what*, in the app's own modules first.

    Raises:
        UsageError: It is in none but ``__main__``, or nowhere.
    """
    modules = [(name, module) for name, module in sorted(sys.modules.items()) if name != "__main__"]
    owns = service.app_code.owns
    ours = [(name, module) for name, module in modules if owns(getattr(module, "__file__", None) or "<built-in>", name)]
    for name, module in (*ours, *modules):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if value is what:
                return f"{name}:{attribute}"
    raise UsageError(
        f"{what!r} is no module's attribute, so that its worker program could not find it; bind it at the top of one"
    )


def _celery(service: Service[Any], where: str, arguments: list[str]) -> list[str]:
    del service
    return ["celery", "-A", where, "worker", *arguments]


def _dramatiq(service: Service[Any], where: str, arguments: list[str]) -> list[str]:
    return ["dramatiq", where, *service.included, *arguments]


def _taskiq(service: Service[Any], where: str, arguments: list[str]) -> list[str]:
    if not any(each.startswith("--wait-tasks-timeout") for each in arguments):  # it would wait without limit
        arguments = [*arguments, "--wait-tasks-timeout", f"{service.budget.work:g}"]
    return ["taskiq", "worker", where, *service.included, *arguments]


def _huey(service: Service[Any], where: str, arguments: list[str]) -> list[str]:
    from huey.consumer_options import OptionParserHandler

    known = OptionParserHandler().get_option_parser()
    graceful = {"-g": "TERM", "-t": f"{service.budget.work:g}"}  # its SIGTERM interrupts what runs, else
    extra = [word for option, value in graceful.items() if known.has_option(option) for word in (option, value)]
    return ["huey.bin.huey_consumer", where.replace(":", "."), *extra, *arguments]


def _arq(service: Service[Any], where: str, arguments: list[str]) -> list[str]:
    del service
    return ["arq", where.replace(":", "."), *arguments]


def _faststream(service: Service[Any], where: str, arguments: list[str]) -> list[str]:
    del service
    return ["faststream", "run", where, *arguments]


_PROGRAMS: dict[str, Callable[[Service[Any], str, list[str]], list[str]]] = {
    "celery": _celery,
    "dramatiq": _dramatiq,
    "taskiq": _taskiq,
    "huey": _huey,
    "arq": _arq,
    "faststream": _faststream,
}
"""The queues' own worker programs; RQ's needs the address of Redis on its command line, and is run from here."""


def _become(program: Sequence[str]) -> int:
    """Let the program be this process: it has our process id, and the signals that we would get."""
    sys.stdout.flush()
    folders = [sys.path[0] or str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
    os.execv(sys.executable, [sys.executable, "-m", *program])  # noqa: S606 - the queue's own program


def _work_rq(service: Service[Any], what: Any) -> int:
    """RQ's worker, ours where the adapter has one."""
    from rq import Worker  # type: ignore[import-untyped,unused-ignore]  # it may ship types

    queues = list(what) if isinstance(what, list | tuple) else [what]
    try:
        made: Any = load("twelvefactor.integrations.rq:Worker")
    except (ImportError, AttributeError):
        made = Worker
    service.become("worker")
    made(queues, connection=queues[0].connection).work()
    return 0


# -- functions ---------------------------------------------------------------------------------------------------------


def _call(service: Service[Any], function: Callable[[], Any]) -> int:
    service.start()
    try:
        service.ready()
        return int(function() or 0)
    finally:
        service.close()


async def _call_async(service: Service[Any], function: Callable[[], Any]) -> Any:
    service.start()
    try:
        await service.aready()
        service.serves()
        return await function()
    finally:
        await service.aclose()
