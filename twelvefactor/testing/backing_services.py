"""
What every kind of backing service must do, ours or a third party's, proved against its real service.

Subclass `Compliance` in a test module, override its fixture ``service_url``, and pytest runs the suite.
"""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from twelvefactor._core.appcode import AppCode
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor.backing_services.kind import Opening
from twelvefactor.backing_services.registry import kind_of
from twelvefactor.backing_services.resources import Resources
from twelvefactor.backing_services.url import URL, read_host
from twelvefactor.factor import Evidence
from twelvefactor.testing.engines import free_port
from twelvefactor.work import InFlight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twelvefactor._core.clock import Clock


_FORK = """
import os, sys
from twelvefactor._core.lazy import load
from twelvefactor.backing_services.kind import Opening
from twelvefactor.backing_services.registry import kind_of
url = load(sys.argv[1])(os.environ["SERVICE_URL"])
kind = kind_of(url)
client = kind.open(url, Opening())
kind.ping(client)
if os.fork() == 0:
    kind.forget(client)
    kind.ping(client)
    print("child", flush=True)
    os._exit(0)
os.wait()
kind.ping(client)
print("parent", flush=True)
os._exit(0)
"""
"""In a process of its own, because one that runs tests has threads."""


class QuietProcess:
    """A process without a service, that remembers what it was told."""

    def __init__(self) -> None:
        self.name = "compliance"
        self.environ: Mapping[str, str] = {}
        self.clock: Clock = SYSTEM_CLOCK
        self.evidence = Evidence()
        self.findings = self.evidence.findings
        self.app_code = AppCode(None)
        self.in_flight = InFlight()
        self.process_type: str | None = None
        self.declaration: Mapping[str, Any] = {}
        self.manifest: Mapping[str, Any] = {}
        self.deploy: str | None = None
        self.config: Any = None
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[tuple[str, BaseException]] = []

    def event(self, level: str, event: str, **fields: Any) -> None:  # noqa: ARG002 - the shape of a process
        """Remember an event."""
        self.events.append((event, fields))

    def fault(self, where: str, error: BaseException) -> None:
        """Remember a fault; the suite fails on one."""
        self.faults.append((where, error))


class Compliance:
    """
    The suite. A subclass gives ``service_url``; what a kind does not have is skipped by what its kind declares.

    Attributes:
        elsewhere: Whether the URL can be pointed at a port where nobody listens, which must fail in time.
    """

    elsewhere = True

    @pytest.fixture
    def service_url(self) -> str:
        """The URL of a real service of the kind, credentials and all."""
        raise NotImplementedError("override the fixture service_url")

    @pytest.fixture
    def url(self, service_url: str) -> URL[Any, Any]:
        """The handle."""
        return URL(service_url)

    @pytest.fixture
    def process(self) -> Iterator[QuietProcess]:
        """A process in which no fault of the kind may show."""
        process = QuietProcess()
        yield process
        assert process.faults == []

    @pytest.fixture
    def needs_sync(self, url: URL[Any, Any]) -> None:
        """Skip where the kind has no client for code that waits."""
        if not kind_of(url).client:
            pytest.skip(f"{kind_of(url).name} has no blocking client")

    @pytest.fixture
    def needs_async(self, url: URL[Any, Any]) -> None:
        """Skip where the kind has no client for coroutines."""
        if not kind_of(url).async_client:
            pytest.skip(f"{kind_of(url).name} has no async client")

    def test_reading_what_reveal_gives_is_the_identity(self, url: URL[Any, Any]) -> None:
        """A URL survives being written and read."""
        assert URL(url.reveal()) == url
        assert hash(URL(url.reveal())) == hash(url)

    def test_password_is_in_no_text(self, url: URL[Any, Any]) -> None:
        """What a URL shows holds no password; pickling is refused, copying gives the same value."""
        password = url._parts.password
        if password is not None:
            authority = f"{url} {url!r}"
            assert f":{password}@" not in authority
        assert copy.deepcopy(url) is url
        with pytest.raises(TypeError):
            pickle.dumps(url)

    def test_kind_says_its_name_and_when_it_connects(self, url: URL[Any, Any]) -> None:
        """The table of kinds can be filled from the kind itself."""
        kind = kind_of(url)

        assert kind.name
        assert kind.client or kind.async_client
        assert kind.connects

    @pytest.mark.usefixtures("needs_sync")
    def test_service_answers_and_says_what_it_is(self, url: URL[Any, Any], process: QuietProcess) -> None:
        """Attached, waited for, pinged, identified, closed."""
        resources = Resources(process)
        try:
            resources.attach(url)
            assert resources.wait(15), process.events
            (status,) = resources.ping().values()
            assert status.ok
            assert status.engine
        finally:
            resources.close()

    @pytest.mark.usefixtures("needs_async")
    def test_async_service_answers_and_says_what_it_is(self, url: URL[Any, Any], process: QuietProcess) -> None:
        """The same for coroutines, the client made before the loop runs."""
        resources = Resources(process)
        resources.attach_async(url)

        async def main() -> None:
            try:
                assert await resources.wait_async(15), process.events
                (status,) = (await resources.ping_async()).values()
                assert status.ok
                assert status.engine
            finally:
                await resources.aclose()

        asyncio.run(main())

    @pytest.mark.usefixtures("needs_sync")
    def test_closing_twice_is_once(self, url: URL[Any, Any]) -> None:
        """Close is idempotent, also on a client that never connected."""
        kind = kind_of(url)
        used, unused = kind.open(url, Opening()), kind.open(url, Opening())
        kind.ping(used)

        for client in (used, unused):
            kind.close(client)
            kind.close(client)

    @pytest.mark.usefixtures("needs_sync")
    def test_nobody_there_is_said_in_time(self, url: URL[Any, Any], process: QuietProcess) -> None:
        """A port where nobody listens: not ready, one finding, nothing raised, nothing of the password said."""
        resources = Resources(process, timeout=1)
        try:
            resources.attach(self._elsewhere(url))
            started = time.monotonic()
            assert not resources.wait(0.5)
            assert time.monotonic() - started < 20  # noqa: PLR2004 - without a bound it would not end at all
            assert len(process.findings.of("TF402")) == 1
            assert _silent(url, process)
        finally:
            resources.close()

    @pytest.mark.usefixtures("needs_async")
    def test_nobody_there_is_said_in_time_to_coroutines(self, url: URL[Any, Any], process: QuietProcess) -> None:
        """The same for coroutines."""
        resources = Resources(process, timeout=1)
        resources.attach_async(self._elsewhere(url))

        async def main() -> None:
            try:
                assert not await resources.wait_async(0.5)
                assert len(process.findings.of("TF402")) == 1
                assert _silent(url, process)
            finally:
                await resources.aclose()

        asyncio.run(main())

    @pytest.mark.usefixtures("needs_sync")
    def test_forked_child_uses_a_connection_of_its_own(self, url: URL[Any, Any]) -> None:
        """A client that was used before a fork works in the child and still in the parent."""
        done = subprocess.run(  # noqa: S603 - our own Python, and code of ours
            [sys.executable, "-c", _FORK, f"{type(url).__module__}:{type(url).__qualname__}"],
            env={**os.environ, "SERVICE_URL": url.reveal()},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stdout.split() == ["child", "parent"], done.stderr

    def _elsewhere(self, url: URL[Any, Any]) -> URL[Any, Any]:
        if not self.elsewhere or not url.hosts:
            pytest.skip("this URL names no host")
        return url._of(url._parts._replace(hosts=(read_host(f"127.0.0.1:{free_port()}", None),)))


def _silent(url: URL[Any, Any], process: QuietProcess) -> bool:
    password = url._parts.password
    return not password or f":{password}@" not in repr((process.events, list(process.findings)))
