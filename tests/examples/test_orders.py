"""The orders example, on a real PostgreSQL and a real Redis."""

import importlib
import sys
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "orders"


@pytest.fixture
def database(postgres_url):
    """A database of this test's own."""
    psycopg = pytest.importorskip("psycopg")
    name = f"orders_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres_url.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def redis_url():
    """A Redis of these tests' own: others would take their jobs, or find them gone."""
    from twelvefactor.testing import engines

    with engines.redis() as url:
        yield url


@pytest.fixture
def orders(monkeypatch, database, redis_url):
    """The example's service module, imported as a server would import it."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name, value in {
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "STRIPE_SECRET_KEY": "sk_test_0123456789abcdef",
        "TWELVEFACTOR_RELEASE": "v1",
    }.items():
        monkeypatch.setenv(name, value)
    module = importlib.import_module("orders.service")
    importlib.import_module("orders.migrate").migrate()
    module.orders._cache.flushdb()
    yield module
    module.orders._cache.flushdb()
    module.database.dispose()  # a service that never started closes nothing
    module.orders._cache.connection_pool.disconnect()
    module.service.close()
    for name in [name for name in sys.modules if name.partition(".")[0] == "orders"]:
        del sys.modules[name]


@pytest.fixture
def client(orders):
    from starlette.testclient import TestClient

    with TestClient(orders.app) as client:
        yield client


def test_an_order_is_kept_and_answered(client, orders):
    """
    PostgreSQL has it, Redis answers the second look; its receipt is a job for the worker.
    """
    created = client.post("/orders", json={"item": "tea", "quantity": 2})
    assert created.status_code == 201
    number = created.json()["id"]

    assert client.get(f"/orders/{number}").json() == {"id": number, "item": "tea", "quantity": 2}
    assert orders.orders._cache.get(f"order:{number}") is not None
    assert client.get(f"/orders/{number}").status_code == 200
    assert orders.orders.counts() == (1, 0)


def test_the_worker_sends_the_receipt(client, orders):
    """
    A real worker, told to stop when it has done its job: the receipt is in PostgreSQL, and the job's event carries the
    request's id.
    """
    from twelvefactor.testing.servers import Server

    answer = client.post("/orders", json={"item": "tea", "quantity": 2})
    command = (sys.executable, "-m", "twelvefactor", "run", "worker")
    own = {"TWELVEFACTOR_RELEASE": "v1", "PYTHONPATH": str(ROOT), "LOG_FORMAT": "json"}
    with Server(command, environ=own, cwd=EXAMPLE, ready=None) as worker:
        job = worker.wait_event("job", within=60)
        status = worker.stop()

    assert (job["name"], job["outcome"], job["request_id"]) == ("send_receipt", "ok", answer.headers["x-request-id"])
    assert orders.orders.counts() == (1, 1)
    assert status == 0


def test_a_receipt_is_kept_once(orders):
    """
    A job whose worker was killed begins again.
    """
    number = orders.orders.create("tea", 2).id
    for _ in range(2):
        orders.send_receipt.fn(number)

    assert orders.orders.counts() == (1, 1)


def test_the_config_limits_an_order(client):
    """
    `MOST_ITEMS`, 100 unless the deploy says otherwise.
    """
    assert client.post("/orders", json={"item": "tea", "quantity": 101}).status_code == 422
    assert client.get("/orders/1").status_code == 404


def test_what_is_no_order_is_refused_by_its_field(client):
    """
    And no number is too large to ask for.
    """
    for body in (
        b"",
        b"[]",
        b'{"quantity": 1}',
        b'{"item": "\\u0000", "quantity": 1}',
        b'{"item": "tea", "quantity": "x"}',
    ):
        assert client.post("/orders", content=body).status_code == 422, body
    assert "quantity" in client.post("/orders", json={"item": "tea"}).json()["error"]
    assert client.get("/orders/99999999999").status_code == 404


def test_every_order_is_exported_as_a_line(client):
    """
    Streamed.
    """
    for quantity in (1, 2):
        client.post("/orders", json={"item": "tea", "quantity": quantity})

    assert [line["quantity"] for line in map(_json, client.get("/orders").text.splitlines())] == [1, 2]


def test_the_service_is_ready_and_finds_nothing_wrong(client, orders):
    """
    Both resources answered; the example breaks no rule that looked, but that this machine's engines are of other versions;
    how long it took to start is the machine's business too.
    """
    assert client.get("/readyz").json() == {"status": "ok"}
    assert [str(finding) for finding in orders.service.findings if finding.rule.id not in {"TF901", "TF1002"}] == []


def test_the_release_phase_is_an_admin_process(orders):
    """
    `twelvefactor admin migrate`, one at a time, and again without harm.
    """
    (migrate,) = orders.service.admins

    assert (migrate.name, migrate.exclusive) == ("migrate", True)
    assert migrate.function() is None


def _json(line):
    import json

    return json.loads(line)
