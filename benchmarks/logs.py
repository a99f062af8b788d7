"""
What a line costs: ours beside its peers, as ratios within one run.

    python benchmarks/logs.py            # all
    python benchmarks/logs.py info       # one table: info, disabled, exception, record, secrets, stalled

Every competitor does the same duties: the time in UTC, the level, the fields of the service, the ids of the request
from a context variable, redaction by key to any depth, JSON, and one line to standard output, which is /dev/null here.
Rounds are interleaved, and the best of each is taken, for what else runs on the machine only ever adds.
"""

from __future__ import annotations

# ruff: noqa: SIM115 - the outputs live as long as the process
import gc
import logging
import os
import random
import string
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parent.parent))
ROUNDS = int(os.environ.get("ROUNDS", "15"))
CALLS = int(os.environ.get("CALLS", "4000"))
SECRET_WORDS = ("password", "secret", "token", "authorization", "cookie", "api_key")
ITEMS = [{"sku": "A-1", "quantity": 2}, {"sku": "B-7", "quantity": 1}]
FIELDS = {"order_id": 4711, "customer": "c-1029", "total": 99.5, "items": ITEMS, "paid": True}
SERVICE = {"service": "orders", "release": "4f2c1a9", "process_type": "web", "instance": "web-1", "pid": os.getpid()}
IDS = {"work_id": "0af7651916cd43dd8448eb211c80319c", "request_id": "b7ad6b7169203331aabbccddeeff0011"}


def measure(contestants):
    """The least seconds per call of each, over interleaved rounds."""
    best = dict.fromkeys(contestants, float("inf"))
    gc.collect()
    gc.disable()
    for _ in range(ROUNDS):
        for name, act in contestants.items():
            start = time.process_time_ns()
            for _ in range(CALLS):
                act()
            best[name] = min(best[name], (time.process_time_ns() - start) / CALLS / 1e3)
    gc.enable()
    return best


def table(title, times, against, goals=()):
    """Print *times* in microseconds and as ratios to *against*."""
    print(f"\n{title}\n{'':42}{'us':>9}{'ratio':>9}", file=sys.stderr)
    for name, spent in sorted(times.items(), key=lambda pair: pair[1]):
        goal = dict(goals).get(name)
        verdict = "" if goal is None else f"   goal {goal}: {'met' if spent / times[against] <= goal else 'MISSED'}"
        print(f"{name:42}{spent:9.2f}{spent / times[against]:9.2f}{verdict}", file=sys.stderr)


# -- the peers


def redactor():
    """A deep walk with remembered verdicts, as a careful user would write it."""
    verdicts = {}

    def hidden(key):
        verdict = verdicts.get(key)
        if verdict is None:
            verdict = verdicts[key] = any(word in key.lower() for word in SECRET_WORDS)
        return verdict

    def walk(value):
        if type(value) is dict:
            return {key: "********" if hidden(key) else walk(item) for key, item in value.items()}
        if type(value) is list:
            return [walk(item) for item in value]
        return value

    return walk


def structlog_peer():
    """structlog as its own documentation tunes it, plus the duties."""
    import structlog

    walk = redactor()

    def service(_, __, event_dict):
        event_dict.update(SERVICE)
        return event_dict

    def redact(_, __, event_dict):
        return walk(event_dict)

    processors = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        service,
        structlog.processors.format_exc_info,
        redact,
        structlog.processors.JSONRenderer(serializer=orjson.dumps),
    ]
    output = open(1, "wb", closefd=False)
    return structlog.wrap_logger(
        structlog.BytesLogger(output),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    ).bind()


def stdlib_logger(name, formatter):
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler(open(1, "w", closefd=False))
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    return logger


def orjson_formatter():
    """python-json-logger's fastest formatter, plus the duties."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    walk = redactor()

    class Formatter(OrjsonFormatter):
        def process_log_record(self, log_data):
            log_data.update(IDS)
            return walk(log_data)

    return Formatter("%(levelname)s %(name)s %(message)s", timestamp=True, static_fields=SERVICE)


def plain_orjson_formatter():
    """The same, as it comes: no ids, no redaction."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    return OrjsonFormatter("%(levelname)s %(name)s %(message)s", timestamp=True, static_fields=SERVICE)


def loguru_peer():
    import loguru

    loguru.logger.remove()
    loguru.logger.add(open(1, "w", closefd=False), serialize=True, level="INFO", backtrace=False, diagnose=False)
    return loguru.logger


def ours():
    from twelvefactor.logs import EventStream

    stream = EventStream("orders", environ={"LOG_FORMAT": "json", "HOSTNAME": "web-1"})
    stream.bind(release="4f2c1a9", process_type="web")
    return stream


@contextmanager
def in_work():
    """The ids of a request, for us and for structlog."""
    import structlog

    from twelvefactor.work import InFlight

    with (
        structlog.contextvars.bound_contextvars(**IDS),
        InFlight().work("request", "r", IDS["work_id"], request_id=IDS["request_id"]),
    ):
        yield


# -- the tables


def info():
    """An info line with context, service fields and deep redaction."""
    peer, logger, stream = structlog_peer(), loguru_peer(), ours()
    log = stream.logger("orders.api")
    json_logger = stdlib_logger("bench.json", orjson_formatter())
    text_logger = stdlib_logger("bench.text", logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    ready = {"timestamp": datetime.now(UTC), "level": "info", "event": "order placed", **SERVICE, **IDS, **FIELDS}

    def floor():
        os.write(1, orjson.dumps(ready, None, orjson.OPT_APPEND_NEWLINE))

    import structlog

    with in_work():
        table_bound = structlog.contextvars._CONTEXT_VARS.copy()
        times = measure(
            {
                "raw floor: orjson + os.write": floor,
                "structlog + orjson + BytesLogger + redact": lambda: peer.info("order placed", **FIELDS),
                "python-json-logger OrjsonFormatter": lambda: json_logger.info("order placed", extra=FIELDS),
                "loguru serialize": lambda: logger.bind(**FIELDS, **SERVICE, **IDS).info("order placed"),
                "standard library, plain text": lambda: text_logger.info("order placed %s", FIELDS),
            }
        )
        # nobody but the peer uses structlog's own context variables
        structlog.contextvars._CONTEXT_VARS.clear()
        times |= measure(
            {
                "twelvefactor": lambda: log.info("order placed", **FIELDS),
                "twelvefactor, emit (adapters)": lambda: stream.emit("info", "request", FIELDS),
            }
        )
        structlog.contextvars._CONTEXT_VARS.update(table_bound)
    best = "structlog + orjson + BytesLogger + redact"
    table("An info line", times, best, [("twelvefactor", 0.60)])


def disabled():
    """A level that nobody hears."""
    log = ours().logger("orders.api")
    peer = structlog_peer()

    class Plain:
        def call(self, event, *args, **fields):
            return None

    plain = Plain()
    times = measure(
        {
            "a plain call": lambda: plain.call("order placed", order_id=4711, customer="c-1029"),
            "structlog": lambda: peer.debug("order placed", order_id=4711, customer="c-1029"),
            "twelvefactor": lambda: log.debug("order placed", order_id=4711, customer="c-1029"),
        }
    )
    table("A disabled level", times, "a plain call", [("twelvefactor", 1.15)])


def _fail(depth):
    if depth:
        _fail(depth - 1)
    raise ValueError("the card was declined")


def exception():
    """A line with a traceback of eight frames."""
    log, peer, logger = ours().logger("orders.api"), structlog_peer(), loguru_peer()
    text_logger = stdlib_logger("bench.exception", logging.Formatter("%(message)s"))
    global CALLS  # noqa: PLW0603 - slow ones, fewer calls
    before, CALLS = CALLS, max(CALLS // 40, 20)
    try:
        _fail(7)
    except ValueError as caught:
        error = caught
    times = measure(
        {
            "structlog": lambda: peer.error("payment failed", exc_info=error),
            "loguru": lambda: logger.opt(exception=error).error("payment failed"),
            "standard library": lambda: text_logger.error("payment failed", exc_info=error),
            "twelvefactor": lambda: log.error("payment failed", exc_info=error),
        }
    )
    CALLS = before
    table("A line with an 8-frame traceback", times, "structlog", [("twelvefactor", 0.15)])


def record():
    """A record of the standard library, as uvicorn or SQLAlchemy make them."""
    from twelvefactor.logs.records import EventHandler, JsonFormatter

    stream = ours()
    stream.configure()
    through_handler = logging.getLogger("bench.handler")
    through_handler.setLevel(logging.INFO)
    through_handler.propagate = False
    through_handler.addHandler(EventHandler(stream))
    through_formatter = stdlib_logger("bench.formatter", JsonFormatter())
    duties = stdlib_logger("bench.duties", orjson_formatter())
    plain = stdlib_logger("bench.plain", plain_orjson_formatter())
    nothing = logging.getLogger("bench.nothing")
    nothing.setLevel(logging.INFO)
    nothing.propagate = False
    nothing.addHandler(logging.NullHandler())
    made = logging.LogRecord("sqlalchemy.engine", 20, __file__, 1, "SELECT %s FROM %s", ("id", "orders"), None)
    our_format, their_format, plain_format = (
        JsonFormatter().format,
        orjson_formatter().format,
        plain_orjson_formatter().format,
    )
    with in_work():
        import structlog

        structlog.contextvars._CONTEXT_VARS.clear()
        times = measure(
            {
                "logging itself, with a NullHandler": lambda: nothing.info("SELECT %s FROM %s", "id", "orders"),
                "OrjsonFormatter with the duties": lambda: duties.info("SELECT %s FROM %s", "id", "orders"),
                "OrjsonFormatter as it comes": lambda: plain.info("SELECT %s FROM %s", "id", "orders"),
                "twelvefactor, JsonFormatter alone": lambda: through_formatter.info(
                    "SELECT %s FROM %s", "id", "orders"
                ),
                "twelvefactor, the stream's handler": lambda: through_handler.info("SELECT %s FROM %s", "id", "orders"),
            }
        )
        table("A record: call, format, write", times, "OrjsonFormatter with the duties")
        times = measure(
            {
                "OrjsonFormatter with the duties": lambda: their_format(made),
                "OrjsonFormatter as it comes": lambda: plain_format(made),
                "twelvefactor, JsonFormatter": lambda: our_format(made),
            }
        )
    table("A record: format only", times, "OrjsonFormatter with the duties", [("twelvefactor, JsonFormatter", 0.60)])
    stream.close()


def secrets():
    """What twenty known secrets add."""
    from twelvefactor._core.secrets import SECRETS

    log = ours().logger("orders.api")
    text = "the customer asked us to deliver on Tuesday"

    def short():
        log.info("order placed", order_id=4711, customer="c-1029", total=99.5, paid=True)

    def long():
        log.info("order placed", order_id=4711, note=text, total=99.5, paid=True)

    def varied():
        log.info("order placed", order_id=4711, note=f"{text} {time.perf_counter_ns()}", total=99.5, paid=True)

    with in_work():
        import structlog

        structlog.contextvars._CONTEXT_VARS.clear()
        without = measure({"short strings": short, "a long string": long, "a long string, new each time": varied})
        dice = random.Random(20)
        for _ in range(20):
            SECRETS.register("".join(dice.choices(string.ascii_letters + string.digits + "+/=-_", k=32)))
        with_secrets = measure({"short strings": short, "a long string": long, "a long string, new each time": varied})
    SECRETS.clear()
    for name, goal in (("short strings", 1.15), ("a long string", 2.0), ("a long string, new each time", 2.0)):
        pair = {"no secret known": without[name], "twenty secrets known": with_secrets[name]}
        table(f"Value redaction: {name}", pair, "no secret known", [("twenty secrets known", goal)])


STALLED = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from twelvefactor.logs import EventStream
log = EventStream("orders", environ=os.environ).logger()
schedule = os.open("/proc/thread-self/schedstat", os.O_RDONLY)

def waited():  # nanoseconds that other processes kept this one from running
    return int(os.pread(schedule, 100, 0).split()[1])

worst = 0
for number in range(20_000):
    others, before = waited(), time.perf_counter_ns()
    log.info("order placed", number=number, note="x" * 200)
    took = time.perf_counter_ns() - before
    worst = max(worst, took - (waited() - others))
print(worst / 1e6, file=sys.stderr)
"""


def stalled():
    """The longest call of 20 000 with LOG_NONBLOCKING=1, while nobody reads the pipe."""
    worst = []
    for _ in range(5):
        read, write = os.pipe()
        environ = {**os.environ, "LOG_NONBLOCKING": "1", "LOG_FORMAT": "json"}
        command = [sys.executable, "-c", STALLED, str(Path(__file__).parent.parent)]
        child = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, env=environ, check=True)
        worst.append(float(child.stderr.split()[-1]))
        os.close(read)
        os.close(write)
    print("\nA reader that stalls, LOG_NONBLOCKING=1: the longest of 20 000 calls, five times", file=sys.stderr)
    verdict = "met" if min(worst) <= 5 else "MISSED"
    print("   ".join(f"{each:.2f} ms" for each in sorted(worst)), f"  goal 5 ms: {verdict}", file=sys.stderr)


TABLES = {
    "stalled": stalled,
    "info": info,
    "disabled": disabled,
    "exception": exception,
    "record": record,
    "secrets": secrets,
}


def main():
    saved = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        for name in sys.argv[1:] or TABLES:
            TABLES[name]()
    finally:
        os.dup2(saved, 1)


if __name__ == "__main__":
    main()
