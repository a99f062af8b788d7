"""TF701 and TF703: what the process listens on, as the kernel tells it."""

import io
import socket

import pytest

from twelvefactor.factor import Verdict
from twelvefactor.port_binding import TF701, TF703, Listener, listeners
from twelvefactor.service import Service


@pytest.fixture
def bound():
    """A port on which this process listens, on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def served():
    """Makes a service of this environment that has served one request."""
    made = []

    def serve(**environ):
        service = Service("orders", environ=environ, stream=io.StringIO())
        made.append(service)
        service.start()
        service.ready()
        with service.work("request", "/"):
            pass
        return service

    yield serve
    for service in made:
        service.close()


def test_a_listening_socket_is_found(bound):
    """
    The kernel tells the address of each socket that this process accepts on.
    """
    assert Listener("127.0.0.1", bound) in listeners()


def test_an_ipv6_listener_is_found():
    """
    An address of the other family reads as it is written.
    """
    with socket.create_server(("::", 0), family=socket.AF_INET6) as server:
        assert Listener("::", server.getsockname()[1]) in listeners()


def test_a_connected_socket_is_no_listener(bound):
    """
    Only what accepts is told.
    """
    with socket.create_connection(("127.0.0.1", bound)) as connection:
        assert Listener("127.0.0.1", connection.getsockname()[1]) not in listeners()


def test_tf701_fires_where_another_port_is_bound(bound, served):
    """
    PORT names one port, the process listens on another.
    """
    service = served(PORT=str(bound + 1 if bound < 65535 else bound - 1))

    assert len(service.findings.of("TF701")) == 1


def test_tf701_is_quiet_where_port_is_bound_among_others(bound, served):
    """
    A management port beside the one that PORT names is fine.
    """
    with socket.create_server(("127.0.0.1", 0)):
        service = served(PORT=str(bound))

    assert service.evidence.ruling(TF701).verdict is Verdict.PASS


def test_tf701_tells_the_address_where_port_is_not_set(bound, served):
    """
    Without PORT there is nothing to miss.
    """
    ruling = served().evidence.ruling(TF701)

    assert ruling.verdict is Verdict.PASS
    assert f"127.0.0.1:{bound}" in ruling.because


def test_tf703_fires_on_loopback_in_a_container(bound, served):
    """
    Where only loopback is bound, nobody outside the container comes in.
    """
    assert len(served(TWELVEFACTOR_DEPLOY="staging", container="podman").findings.of("TF703")) == 1


def test_tf703_is_quiet_on_loopback_of_a_machine(bound, served, monkeypatch):
    """
    A deploy on a machine of its own, with a proxy on it: nothing says that this is a container.
    """
    monkeypatch.setattr("twelvefactor._core.platform.container.__defaults__", ((),))

    assert served(TWELVEFACTOR_DEPLOY="staging").evidence.ruling(TF703).verdict is Verdict.PASS


def test_tf703_is_quiet_where_one_listener_is_open(bound, served):
    """
    A debugger on loopback beside the open port is fine.
    """
    with socket.create_server(("0.0.0.0", 0)):
        service = served(container="podman")

    assert service.evidence.ruling(TF703).verdict is Verdict.PASS


def test_tf703_is_unknown_on_a_laptop(bound, served, monkeypatch):
    """
    Where nobody told the deploy, loopback may be meant.
    """
    monkeypatch.setattr("twelvefactor._core.platform.container.__defaults__", ((),))

    assert served().evidence.ruling(TF703).verdict is Verdict.UNKNOWN
