"""What a user's type checker makes of jobs: every signature stays. Checked by mypy and pyright, not run."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar, assert_type

import twelvefactor as tf

T = TypeVar("T")
service = tf.Service("orders")


@service.job
def send(number: int, *, to: str = "x") -> bool:
    return bool(number and to)


@service.job(name="named")
async def send_async(number: int) -> str:
    return str(number)


@service.job
def steps(number: int) -> Iterator[int]:
    yield number


@service.job
async def steps_async(number: int) -> AsyncIterator[int]:
    yield number


@service.job
def same(value: T) -> T:
    return value


class Mailer:
    @service.job
    def method(self, number: int) -> str:
        return str(number)

    @classmethod
    @service.job
    def made(cls, number: int) -> "Mailer":
        return cls()

    @staticmethod
    @service.job
    def static(number: int) -> bytes:
        return b""


class Task:
    def delay(self, number: int) -> str:
        return str(number)

    def __call__(self, number: int) -> int:
        return number


def task(function: Callable[[int], int]) -> Task:
    return Task()


@service.job
@task
def above(number: int) -> int:
    return number


@task
@service.job
def below(number: int) -> int:
    return number


class Broker: ...


assert_type(send(1, to="y"), bool)
assert_type(steps(1), Iterator[int])
assert_type(steps_async(1), AsyncIterator[int])
assert_type(same("x"), str)
assert_type(Mailer().method(1), str)
assert_type(Mailer.made(1), Mailer)
assert_type(Mailer.static(1), bytes)
assert_type(above.delay(1), str)
assert_type(below.delay(1), str)
assert_type(service.jobs(Broker()), Broker)
assert_type(service.work("job", "send", queue="mail", attempt=1, headers={"x": "y"}), tf.Work)


async def awaited() -> None:
    """Never called."""
    assert_type(await send_async(1), str)


def wrong() -> None:
    """Never called."""
    send("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    send(1, "y")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Mailer().method("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    service.job(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
