"""What a job costs beside a wrapper that does the same by hand: context bound, one event at its end, errors told."""

from __future__ import annotations

import contextvars
import os
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import structlog  # noqa: E402 - the path first
from _ratios import added, interleave, table  # noqa: E402 - beside this script

import twelvefactor as tf  # noqa: E402 - the checkout, not an installed one

OUT = open(os.devnull, "wb", buffering=0)  # noqa: PTH123, SIM115 - a descriptor that takes everything
GOAL = 2.0


def nothing():
    """A job that does nothing."""


structlog_out = structlog.wrap_logger(
    structlog.BytesLogger(OUT),
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=__import__("orjson").dumps),
    ],
    cache_logger_on_first_use=True,
).bind(service="bench")


def by_hand(function):
    """The wrapper that people write: ids into structlog's context, one line at the end, the context given back."""

    def call(*args, **kwargs):
        ids = {"job_id": uuid.uuid4().hex, "queue": "mail", "attempt": 1}
        begun = time.monotonic()
        with structlog.contextvars.bound_contextvars(**ids):
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                structlog_out.error("job", job=function.__name__, duration=time.monotonic() - begun, exc_info=error)
                raise
            structlog_out.info("job", job=function.__name__, duration=time.monotonic() - begun, outcome="ok")
            return result

    return call


current = contextvars.ContextVar("current", default=None)
dumps = __import__("orjson").dumps


def by_hand_and_lean(function):
    """The least that does the same: one context variable, one dictionary, one write."""

    def call(*args, **kwargs):
        job = {"work_id": os.urandom(16).hex(), "queue": "mail", "attempt": 1}
        token = current.set(job)
        begun = time.monotonic()
        outcome = "ok"
        try:
            return function(*args, **kwargs)
        except BaseException:
            outcome = "error"
            raise
        finally:
            current.reset(token)
            line = {
                "timestamp": time.time(),
                "level": "info",
                "event": "job",
                "service": "bench",
                **job,
                "name": function.__name__,
                "outcome": outcome,
                "duration_ms": round((time.monotonic() - begun) * 1000, 3),
            }
            os.write(OUT.fileno(), dumps(line) + b"\n")

    return call


def calls(function):
    """A spender for `interleave`."""

    def spend(count):
        begun = time.process_time_ns()
        for _ in range(count):
            function()
        return time.process_time_ns() - begun

    return spend


def main() -> int:
    """Measure, and say whether the goal is met."""
    environ = {"LOG_FORMAT": "json", "TWELVEFACTOR_RELEASE": "v1"}
    service = tf.Service("bench", environ=environ, stream=OUT, packages=["__main__"])
    service.start()
    service.ready()

    def as_adapters_do():
        with service.work("job", "nothing", queue="mail", attempt=1):
            nothing()

    samples = interleave(
        {
            "bare": calls(nothing),
            "@service.job": calls(service.job(nothing)),
            "service.work": calls(as_adapters_do),
            "by hand, structlog": calls(by_hand(nothing)),
            "by hand, as lean as can be": calls(by_hand_and_lean(nothing)),
        }
    )
    times = added(samples, "bare")
    met = table("A job", times, "service.work", {"by hand, structlog": GOAL})
    service.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
