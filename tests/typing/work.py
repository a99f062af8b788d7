"""What a user's type checker makes of a unit of work. Checked by mypy and pyright, not run."""

from typing import assert_type

import twelvefactor as tf


def units() -> None:
    work = tf.current_work()
    assert_type(work, tf.Work | None)
    if work is not None:
        assert_type(work.id, str)
        assert_type(work.kind, str)
        assert_type(work.name, str)
        assert_type(work.deadline, float | None)
        assert_type(work.should_stop, bool)
