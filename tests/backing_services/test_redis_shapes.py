"""Redis behind TLS, Sentinel and Cluster: real servers, our URLs."""

import contextlib
import shutil
import subprocess
import threading

import pytest

import twelvefactor as tf
from twelvefactor.backing_services.kind import Opening
from twelvefactor.backing_services.registry import kind_of
from twelvefactor.backing_services.resources import Resources
from twelvefactor.testing.engines import free_port

MACHINE = "/usr/local/bin:/usr/bin:/bin"  # the wheel's server, in an activated environment's bin, speaks no TLS
SERVER = shutil.which("redis-server", path=MACHINE)
CLI = shutil.which("redis-cli", path=MACHINE)
pytestmark = pytest.mark.skipif(SERVER is None or CLI is None, reason="no redis-server with TLS on this machine")


@contextlib.contextmanager
def _server(folder, *arguments):
    folder.mkdir(exist_ok=True)
    log = folder / "log"
    server = subprocess.Popen(
        [SERVER, *map(str, arguments), "--dir", str(folder), "--logfile", str(log), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        _until(lambda: log.exists() and ("Ready to accept" in log.read_text() or "Sentinel ID" in log.read_text()))
        yield server
    finally:
        server.terminate()
        server.wait(10)


def _until(condition, timeout=20):
    waiting = threading.Event()
    for _ in range(int(timeout / 0.02)):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("it did not happen")


@pytest.fixture(scope="module")
def tls(tmp_path_factory, certify):
    """A Redis that speaks TLS only; gives its port and the CA's file."""
    folder = tmp_path_factory.mktemp("tls")
    certify(folder)
    port = free_port()
    files = [
        "--tls-cert-file",
        folder / "cert.pem",
        "--tls-key-file",
        folder / "key.pem",
        "--tls-ca-cert-file",
        folder / "ca.pem",
    ]
    with _server(folder, "--port", 0, "--tls-port", port, "--tls-auth-clients", "no", *files):
        yield port, folder / "ca.pem"


def test_tls_is_spoken_and_verified(process, tls):
    """
    With the right CA it answers; with the machine's own it says that the certificate is not trusted.
    """
    port, ca = tls
    resources = Resources(process, timeout=2)
    resources.attach(tf.RedisURL(f"rediss://localhost:{port}?ssl_ca_certs={ca}"), name="trusted")
    resources.attach(tf.RedisURL(f"rediss://localhost:{port}"), name="stranger")
    _until(lambda: resources.ping()["trusted"].ok)
    _until(lambda: "CERTIFICATE_VERIFY_FAILED" in resources.ping()["stranger"].because)
    resources.close()


def test_tls_mismatch_is_said(process, tls):
    """
    Plain text to a TLS port is an error, not a hang.
    """
    resources = Resources(process, timeout=2)
    resources.attach(tf.RedisURL(f"redis://localhost:{tls[0]}"))

    assert not resources.wait(1)
    _until(lambda: process.said("waiting"))
    resources.close()


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory):
    """A primary and the Sentinel that watches it; gives the Sentinel's port."""
    folder = tmp_path_factory.mktemp("s")
    primary, port = free_port(), free_port()
    config = folder / "sentinel.conf"
    config.write_text(f"port {port}\nsentinel monitor orders 127.0.0.1 {primary} 1\n")
    with (
        _server(folder / "primary", "--port", primary, "--requirepass", "secret-of-the-app"),
        _server(folder / "sentinel", config, "--sentinel"),
    ):
        subprocess.run(
            [CLI, "-p", str(port), "sentinel", "set", "orders", "auth-pass", "secret-of-the-app"],
            check=True,
            capture_output=True,
        )
        yield port


def test_sentinel_finds_the_primary(process, sentinel):
    """
    The URL names the Sentinels and the service; the client speaks to the primary, with the primary's password.
    """
    resources = Resources(process, timeout=2)
    client = resources.attach(tf.RedisURL(f"redis+sentinel://:secret-of-the-app@127.0.0.1:{sentinel}/orders/2"))

    assert resources.wait(15), process.events
    assert client.set("k", "v")
    assert client.connection_pool.connection_kwargs["db"] == 2
    resources.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Three nodes that form a cluster; gives their ports."""
    folder = tmp_path_factory.mktemp("c")
    ports = [free_port() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        nodes = []
        for port in ports:
            bus = free_port()  # else it is 10,000 above, where the system's own ports are
            options = ("--port", port, "--cluster-enabled", "yes", "--cluster-port", bus)
            stack.enter_context(_server(folder / str(port), *options))
            nodes.append(f"127.0.0.1:{port}@{bus}")
        subprocess.run([CLI, "--cluster", "create", *nodes, "--cluster-yes"], check=True, capture_output=True)
        for port in ports:
            _until(
                lambda port=port: (
                    b"cluster_state:ok"
                    in subprocess.run([CLI, "-p", str(port), "cluster", "info"], capture_output=True).stdout
                )
            )
        yield ports


def test_cluster_is_asked_on_first_use_and_learns_its_nodes(process, cluster):
    """
    One node is named, all are used; making the client connects nothing.
    """
    url = tf.RedisClusterURL(f"redis+cluster://127.0.0.1:{cluster[0]}")
    client = kind_of(url).open(url, Opening())
    assert "nodes_manager" not in vars(client)

    assert client.set("a", 1)
    assert client.set("b", 2)
    assert len(client.get_nodes()) == 3
    kind_of(url).close(client)

    resources = Resources(process, timeout=2)
    resources.attach(url)
    assert resources.wait(15), process.events
    assert resources.ping()["redis-cluster"].engine.startswith("redis ")
    resources.close()


def test_cluster_that_is_not_there_can_be_used_once_it_is(process):
    """
    A first use that fails leaves a client that tries again.
    """
    url = tf.RedisClusterURL(f"redis+cluster://127.0.0.1:{free_port()}")
    client = kind_of(url).open(url, Opening())

    for _ in range(2):
        with pytest.raises(Exception, match="cannot be connected"):
            client.ping()
    kind_of(url).close(client)
