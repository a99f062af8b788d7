"""
What a job costs inside real workers: no-op jobs, ours beside a wrapper written by hand, and beside the bare worker.

    python benchmarks/jobs_served.py [--jobs 3000] [--rounds 5]

CPU time of the worker's processes for each job, the queue's own work included, on a Redis of this script's own; the
best of interleaved rounds. The wrapper binds the ids into structlog's context and says one JSON line at the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from twelvefactor.testing import engines  # noqa: E402 - the checkout, not an installed one
from twelvefactor.testing.queues import session_of  # noqa: E402 - as above

GOAL = 2.0
QUIET = "info,celery=error,rq=error,dramatiq=error,taskiq=error"
"""Ours takes levels from the environment; the queues' own lines for each job are off for everybody."""
KINDS = ("bare", "by hand", "ours")
HEAD = """
    import functools, os, time
    URL, QUEUE, KIND = (os.environ[name] for name in ("URL", "QUEUE", "KIND"))
    jobs = lambda queue: queue

    def ids():
        return {"job_id": "0", "queue": QUEUE, "attempt": 1}

    if KIND == "ours":
        import twelvefactor as tf
        service = tf.Service("served")
        jobs = service.jobs
    if KIND == "by hand":
        import orjson, structlog
        out = structlog.wrap_logger(
            structlog.BytesLogger(open(1, "wb", buffering=0, closefd=False)),
            processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level,
                        structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.format_exc_info,
                        structlog.processors.JSONRenderer(serializer=orjson.dumps)],
            cache_logger_on_first_use=True,
        ).bind(service="served")

    def counted(function):
        if KIND != "by hand":
            return function

        @functools.wraps(function)
        def call(*args):
            begun = time.monotonic()
            with structlog.contextvars.bound_contextvars(**ids()):
                try:
                    result = function(*args)
                except BaseException as error:
                    out.error("job", job=function.__name__, duration=time.monotonic() - begun, exc_info=error)
                    raise
                out.info("job", job=function.__name__, duration=time.monotonic() - begun, outcome="ok")
                return result

        return call

    def note(word):
        open(os.environ["NOTES"] + word, "w").close()

    def work(number):
        if number in (-1, -2):
            note("begun" if number == -1 else "done")

    work = counted(work)
"""
CELERY = """
    import celery
    app = jobs(celery.Celery("served", broker=URL))
    app.conf.update(task_default_queue=QUEUE, task_ignore_result=True, worker_enable_remote_control=False,
                    task_acks_late=True, worker_prefetch_multiplier=1)
    work = app.task(name="work")(work)
    def send_all(numbers):
        for number in numbers: work.delay(number)
"""
RQ = """
    import redis, rq
    queue = jobs(rq.Queue(QUEUE, connection=redis.Redis.from_url(URL)))
    def send_all(numbers):
        for number in numbers: queue.enqueue("served.work", number, result_ttl=0)
"""
DRAMATIQ = """
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker
    broker = jobs(RedisBroker(url=URL, namespace=QUEUE))
    dramatiq.set_broker(broker)
    work = dramatiq.actor(work, queue_name=QUEUE)
    def send_all(numbers):
        for number in numbers: work.send(number)
"""
TASKIQ = """
    import asyncio
    from taskiq_redis import RedisStreamBroker
    broker = jobs(RedisStreamBroker(URL, QUEUE, xread_count=1))
    plain = work
    @broker.task(task_name="work")
    async def work(number: int):
        plain(number)
    async def send(numbers):
        await broker.startup()
        for number in numbers: await work.kiq(number)
        await broker.shutdown()
    def send_all(numbers):
        asyncio.run(send(numbers))
"""
CELERY_WORKER = ("-m", "celery", "-A", "served:app", "worker", "-P", "solo", "--without-gossip", "--without-mingle",
                 "--without-heartbeat", "--loglevel", "ERROR")  # fmt: skip
WORKERS = {
    "Celery, solo": (CELERY, CELERY_WORKER, ()),
    "RQ, SimpleWorker": (
        RQ,
        ("-m", "rq.cli", "worker", "--quiet", "-u", "{url}", "{queue}", "-w"),
        ("rq.SimpleWorker", "rq.SimpleWorker", "twelvefactor.integrations.rq.SimpleWorker"),
    ),
    "Dramatiq, one thread": (DRAMATIQ, ("-m", "dramatiq", "served", "--processes", "1", "--threads", "1"), ()),
    "taskiq, one process": (
        TASKIQ,
        ("-m", "taskiq", "worker", "served:broker", "--workers", "1", "--max-async-tasks", "1", "--log-level", "ERROR"),
        (),
    ),
}


def spent(leader: int) -> float:
    """CPU seconds of the session so far."""
    ticks = 0
    for pid in session_of(leader):
        try:
            told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, told[11:15]))  # its own, and of children that it has waited for
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a job has left its note."""
    ends = time.monotonic() + 300
    while not path.exists():
        if process.poll() is not None or time.monotonic() > ends:
            raise SystemExit(f"the worker ended with {process.returncode}, or took too long")
        time.sleep(0.02)


def run(name: str, kind: str, jobs: int, url: str) -> float:
    """The CPU microseconds of one job."""
    code, command, classes = WORKERS[name]
    queue = f"served-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="twelvefactor-served-") as folder:
        Path(folder, "served.py").write_text("".join(textwrap.dedent(part) for part in (HEAD, code)))
        environ = {
            **os.environ,
            "URL": url,
            "QUEUE": queue,
            "KIND": kind,
            "NOTES": f"{folder}/",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
            "TWELVEFACTOR_SERVICE": "served:service",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": QUIET,
        }
        send = f"import served; served.send_all([*range({jobs // 10}), -1, *range({jobs}), -2])"
        subprocess.run([sys.executable, "-c", send], cwd=folder, env=environ, check=True)
        words = [word.format(url=url, queue=queue) for word in command]
        words += [classes[KINDS.index(kind)]] if classes else []
        with subprocess.Popen(
            [sys.executable, *words], cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as worker:  # fmt: skip
            wait_for(Path(folder, "begun"), worker)
            before = spent(worker.pid)
            wait_for(Path(folder, "done"), worker)
            after = spent(worker.pid)
            os.killpg(worker.pid, 9)
    return (after - before) / jobs * 1e6


def main() -> int:
    """Measure, and say whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    met = True
    print("| CPU µs a job | bare | by hand | ours | ours over by hand |\n|---|---:|---:|---:|---:|")
    with engines.redis() as url:
        for name in WORKERS:
            if options.only and name not in options.only.split(";"):
                continue
            told: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for _ in range(options.rounds):
                for kind in KINDS:
                    told[kind].append(run(name, kind, options.jobs, url))
            bare, by_hand, ours = (min(told[kind]) for kind in KINDS)
            ratio = ours / by_hand
            met = met and ratio <= GOAL
            print(f"| {name} | {bare:.0f} | {by_hand:.0f} | {ours:.0f} | {ratio:.2f} |", flush=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
