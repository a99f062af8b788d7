"""
A whole server under load, with an access line for every request: requests a second, as ratios within one run.

    python benchmarks/server.py

uvicorn with httptools and uvloop serves the same Starlette app five ways: bare, with uvicorn's own access log, with a
hand-written middleware that does only the duties (the floor of `asgi.py`), with twelvefactor (its access event on), and
with its leak watch too. One process serves, this one asks over kept-alive
connections; what counts is the CPU time of the server's process, of which interleaved rounds give the first decile,
for what else runs on the machine only ever adds. Standard output is a pipe that somebody reads.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))
from _ratios import tenth  # noqa: E402 - the path is set above

from twelvefactor.testing.servers import Server  # noqa: E402 - the path is set above

ROUNDS = int(os.environ.get("ROUNDS", "15"))
SECONDS = float(os.environ.get("SECONDS", "0.7"))
CONNECTIONS = 32
REQUEST = b"GET /orders/7 HTTP/1.1\r\nHost: orders.example.com\r\nAccept: */*\r\nUser-Agent: load\r\n\r\n"
GOALS = {"bare": 0.80, "uvicorn's access log": 1.3}

APP = """
import os
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

async def show(request):
    return JSONResponse({"order": request.path_params["order"]})

async def readyz(request):
    return PlainTextResponse("ok")

routes = [Route("/orders/{order:int}", show)]
if os.environ.get("WITH") == "twelvefactor":
    import twelvefactor as tf
    app = tf.Service("orders").asgi(Starlette(routes=routes))
elif os.environ.get("WITH") == "hand":
    from asgi import HandWritten
    app = HandWritten(Starlette(routes=[*routes, Route("/readyz", readyz)]))
else:
    app = Starlette(routes=[*routes, Route("/readyz", readyz)])
"""


class Load(asyncio.Protocol):
    """One kept-alive connection that asks again as soon as it is answered."""

    answered = 0
    running = True

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""
        transport.write(REQUEST)

    def data_received(self, data):
        self.buffer += data
        if not self.buffer.endswith(b"}"):
            return
        assert self.buffer.startswith(b"HTTP/1.1 200"), self.buffer
        self.buffer = b""
        Load.answered += 1
        if Load.running:
            self.transport.write(REQUEST)
        else:
            self.transport.close()


async def load(port):
    """Answers for so many seconds."""
    loop = asyncio.get_running_loop()
    Load.answered, Load.running = 0, True
    for _ in range(CONNECTIONS):
        await loop.create_connection(Load, "127.0.0.1", port)
    await asyncio.sleep(SECONDS)
    Load.running = False
    await asyncio.sleep(0.1)
    return Load.answered


def cpu_of(pid):
    """CPU seconds of the server's process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    import tempfile

    import uvloop

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "orders.py").write_text(APP)
        uvicorn = (sys.executable, "-m", "uvicorn", "orders:app", "--port", "{port}", "--loop", "uvloop")
        uvicorn += ("--http", "httptools")
        environ = {"PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"}
        ours = {"WITH": "twelvefactor"}
        servers = {
            "bare": Server((*uvicorn, "--no-access-log"), cwd=folder, environ=environ),
            "uvicorn's access log": Server(uvicorn, cwd=folder, environ=environ),
            "twelvefactor": Server(uvicorn, cwd=folder, environ={**environ, **ours, "TWELVEFACTOR_LEAKS": "off"}),
            "twelvefactor, and the leak watch": Server(uvicorn, cwd=folder, environ={**environ, **ours}),
            "hand-written": Server((*uvicorn, "--no-access-log"), cwd=folder, environ={**environ, "WITH": "hand"}),
        }
        samples = {name: [] for name in servers}
        try:
            for server in servers.values():
                server.start()
                uvloop.run(load(server.port))
            for _ in range(ROUNDS):
                for name, server in servers.items():
                    before = cpu_of(server.pid)
                    answered = uvloop.run(load(server.port))
                    samples[name].append((cpu_of(server.pid) - before) / answered * 1e6)
                    server.lines.clear()
        finally:
            for server in servers.values():
                server.kill()
    return report({name: tenth(each) for name, each in samples.items()})


def report(times):
    """CPU time a request, and how many requests ours serves to one of each."""
    ours, met = times["twelvefactor"], True
    print("\nA whole server under load\n\n| | CPU µs a request | ours serves, to it | goal |\n|---|---:|---:|---:|")
    for name, spent in sorted(times.items(), key=lambda pair: pair[1]):
        ratio, goal = spent / ours, GOALS.get(name)
        met &= goal is None or ratio >= goal
        verdict = "" if goal is None else f"≥ {goal} {'✓' if ratio >= goal else '✗'}"
        print(f"| {name} | {spent:.1f} | {ratio:.2f} | {verdict} |")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
