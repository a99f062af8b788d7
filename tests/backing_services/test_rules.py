"""Each rule of factor IV, and TF804, fires on a real violation and is quiet on its look-alike."""

import asyncio
import contextlib
import inspect
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import twelvefactor as tf
from twelvefactor.backing_services import sensors
from twelvefactor.backing_services.egress import Egress, _peers
from twelvefactor.backing_services.leases import Leases
from twelvefactor.backing_services.limits import Limits
from twelvefactor.backing_services.resources import Resources
from twelvefactor.backing_services.strays import Strays
from twelvefactor.backing_services.watch import Late
from twelvefactor.factor import Verdict
from twelvefactor.testing.engines import free_port

ELSEWHERE = ("192.0.2.1", 9)  # an address that nobody has, by RFC 5737


@contextlib.contextmanager
def installed(sensor):
    sensor.install()
    try:
        yield sensor
    finally:
        sensor.remove()
        sensor.remove()


def reach(address):
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.connect_ex(address)


def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with contextlib.suppress(OSError):
            probe.connect(ELSEWHERE)
            return probe.getsockname()[0]
    pytest.skip("this machine has no address but its loopback")


# TF401


def test_tf401_fires_on_an_address_that_nobody_declared(process):
    """
    App code that connects elsewhere is named with its line, the target and the work.
    """
    with installed(Egress(process)), process.in_flight.work("request", "GET /", id="w1"):
        reach(ELSEWHERE)
        _until(lambda: process.findings.of("TF401"))

    (finding,) = process.findings.of("TF401")
    assert finding.culprit == "192.0.2.1:9"
    assert finding.where.startswith("test_rules.py:")
    assert finding.work == "w1"


def test_tf401_names_what_was_resolved_for_it(process):
    """
    The target is told by the name that was looked up, not by an address that changes.
    """
    with installed(Egress(process)):
        with contextlib.suppress(OSError):
            socket.getaddrinfo("api.payments.invalid", 443)
        reach(ELSEWHERE)

    assert [finding.culprit for finding in process.findings.of("TF401")] == ["api.payments.invalid:9"]


def test_tf401_is_quiet_about_what_is_attached_declared_near_or_telemetry(new_process):
    """
    An attached host, a declared one, loopback, link-local and an exporter's endpoint are no finding.
    """
    process = new_process(
        declaration={"egress": ["192.0.2.2", "*.example.com"]},
        environ={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.3:4317"},
    )
    resources = Resources(process)
    resources.attach(tf.HTTPURL("http://192.0.2.1:9"))
    with installed(Egress(process)):
        reach(ELSEWHERE)
        reach(("192.0.2.2", 9))
        reach(("192.0.2.3", 4317))
        reach(("127.0.0.1", 9))
        reach(("169.254.169.254", 80))
        with contextlib.suppress(OSError):
            socket.getaddrinfo("api.example.com", 443)
        reach(("192.0.2.4", 443))
        _until(lambda: not [t for t in threading.enumerate() if t.name == "twelvefactor-judge_address"])
    resources.close()

    assert process.findings.of("TF401") == ()
    assert process.evidence.ruling(_rule("TF401")).verdict is Verdict.PASS


def test_tf401_is_quiet_about_library_code(process):
    """
    A connection with no frame of the app on its stack is a library's own business.
    """
    with installed(Egress(process)):
        thread = threading.Thread(
            target=eval, args=(compile("f(a)", "/usr/lib/x.py", "eval"), {"f": _quiet_reach(), "a": ELSEWHERE})
        )
        thread.start()
        thread.join(5)

    assert process.findings.of("TF401") == ()


def _quiet_reach():
    code = (
        "def reach(address):\n"
        "    import socket\n"
        "    with socket.socket() as connection:\n"
        "        connection.setblocking(False)\n"
        "        connection.connect_ex(address)\n"
    )
    space = {"__name__": "somelibrary"}
    exec(compile(code, "/usr/lib/somelibrary.py", "exec"), space)
    return space["reach"]


def test_tf401_is_unknown_behind_a_proxy(new_process):
    """
    A proxy hides the target: the rule says so and never passes.
    """
    process = new_process(environ={"HTTPS_PROXY": "http://proxy:3128"})
    with installed(Egress(process)):
        reach(ELSEWHERE)

    ruling = process.evidence.ruling(_rule("TF401"))
    assert ruling.verdict is Verdict.UNKNOWN
    assert "HTTPS_PROXY" in ruling.because


def test_tf401_sees_a_connection_made_by_code_in_c(process):
    """
    A connection that Python's audit hook never heard of is in the process's own socket table.
    """
    address = own_address()
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((address, port)) as client, server.accept()[0]:
            assert (address, port) in _peers()
            assert client.getpeername() not in {(host, p) for host, p in _peers() if p == client.getsockname()[1]}
            sensor = Egress(process)
            with installed(sensor):
                with process.in_flight.work("job", "j"):
                    pass
                _until(lambda: f"{address}:{port}" in [each.culprit for each in process.findings.of("TF401")])


# TF402


@pytest.mark.parametrize("deadline", [0.2, "200ms"])
def test_tf402_fires_after_the_declared_deadline(new_process, deadline):
    """
    ``start-deadline`` says how long a resource has; the finding names it, and nothing is raised.
    """
    process = new_process(declaration={"start-deadline": deadline})
    resources = Resources(process, timeout=0.5)
    resources.attach(tf.PostgresURL(f"postgres://127.0.0.1:{free_port()}/x"), name="db")

    assert not resources.wait(60)
    resources.close()

    (finding,) = process.findings.of("TF402")
    assert finding.message.startswith("db did not answer within 0.2 s: ")


def test_tf402_is_quiet_when_the_service_comes_in_time(process, own_redis):
    """
    A service that answers is a pass.
    """
    resources = Resources(process)
    resources.attach(tf.RedisURL(own_redis))

    assert resources.wait(15)
    resources.close()
    assert process.evidence.ruling(_rule("TF402")).verdict is Verdict.PASS


def test_resource_attached_after_the_start_is_watched(process, own_redis):
    """
    Nobody waits for it, and it becomes ready all the same.
    """
    with installed(Late(process)):
        resources = Resources(process, timeout=1, every=0.2)
        resources.attach(tf.RedisURL(own_redis))
        _until(lambda: resources.ready)
    resources.close()


# TF403


def test_tf403_fires_on_a_client_beside_attach(process):
    """
    A Redis client and an engine that app code makes itself are named by the function and the line.
    """
    import redis
    import sqlalchemy

    before = redis.Redis.__init__
    with installed(Strays(process)):
        redis.Redis(host="127.0.0.1", port=1).close()
        engine = sqlalchemy.create_engine("sqlite://")
        with engine.connect():
            pass
        engine.dispose()

    found = process.findings.of("TF403")
    assert [finding.message.split(" builds a ")[1] for finding in found] == ["redis.client.Redis beside attach"]
    assert found[0].where.startswith("test_rules.py:")
    assert redis.Redis.__init__ is before


def test_tf403_is_quiet_about_attach_own_clients_and_frameworks(process):
    """
    What attach makes, what client= makes, and what a framework makes from a URL's shape are no finding.
    """
    import redis

    with installed(Strays(process)):
        resources = Resources(process)
        resources.attach(tf.RedisURL("redis://127.0.0.1:1"))
        resources.attach(tf.SQLiteURL("sqlite://"))
        resources.attach(tf.RedisURL("redis://127.0.0.1:2"), client=lambda url: redis.Redis(port=2))
        space = {"__name__": "django.core.cache", "redis": redis}
        exec(compile("def connect():\n    return redis.Redis(port=3)\n", "/usr/lib/django/cache.py", "exec"), space)
        space["connect"]().close()
        resources.close()

    assert process.findings.of("TF403") == ()


@pytest.fixture(scope="module")
def server():
    """The URL of a server that says yes."""

    class Yes(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Yes)
    made.daemon_threads = True
    thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    made.server_close()
    thread.join(5)


class TestTF403HTTP:
    """An HTTP client that stays: one that is made for a call and closed is normal."""

    @pytest.fixture
    def make(self):
        import aiohttp
        import httpx
        import requests

        return {
            "httpx": httpx.Client,
            "httpx for coroutines": httpx.AsyncClient,
            "requests": requests.Session,
            "aiohttp": aiohttp.ClientSession,
        }

    @pytest.mark.parametrize("which", ["httpx", "httpx for coroutines", "requests", "aiohttp"])
    def test_fires_on_one_that_serves_more_than_one_unit_of_work(self, process, make, which):
        """
        Made by app code outside of any work, and open when the next begins; once, with the line that made it.
        """

        async def main():
            with installed(Strays(process)):
                client = make[which]()
                for _ in range(2):
                    with process.in_flight.work("request", "GET /"):
                        pass
            closing = client.aclose() if hasattr(client, "aclose") else client.close()
            if closing is not None:
                await closing

        asyncio.run(main())
        (finding,) = process.findings.of("TF403")
        assert " builds a " in finding.message
        assert finding.where.startswith("test_rules.py:")
        assert process.in_flight.observers == ()

    def test_fires_on_one_that_outlives_the_work_that_made_it(self, process, server):
        """
        Used, and never closed.
        """
        import requests

        kept = []
        with installed(Strays(process)), process.in_flight.work("request", "GET /", id="w8"):
            kept.append(requests.Session())
            kept[0].get(server)
        kept[0].close()

        (finding,) = process.findings.of("TF403")
        assert finding.work == "w8"

    def test_is_quiet_about_one_that_is_closed_or_gone(self, process, server):
        """
        As in a `with` block, by the libraries' own functions, or where nobody holds it any more.
        """
        import httpx
        import requests

        with installed(Strays(process)), process.in_flight.work("request", "GET /"):
            with httpx.Client() as client, requests.Session() as session:
                client.get(server)
                session.get(server)
            httpx.get(server)
            requests.get(server)
            httpx.Client()

        assert process.findings.of("TF403") == ()
        assert process.in_flight.observers == ()

    def test_is_quiet_about_attach_and_clients_of_an_app_in_this_process(self, process, server):
        """
        What attach makes, and what tests call the app with.
        """
        import httpx
        from starlette.applications import Starlette
        from starlette.testclient import TestClient

        with installed(Strays(process)):
            resources = Resources(process)
            resources.attach(tf.HTTPURL(server))
            resources.attach(tf.HTTPURL(f"{server}/v2"), client=lambda url: httpx.Client(base_url=url.base_url))
            inside = httpx.Client(transport=httpx.WSGITransport(lambda environ, start: []))
            client = TestClient(Starlette())
            with process.in_flight.work("request", "GET /"):
                pass
            inside.close()
            client.close()
            resources.close()

        assert process.findings.of("TF403") == ()


# TF404


def test_tf404_fires_on_a_connection_that_stays_out(process, resources):
    """
    A connection still taken when its work ends is named with the line that took it.
    """
    db = resources.attach(tf.SQLiteURL("sqlite://"), name="db")
    with installed(Leases(process)):
        with process.in_flight.work("request", "GET /orders", id="w7"):
            connection = db.connect()
        connection.close()

    (finding,) = process.findings.of("TF404")
    assert finding.culprit == "db in request GET /orders"
    assert finding.where.startswith("test_rules.py:")
    assert finding.work == "w7"


def test_tf404_is_quiet_about_returned_connections_and_other_work(process, resources):
    """
    A connection in a `with` block, one taken outside any work, and another engine's are no finding.
    """
    import sqlalchemy

    db = resources.attach(tf.SQLiteURL("sqlite://"))
    other = sqlalchemy.create_engine("sqlite://")
    with installed(Leases(process)):
        outside = db.connect()
        with process.in_flight.work("request", "GET /"):
            with db.connect():
                pass
            strange = other.connect()
        outside.close()
        strange.close()
        other.dispose()

    assert process.findings.of("TF404") == ()


@pytest.mark.parametrize("side", ["sync", "async"])
def test_tf404_watches_the_pool_of_redis(process, own_redis, side):
    """
    A subscription that stays open holds a connection; commands give theirs back. The pool is left as it was.
    """
    resources = Resources(process, timeout=1)
    url = tf.RedisURL(own_redis)

    async def main():
        sensor = Leases(process)
        sensor.install()
        client = resources.attach(url, name="r") if side == "sync" else resources.attach_async(url, name="r")
        assert await resources.wait_async(10)
        with process.in_flight.work("request", "GET /quiet"):
            await _done(client.set("leases", "1"))
            await _done(client.pipeline().set("leases", "2").execute())
        assert process.findings.of("TF404") == ()
        with process.in_flight.work("request", "GET /events", id="w9"):
            subscribed = client.pubsub()
            await _done(subscribed.subscribe("news"))
        await _done(subscribed.aclose() if side == "async" else subscribed.close())
        sensor.remove()
        assert not {"get_connection", "release"} & set(vars(client.connection_pool))
        await resources.aclose()

    asyncio.run(main())
    (finding,) = process.findings.of("TF404")
    assert (finding.culprit, finding.work) == ("r in request GET /events", "w9")
    assert finding.where.startswith("test_rules.py:")


async def _done(answer):
    return await answer if inspect.isawaitable(answer) else answer


# TF804


def test_tf804_fires_when_all_processes_may_open_more_than_the_limit(new_process, own_postgres):
    """
    Workers times pool times replicas is compared with what the server allows.
    """
    process = new_process(environ={"WEB_CONCURRENCY": "4", "TWELVEFACTOR_REPLICAS": "10"})
    resources = Resources(process)
    resources.attach(tf.PostgresURL(own_postgres), name="db")
    with installed(Limits(process)):
        assert resources.wait(10)
    resources.close()

    (finding,) = process.findings.of("TF804")
    assert "may open 600 connections of db; postgresql" in finding.message
    assert "allows 97" in finding.message


def test_tf804_is_quiet_below_the_limit_and_unknown_without_replicas(new_process, own_postgres):
    """
    One small replica fits; without the number of replicas nothing is claimed.
    """
    verdicts = []
    for environ in ({"TWELVEFACTOR_REPLICAS": "1"}, {}):
        process = new_process(environ=environ)
        resources = Resources(process)
        resources.attach(tf.PostgresURL(own_postgres))
        with installed(Limits(process)):
            assert resources.wait(10)
        resources.close()
        verdicts.append(process.evidence.ruling(_rule("TF804")).verdict)

    assert verdicts == [Verdict.PASS, Verdict.UNKNOWN]


def test_all_sensors_are_installed_and_removed_without_a_trace(process):
    """
    Twice in and twice out, and what was patched is as before.
    """
    import redis

    before = redis.Redis.__init__
    made = sensors(process)
    for sensor in made:
        sensor.install()
    for sensor in made:
        sensor.remove()
        sensor.remove()

    assert redis.Redis.__init__ is before
    assert process.in_flight.observers == ()


def test_room_is_cheap_to_import():
    """
    Naming the rules imports no client library and no asyncio.
    """
    code = "import sys, twelvefactor.backing_services, twelvefactor.dev_prod_parity; print(sorted({'asyncio', 'sqlalchemy', 'redis', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def _rule(rule_id):
    from twelvefactor.report.rules import all_rules

    return next(rule for rule in all_rules() if rule.id == rule_id)


def _until(condition, timeout=15):
    waiting = threading.Event()
    for _ in range(int(timeout / 0.02)):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("it did not happen")
