"""The clock process: APScheduler says when, a claim says who, and each tick is a unit of work."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import inspect
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from twelvefactor.build_release_run.ledger import engine_for
from twelvefactor.concurrency.claims import claims_of
from twelvefactor.concurrency.ticks import weekdays
from twelvefactor.exceptions import MissingExtraError, UsageError

try:
    from apscheduler.events import EVENT_JOB_MAX_INSTANCES
    from apscheduler.executors.base import BaseExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.combining import OrTrigger
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.interval import IntervalTrigger
except ImportError as exc:
    raise MissingExtraError("apscheduler") from exc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from twelvefactor.concurrency.claims import Claims
    from twelvefactor.concurrency.ticks import Tick
    from twelvefactor.service import Service

AGAIN = 1.0  # seconds between two tries to claim while the claims cannot be reached
AT_ONCE = 10  # ticks that one process runs
_TURN = 1.0  # seconds
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def trigger(tick: Tick) -> Any:
    """When *tick* is due, as crontab(5) has it: day of month or day of week where both are given, Sunday is 0 and 7."""
    if not tick.cron:
        return IntervalTrigger(seconds=int(tick.every), start_date=_EPOCH, timezone=dt.UTC)
    minute, hour, day, month, weekday = tick.cron.split()
    fields = {"minute": minute, "hour": hour, "month": month.lower(), "timezone": tick.timezone}
    named = ",".join(weekdays(weekday.lower()))
    if day.startswith("*") or weekday.startswith("*"):
        return CronTrigger(**fields, day=day, day_of_week=named)
    return OrTrigger([CronTrigger(**fields, day=day), CronTrigger(**fields, day_of_week=named)])


class Runner:
    """
    Runs the ticks that are this process's.

    Args:
        service: Whose ticks.
        claims: Where they are claimed; None where nobody else is asked.
    """

    def __init__(self, service: Service[Any], claims: Claims | None) -> None:
        self._service = service
        self._claims = claims
        self._prepared = claims is None
        self._lock = threading.Lock()

    def run(self, tick: Tick, due: dt.datetime) -> bool:
        """Claim *tick* and run it; whether it was run. Never raises but for what ends the process."""
        service = self._service
        if service.stopping.is_set() or not self._in_time(tick, due) or not self._claim(tick, due):
            return False
        with contextlib.suppress(Exception):  # the unit's event has told it
            work = service.work("tick", tick.name)
            work.context["scheduled"] = due.isoformat()
            with work:
                _call(tick.function)
        return True

    def _late(self, due: dt.datetime) -> float:
        return self._service.clock.time() - due.timestamp()

    def _in_time(self, tick: Tick, due: dt.datetime) -> bool:
        late = self._late(due)
        if late <= tick.misfire_grace:
            return True
        self.miss(tick.name, due, f"it was {late:.0f} s late, of {tick.misfire_grace:g} s")
        return False

    def miss(self, name: str, due: dt.datetime, because: str) -> None:
        """Say that a tick is not run, and why."""
        self._service.event("warning", "tick.missed", name=name, scheduled=due.isoformat(), because=because)

    def behind(self, name: str, dues: Sequence[dt.datetime]) -> None:
        """Say once that ticks are left out: only the last of a backlog is run."""
        because = "this clock was behind; another one may have run it"
        self._service.event(
            "warning", "tick.missed", name=name, scheduled=dues[0].isoformat(), count=len(dues), because=because
        )

    def _claim(self, tick: Tick, due: dt.datetime) -> bool:
        """Claim it; where the claims cannot be reached, try on as long as it may be late."""
        while True:
            try:
                return self._ask(tick, due)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises; its text may hold a password
                if self._late(due) + AGAIN > tick.misfire_grace or self._service.stopping.wait(AGAIN):
                    self.miss(tick.name, due, f"it could not be claimed in {self.where}: {type(error).__name__}")
                    return False

    @property
    def where(self) -> str:
        """The resource in which ticks are claimed; empty without one."""
        return "" if self._claims is None else self._claims.where

    def close(self) -> None:
        """Let go of the claims' connection."""
        if self._claims is not None:
            self._claims.close()

    def _ask(self, tick: Tick, due: dt.datetime) -> bool:
        if self._claims is None:
            return True
        with self._lock:
            if not self._prepared:
                self._claims.prepare()
                self._prepared = True
        return self._claims.claim(tick.name, int(due.timestamp()), tick.misfire_grace)


def _call(function: Callable[[], Any]) -> None:
    """Call it; an async one in a loop of its own."""
    if inspect.iscoroutinefunction(function):
        asyncio.run(function())
    else:
        function()


def _due(tick: Tick) -> None:
    """What APScheduler is told to run; our executor runs the tick itself."""


class _Threads(BaseExecutor):  # type: ignore[misc]  # it ships no types
    """As APScheduler's own, but what runs is told when it was due."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="tick")

    def _do_submit_job(self, job: Any, run_times: list[dt.datetime]) -> None:
        if run_times[:-1]:
            self._runner.behind(job.args[0].name, run_times[:-1])
        self._pool.submit(self._run, job, run_times[-1])

    def _run(self, job: Any, due: dt.datetime) -> None:
        try:
            self._runner.run(job.args[0], due)
        except BaseException as error:  # noqa: BLE001 - a tick that exits ends itself only
            self._runner.miss(job.args[0].name, due, f"it raised {type(error).__name__}")
        finally:
            self._run_job_success(job.id, [])

    def shutdown(self, wait: bool = True) -> None:
        """Take no new ones; those that run are work in flight, and waited for as such."""
        self._pool.shutdown(wait=wait, cancel_futures=True)


def run(service: Service[Any]) -> int:
    """Be the clock process until SIGTERM; the exit status."""
    service.takes_jobs()
    service.start()
    ticks = tuple(service.clock.ticks)
    if not ticks:
        raise UsageError("the service declares no tick; declare one: @service.clock('*/5 * * * *')")
    runner = runner_of(service)
    scheduler = _scheduler(runner, ticks)
    service.ready()
    service.event(
        "info", "clock.ticking", ticks={each.name: each.schedule for each in ticks}, claims=runner.where or None
    )
    scheduler.start()
    try:
        while not service.stopping.wait(_TURN):
            service.beat()
    finally:
        scheduler.shutdown(wait=False)
        service.close()
        runner.close()
    return 0


def run_once(service: Service[Any], name: str) -> int:
    """Run the tick *name* once, as a CronJob of the platform does; 1 where it failed."""
    service.start()
    tick = service.clock.ticks.get(name)
    if tick is None:
        known = ", ".join(each.name for each in service.clock.ticks) or "none is"
        raise UsageError(f"no tick {name!r} is declared ({known}); declare it: @service.clock('*/5 * * * *')")
    service.ready()
    work = service.work("tick", name)
    try:
        with work:
            _call(tick.function)
    except Exception:  # noqa: BLE001 - the unit's event has told it
        return 1
    finally:
        service.close()
    return 0


def runner_of(service: Service[Any]) -> Runner:
    """The runner of *service*; says so where nothing attached keeps a second clock from running everything again."""
    claims = claims_of(service, engine_for)
    if claims is None:
        service.event(
            "warning",
            "clock.alone",
            hint="attach PostgreSQL, MySQL or Redis: without one, each of several clock processes runs every tick",
        )
    return Runner(service, claims)


def _scheduler(runner: Runner, ticks: Iterable[Tick]) -> Any:
    silent = logging.getLogger("twelvefactor.clock")
    silent.setLevel(logging.ERROR)  # what it does is told as events
    scheduler = BackgroundScheduler(timezone=dt.UTC, logger=silent, executors={"default": _Threads(runner)})
    for tick in ticks:
        scheduler.add_job(_due, trigger(tick), args=(tick,), id=tick.name, misfire_grace_time=None, coalesce=False)

    def overlapping(event: Any) -> None:
        runner.miss(event.job_id, event.scheduled_run_times[-1], "the one before it still runs")

    scheduler.add_listener(overlapping, EVENT_JOB_MAX_INSTANCES)
    return scheduler
