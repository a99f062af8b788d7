"""APScheduler: a real scheduler in a process of its own; each run of a job a unit of work, none begun at SIGTERM."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path

import pytest

from twelvefactor.testing.servers import Server
from twelvefactor.work import current_work

pytest.importorskip("apscheduler")

HERE = Path(__file__).parent


def clock(store, *seconds, grace="10"):
    environ = {"PYTHONPATH": str(HERE.parents[2]), "STORE": str(store), "TWELVEFACTOR_GRACE_PERIOD": grace}
    return Server((sys.executable, "real_apscheduler.py", *seconds), cwd=HERE, environ=environ, ready=None)


def of(running, event, **fields):
    return [each for each in running.events if each["event"] == event and fields.items() <= each.items()]


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """One life: ticks, an error, and SIGTERM while a job runs that has time to finish."""
    with clock(tmp_path_factory.mktemp("clock") / "jobs.db", "1") as running:
        running.wait_event("begun")
        running.wait_event("job", where=lambda event: event["name"] == "fails")
        first = running.wait_event("job", where=lambda event: event["name"] == "tick")["work_id"]
        running.wait_event("job", where=lambda event: event["name"] == "tick" and event["work_id"] != first)
        return running, running.stop()


def test_a_run_is_a_unit_of_work(lived):
    """
    One event with the store, the delay, and an id that tells when it was due; an error has its traceback.
    """
    first, second = of(lived[0], "job", name="tick")[:2]
    assert (first["outcome"], first["queue"]) == ("ok", "memory")
    assert first["work_id"].startswith("tick@")
    assert first["work_id"] != second["work_id"]
    assert first["queue_delay_ms"] >= 0
    assert [each["exception_type"] for each in of(lived[0], "job", name="fails")] == ["ValueError"]
    assert of(lived[0], "ticked")[0]["work"] == first["work_id"]


def test_sigterm_lets_a_run_finish(lived):
    """
    It finishes; nothing is begun any more, and nothing is given back.
    """
    running, status = lived
    assert status == 143
    assert of(running, "done")
    paused = datetime.fromisoformat(of(running, "paused")[0]["timestamp"])
    due = [datetime.fromisoformat(each["work"].partition("@")[2]) for each in of(running, "ticked")]
    assert max(due) < paused
    assert not of(running, "job.handed_back")
    assert not of(running, "twelvefactor.fault")


def test_a_job_that_is_due_once_is_named(lived):
    """
    It leaves its store before it runs: TF904, once.
    """
    (finding,) = of(lived[0], "twelvefactor.finding", rule="TF904")
    assert finding["culprit"] == "apscheduler:date"


def test_a_job_that_is_due_once_goes_back_into_its_store(tmp_path):
    """
    At the end of the budget it is put back, where the store outlives the process; the next process runs it.
    """
    with clock(tmp_path / "jobs.db", "30", grace="4") as running:
        running.wait_event("begun")
        running.stop()
        assert [each["name"] for each in of(running, "job.handed_back")] == ["slow"]
        assert not of(running, "done")
    with clock(tmp_path / "jobs.db") as running:
        running.wait_event("begun")
        running.kill()


def test_a_scheduler_on_a_loop(make_shop):
    """
    A coroutine function stays one, and a partial of one; the process of who started already is left as it is.
    """
    import functools

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    shop, seen = make_shop(), []

    async def send(number):
        seen.append((number, current_work().name))

    async def main():
        shop.service.start()
        scheduler = shop.service.jobs(AsyncIOScheduler())
        assert shop.service.jobs(scheduler) is scheduler
        scheduler.add_job(send, args=[1], misfire_grace_time=None)
        scheduler.add_job(functools.partial(send, 2), name="partial", misfire_grace_time=None)
        scheduler.start()
        for _ in range(500):
            if len(seen) == 2:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        scheduler.shutdown()

    asyncio.run(main())
    assert sorted(number for number, _ in seen) == [1, 2]
    assert [each["outcome"] for each in shop.said("job")] == ["ok", "ok"]
    assert shop.service.process_type is None
