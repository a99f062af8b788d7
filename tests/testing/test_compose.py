"""Engines in containers: what Compose is given, and what is said where no container can be run."""

import io
import json
import shutil
import subprocess

import pytest

import twelvefactor as tf
from twelvefactor.backing_services.url import URL
from twelvefactor.exceptions import ResourceUnavailable
from twelvefactor.testing import compose
from twelvefactor.testing.development import Development, Want


@pytest.fixture
def asked_anew():
    """What was found out about docker is forgotten before and after."""
    compose.why_not.cache_clear()
    yield
    compose.why_not.cache_clear()


@pytest.fixture
def without_docker(monkeypatch, asked_anew):
    """No docker, and no program of an engine, on the path."""
    monkeypatch.setenv("PATH", "/nonexistent")


@pytest.mark.parametrize("engine", compose.IMAGES)
def test_every_image_gives_a_url_of_its_kind(engine):
    """
    One that this library reads, at the port on the loopback and nowhere else.
    """
    image = compose.IMAGES[engine]
    url = URL(image.url.format(port=40123))
    made = compose.document(engine, image, "", 40123)

    assert (url.host, url.port) == ("127.0.0.1", 40123)
    assert made["services"][engine]["ports"] == [f"127.0.0.1:40123:{image.port}"]
    assert made["services"][engine]["image"] == f"{image.name}:latest"
    assert ("volumes" in made) == bool(image.data)


def test_the_declared_version_is_the_tag():
    """
    MariaDB and MySQL are two images of one kind, told apart by what parity declares.
    """
    image = compose.image_for("mysql", "mariadb")

    assert compose.document("mysql", image, "10.11", 1)["services"]["mysql"]["image"] == "mariadb:10.11"
    assert compose.image_for("mysql", "mysql").name == "mysql"
    assert compose.image_for("redis", "valkey").name == "valkey/valkey"
    assert compose.image_for("s3", "minio") is None


def test_what_parity_declares_for_another_kind_is_not_run():
    """
    A line of the table that was left behind when the URL changed its kind.
    """
    assert compose.image_for("kafka", "postgresql") is None
    assert compose.image_for("redis", "postgresql") is compose.IMAGES["redis"]


def test_the_file_is_one_that_compose_reads(asked_anew, tmp_path):
    """
    Asked of the real Compose, where it is installed; needs no engine.
    """
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker has no compose here")
    for engine, image in compose.IMAGES.items():
        file = tmp_path / f"{engine}.json"
        file.write_text(json.dumps(compose.document(engine, image, "1", 40123)))
        read = subprocess.run([docker, "compose", "-f", str(file), "config", "-q"], capture_output=True, text=True)
        assert read.returncode == 0, read.stderr


def test_a_container_gives_the_declared_version(asked_anew, tmp_path):
    """
    Where an engine of docker runs: a real one, that keeps its data until it is forgotten and leaves nothing behind.
    """
    if compose.why_not():
        pytest.skip(compose.why_not())
    import redis

    for expected in (1, 2):
        with compose.running("redis", tmp_path / "redis-7", "redis 7") as url, redis.Redis.from_url(url) as client:
            assert client.info("server")["redis_version"].startswith("7.")
            assert client.incr("visits") == expected
            client.save()
    compose.forget(tmp_path)


def test_an_app_has_its_service_from_a_container(asked_anew, tmp_path):
    """
    Of the declared version, where an engine of docker runs; its line says that the data is Docker's.
    """
    if compose.why_not():
        pytest.skip(compose.why_not())
    said = []
    with Development(tmp_path / "shop", say=said.append) as development:
        (url,) = development.provide([Want("MEMORY_URL", "memcached", "memcached 1.6")]).values()
        service = tf.Service("shop", environ={}, stream=io.StringIO())
        client = service.attach(URL(url))
        service.start()
        client.set("tea", b"green")
        assert client.get("tea") == b"green"
        service.close()
    shutil.rmtree(development.folder)

    assert said[0].startswith(f"MEMORY_URL={url}  (in a container; its data in a volume of twelvefactor-")


def test_without_docker_both_reasons_are_said(without_docker, tmp_path):
    """
    No program on this machine, and no container: what to install, whichever one likes better.
    """
    wanted = [Want("SEARCH_URL", "elasticsearch"), Want("FILES_URL", "s3")]

    with Development(tmp_path) as development, pytest.raises(ResourceUnavailable) as raised:
        development.provide(wanted)
    shutil.rmtree(development.folder)

    search, files = str(raised.value).splitlines()
    assert search.startswith("SEARCH_URL: there is no engine for elasticsearch to start here")
    assert search.endswith("(and in no container: docker is not installed)")
    assert "container" not in files


def test_a_client_without_an_engine_is_no_engine(asked_anew, monkeypatch, tmp_path):
    """
    Docker's own client is asked, and nothing is started by asking.
    """
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    assert compose.why_not() in {"docker has no compose", "no engine of docker runs"}
    with (
        pytest.raises(tf.TwelveFactorError, match="redis cannot run in a container"),
        compose.running("redis", tmp_path / "redis"),
    ):
        pass
