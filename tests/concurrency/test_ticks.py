"""What a clock runs, and when."""

import asyncio
import datetime as dt
import io
import json
import threading
import uuid

import pytest

from tests.conftest import url_of
from twelvefactor.concurrency.claims import RedisClaims, SQLClaims
from twelvefactor.concurrency.ticks import Tick, Ticks, wrong_with
from twelvefactor.exceptions import UsageError
from twelvefactor.service import Service

pytest.importorskip("apscheduler")
from twelvefactor.integrations._clock import Runner, trigger  # noqa: E402

DUE = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


def tick(function=print, cron="", every=60.0, timezone="UTC", misfire_grace=60.0):
    return Tick("remind", function, cron, every, timezone, misfire_grace)


def next_times(cron, after, count=4, timezone="UTC"):
    found, now = [], after
    when = trigger(tick(cron=cron, timezone=timezone))
    for _ in range(count):
        now = when.get_next_fire_time(None, now)
        found.append(now.astimezone(dt.UTC))
        now += dt.timedelta(seconds=1)
    return found


# -- schedules


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 0 * * 0", [1, 8, 15]),  # Sunday, which APScheduler would take for Monday
        ("0 0 * * 7", [1, 8, 15]),
        ("0 0 * * sun", [1, 8, 15]),
        ("0 0 * * 1-2", [2, 3, 9]),
        ("0 0 * * mon,fri", [2, 6, 9]),
        ("0 0 * * */3", [1, 4, 7]),  # 0, 3 and 6
        ("0 0 * * 5-7", [1, 6, 7]),
        ("0 0 13 * 5", [6, 13, 20]),  # the day of month or the day of week, where both are given
        ("0 0 */10 * *", [1, 11, 21]),
    ],
)
def test_a_crontab_line_means_what_crontab_says(cron, days):
    """
    March 2026 begins with a Sunday.
    """
    midnight = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)

    assert [each.day for each in next_times(cron, midnight, 3)] == days


def test_a_crontab_line_is_read_in_its_time_zone():
    """
    Seven in Berlin is six, and five in summer, in UTC.
    """
    found = next_times("0 7 * * *", dt.datetime(2026, 3, 28, tzinfo=dt.UTC), 2, "Europe/Berlin")

    assert [each.hour for each in found] == [6, 5]


def test_an_interval_is_counted_from_the_epoch():
    """
    So that every process means the same moments, whenever it started.
    """
    when = trigger(tick(every=300.0))

    found = when.get_next_fire_time(None, dt.datetime(2026, 3, 1, 12, 1, 17, tzinfo=dt.UTC))

    assert found == dt.datetime(2026, 3, 1, 12, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "line", ["", "* * * *", "60 * * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "a * * * *", "@often"]
)
def test_a_line_that_cannot_be_read_is_refused_where_it_is_declared(line):
    """
    Without APScheduler, which a web image need not have.
    """
    assert wrong_with(line)
    with pytest.raises(UsageError, match="tick 'print'"):
        Ticks().add(print, line)


@pytest.mark.parametrize("every", [0, 0.5, -1, 1.5])
def test_an_interval_is_whole_seconds(every):
    """
    A claim is of a second.
    """
    with pytest.raises(UsageError, match="whole number of seconds"):
        Ticks().add(print, every)


def test_two_functions_of_one_name_are_refused():
    """
    Their claims would be one.
    """
    ticks = Ticks()
    ticks.add(print, 60, name="x")
    ticks.add(print, 60, name="x")
    with pytest.raises(UsageError, match="two ticks are called 'x'"):
        ticks.add(repr, 60, name="x")


def test_declaring_a_tick_declares_the_clock(new_service):
    """
    The function stays what it is; the clock still tells the time.
    """
    service = new_service()

    @service.clock("@hourly", misfire_grace=5)
    def clean():
        return 7

    assert clean() == 7
    assert [(each.name, each.cron) for each in service.clock.ticks] == [("clean", "0 * * * *")]
    assert service.processes == {"clock": service.clock}
    assert service.clock.time() > 1_700_000_000


# -- running


class Time:
    def __init__(self, now):
        self.now = now

    def time(self):
        return self.now

    monotonic = time


class Claims:
    """Claims that fail when told to."""

    where = "database_url"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def prepare(self):
        pass

    def claim(self, name, at, misfire_grace):
        self.asked.append((name, at))
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def clock(monkeypatch):
    """A service whose time stands at DUE, and how to run a tick in it."""
    monkeypatch.setattr("twelvefactor.integrations._clock.AGAIN", 0.01)
    out = io.StringIO()
    time = Time(DUE.timestamp() + 1)
    service = Service("orders", environ={}, stream=out, clock=time)

    def run(each, claims=None):
        return Runner(service, claims).run(each, DUE)

    run.time, run.service = time, service
    run.events = lambda name: [line for line in map(json.loads, out.getvalue().splitlines()) if line["event"] == name]
    yield run
    service.close()


def test_a_tick_is_a_unit_of_work_with_one_event(clock):
    """
    Its kind is `tick`; what is logged inside carries its id and when it was due.
    """
    assert clock(tick(lambda: clock.service.log.info("inside")))

    (event,), (inside,) = clock.events("tick"), clock.events("inside")
    assert (event["name"], event["outcome"], event["scheduled"]) == ("remind", "ok", "2026-03-01T12:00:00+00:00")
    assert inside["work_id"] == event["work_id"]
    assert inside["scheduled"] == event["scheduled"]


def test_an_async_tick_runs_in_a_loop(clock):
    """
    And a tick that raises is an event, not the end of the clock.
    """
    seen = []

    async def later():
        await asyncio.sleep(0)
        seen.append(asyncio.get_running_loop())
        raise KeyError("x")

    assert clock(tick(later))
    assert len(seen) == 1
    assert [event["outcome"] for event in clock.events("tick")] == ["error"]


def test_a_tick_that_is_late_is_missed_and_told(clock):
    """
    By more than its grace: not run, not claimed.
    """
    clock.time.now += 60
    claims = Claims()

    assert not clock(tick(), claims)
    assert claims.asked == []
    assert [event["because"] for event in clock.events("tick.missed")] == ["it was 61 s late, of 60 s"]


def test_a_tick_that_another_has_claimed_is_not_run_and_not_told(clock):
    """
    With three clocks, two of each tick end so.
    """
    assert not clock(tick(), Claims(False))
    assert clock.events("tick") == clock.events("tick.missed") == []


def test_claims_that_come_back_in_time_are_asked_again(clock):
    """
    A database that is away for a moment costs no tick; one that stays away costs it, and says so without its URL.
    """
    assert clock(tick(), Claims(OSError("secret"), OSError("secret"), True))
    clock.time.now += 58.995

    assert not clock(tick(), Claims(OSError("secret")))
    (missed,) = clock.events("tick.missed")
    assert missed["because"] == "it could not be claimed in database_url: OSError"


# -- claims, in the real thing


@pytest.fixture(params=["postgres", "mariadb", "redis"])
def two_claims(request):
    """Two processes' claims in one place, each with a token of its own."""
    url = url_of(request.param)
    name = f"test-{uuid.uuid4().hex}"
    if request.param == "redis":
        import redis

        made = [RedisClaims(redis.Redis.from_url(url), name, "redis_url") for _ in range(2)]
        yield made
        for key in made[0]._client.scan_iter(f"twelvefactor:tick:{name}:*"):
            made[0]._client.delete(key)
    else:
        import sqlalchemy as sa

        url = sa.make_url(url).set(
            drivername={"postgres": "postgresql+psycopg", "mariadb": "mysql+pymysql"}[request.param]
        )
        made = [SQLClaims(sa.create_engine(url), name, "database_url") for _ in range(2)]
        yield made
        with made[0]._engine.begin() as connection:
            connection.execute(sa.delete(made[0]._table).where(made[0]._table.c.service == name))
    for each in made:
        each.close()


def test_one_of_many_gets_the_claim_and_knows_it_again(two_claims):
    """
    The table is made by both at once; of twenty threads one side wins, and asking again gives the same answer.
    """
    start, answers = threading.Barrier(20), []

    def ask(claims):
        start.wait(10)
        claims.prepare()
        answers.append((claims, claims.claim("remind", 1_000, 60.0)))

    threads = [threading.Thread(target=ask, args=(two_claims[number % 2],)) for number in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    winners = {id(claims) for claims, won in answers if won}

    assert len(answers) == 20
    assert len(winners) == 1
    assert sum(each.claim("remind", 1_000, 60.0) for each in two_claims) == 1
    assert two_claims[0].claim("remind", 1_060, 60.0)
    assert two_claims[1].claim("tidy", 1_000, 60.0)


def test_old_claims_are_swept(two_claims):
    """
    A week later nobody asks for them; in Redis they end by themselves, after the grace.
    """
    one, other = two_claims
    one.prepare()
    assert one.claim("remind", 1_000, 60.0)
    assert one.claim("remind", 1_000 + 8 * 86_400, 60.0)
    if isinstance(one, RedisClaims):
        key = f"twelvefactor:tick:{one._service}:remind:1000"
        assert 60 < one._client.ttl(key) <= 3_660
    else:
        assert other.claim("remind", 1_000, 60.0)  # it is gone, so it can be had
