"""PORT, HOST and their like: what they mean, and what is said where they cannot be used."""

import os
import socket
import stat

import pytest

from twelvefactor._core.cpus import cpus
from twelvefactor.exceptions import ConfigError, ResourceUnavailable
from twelvefactor.port_binding.binding import Binding, activated, forget_activation


@pytest.fixture
def opened():
    """Opens a binding, and closes its sockets at the end."""
    sockets = []

    def open(**environ):
        sockets.extend(Binding.from_environ(environ).open())
        return sockets[-1]

    yield open
    for each in sockets:
        each.close()


def refuses(connect_to, family=socket.AF_INET):
    with socket.socket(family) as probe:
        return probe.connect_ex(connect_to) != 0


def test_a_laptop_listens_on_loopback_and_port_8000():
    """
    Where nothing is told, nobody outside comes in.
    """
    binding = Binding.from_environ({})

    assert (binding.told, binding.workers, binding.forwarded_allow_ips) == ("127.0.0.1:8000", 1, "127.0.0.1,::1")


@pytest.mark.parametrize(
    ("environ", "host"),
    [
        ({"K_SERVICE": "orders"}, "0.0.0.0"),
        ({"DYNO": "web.1"}, "::"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "::"),
        ({"DYNO": "web.1", "HOST": "127.0.0.1"}, "127.0.0.1"),
    ],
)
def test_a_platform_gets_the_address_that_it_routes_to(environ, host):
    """
    Both families where the platform may come in on either; HOST wins.
    """
    assert Binding.from_environ(environ).host == host


def test_every_wrong_variable_is_named_at_once():
    """
    Three wrong ones are three problems, without their values.
    """
    with pytest.raises(ConfigError) as caught:
        Binding.from_environ({"PORT": "66000", "HOST": "example.com", "WEB_CONCURRENCY": "0"})

    assert {problem.names[0] for problem in caught.value.problems} == {"PORT", "HOST", "WEB_CONCURRENCY"}
    assert caught.value.exit_code == 78
    assert "66000" not in str(caught.value)


def test_the_wildcard_of_ipv6_takes_ipv4_too(opened):
    """
    Dual stack: one socket for both families.
    """
    port = opened(HOST="::", PORT="0").getsockname()[1]

    assert not refuses(("127.0.0.1", port))
    assert not refuses(("::1", port), socket.AF_INET6)


def test_a_port_that_is_taken_is_one_line(opened):
    """
    Status 69, and the address.
    """
    port = opened(PORT="0").getsockname()[1]

    with pytest.raises(ResourceUnavailable, match=f"PORT: 127.0.0.1:{port} is taken") as caught:
        Binding.from_environ({"PORT": str(port)}).open()
    assert caught.value.exit_code == 69


def test_a_privileged_port_is_one_line(monkeypatch):
    """
    Status 78, and what to do.
    """

    def refused(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refused)  # tests may run as root, who is never refused
    with pytest.raises(ConfigError, match="Ports below 1024 are privileged"):
        Binding.from_environ({"PORT": "80"}).open()


def test_an_address_of_another_machine_is_named(opened):
    """
    HOST is to blame, not PORT.
    """
    with pytest.raises(ConfigError, match=r"HOST: 192\.0\.2\.1:8000 cannot be bound"):
        opened(HOST="192.0.2.1")


def test_a_unix_socket_is_opened_where_a_dead_one_lay(opened, tmp_path):
    """
    The file that a killed process left does not keep the next one from starting.
    """
    path = str(tmp_path / "web.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    opened(HOST=f"unix:{path}")

    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert not refuses(path, socket.AF_UNIX)


def test_a_unix_socket_in_use_is_not_taken(opened, tmp_path):
    """
    Somebody who listens keeps listening.
    """
    path = str(tmp_path / "web.sock")
    opened(HOST=f"unix:{path}")

    with pytest.raises(ResourceUnavailable, match="is taken"):
        opened(HOST=f"unix:{path}")


def test_a_passed_socket_keeps_its_family():
    """
    Socket activation: the family is the socket's own, whatever HOST says.
    """
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as given:
        descriptor = os.dup(given.fileno())
        (found,) = Binding("0.0.0.0", descriptors=(descriptor,)).open()
        with found:
            assert found.family == socket.AF_INET6
            assert found.getsockname() == given.getsockname()


def test_sockets_passed_to_another_process_are_not_ours():
    """
    LISTEN_PID says whose they are.
    """
    assert activated({"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid())}) == (3, 4)
    assert activated({"LISTEN_FDS": "2", "LISTEN_PID": "1"}) == ()


def test_activation_is_forgotten_so_that_no_child_takes_it():
    """
    All three variables go.
    """
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "web", "PORT": "1"}
    forget_activation(environ)

    assert environ == {"PORT": "1"}


def test_a_descriptor_that_is_no_socket_is_named(tmp_path):
    """
    LISTEN_FDS that lies is a config error.
    """
    with (tmp_path / "file").open("w") as file, pytest.raises(ConfigError, match="is no socket"):
        Binding("0.0.0.0", descriptors=(file.fileno(),)).open()


@pytest.mark.parametrize(("quota", "limit"), [("50000 100000", 1), ("max 100000", None), ("", None)])
def test_the_cgroup_bounds_the_processors(tmp_path, quota, limit):
    """
    Half a processor is one worker; no quota leaves what affinity allows.
    """
    (tmp_path / "cpu.max").write_text(quota)

    assert cpus(tmp_path) == (limit or len(os.sched_getaffinity(0)))
