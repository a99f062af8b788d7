"""`twelvefactor observe`: apps that do not know the library, run as they are, by the servers that people use."""

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from tests.conftest import url_of
from twelvefactor.report import evidence
from twelvefactor.testing.servers import Server

HERE = Path(__file__).parent
OBSERVE = (sys.executable, "-m", "twelvefactor", "observe")
PYTHONPATH = os.pathsep.join(filter(None, [str(HERE.parents[1]), os.environ.get("PYTHONPATH")]))
SERVERS = {
    "gunicorn": (("gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", "flasked:app"), "/", "/baskets", "POST"),
    "flask": (("flask", "--app", "flasked", "run", "--port", "{port}"), "/", "/baskets", "POST"),
    "waitress": (("waitress", "--listen=127.0.0.1:{port}", "flasked:app"), "/", "/baskets", "POST"),
    "uvicorn": (("uvicorn", "--port", "{port}", "starred:app"), "/", "/visits/ada", "POST"),
    "hypercorn": (("hypercorn", "-b", "127.0.0.1:{port}", "starred:app"), "/", "/visits/ada", "POST"),
    "granian": (("granian", "--interface", "asgi", "--port", "{port}", "starred:app"), "/", "/visits/ada", "POST"),
    "gunicorn, asgi": (
        ("gunicorn", "-b", "127.0.0.1:{port}", "-k", "uvicorn_worker.UvicornWorker", "starred:app"),
        "/",
        "/visits/ada",
        "POST",
    ),
    "runserver": (("manage.py", "runserver", "127.0.0.1:{port}"), "/", "/visits/ada", "GET"),
}
CULPRITS = {"flasked": "flasked.baskets", "starred": "starred.Visit.last", "manage": "manage.visits"}


class Run:
    """An observed command that has ended."""

    def __init__(self, folder, status, out, err):
        self.status, self.out, self.err = status, out, err
        self.files = sorted((folder / "seen").glob("*.json"))
        self.rulings = {each.rule.id: each for each in evidence.merge(map(evidence.read, self.files))}
        events = (folder / "seen" / "events.jsonl").read_text().splitlines()
        self.faults = [line[line.find("fault_in") :] for line in events if '"twelvefactor.fault"' in line]

    def found(self, *rules):
        return {finding.culprit: finding for rule in rules for finding in self.rulings[rule].findings}


def project(tmp_path, *names):
    for name in names:
        (tmp_path / name).write_text((HERE / "apps" / name).read_text())
    (tmp_path / "requirements.txt").write_text("flask\n")
    return tmp_path


def module(name, *arguments):
    return (sys.executable, "-m", name, *arguments) if not name.endswith(".py") else (sys.executable, name, *arguments)


def served(folder, command, ready, path, method):
    """One life of a server under observation."""
    project(folder, *(each.name for each in (HERE / "apps").glob("*.py")))
    environ = {"PYTHONPATH": PYTHONPATH, "HOME": str(folder)}
    with Server(
        (*OBSERVE, "--evidence", "seen", "--", *module(*command)), cwd=folder, environ=environ, ready=ready
    ) as s:
        for _ in range(12):
            assert s.request(method, path).status == 200
        status = s.stop()
        return Run(folder, status, s.lines, "\n".join(s.stderr))


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    """All servers' lives, begun when the first is asked for, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(served, tmp_path_factory.mktemp("observed"), *how) for name, how in SERVERS.items()}


@pytest.mark.parametrize("name", SERVERS)
def test_each_server(lives, name):
    """
    The state that requests leave is found, by its name; nothing of ours failed; the server ended as on any SIGTERM; its
    stdout holds nothing of ours, and the scorecard is on stderr.
    """
    run = lives[name].result(120)
    app = next(each for each in CULPRITS if any(part.startswith(app_of(each)) for part in SERVERS[name][0]))

    assert CULPRITS[app] in run.found("TF601", "TF602"), run.err
    assert run.faults == []
    assert run.status in (0, 143)
    assert not any("TF" in line or "decided" in line for line in run.out)
    assert "VI  Processes            0" in run.err
    assert "TF104" not in run.err  # our folder on PYTHONPATH is no finding
    assert "observe: unknown" not in run.err
    assert run.rulings["TF701"].verdict == "pass", run.rulings["TF701"]


def app_of(name):
    return "manage.py" if name == "manage" else name


def test_what_only_declarations_decide_is_unknown(lives):
    """
    Neither pass nor fail, and each says what would let it look.
    """
    run = lives["gunicorn"].result(120)

    for rule in ("TF301", "TF401", "TF801", "TF1001", "TF1102", "TF1201"):
        assert run.rulings[rule].verdict == "unknown"
        assert run.rulings[rule].because


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script, under observation, with a sitecustomize of the user's own."""
    folder = project(tmp_path_factory.mktemp("script"), "script.py")
    (folder / "own").mkdir()
    (folder / "own" / "sitecustomize.py").write_text("import os\nos.environ.setdefault('GREETING', 'from theirs')\n")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "own"), PYTHONPATH])}
    command = [*OBSERVE, "--evidence", "seen", "--", sys.executable, "script.py"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
    return Run(folder, done.returncode, done.stdout, done.stderr)


def test_a_script_keeps_its_stdout_and_status(script):
    """
    Byte for byte, and number for number.
    """
    assert (script.out, script.status) == ("to stdout\n", 7)
    assert script.faults == []


def test_the_users_own_sitecustomize_runs(script):
    """
    It ran before the script, in its own way.
    """
    assert "from theirs" in script.err


@pytest.mark.parametrize("kind", ["fork", "spawn", "exec", "raw"])
def test_children_are_observed(script, kind):
    """
    Forked and spawned by multiprocessing, started as a program, forked by hand: the log file that each opens is found.
    """
    assert any(culprit.endswith(f"{kind}.log") for culprit in script.found("TF1101"))


def test_a_celery_worker(tmp_path):
    """
    What its tasks keep is found in the children of its pool; Warm shutdown as ever.
    """
    project(tmp_path, "queued.py")
    environ = {
        "PYTHONPATH": PYTHONPATH,
        "BROKER": url_of("redis").replace("/0", "/9"),
        "QUEUE": f"observe-{uuid.uuid4().hex}",
    }
    command = (
        *OBSERVE,
        "--evidence",
        "seen",
        "--",
        *module("celery", "-A", "queued", "worker", "-c", "1", "-l", "info"),
    )
    with Server(command, cwd=tmp_path, environ=environ, ready=None) as worker:
        wait_for(lambda: any("ready." in line for line in worker.stderr), worker)
        send = "import queued\nfor n in range(12): queued.remember.delay(n)"
        subprocess.run([sys.executable, "-c", send], cwd=tmp_path, env={**os.environ, **environ}, check=True)
        wait_for(lambda: sum("succeeded" in line for line in worker.stderr) == 12, worker)
        with redis.Redis.from_url(environ["BROKER"]) as broker:
            # a pool's process that Celery stops before it knows that the task was taken waits for 30 s
            wait_for(lambda: not any(environ["QUEUE"].encode() in each for each in broker.hvals("unacked")), worker)
        status = worker.stop()
        run = Run(tmp_path, status, worker.lines, "\n".join(worker.stderr))

    assert "queued.done" in run.found("TF601", "TF602"), run.err
    assert run.status == 0
    assert run.faults == []


def wait_for(condition, server, within=30):
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends, server.tail()
        time.sleep(0.02)


def test_an_app_with_a_service_of_its_own(tmp_path):
    """
    The observer steps aside: one evidence file, the service's, and no line about a second service.
    """
    run = served(tmp_path, ("uvicorn", "--port", "{port}", "owned:app"), "/readyz", "/", "GET")

    assert [json.loads(file.read_text())["service"] for file in run.files] == ["owned"]
    assert not any("second_service" in line for line in run.out)
    assert run.rulings["TF701"].verdict == "pass", run.rulings["TF701"]


class TestWhatCannotBeSeen:
    """It is said, and changes nothing for the command."""

    def observe(self, folder, *command, **environ):
        environ = {**os.environ, "PYTHONPATH": PYTHONPATH, **environ}
        return subprocess.run(
            [*OBSERVE, "--", *command], cwd=folder, env=environ, capture_output=True, text=True, timeout=300
        )

    def test_a_server_that_has_changed(self, tmp_path):
        """
        A module of that name without what we know: unknown, by its name, and the program goes on.
        """
        (tmp_path / "uvicorn").mkdir()
        (tmp_path / "uvicorn" / "__init__.py").write_text("")
        (tmp_path / "uvicorn" / "config.py").write_text("answer = 42\n")
        (tmp_path / "app.py").write_text("from uvicorn.config import answer\nprint(answer)\n")
        done = self.observe(tmp_path, sys.executable, "app.py")

        assert (done.stdout, done.returncode) == ("42\n", 0)
        assert "observe: unknown: uvicorn.config is not as we know it" in done.stderr

    def test_an_isolated_interpreter(self, tmp_path):
        """
        `python -I` reads no PYTHONPATH: nothing is known, and it says so.
        """
        (tmp_path / "app.py").write_text("print('hello')\n")
        done = self.observe(tmp_path, sys.executable, "-I", "app.py")

        assert done.stdout == "hello\n"
        assert "nothing is known" in done.stderr
        assert "decided" not in done.stderr

    def test_an_interpreter_without_the_library(self, tmp_path):
        """
        It cannot be imported there: unknown, and the program runs.
        """
        (tmp_path / "app.py").write_text("print('hello')\n")
        done = self.observe(
            tmp_path, sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, '-S', 'app.py'])"
        )

        assert done.stdout == "hello\n"

    @pytest.mark.parametrize(("command", "status"), [("no-such-command", 127), ("/etc/passwd", 126)])
    def test_a_command_that_is_not_there(self, tmp_path, command, status):
        """
        As a shell says it.
        """
        assert self.observe(tmp_path, command).returncode == status

    def test_no_command(self, tmp_path):
        """
        Wrong usage, with an example.
        """
        done = self.observe(tmp_path)

        assert done.returncode == 64
        assert "gunicorn app:app" in done.stderr

    def test_a_sitecustomize_that_raises(self, tmp_path):
        """
        Python tells it as ever, and the program is observed.
        """
        (tmp_path / "own").mkdir()
        (tmp_path / "own" / "sitecustomize.py").write_text("raise RuntimeError('theirs')\n")
        (tmp_path / "app.py").write_text("open('app.log', 'w').close()\n")
        path = os.pathsep.join([str(tmp_path / "own"), PYTHONPATH])
        done = self.observe(tmp_path, sys.executable, "app.py", PYTHONPATH=path)

        assert done.returncode == 0
        assert "RuntimeError" in done.stderr
        assert "app.log" in "".join(done.stderr.split())

    def test_ctrl_c_ends_the_command_as_ever(self, tmp_path):
        """
        The signal is passed on; the status is the command's.
        """
        source = "import time\ntry:\n    print('up', flush=True)\n    time.sleep(30)\nexcept KeyboardInterrupt:\n    raise SystemExit(5)\n"
        (tmp_path / "app.py").write_text(source)
        environ = {**os.environ, "PYTHONPATH": PYTHONPATH}
        command = [*OBSERVE, "--", sys.executable, "app.py"]
        with subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        ) as process:
            assert process.stdout.readline() == b"up\n"
            process.send_signal(2)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)

        assert process.returncode == 5
