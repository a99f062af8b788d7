"""Backing services in containers, by Docker Compose: for engines and versions that this machine does not have."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import ResourceUnavailable
from twelvefactor.testing import engines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_START_TIMEOUT = 180.0  # seconds, the image's way here among them
_ASK_TIMEOUT = 10.0
_MARIADB = {"MARIADB_ALLOW_EMPTY_ROOT_PASSWORD": "1", "MARIADB_DATABASE": "app"}
_MYSQL = {"MYSQL_ALLOW_EMPTY_PASSWORD": "1", "MYSQL_DATABASE": "app"}
_POSTGRES = {"POSTGRES_USER": "app", "POSTGRES_DB": "app", "POSTGRES_HOST_AUTH_METHOD": "trust"}
_SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
_MQTT_HELLO = b"\x10\x0e\0\x04MQTT\x04\x02\0\x0a\0\x02up"


@dataclass(frozen=True, slots=True)
class Image:
    """
    How one engine runs in a container.

    Attributes:
        name: Of the image, without its tag.
        port: Where it listens inside.
        url: What its clients get; ``{port}`` is the one on the loopback.
        data: The folder inside that is kept between runs; empty where it keeps nothing.
        environment: Its own variables.
        command: Its arguments.
        hello: What is sent to see whether it answers.
        answer: How its answer begins, from *skip* bytes on.
        skip: Bytes of the answer that say nothing.
    """

    name: str
    port: int
    url: str
    data: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    hello: bytes = b""
    answer: bytes = b""
    skip: int = 0

    @property
    def scheme(self) -> str:
        """Of its URL; engines that are one kind to their clients share it."""
        return self.url.partition(":")[0]

    def answers(self, port: int) -> bool:
        """Whether the engine itself answers on *port*; Docker's proxy takes connections long before it does."""
        return engines.answers(port, self.hello, self.answer, self.skip)


IMAGES = {
    "postgresql": Image(
        "postgres", 5432, "postgresql://app@127.0.0.1:{port}/app", "/data", {**_POSTGRES, "PGDATA": "/data/pg"},
        hello=_SSL_REQUEST, answer=b"N",
    ),
    "mariadb": Image(
        "mariadb", 3306, "mysql://root@127.0.0.1:{port}/app", "/var/lib/mysql", _MARIADB, answer=b"\x0a", skip=4,
    ),
    "mysql": Image(
        "mysql", 3306, "mysql://root@127.0.0.1:{port}/app", "/var/lib/mysql", _MYSQL, answer=b"\x0a", skip=4,
    ),
    "redis": Image("redis", 6379, "redis://127.0.0.1:{port}/0", "/data", hello=b"PING\r\n", answer=b"+PONG"),
    "valkey": Image("valkey/valkey", 6379, "redis://127.0.0.1:{port}/0", "/data", hello=b"PING\r\n", answer=b"+PONG"),
    "rabbitmq": Image(
        "rabbitmq", 5672, "amqp://guest:guest@127.0.0.1:{port}/%2F", "/var/lib/rabbitmq",
        hello=b"AMQP\0\0\x09\x01", answer=b"\x01\0\0",
    ),
    "nats": Image(
        "nats", 4222, "nats://127.0.0.1:{port}", "/data", command=("-js", "-sd", "/data"), answer=b"INFO ",
    ),
    "mqtt": Image(
        "eclipse-mosquitto", 1883, "mqtt://127.0.0.1:{port}", "/mosquitto/data",
        command=("mosquitto", "-c", "/mosquitto-no-auth.conf"), hello=_MQTT_HELLO, answer=b"\x20\x02",
    ),
    "memcached": Image("memcached", 11211, "memcached://127.0.0.1:{port}", hello=b"version\r\n", answer=b"VERSION"),
    "mongodb": Image(
        "mongo", 27017, "mongodb://127.0.0.1:{port}/app", "/data/db", hello=b"GET / HTTP/1.0\r\n\r\n", answer=b"HTTP/1",
    ),
    "elasticsearch": Image(
        "elasticsearch", 9200, "elasticsearch://127.0.0.1:{port}?tls=false", "/usr/share/elasticsearch/data",
        {"discovery.type": "single-node", "xpack.security.enabled": "false"},
        hello=b"GET / HTTP/1.0\r\n\r\n", answer=b"HTTP/1",
    ),
}  # fmt: skip
"""What is run, by the engine that parity declares, else by the kind."""


def image_for(kind: str, engine: str) -> Image | None:
    """The image of *engine*, where that is what serves *kind*; else the one of the kind; None where there is none."""
    own, declared = IMAGES.get(kind), IMAGES.get(engine)
    return declared if own and declared and declared.scheme == own.scheme else own


@functools.cache
def why_not() -> str:
    """Why no container can be run here; empty where one can. Asked once: the engine of Docker comes and goes seldom."""
    docker = shutil.which("docker")
    if docker is None:
        return "docker is not installed"
    for words, because in (
        (("compose", "version"), "docker has no compose"),
        (("info", "--format", "{{.ServerVersion}}"), "no engine of docker runs"),
    ):
        try:
            asked = subprocess.run([docker, *words], capture_output=True, timeout=_ASK_TIMEOUT, check=False)  # noqa: S603 - docker's own client
        except (OSError, subprocess.TimeoutExpired):
            return because
        if asked.returncode:
            return because
    return ""


def document(kind: str, image: Image, tag: str, port: int) -> dict[str, Any]:
    """
    The Compose file of one service.

    Args:
        kind: The service's name.
        image: What is run.
        tag: Of the image: the declared version, else ``latest``.
        port: On the loopback.
    """
    service: dict[str, Any] = {
        "image": f"{image.name}:{tag or 'latest'}",
        "ports": [f"127.0.0.1:{port}:{image.port}"],
        "environment": dict(image.environment),
    }
    if image.command:
        service["command"] = list(image.command)
    found: dict[str, Any] = {"services": {kind: service}}
    if image.data:
        service["volumes"] = [f"data:{image.data}"]
        found["volumes"] = {"data": {}}
    return found


@contextlib.contextmanager
def running(kind: str, folder: Path, declared: str = "") -> Iterator[str]:
    """
    Run a service of *kind* in a container and give its URL; its data is a volume, kept until `forget`.

    Compose runs in the foreground under our guard, so that it stops the container also where this process is killed.

    Args:
        kind: The kind's name.
        folder: Where its Compose file is kept.
        declared: What parity declares, such as ``mysql 8.4``.

    Raises:
        ResourceUnavailable: No image is known, no container can be run, or it did not start.
    """
    engine, _, version = declared.lower().partition(" ")
    image = image_for(kind, engine)
    if image is None:
        raise ResourceUnavailable(f"there is no image for {kind} to start here; set its URL in the environment")
    if why_not():
        raise ResourceUnavailable(f"{kind} cannot run in a container: {why_not()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = engines.free_port()
    file = folder / "compose.json"
    file.write_text(json.dumps(document(kind, image, version.strip(), port), indent=1))
    log = folder / "engine.log"
    server = engines.Engine(kind, [*_compose(file), "up", "--timeout", "5"], log)
    try:
        server.wait_ready(lambda: image.answers(port), _START_TIMEOUT)
        yield image.url.format(port=port)
    finally:
        _ask(file, "stop", "--timeout", "5")  # a docker older than 25 does not hand a signal on to Compose
        server.stop()
        _ask(file, "rm", "--force", "--stop", "--volumes")  # with the image's own volumes, that have no name
        _ask(file, "down", "--timeout", "5")


def forget(folder: Path) -> None:
    """Remove the containers and the data of what ran from *folder* or below it; nothing where nothing did."""
    for file in folder.glob("**/compose.json"):
        _ask(file, "down", "--volumes", "--timeout", "5")


def project(folder: Path) -> str:
    """What Compose calls what runs from *folder*; it allows lower-case letters, digits, dashes and underscores."""
    name = f"{folder.parent.name}-{folder.name}".lower()
    return "twelvefactor-" + "".join(each if each.isascii() and each.isalnum() else "-" for each in name)


def _compose(file: Path) -> list[str]:
    """Compose itself, told of *file*; the containers and the data are known by the name of the project."""
    docker = shutil.which("docker") or "docker"
    return [docker, "compose", "--ansi", "never", "--project-name", project(file.parent), "--file", str(file)]


def _ask(file: Path, *words: str) -> None:
    """Best effort: what cannot be removed now is removed by the next run."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603 - docker's own client
            [*_compose(file), *words], capture_output=True, timeout=60, check=False, env=dict(os.environ)
        )
