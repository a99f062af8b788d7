"""
What the state-leak detector costs: report mode beside a bare call, off, memory, discovery, thorough mode.

Ratios of one run, interleaved: `python benchmarks/leaks.py [rounds]`, `python benchmarks/leaks.py soak 1000000`,
`python benchmarks/leaks.py served [pairs]` (the CPU time of a server's process, uvicorn with httptools and uvloop).
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import tracemalloc
from pathlib import Path
from types import ModuleType, SimpleNamespace

from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from twelvefactor._core.appcode import AppCode
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor.factor import Evidence
from twelvefactor.processes.graph import Graph
from twelvefactor.processes.watch import StateWatch
from twelvefactor.work import InFlight

CALLS = 2_000
ROOT = Path(__file__).resolve().parent


def process():
    """A process without a service."""
    evidence = Evidence()
    return SimpleNamespace(
        name="bench",
        environ={},
        clock=SYSTEM_CLOCK,
        evidence=evidence,
        findings=evidence.findings,
        app_code=AppCode(ROOT),
        in_flight=InFlight(),
        process_type="web",
        declaration={},
        deploy=None,
        config=None,
        event=lambda *_, **__: None,
        fault=lambda where, error: print("fault", where, repr(error), file=sys.stderr),
    )


async def hello(_request):
    return PlainTextResponse("hello")


ASGI = Starlette(routes=[Route("/", hello)])
WSGI = Flask("bench")


@WSGI.get("/")
def home():
    return "hello"


def scope():
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"host", b"bench")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("bench", 80),
        "client": ("bench", 1),
        "root_path": "",
    }


def environ():
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "bench",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_message):
    pass


def asgi_round(hands):
    """Seconds of thread time per call of the Starlette app, in a unit of work of *hands* or bare."""

    async def calls():
        for _ in range(CALLS):
            carrier = scope()
            if hands is None:
                await ASGI(carrier, receive, send)
                continue
            with hands.work("request", "/") as work:
                work.carrier = carrier
                await ASGI(carrier, receive, send)

    started = time.thread_time_ns()
    asyncio.run(calls())
    return (time.thread_time_ns() - started) / CALLS / 1_000


def wsgi_round(hands):
    """The same for the Flask app."""
    started = time.thread_time_ns()
    for _ in range(CALLS // 4):
        carrier = environ()
        if hands is None:
            list(WSGI(carrier, lambda *_: None))
            continue
        with hands.work("request", "/") as work:
            work.carrier = carrier
            list(WSGI(carrier, lambda *_: None))
    return (time.thread_time_ns() - started) / (CALLS // 4) / 1_000


def watched(mode):
    """A process whose work is watched."""
    made = process()
    watch = StateWatch(made, mode)
    watch.install()
    watch.ready()
    return made, watch


def compare(name, round_, rounds):
    """Bare, in a unit of work, in a watched unit of work: interleaved, and the marginal cost of the watch."""
    plain = process().in_flight
    report, watch = watched("report")
    bare, opened, seen = [], [], []
    for _ in range(10):
        round_(report.in_flight)  # until start-up's credit is spent
    for _ in range(rounds):
        bare.append(round_(None))
        opened.append(round_(plain))
        watch._paid_until = time.process_time()  # the time of the other rounds is not this process's work
        seen.append(round_(report.in_flight))
    watch.remove()
    low = [min(each) for each in (bare, opened, seen)]
    pairs = sorted((each[2] - each[1]) / each[0] for each in zip(bare, opened, seen, strict=True))
    print(
        f"{name}: bare {low[0]:.1f} us, in a unit {low[1]:.1f} us, watched {low[2]:.1f} us; the watch costs "
        f"{(low[2] - low[1]) / low[0]:+.1%} of a bare call at best, {pairs[len(pairs) // 2]:+.1%} by median"
    )


def large_app(nodes):
    """Modules with so many long-lived containers."""
    modules = []
    for number in range(nodes // 100):
        module = ModuleType(f"benchapp{number}")
        module.__file__ = str(ROOT / "benchapp.py")
        for index in range(99):
            setattr(module, f"table{index}", {f"k{n}": n for n in range(8)})
        sys.modules[module.__name__] = module
        modules.append(module.__name__)
    return modules


def discovery(nodes):
    """Time and memory of a graph of so many nodes, and of a look at all of it."""
    modules = large_app(nodes)
    gc.collect()
    graph = Graph(AppCode(ROOT).owns)
    started = time.process_time()
    graph.discover()
    discovered = time.process_time() - started
    started = time.process_time()
    for block in graph.blocks:
        graph.look(block)
    looked = time.process_time() - started
    graph.clear()
    gc.collect()
    tracemalloc.start()
    graph = Graph(AppCode(ROOT).owns)
    graph.discover()
    memory = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    times = f"discovery {discovered * 1e3:.0f} ms, one look {looked * 1e3:.2f} ms"
    print(f"{len(graph):,} nodes: {times}, memory {memory:.1f} MB")
    graph.clear()
    for name in modules:
        del sys.modules[name]


def soak(calls):
    """So many requests of a clean app, sampled: nothing is found and nothing grows."""
    made, watch = watched("report")
    for _ in range(20):
        asgi_round(made.in_flight)
    gc.collect()
    tracemalloc.start()
    for _ in range(calls // CALLS // 2):
        asgi_round(made.in_flight)
    gc.collect()
    middle = tracemalloc.get_traced_memory()[0]
    for _ in range(calls // CALLS // 2):
        asgi_round(made.in_flight)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - middle
    tracemalloc.stop()
    watch.settle()
    state = f"{len(watch.judge.cases)} cases, {len(watch.waiting)} pending, {len(watch.graph)} nodes"
    print(
        f"soak of {calls:,}: findings {list(made.findings)}, memory {grown / 1024:+.1f} kB in the second half, {state}"
    )
    watch.remove()


def served(pairs):
    """A real server with the watch off and in report mode, asked in turn: CPU time a request."""
    import statistics
    import tempfile

    import uvloop
    from server import APP, Server, cpu_of, load

    command = (
        sys.executable,
        "-m",
        "uvicorn",
        "orders:app",
        "--port",
        "{port}",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "orders.py").write_text(APP)
        environ = {"PYTHONPATH": f"{ROOT.parent}:{ROOT}", "WITH": "twelvefactor"}
        modes = ("off", "report")
        servers = [Server(command, cwd=folder, environ={**environ, "TWELVEFACTOR_LEAKS": mode}) for mode in modes]
        spent = {mode: [] for mode in modes}
        try:
            for server in servers:
                server.start()
                uvloop.run(load(server.port))
            for pair in range(pairs):
                turn = list(zip(modes, servers, strict=True))
                for mode, server in turn if pair % 2 else reversed(turn):
                    before = cpu_of(server.pid)
                    answered = uvloop.run(load(server.port))
                    spent[mode].append((cpu_of(server.pid) - before) / answered * 1e6)
                    server.lines.clear()
        finally:
            for server in servers:
                server.kill()
    ratios = [on / off - 1 for off, on in zip(*spent.values(), strict=True)]
    off, on = (statistics.median(each) for each in spent.values())
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    print(
        f"served, {pairs} pairs: off {off:.1f} us, report {on:.1f} us of CPU a request; "
        f"{statistics.median(ratios):+.1%} by median of the pairs, {statistics.mean(ratios):+.1%} ± {error:.1%} by mean"
    )


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "served":
        served(int(sys.argv[2]) if len(sys.argv) > 2 else 12)
        return
    if len(sys.argv) > 2 and sys.argv[1] == "soak":
        soak(int(sys.argv[2]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"Python {sys.version.split()[0]}")
    compare("Starlette", asgi_round, rounds)
    compare("Flask", wsgi_round, rounds)
    discovery(8_000)
    discovery(19_900)


if __name__ == "__main__":
    main()
