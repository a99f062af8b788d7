"""`twelvefactor check --exercise`: a service is graded by a run of its own, which can touch nothing else."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import absent, url_of
from twelvefactor._core.outbound import Outbound, OutboundRefusedError
from twelvefactor.exceptions import UsageError
from twelvefactor.testing.driving import drive, requests_of

ROOT = Path(__file__).resolve().parents[2]
CHECK = (sys.executable, "-m", "twelvefactor", "check", "--exercise", "--format", "json")
ALONE = ("--replicas", "1")
PRODUCTION = {
    "DATABASE_URL": "postgresql://prod:hunter2secret@db.production.example/orders",
    "REDIS_URL": "redis://:hunter2secret@10.9.9.9/0",
    "STRIPE_SECRET_KEY": "sk_live_4242424242424242",
    "LEGACY_DATABASE": "postgresql://prod:hunter2secret@10.9.9.9/legacy",
    "TWELVEFACTOR_RELEASE": "v1",
}
SHOP = """
import os
import socket
import sys

import twelvefactor as tf


class Config(tf.Config):
    cache_url: tf.RedisURL
    api_key: tf.Secret
    greeting: str


service = tf.Service("shop", Config)
cache = service.attach(service.config.cache_url)


async def app(scope, receive, send):
    path, status, body = scope["path"], 200, b""
    if path == "/inherited":
        body = repr([os.environ.get(name) for name in ("CACHE_URL", "API_KEY", "LEGACY_DATABASE")]).encode()
    elif path == "/calls":
        try:
            socket.create_connection(("127.0.0.1", int(service.config.greeting)), 2).close()
        except OSError as error:
            status, body = 502, str(error).encode()
    elif path == "/resolves":
        try:
            socket.getaddrinfo("db.production.example", 5432)
        except OSError as error:
            status, body = 502, str(error).encode()
    elif path == "/cached":
        cache.set("shop:exercise", "1", ex=5)
    elif path == "/remembers":
        remembered.append(path)
        body = b"for the first time" if len(remembered) == 1 else b"again"
    elif path == "/dies":
        os._exit(9)
    print(path, status, body.decode(), file=sys.stderr, flush=True)
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


def tick():
    while not service.stopping.wait(0.05):
        with service.work("tick", "count"):
            ticks.append(object())


ticks, remembered = [], []
service.process("web", service.asgi(app))
service.process("ticker", tick)


@service.admin
def migrate() -> None:
    cache.set("shop:migrated", service.process_type)


@service.admin
def fails() -> None:
    raise RuntimeError("no such column")
"""


def check(folder, *arguments, **environ):
    """Run it, by default without asking several processes in turn; the process, with the report read."""
    arguments = arguments if "--replicas" in arguments else (*arguments, *ALONE)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TWELVEFACTOR_")},
        "PYTHONPATH": str(ROOT),
        **environ,
    }
    done = subprocess.run([*CHECK, *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
    done.report = json.loads(done.stdout) if done.stdout.startswith("{") else None
    return done


@pytest.fixture
def shop(tmp_path):
    """A project of one file, and a script that asks what the test wants."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "pyproject.toml").write_text('[tool.twelvefactor]\nservice = "shop:service"\nexercise = "asks.json"\n')

    def ask(*paths, **environ):
        (tmp_path / "asks.json").write_text(json.dumps([{"path": path} for path in paths]))
        return check(tmp_path, *environ.pop("options", ()), **{"GREETING": "hello", **environ})

    ask.folder = tmp_path
    return ask


def test_the_example_is_graded_by_its_own_exercise():
    """
    On engines of its own, whatever production URLs are in the environment: nothing is unknown and nothing is lost, but for
    what a busy machine makes slow; each answer is as expected.
    """
    done = check(ROOT / "examples" / "orders", "--min", "10", "--replicas", "2", **PRODUCTION)
    lost = {rule["id"] for factor in done.report["factors"] for rule in factor["rules"] if rule["verdict"] == "fail"}

    assert done.returncode == 0, done.stderr
    assert done.report["unknown"] == 0
    assert lost <= {"TF805", "TF901"}, done.stdout
    assert "2 processes in turn answer 4 requests as one does" in verdict_of(done, "TF601")["because"]
    assert "expected" not in done.stderr
    assert "201 10 times" in done.stderr
    assert not any(value in done.stdout + done.stderr for value in ("hunter2secret", "sk_live_4242", "production"))


def test_a_connection_to_anywhere_else_is_refused(shop):
    """
    Somebody listens on this machine, and a name is to be resolved: neither happens, both are told, the listener sees
    nobody; the engine that was started is reached.
    """
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        somebody.setblocking(False)
        port = somebody.getsockname()[1]
        done = shop("/calls", "/resolves", "/cached", options=("--replicas", "2"), GREETING=str(port))
        with pytest.raises(BlockingIOError):
            somebody.accept()

    assert f"refused: a connection to 127.0.0.1:{port}" in done.stderr
    assert "refused: a connection to db.production.example" in done.stderr
    assert "GET /calls: 502" in done.stderr
    assert "200 10 times, 502 20 times" in done.stderr


def test_every_process_type_is_graded(shop):
    """
    What only the ticker does is found, and it ends on SIGTERM like the web process.
    """
    done = shop("/cached")
    found = {each["culprit"] for rule in done.report["factors"][5]["rules"] for each in rule["findings"]}

    assert "shop.ticks" in found
    assert "ended by itself" not in done.stderr


def verdict_of(done, rule):
    """What the report says of one rule."""
    return next(each for factor in done.report["factors"] for each in factor["rules"] if each["id"] == rule)


def test_what_one_process_remembers_is_found_by_asking_two(shop):
    """
    As a finding of factor VI, by the request that shows it, beside what the sensors saw.
    """
    done = shop("/cached", "/remembers", options=("--replicas", "2"))
    found = {each["culprit"]: each["message"] for each in verdict_of(done, "TF601")["findings"]}

    assert "2 processes in turn answer GET /remembers otherwise than one does: another body" in found["GET /remembers"]
    assert "GET /cached" not in found


def test_where_two_processes_cannot_run_nothing_is_proved(shop):
    """
    The rule is unknown, though the sensors that it has found nothing; why is told.
    """
    with (shop.folder / "shop.py").open("a") as code:
        code.write("\nif service.process_type == 'web':\n    os.close(os.open('lock', os.O_CREAT | os.O_EXCL))\n")
    done = shop("/cached", options=("--replicas", "2"))

    assert verdict_of(done, "TF601")["verdict"] == "unknown"
    assert "not proved: another process did not come up" in done.stderr


def test_a_worker_without_a_port_is_graded():
    """
    It is told to stop once it listens to that, and so writes down what it saw.
    """
    done = check(ROOT / "examples" / "worker_only")

    assert done.returncode == 0, done.stderr
    assert verdict_of(done, "TF801")["verdict"] == "pass"
    assert "ended by itself" not in done.stderr


def test_what_is_inherited_is_dropped(shop):
    """
    URLs and secrets are others in the process, an undeclared URL is not there; what is neither stays.
    """
    (shop.folder / "ask.py").write_text(
        "import os, urllib.request\n"
        "told = urllib.request.urlopen(os.environ['BASE_URL'] + '/inherited').read().decode()\n"
        "url, key, legacy = eval(told)\n"
        "assert url.startswith('redis://127.0.0.1:') and key and key != 'sk_live_4242424242424242', told\n"
        "assert legacy is None, told\n"
    )
    done = shop(
        options=("--drive", "ask.py"),
        CACHE_URL="redis://10.9.9.9/0",
        API_KEY="sk_live_4242424242424242",
        LEGACY_DATABASE="postgresql://10.9.9.9/legacy",
    )

    assert done.report is not None, done.stderr
    assert "ask.py" not in done.stderr


def test_what_is_allowed_stays_attached(shop):
    """
    --allow-attached keeps the value, and the connection to it: the machine's own Redis has the migration's key.
    """
    import redis

    url = url_of("redis").replace("/0", "/11")
    with redis.Redis.from_url(url) as client:
        client.delete("shop:migrated")
        done = shop("/cached", options=("--allow-attached", "CACHE_URL"), CACHE_URL=url)
        migrated = client.get("shop:migrated")

    assert "200 10 times" in done.stderr, done.stderr
    assert migrated == b"admin"


def test_an_admin_process_that_fails(shop):
    """
    One line with the end of what it said, unavailable (69), and nothing is left running.
    """
    done = shop("/cached", options=("--before", "fails"))

    assert done.returncode == 69
    assert "no such column" in done.stderr
    assert "Traceback (most recent call last):\n  File" not in done.stderr.replace("\\n", "|")


def test_a_process_that_ends_by_itself_is_told(shop):
    """
    With its status; what it could still show is graded.
    """
    done = shop("/cached", "/dies")

    assert "web ended by itself, with status 9" in done.stderr
    assert "GET /dies: no answer" in done.stderr


@pytest.mark.parametrize(
    ("options", "environ", "named"),
    [
        ((), {"GREETING": None}, "GREETING: is not set"),
        (("--allow-attached", "CACHE_URL"), {}, "--allow-attached CACHE_URL: it is not set"),
        (("--allow-attached", "CACHE"), {}, "--allow-attached CACHE: the config declares no such variable"),
        (("--drive", "nowhere.json"), {}, "nowhere.json: there is no such file"),
    ],
)
def test_wrong_usage(shop, options, environ, named):
    """
    64, and every problem by its name.
    """
    environ = {**{"GREETING": "hello"}, **environ}
    (shop.folder / "asks.json").write_text("[]")
    done = check(shop.folder, *options, **{name: value for name, value in environ.items() if value is not None})

    assert done.returncode == 64
    assert named in done.stderr


def test_options_that_belong_to_it():
    """
    Without --exercise they mean nothing, and it says so.
    """
    done = subprocess.run([*CHECK[:4], "--drive", "x.json"], capture_output=True, text=True)

    assert done.returncode == 64
    assert "--exercise" in done.stderr


def test_an_openapi_schema_drives_it(shop):
    """
    schemathesis calls each operation; a 5xx is told.
    """
    if shutil.which("schemathesis", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") is None:
        absent("schemathesis is not installed")
    operation = {"get": {"responses": {"200": {"description": "fine"}}}}
    schema = {
        "openapi": "3.0.0",
        "info": {"title": "shop", "version": "1"},
        "paths": {"/cached": operation, "/calls": operation},
    }
    (shop.folder / "openapi.json").write_text(json.dumps(schema))
    done = shop(options=("--drive", "openapi.json"), GREETING="1")

    assert "GET /calls: 5xx" in done.stderr
    assert "check: openapi.json: 200 " in done.stderr
    assert "sent.har" not in done.stderr
    left = {each.name for each in shop.folder.iterdir()} - {"__pycache__"}
    assert left == {"asks.json", "openapi.json", "pyproject.toml", "shop.py"}
    assert done.report is not None


class TestRequests:
    """What drives it, read from a file."""

    def test_a_recorded_har(self):
        """
        Method, path with query, body and the app's headers; where it was recorded does not matter.
        """
        request = {
            "method": "POST",
            "url": "https://shop.example/orders?dry=1",
            "headers": [
                {"name": "Content-Type", "value": "application/json"},
                {"name": "Host", "value": "shop.example"},
                {"name": "Cookie", "value": "session=1"},
                {"name": ":method", "value": "POST"},
            ],
            "postData": {"mimeType": "application/json", "text": '{"item": "tea"}'},
        }
        (made,) = requests_of({"log": {"entries": [{"request": request}]}}, "recorded.har")

        assert (made.method, made.path, made.body) == ("POST", "/orders?dry=1", b'{"item": "tea"}')
        assert made.headers == {"Content-Type": "application/json"}

    @pytest.mark.parametrize("document", [{}, [1], [{"method": "GET"}], {"log": {}}, "text", None])
    def test_what_is_neither(self, document):
        """
        An example of what it should be.
        """
        with pytest.raises(UsageError, match='"path": "/orders"'):
            requests_of(document, "script.json")

    def test_what_cannot_be_read(self, tmp_path):
        """
        Its name, what was wrong, and what it may be.
        """
        (tmp_path / "script.txt").write_text("GET /orders")

        with pytest.raises(
            UsageError, match=r"script.txt: cannot be read \(JSONDecodeError: .*give a list of requests"
        ):
            drive(None, str(tmp_path / "script.txt"), {})


@pytest.fixture(scope="module")
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


class TestOutbound:
    """Where a guarded process may connect to; in this process nothing is installed, for a hook cannot be removed."""

    @pytest.mark.parametrize(
        ("host", "port", "may"),
        [
            ("127.0.0.1", 5432, True),
            ("localhost", 5432, True),
            ("127.0.0.1", 5433, False),
            ("127.0.0.2", 5432, False),
            ("::1", 5432, False),
            ("::ffff:10.0.0.7", 5432, False),
            ("10.0.0.7", 5432, False),
            ("169.254.169.254", 80, False),
        ],
    )
    def test_connections(self, host, port, may):
        """
        The engine's own place, by any of this machine's names; neither its port elsewhere nor another port here.
        """
        assert Outbound("127.0.0.1:5432").may_connect(host, port) is may

    @pytest.mark.parametrize(
        "code",
        [
            "import socket; socket.create_connection(('127.0.0.1', {port}), 2)",
            "import socket; s = socket.socket(); s.setblocking(False); s.connect_ex(('127.0.0.1', {port}))",
            "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
            "import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', {port}))",
            "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}')",
            "import httpx; httpx.get('http://127.0.0.1:{port}', trust_env=False)",
            "import redis; redis.Redis(port={port}).ping()",
            "import pymysql; pymysql.connect(host='127.0.0.1', port={port})",
            (
                "import multiprocessing as m, socket; p = m.get_context('fork').Process("
                "target=socket.create_connection, args=(('127.0.0.1', {port}), 2)); p.start(); p.join(); raise SystemExit(p.exitcode)"
            ),
        ],
    )
    def test_in_a_real_process(self, code, tmp_path, listener):
        """
        By every client that uses Python's sockets: it fails, it is noted, and the listener sees nobody.
        """
        port = listener.getsockname()[1]
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "twelvefactor" / "observe" / "on_path"), str(ROOT)]),
            "TWELVEFACTOR_CONNECT_ONLY": "127.0.0.1:1",
            "TWELVEFACTOR_CONNECT_NOTES": str(tmp_path),
        }
        done = subprocess.run(
            [sys.executable, "-c", code.replace("{port}", str(port))], env=environ, capture_output=True, text=True
        )

        assert done.returncode != 0
        assert {line for file in tmp_path.glob("refused-*") for line in file.read_text().splitlines()} == {
            f"127.0.0.1:{port}"
        }
        with pytest.raises(BlockingIOError):
            listener.accept()

    def test_an_interpreter_without_the_library_does_not_start(self, tmp_path):
        """
        Nothing runs unguarded.
        """
        code = ROOT / "twelvefactor" / "observe" / "on_path" / "sitecustomize.py"
        (tmp_path / "sitecustomize.py").write_text(code.read_text())
        environ = {**os.environ, "PYTHONPATH": str(tmp_path), "TWELVEFACTOR_CONNECT_ONLY": ""}
        done = subprocess.run(
            [sys.base_prefix + "/bin/python3", "-c", "print('ran')"], env=environ, capture_output=True, text=True
        )

        assert "ran" not in done.stdout
        assert "not started" in done.stderr

    def test_a_refusal_is_an_oserror(self):
        """
        Clients that handle a refused connection handle this one.
        """
        with pytest.raises(ConnectionRefusedError, match="10.0.0.7:5432"):
            Outbound("")._judge_connection(("10.0.0.7", 5432))
        assert issubclass(OutboundRefusedError, OSError)
