"""`@service.admin` gives the function back as it is."""

from typing import assert_type

import twelvefactor as tf

service = tf.Service("orders")


@service.admin
def migrate(to: str = "head") -> int:
    return len(to)


@service.admin(name="send", exclusive=True)
async def send_reminders(days: int) -> None: ...


assert_type(migrate("x"), int)
assert_type(list(tf.progress([1, 2])), list[int])


def wrong() -> None:
    """Never called."""
    migrate(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
