"""The backing services that tests talk to: the machine's own, on their standard ports of the loopback."""

import gc
import os
import socket
import sys
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

SLOW = (
    "concurrency/test_clock_processes.py",
    "concurrency/test_process_types.py",
    "integrations/queues/test_broker_faults.py",
    "integrations/queues/test_celery.py",
    "integrations/queues/test_celery_drill.py",
    "integrations/queues/test_dramatiq.py",
    "integrations/queues/test_faststream.py",
    "integrations/queues/test_huey.py",
    "integrations/queues/test_rq.py",
    "integrations/queues/test_taskiq.py",
    "integrations/queues/test_turns.py",
    "observe/test_observe.py",
    "testing/test_drill.py",
    "testing/test_exercise.py",
    "testing/test_fixtures.py",
    "testing/test_replicas.py",
)
"""Real workers, clocks and fleets of servers, minutes of them: `make test ARGS="--slow only"`, which CI does too."""


def pytest_addoption(parser):
    parser.addoption(
        "--slow", choices=("without", "with", "only"), default="without", help="the tests that take minutes"
    )


def pytest_collection_modifyitems(config, items):
    """What is named on the command line is meant; a whole run leaves out what takes minutes."""
    wanted = config.getoption("--slow")
    if wanted == "with" or any(".py" in argument for argument in config.args):
        return
    chosen = [item for item in items if str(item.path).endswith(SLOW) == (wanted == "only")]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


LEAN = tuple("-p no:cacheprovider -p no:schemathesis -p no:faker -p no:hypothesispytest".split())
"""How a test runs a pytest of its own: without plugins that are only installed beside ours, two seconds of each start."""

_OTHERS = tuple(f"{Path(__file__).parents[1] / folder}/" for folder in ("tests", "benchmarks", "docs"))


@pytest.fixture(scope="module", autouse=True)
def as_if_alone(request, tmp_path_factory):
    """
    What a worker collected and left behind for other files is put aside, so that none depends on which came before it: a
    service would go through all of it at each start, for half a second, and find there what is another file's.
    """
    aside = {name: sys.modules.pop(name) for name in _of_other_files(vars(request.node.obj))}
    gc.collect()
    gc.freeze()  # neither the collector nor TF608 goes through it from now on
    before, loaded = _told_by_environ(), set(sys.modules)
    yield
    for name in set(sys.modules) - loaded:  # apps that its tests wrote, and loaded here
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path_factory.getbasetemp())):
            del sys.modules[name]
    for name in _told_by_environ():
        del os.environ[name]
    os.environ.update(before)  # a command that is run in this process sets the phase, and exits as a rule
    sys.modules.update(aside)


def _told_by_environ():
    return {name: value for name, value in os.environ.items() if name.startswith(("TWELVEFACTOR_", "LOG_"))}


def _of_other_files(names):
    """The test modules that *names* do not come from, and what such modules loaded from beside them."""
    known = [each for each in names.values() if issubclass(type(each), FunctionType | type | ModuleType)]
    used = {names["__name__"], *(each.__name__ if isinstance(each, ModuleType) else each.__module__ for each in known)}
    for name, module in list(sys.modules.items()):
        beside = (getattr(module, "__file__", None) or "").startswith(_OTHERS)
        if beside and name not in used and (".test_" in name or not name.startswith("tests.")):
            yield name


collect_ignore = ["typing"]  # read by type checkers, never run

SERVICES = {
    "postgres": ("PostgreSQL", 5432, "postgresql://postgres@127.0.0.1:5432/test"),
    "mariadb": ("MariaDB", 3306, "mysql://root@127.0.0.1:3306/test"),
    "redis": ("Redis", 6379, "redis://127.0.0.1:6379/0"),
    "rabbitmq": ("RabbitMQ", 5672, "amqp://guest:guest@127.0.0.1:5672/"),
    "nats": ("NATS", 4222, "nats://127.0.0.1:4222"),
    "mosquitto": ("Mosquitto", 1883, "mqtt://127.0.0.1:1883"),
}


def absent(reason):
    """Skip the test, and say why; in CI a service that is missing is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI tests everything", pytrace=False)
    pytest.skip(reason)


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def url_of(name):
    """The URL of a service by its short name, or a skip that says what is not running."""
    title, port, url = SERVICES[name]
    if not listens(port):
        absent(f"{title} is not running on 127.0.0.1:{port}")
    return url


@pytest.fixture
def postgres_url():
    return url_of("postgres")


@pytest.fixture
def mariadb_url():
    return url_of("mariadb")


@pytest.fixture
def redis_url():
    return url_of("redis")


@pytest.fixture
def rabbitmq_url():
    return url_of("rabbitmq")


@pytest.fixture
def nats_url():
    return url_of("nats")


@pytest.fixture
def mqtt_url():
    return url_of("mosquitto")


@pytest.fixture(autouse=True)
def no_work_is_left_behind():
    """A unit of work that a test leaves open would be the next test's; the culprit is told, not the victim."""
    yield
    from twelvefactor import work

    left = work.current_work()
    work._current.set(None)
    assert left is None, f"{left!r} was never closed where it was opened"
