"""
The whole life of the orders service on real engines: `make demo`.

Starts PostgreSQL and Redis, refuses a wrong environment, migrates, serves, takes a few hundred requests, which leave
jobs to a worker; both are told to stop in the middle of it, another worker does what is left, and the scorecard of all
of them is shown. Exit status 0 only if all of it really happened. `--keep` serves in the foreground instead.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from rich.console import Console

from twelvefactor.testing import engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
READY_WITHIN = 30.0  # seconds
STOPPED_WITHIN = 20.0
REQUESTS = 300
AT_ONCE = 20
DRAIN_DELAY = 3.0
PROBE_PERIOD = 0.2
HOST = "0.0.0.0" if Path("/.dockerenv").exists() else "127.0.0.1"  # a container's loopback lets nobody in
SECRET = "sk_live_0123456789abcdef"
console = Console(highlight=False)


class Broken(Exception):  # noqa: N818 - a broken promise
    """Something that the demo promises did not happen."""


def check(holds: bool, promise: str) -> None:
    """Say that *promise* was kept, or stop."""
    if not holds:
        raise Broken(promise)
    console.print(f"  [green]✓[/] {promise}")


def title(text: str) -> None:
    console.print(f"\n[bold]{text}[/]")


# -- the deploy -----------------------------------------------------------------------------------------------------


def environment(database: str, cache: str, port: int) -> dict[str, str]:
    """What the platform would set."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH") if name in os.environ}
    return kept | {
        "DATABASE_URL": database,
        "REDIS_URL": cache,
        "STRIPE_SECRET_KEY": SECRET,
        "PORT": str(port),
        "TWELVEFACTOR_DEPLOY": "demo",
        "TWELVEFACTOR_LEAKS": "thorough",
        "TWELVEFACTOR_RELEASE": "v1",
        "TWELVEFACTOR_GRACE_PERIOD": "20s",
        "TWELVEFACTOR_DRAIN_DELAY": f"{DRAIN_DELAY}s",
        "LOG_FORMAT": "json",
    }


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def server(port: int) -> list[str]:
    return python("-m", "uvicorn", "orders.service:app", "--host", HOST, "--port", str(port))


def worker() -> list[str]:
    return python("-m", "twelvefactor", "run", "worker")


# -- a wrong environment ----------------------------------------------------------------------------------------------


def refuse_wrong_environment(env: dict[str, str]) -> None:
    title("A wrong environment is refused, with every mistake named")
    wrong = {name: value for name, value in env.items() if name not in ("REDIS_URL", "STRIPE_SECRET_KEY")}
    wrong |= {
        "DATABASE_URL": "postgres://orders:hunter2secret@db:99999/orders",
        "REDIS_URI": "redis://cache",
        "STRIPE_SECRET_KEY": "",
        "MOST_ITEMS": "many",
    }
    ended = run(["-m", "twelvefactor", "config", "check"], wrong)
    console.print(ended.stderr.rstrip(), style="dim", markup=False)
    for name in ("DATABASE_URL", "REDIS_URL", "STRIPE_SECRET_KEY", "MOST_ITEMS"):
        check(name in ended.stderr, f"{name} is named")
    check("hunter2secret" not in ended.stdout + ended.stderr, "no password is shown")
    check("Traceback" not in ended.stderr, "no traceback")
    check(ended.returncode == os.EX_CONFIG, f"exit status {os.EX_CONFIG} (EX_CONFIG)")


def run(arguments: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python(*arguments), env=env, cwd=HERE, capture_output=True, text=True, timeout=READY_WITHIN, check=False
    )


def migrate(env: dict[str, str]) -> None:
    title("The release phase migrates the schema, in the same release and config")
    ended = run(["-m", "twelvefactor", "admin", "migrate"], env)
    check(ended.returncode == 0, "`twelvefactor admin migrate` ended with 0")
    check('"event":"admin"' in ended.stderr or '"event": "admin"' in ended.stderr, "and told its outcome and duration")


# -- real processes ----------------------------------------------------------------------------------------------------


class Running:
    """A process of the service, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], events: Path) -> None:
        self.process = process
        self._events = events

    @property
    def lines(self) -> list[str]:
        """Its stdout so far; the last line only once it is whole, or nothing more will come."""
        ended = self.process.poll() is not None
        text = self._events.read_text(encoding="utf-8")
        return (text if ended else text.rpartition("\n")[0]).splitlines()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def said(self, event: str) -> bool:
        return any(each["event"] == event for each in self.events)

    @property
    def complaints(self) -> str:
        return self._events.with_suffix(".stderr").read_text(encoding="utf-8")[-2000:]

    def sigterm(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def stopped(self) -> float:
        """Wait until it has ended; how many seconds that took."""
        begun = time.monotonic()
        await asyncio.to_thread(self.process.wait, STOPPED_WITHIN)
        return time.monotonic() - begun


@contextlib.contextmanager
def running(command: list[str], env: dict[str, str], events: Path) -> Iterator[Running]:
    """The process as a child; gone when the block ends, however it ends. Where a promise broke, its stderr is shown."""
    with events.open("wb") as stdout, events.with_suffix(".stderr").open("wb") as stderr:
        process = subprocess.Popen(command, env=env, cwd=HERE, stdout=stdout, stderr=stderr)
    it = Running(process, events)
    try:
        yield it
    except Broken:
        console.print(it.complaints, style="dim", markup=False)
        raise
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def until(holds: Callable[[], bool], it: Running, promise: str) -> None:
    """Wait for what *it* will bring about."""
    ends = time.monotonic() + READY_WITHIN
    while time.monotonic() < ends and it.process.poll() is None:
        if await asyncio.to_thread(holds):
            return
        await asyncio.sleep(0.05)
    raise Broken(f"{promise} within {READY_WITHIN:g} s (it ended with {it.process.poll()})")


def answers_ready(base_url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{base_url}/readyz").status_code == httpx.codes.OK
    return False


@dataclass
class Load:
    """What the clients sent and what they got."""

    sent: int = 0
    answered: dict[int, int] = field(default_factory=dict)
    created: int = 0
    lost: list[str] = field(default_factory=list)

    def note(self, response: httpx.Response) -> None:
        self.answered[response.status_code] = self.answered.get(response.status_code, 0) + 1
        self.created += response.status_code == httpx.codes.CREATED


async def order_something(client: httpx.AsyncClient, load: Load, number: int) -> str:
    """Order, and give the path of the order."""
    load.sent += 1
    response = await client.post("/orders", json={"item": f"tea {number}", "quantity": 1 + number % 5})
    load.note(response)
    return f"/orders/{response.json()['id']}" if response.status_code == httpx.codes.CREATED else "/orders"


async def look_at(client: httpx.AsyncClient, load: Load, path: str) -> None:
    load.sent += 1
    load.note(await client.get(path))


async def a_few_hundred_requests(client: httpx.AsyncClient) -> Load:
    load, numbers = Load(), iter(range(REQUESTS // 2))

    async def customer() -> None:
        for number in numbers:
            await look_at(client, load, await order_something(client, load, number))

    await asyncio.gather(*(customer() for _ in range(AT_ONCE)))
    await look_at(client, load, "/orders")  # the export, a streamed answer
    return load


async def balance(client: httpx.AsyncClient, withdrawn: asyncio.Event) -> None:
    """What a platform's balancer does: ask for readiness, and send nobody any more once it is gone."""
    while not withdrawn.is_set():
        with contextlib.suppress(httpx.TransportError):
            answer = await client.get("/readyz")
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                withdrawn.set()
        await asyncio.sleep(PROBE_PERIOD)


async def customers_until_withdrawn(base_url: str, load: Load, withdrawn: asyncio.Event) -> None:
    """Order, each time on a new connection, until the balancer has moved on; whatever gets no answer is lost."""
    new_each_time = httpx.Limits(max_keepalive_connections=0)

    async def customer(client: httpx.AsyncClient, number: int) -> None:
        while not withdrawn.is_set():
            try:
                path = await order_something(client, load, number)
                if not withdrawn.is_set():
                    await look_at(client, load, path)
            except httpx.TransportError as error:
                load.lost.append(f"{type(error).__name__}: {error}")

    async with httpx.AsyncClient(base_url=base_url, timeout=STOPPED_WITHIN, limits=new_each_time) as client:
        await asyncio.gather(*(customer(client, number) for number in range(AT_ONCE)))


async def stop_under_load(base_url: str, client: httpx.AsyncClient, web: Running, receipts: Running) -> Load:
    """SIGTERM to both processes at once, as a platform does that replaces a release."""
    load, withdrawn = Load(), asyncio.Event()
    customers = asyncio.create_task(customers_until_withdrawn(base_url, load, withdrawn))
    while load.created < AT_ONCE:  # noqa: ASYNC110 - whoever counts does not know who waits
        await asyncio.sleep(0.01)
    receipts.sigterm()
    web.sigterm()
    begun, before = time.monotonic(), load.created
    try:
        await asyncio.wait_for(balance(client, withdrawn), STOPPED_WITHIN)
    except TimeoutError:
        raise Broken(f"a probe was told 503 in the {DRAIN_DELAY:g} s in which the listener was still open") from None
    check(web.process.poll() is None, "readiness turned 503 while the listener was still open")
    await customers
    check(load.created > before, f"{load.created - before} orders were taken after the signal")
    await asyncio.gather(web.stopped(), receipts.stopped())
    took = time.monotonic() - begun
    drained = f"{DRAIN_DELAY:g} s of which it went on serving"
    check(took < STOPPED_WITHIN, f"both ended within {took:.1f} s of SIGTERM, {drained}")
    return load


def jobs_done(*workers: Running) -> list[Any]:
    """The orders whose job ended well, by the workers' own events."""
    told = [each for it in workers for each in it.events]
    well = {each["work_id"] for each in told if each["event"] == "job" and each["outcome"] == "ok"}
    return [each["order"] for each in told if each["event"] == "receipt.sent" and each["work_id"] in well]


# -- what is shown ----------------------------------------------------------------------------------------------------


def show_events(web: Running, *workers: Running) -> None:
    title("A handful of its events: one JSON object a line, on stdout")
    lines = [line for it in (web, *workers) for line in it.lines]
    told = [json.loads(line) for line in lines]
    check(bool(told), f"each of {len(told)} lines is JSON")
    ordered = next(each for each in told if each["event"] == "order.created")
    show("twelvefactor.starting", lines, told)
    show("twelvefactor.ready", lines, told)
    show("order.created", lines, told)
    show("request", lines, told, request_id=ordered["request_id"])
    show("receipt.sent", lines, told, order=ordered["order"])
    show("job", lines, told, request_id=ordered["request_id"])
    show("twelvefactor.stopped", lines, told)
    check(SECRET not in "\n".join(lines), "no secret is on the stream")
    orders, requests, jobs = (ids_of(told, name) for name in ("order.created", "request", "job"))
    check(orders <= requests & jobs, "an order, its request and its job carry the same request id")


def ids_of(told: list[dict[str, Any]], event: str) -> set[str]:
    return {each["request_id"] for each in told if each["event"] == event}


def show(name: str, lines: list[str], told: list[dict[str, Any]], **fields: Any) -> None:
    """The first event of that name that has these fields."""
    wanted = {"event": name, **fields}
    event = next((line for line, each in zip(lines, told, strict=True) if wanted.items() <= each.items()), None)
    check(event is not None, f"[bold]{name}[/]")
    console.print(f"    {event}", style="dim", markup=False, soft_wrap=True)


def show_scorecard(env: dict[str, str], evidence: Path) -> None:
    title("What the processes can prove so far")
    ended = run(["-m", "twelvefactor", "check", "--evidence", str(evidence)], env)
    console.print(ended.stderr.rstrip(), style="red", markup=False)
    console.print(ended.stdout.rstrip(), markup=False)
    check(ended.returncode == 0 and "decided" in ended.stdout, "the scorecard was drawn from what they did")
    types = {json.loads(each.read_text())["process_type"] for each in evidence.glob("*.json")}
    check(types == {"web", "worker", "admin"}, f"the witnesses: {', '.join(sorted(types))}")


async def demo(folder: Path, database: str, cache: str) -> None:
    port = engines.free_port()
    evidence = folder / "evidence"
    evidence.mkdir()
    env = environment(database, cache, port) | {"TWELVEFACTOR_EVIDENCE": str(evidence)}
    refuse_wrong_environment(env)
    migrate(env)
    title("A real server on a free port, and a real worker")
    base_url = f"http://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(running(server(port), env, folder / "web.jsonl"))
        await until(lambda: answers_ready(base_url), web, "the server was ready")
        receipts = stack.enter_context(running(worker(), env, folder / "worker.jsonl"))
        await until(lambda: receipts.said("twelvefactor.ready"), receipts, "the worker was ready")
        check(True, f"uvicorn serves orders on port {port}, dramatiq does their jobs")
        async with httpx.AsyncClient(base_url=base_url, timeout=STOPPED_WITHIN) as client:
            first = await a_few_hundred_requests(client)
            check(set(first.answered) <= {200, 201}, f"{first.sent} requests, {AT_ONCE} at once: {first.answered}")
            mistake = await client.post("/charge")
            check(mistake.status_code == httpx.codes.INTERNAL_SERVER_ERROR, "a mistake is a 500")
            title("SIGTERM to both in the middle of the load")
            second = await stop_under_load(base_url, client, web, receipts)
    check(not second.lost, f"{second.sent} more requests, none lost: {second.answered} {second.lost or ''}")
    check(second.sent == sum(second.answered.values()), "every request that was sent was answered")
    acknowledged = first.created + second.created
    kept, sent = counts(database, cache)
    check(kept == acknowledged, f"every acknowledged order is kept: {kept} of {acknowledged}")
    title(f"{sent} receipts are sent; the next worker finds the other {kept - sent} jobs in the queue")
    with running(worker(), env, folder / "next.jsonl") as rest:
        await until(lambda: counts(database, cache)[1] >= acknowledged, rest, "every receipt was sent")
        rest.sigterm()
        await rest.stopped()
    orders = jobs_done(receipts, rest)
    check(len(set(orders)) == acknowledged, f"every order has its receipt in PostgreSQL: {len(set(orders))} of {kept}")
    check(len(orders) == len(set(orders)), "no job was lost, and none was done twice")
    show_events(web, receipts, rest)
    show_scorecard(env, evidence)


def counts(database: str, cache: str) -> tuple[int, int]:
    """What the engines hold, asked without the service."""
    import redis
    from sqlalchemy import create_engine

    sys.path.insert(0, str(HERE))
    from orders.store import Orders

    driver = database.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(driver)
    try:
        with redis.Redis.from_url(cache) as client:
            return Orders(engine, client).counts()
    finally:
        engine.dispose()


def keep(database: str, cache: str) -> int:
    """Serve in the foreground until Ctrl-C or SIGTERM."""
    port = int(os.environ.get("PORT") or 8000)
    env = environment(database, cache, port) | {"LOG_FORMAT": os.environ.get("LOG_FORMAT", "auto")}
    migrate(env)
    console.print(f"\nPOST to http://127.0.0.1:{port}/orders, such as:")
    console.print(f'  curl -d \'{{"item": "tea", "quantity": 2}}\' http://127.0.0.1:{port}/orders', markup=False)
    processes = [subprocess.Popen(command, env=env, cwd=HERE) for command in (server(port), worker())]
    signal.signal(signal.SIGTERM, lambda *_: [each.terminate() for each in processes])
    return max(map(to_the_end, processes))


def to_the_end(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # it got the signal too, and stops


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="serve in the foreground until Ctrl-C")
    keeping = parser.parse_args().keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="orders-demo-") as folder:
        title("Real engines, from wheels")
        with engines.postgres() as database, engines.redis() as cache:
            console.print(f"  PostgreSQL and Redis after {time.monotonic() - began:.1f} s")
            if keeping:
                return keep(database, cache)
            asyncio.run(demo(Path(folder), database, cache))
    console.print(f"\n[bold green]All of it happened[/], in {time.monotonic() - began:.0f} s.")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except Broken as broken:
        console.print(f"\n[bold red]This did not happen:[/] {broken}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
