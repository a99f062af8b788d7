"""`@service.job`: any callable, its every call a unit of work."""

import asyncio
import functools
import inspect
import threading

import pytest

from twelvefactor.work import current_work


@pytest.fixture
def job(shop):
    return shop.service.job


def jobs(shop):
    return [(event["name"], event["outcome"]) for event in shop.said("job")]


def seen():
    work = current_work()
    return None if work is None else (work.kind, work.name, work.closed)


def test_a_function(job, shop):
    """
    A call is a job: context inside, one event at its end, the outer context back.
    """

    @job
    def send(number, *, to="x"):
        """Send it."""
        shop.service.log.info("sending")
        return number, to, seen()

    assert send(1, to="y") == (1, "y", ("job", send.__qualname__.rpartition("<locals>.")[2], False))
    assert current_work() is None
    (sending,), (event,) = shop.said("sending"), shop.said("job")
    assert sending["work_id"] == event["work_id"]
    assert event["outcome"] == "ok"
    assert event["duration_ms"] >= 0
    assert (send.__name__, send.__doc__, list(inspect.signature(send).parameters)) == (
        "send",
        "Send it.",
        ["number", "to"],
    )
    assert inspect.getfullargspec(send).args == ["number"]


def test_a_coroutine_function(job, shop):
    """
    It stays a coroutine function, and its context goes through its awaits.
    """

    @job(name="send")
    async def send(number):
        await asyncio.sleep(0)
        return number, seen()

    assert inspect.iscoroutinefunction(send)
    assert asyncio.run(send(1)) == (1, ("job", "send", False))
    assert jobs(shop) == [("send", "ok")]


def test_an_error(job, shop):
    """
    What it raises goes on to the queue, and its event is an error with the traceback.
    """

    @job
    def fail():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    (event,) = shop.said("job")
    assert (event["level"], event["outcome"], event["exception_type"]) == ("error", "error", "ValueError")
    assert shop.idle


def test_a_generator(job, shop):
    """
    Each step runs inside the job, the consumer's code between two steps does not; sent and thrown go through.
    """

    @job(name="steps")
    def steps():
        got = yield seen()
        try:
            yield got, seen()
        except KeyError:
            yield "caught", seen()
        return "done"

    assert inspect.isgeneratorfunction(steps)
    inside = ("job", "steps", False)
    each = steps()
    assert next(each) == inside
    assert current_work() is None
    assert each.send(7) == (7, inside)
    assert current_work() is None
    assert each.throw(KeyError()) == ("caught", inside)
    assert not shop.said("job")
    with pytest.raises(StopIteration) as end:
        next(each)
    assert end.value.value == "done"
    assert current_work() is None
    assert jobs(shop) == [("steps", "ok")]


def test_a_generator_that_is_left(job, shop):
    """
    Closed early it runs its `finally` inside the job, and the job is over.
    """
    cleaned = []

    @job(name="steps")
    def steps():
        try:
            yield 1
        finally:
            cleaned.append(seen())

    each = steps()
    next(each)
    each.close()
    assert cleaned == [("job", "steps", False)]
    assert jobs(shop) == [("steps", "cancelled")]
    assert shop.idle


def test_an_async_generator(job, shop):
    """
    As a generator, with `asend`, `athrow` and `aclose`, and nothing left in the consumer's context.
    """
    cleaned = []

    @job(name="steps")
    async def steps():
        try:
            got = yield seen()
            try:
                yield got, seen()
            except KeyError:
                yield "caught", seen()
        finally:
            cleaned.append(seen())

    async def main():
        each = steps()
        assert await anext(each) == inside
        assert current_work() is None
        assert await each.asend(7) == (7, inside)
        assert await each.athrow(KeyError()) == ("caught", inside)
        assert [item async for item in each] == []
        left = steps()
        await anext(left)
        await left.aclose()
        assert current_work() is None

    inside = ("job", "steps", False)
    assert inspect.isasyncgenfunction(steps)
    asyncio.run(main())
    assert cleaned == [inside, inside]
    assert jobs(shop) == [("steps", "ok"), ("steps", "cancelled")]


def test_an_async_generator_that_another_task_closes(job, shop):
    """
    A context of another task's cannot be reset; the job ends all the same.
    """

    @job
    async def steps():
        yield 1

    async def main():
        each = steps()
        await anext(each)
        await asyncio.create_task(each.aclose())
        assert current_work() is None

    asyncio.run(main())
    assert shop.idle


def test_methods(job, shop):
    """
    Methods, class methods and static methods, below and above their own decorators.
    """

    class Mailer:
        @job
        def method(self, number):
            return type(self).__name__, number

        @job
        @classmethod
        def above(cls, number):
            return cls.__name__, number

        @classmethod
        @job
        def below(cls, number):
            return cls.__name__, number

        @job
        @staticmethod
        def static_above(number):
            return number

        @staticmethod
        @job
        def static_below(number):
            return number

    assert Mailer().method(1) == Mailer.above(1) == Mailer.below(1) == Mailer().above(1) == ("Mailer", 1)
    assert Mailer.static_above(1) == Mailer().static_below(1) == 1
    assert [name for name, _ in jobs(shop)] == [
        f"Mailer.{name}" for name in ("method", "above", "below", "above", "static_above", "static_below")
    ]


def test_other_callables(job, shop):
    """
    A partial, a callable object, a builtin.
    """

    class Call:
        async def __call__(self, number):
            return number, seen()

    assert job(functools.partial(max, 3))(2) == 3
    assert asyncio.run(job(Call())(1)) == (1, ("job", Call.__qualname__.rpartition("<locals>.")[2], False))
    assert job(len)("abc") == 3
    assert [name for name, _ in jobs(shop)] == ["max", "Call", "len"]


def test_the_inner_one_steps_aside(job, shop):
    """
    A job called inside a job, or decorated twice, is one job.
    """

    @job
    def inner():
        return seen()[1]

    @job(name="outer")
    def outer():
        return inner()

    assert job(inner) is inner
    assert outer() == "outer"
    assert jobs(shop) == [("outer", "ok")]


def test_called_in_a_request_it_belongs_to_it(job, shop):
    """
    Without a queue in between, the job has the ids of the work that calls it.
    """

    @job
    def send():
        return current_work().request_id, current_work().context["request_id"]

    with shop.service.in_flight.work("request", "/", request_id="r-1"):
        assert send() == ("r-1", "r-1")
        assert current_work().kind == "request"


def test_threads_do_not_meet(job, shop):
    """
    Two calls at once in two threads are two jobs, each with its own id.
    """
    barrier, ids = threading.Barrier(2), []

    @job
    def send():
        barrier.wait(5)
        ids.append(current_work().id)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 2
    assert current_work() is None


def test_off_it_is_the_function_itself(make_shop):
    """
    With the mode off nothing is put around it.
    """
    service = make_shop({"TWELVEFACTOR_MODE": "off"}).service

    def send():
        return seen()

    assert service.job(send) is send


def test_celerys_promise_is_not_looked_at(job, shop):
    """
    Above Celery's decorator the task is not made before its app is configured; each call in a worker is a job.
    """
    celery = pytest.importorskip("celery")
    app = celery.Celery("shop", set_as_current=False)
    calls = []

    @job
    @app.task(name="send", bind=False, shared=False)
    def send(number):
        calls.append((number, seen()))
        return number

    assert not app.finalized
    app.conf.task_acks_late = True
    app.finalize()
    assert app.tasks["send"].acks_late
    assert app.tasks["send"].apply((1,)).get() == 1
    assert calls == [(1, ("job", "send", False))]
    assert [name for name, _ in jobs(shop)] == ["send"]


def test_celery_checks_the_arguments_of_a_decorated_function(job, shop):
    """
    Below Celery's decorator the signature is the function's own.
    """
    celery = pytest.importorskip("celery")
    app = celery.Celery("shop", set_as_current=False)

    @app.task(name="send", shared=False)
    @job
    def send(number):
        return number

    with pytest.raises(TypeError):
        send.delay(1, 2, 3)
    assert send.apply((1,)).get() == 1
