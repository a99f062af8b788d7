"""`twelvefactor run TYPE` starts what the service declares, and stops it well."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest

import twelvefactor as tf
from tests.concurrency.conftest import ROOT
from tests.conftest import url_of
from twelvefactor.exceptions import UsageError
from twelvefactor.integrations._process_types import library_of, program_of, reference, serves

QUEUES = {
    "celery": """
import celery
queue = celery.Celery("orders", broker={url!r})
queue.conf.task_default_queue = {name!r}
queue.conf.worker_enable_remote_control = False

@queue.task
def note(path):
    open(path, "w").write(str(os.getppid()))

send = note.delay
service.process("worker", queue, "--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat")
""",
    "dramatiq": """
import dramatiq
from dramatiq.brokers.redis import RedisBroker
queue = RedisBroker(url={url!r}, namespace={name!r})
dramatiq.set_broker(queue)

@dramatiq.actor
def note(path):
    open(path, "w").write("done")

send = note.send
service.process("worker", queue, "--processes=1", "--threads=1")
""",
    "huey": """
import huey
queue = huey.RedisHuey({name!r}, url={url!r})

@queue.task()
def note(path):
    open(path, "w").write("done")

send = note
service.process("worker", queue)
""",
    "rq": """
import redis, rq
queue = rq.Queue({name!r}, connection=redis.Redis.from_url({url!r}))

def note(path):
    open(path, "w").write("done")

def send(path):
    import orders
    queue.enqueue(orders.note, path)

service.process("worker", queue)
""",
}
SERVICE = "import os\nimport twelvefactor as tf\nservice = tf.Service('orders')\n"


@pytest.fixture
def project(tmp_path):
    """A folder with an app, and how to run commands in it."""
    (tmp_path / "pyproject.toml").write_text('[tool.twelvefactor]\nservice = "orders:service"\n')
    running = []

    def run(*words, code=None, **environ):
        if code is not None:
            (tmp_path / "orders.py").write_text(SERVICE + code)
        running.append(
            subprocess.Popen(
                [sys.executable, *words],
                cwd=tmp_path,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return running[-1]

    yield run
    for each in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(each.pid, signal.SIGKILL)
        each.communicate()


def twelvefactor(*words):
    return ("-m", "twelvefactor", "run", *words)


@pytest.mark.parametrize("library", QUEUES)
def test_a_queue_is_worked_by_its_own_worker_program(project, tmp_path, library):
    """
    A job that was sent is done, and SIGTERM ends the worker.
    """
    pytest.importorskip(library)
    url, name = url_of("redis"), f"types-{uuid.uuid4().hex[:8]}"
    worker = project(*twelvefactor("worker"), code=QUEUES[library].format(url=url, name=name))
    sent = project("-c", f"import orders; orders.send({str(tmp_path / 'note')!r})")
    assert sent.wait(30) == 0, sent.stdout.read()
    ends = time.monotonic() + 30
    while not (tmp_path / "note").exists():
        assert worker.poll() is None, worker.stdout.read()
        assert time.monotonic() < ends, "the job was never done"
        time.sleep(0.05)
    worker.send_signal(signal.SIGTERM)

    said, _ = worker.communicate(timeout=30)
    _forget(url, name)
    assert worker.returncode in {0, 143, -15}, said


def _forget(url, name):
    import redis

    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(f"*{name}*"):
            client.delete(key)


def test_a_function_runs_to_its_end(project):
    """
    Its number is the exit status; the type stands on what it says.
    """
    sync = "def sync():\n    service.log.info('syncing')\n    return 3\nservice.process('sync', sync)\n"
    process = project(*twelvefactor("sync"), code=sync)
    out, _ = process.communicate(timeout=30)

    assert process.returncode == 3, out
    (line,) = [line for line in out.splitlines() if '"syncing"' in line]
    assert '"process_type":"sync"' in line


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_a_function_is_told_to_stop(project, tmp_path, kind):
    """
    SIGTERM sets `service.stopping`; hooks run, and the process ends.
    """
    code = f"""
from pathlib import Path
async def consume():
    Path("up").touch()
    await service.stopping.wait_async()
def poll():
    Path("up").touch()
    service.stopping.wait()
service.process("poll", {"consume" if kind == "async" else "poll"})
@service.on_shutdown
def bye():
    Path("bye").touch()
"""
    process = project(*twelvefactor("poll"), code=code, TWELVEFACTOR_GRACE_PERIOD="10")
    ends = time.monotonic() + 30
    while not (tmp_path / "up").exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < ends
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)

    assert process.returncode in {0, 143}, out
    assert (tmp_path / "bye").exists()


def test_one_tick_runs_once_as_a_cronjob_has_it(project):
    """
    0 where it went well, 1 where it raised, 64 where nobody declared it.
    """
    code = """
@service.clock("@daily")
def remind():
    service.log.info("reminded")
@service.clock("@daily")
def fail():
    raise RuntimeError
"""
    pytest.importorskip("apscheduler")
    good = project(
        *twelvefactor("clock", "--tick", "remind"), code=code
    )  # written once: the first one may read it still
    bad, unknown = (project(*twelvefactor("clock", "--tick", name)) for name in ("fail", "remnd"))
    said = [each.communicate(timeout=30)[0] for each in (good, bad, unknown)]

    assert [each.returncode for each in (good, bad, unknown)] == [0, 1, 64], said
    assert '"reminded"' in said[0]
    assert "remind, fail" in said[2]


def test_every_queue_has_its_program():
    """
    The words are those that the libraries' pages give; arguments of the user come last, and win.
    """
    service = tf.Service("orders", environ={"TWELVEFACTOR_GRACE_PERIOD": "20"}, stream=open(os.devnull, "w"))
    service.include("orders.tasks")
    made = {
        "celery": lambda: __import__("celery").Celery("x"),
        "dramatiq": lambda: __import__("dramatiq.brokers.stub", fromlist=["x"]).StubBroker(),
        "taskiq": lambda: __import__("taskiq").InMemoryBroker(),
        "huey": lambda: __import__("huey").MemoryHuey("x"),
        "faststream": lambda: __import__("faststream").FastStream(),
    }
    programs = {}
    for library, make in made.items():
        pytest.importorskip(library)
        globals()["QUEUE"] = make()
        programs[library] = program_of(service, globals()["QUEUE"], ["--more"])
        assert library_of(globals()["QUEUE"]) == library
    globals()["QUEUE"] = type("WorkerSettings", (), {"functions": []})
    programs["arq"] = program_of(service, globals()["QUEUE"], [])
    here = f"{__name__}:QUEUE"

    assert programs["celery"] == ["celery", "-A", here, "worker", "--more"]
    assert programs["dramatiq"] == ["dramatiq", here, "orders.tasks", "--more"]
    assert programs["taskiq"][:4] == ["taskiq", "worker", here, "orders.tasks"]
    assert programs["taskiq"][4:] == ["--more", "--wait-tasks-timeout", f"{service.budget.work:g}"]
    assert programs["huey"][:2] == ["huey.bin.huey_consumer", here.replace(":", ".")]
    assert programs["huey"][2:6:2] == ["-g", "-t"]
    assert programs["faststream"] == ["faststream", "run", here, "--more"]
    assert programs["arq"] == ["arq", here.replace(":", ".")]


def test_what_cannot_be_run_is_told():
    """
    An object of no kind, a queue that no module holds, a name that no cluster could have.
    """
    service = tf.Service("orders", environ={}, stream=open(os.devnull, "w"))
    service.process("worker", object())

    with pytest.raises(UsageError, match="builtins.object is nothing that can be run"):
        service.run("worker")
    with pytest.raises(UsageError, match="no module's attribute"):
        reference(service, object())
    for name in ("Web", "web worker", "-x", "", "x" * 41):
        with pytest.raises(UsageError, match="no process type can be called"):
            service.process(name, print)


def test_a_web_app_may_have_another_name(new_service):
    """
    What has an adapter around it is served on the port.
    """

    async def app(scope, receive, send): ...

    service = new_service(TWELVEFACTOR_PROCESS_TYPE="api")
    wrapped = service.asgi(app)
    service.process("api", wrapped)

    assert serves("api", wrapped)
    assert serves("web", app)
    assert not serves("worker", print)
    assert service.web() is wrapped
