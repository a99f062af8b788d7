"""
The SIGTERM drill on every server, plain and with the library: what its clients notice of a stop.

python benchmarks/drill.py [--runs 5] [--plain] [--only "uvicorn;granian asgi"] [--modes new,kept] [--write FILE]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from twelvefactor.testing.drill import Result, Visitors, drill, told  # noqa: E402 - the checkout, not an installed one

PYTHON = sys.executable
BIND = "127.0.0.1:{port}"
ASGI = {
    "uvicorn": ["uvicorn", "{app}", "--port", "{port}", "--log-level", "warning"],
    "uvicorn --reload": [
        *("uvicorn", "{app}", "--port", "{port}", "--log-level", "warning"),
        *("--reload", "--reload-dir", "tests/disposability"),
    ],
    "uvicorn --workers 2": ["uvicorn", "{app}", "--port", "{port}", "--workers", "2", "--log-level", "warning"],
    "gunicorn UvicornWorker": ["gunicorn", "{app}", "-b", BIND, "-k", "uvicorn_worker.UvicornWorker"],
    "gunicorn asgi": ["gunicorn", "{app}", "-b", BIND, "-k", "asgi"],
    "granian asgi": ["granian", "{app}", "--port", "{port}", "--interface", "asgi", "--no-log"],
    "hypercorn": ["hypercorn", "{app}", "-b", BIND],
    "hypercorn -w 0": ["hypercorn", "{app}", "-b", BIND, "-w", "0"],
    "hypercorn -w 2": ["hypercorn", "{app}", "-b", BIND, "-w", "2"],
}
WSGI = {
    "gunicorn gthread": ["gunicorn", "{app}", "-b", BIND, "-k", "gthread", "--threads", "60"],
    "gunicorn gthread --preload": ["gunicorn", "{app}", "-b", BIND, "-k", "gthread", "--threads", "60", "--preload"],
    "gunicorn sync": ["gunicorn", "{app}", "-b", BIND, "-w", "4"],
    "gunicorn sync --preload": ["gunicorn", "{app}", "-b", BIND, "-w", "4", "--preload"],
    "granian wsgi": [
        "granian",
        "{app}",
        "--port",
        "{port}",
        "--interface",
        "wsgi",
        "--no-log",
        "--blocking-threads",
        "60",
    ],
    "waitress": ["waitress", "--listen=" + BIND, "--threads=60", "{app}"],
    "Django runserver --noreload": ["tests.disposability.drilled_django", "runserver", "--noreload", "{port}"],
}
RUN_SERVERS = {"asgi": ("uvicorn", "granian", "hypercorn", "gunicorn"), "wsgi": ("gunicorn", "granian", "waitress")}
RUN = {
    f"run web, {server} {kind}": ["twelvefactor", "run", "web", "--server", server]
    for kind, servers in RUN_SERVERS.items()
    for server in servers
}  # servers that we start; there is no plain one


def is_asgi(name: str) -> bool:
    return name in ASGI or (name in RUN and name.endswith(" asgi"))


def visitors(name: str, keep_alive: bool) -> list[Visitors]:
    if name.startswith("gunicorn sync") or (name in RUN and not is_asgi(name)):
        return [
            Visitors("/work", 12, keep_alive),
            Visitors("/stream", 1, keep_alive, stream=True),
            Visitors("/background", 2, keep_alive),
        ]
    load = [
        Visitors("/work", 40, keep_alive),
        Visitors("/stream", 5, keep_alive, stream=True),
        Visitors("/background", 5, keep_alive),
    ]
    if is_asgi(name):
        load += [Visitors("/spawn", 3, keep_alive), Visitors("/echo", 4, websocket=True)]
    return load


def command(name: str, plain: bool) -> list[str]:
    app = f"tests.disposability.drilled:{'plain_' if plain else ''}{'asgi' if name in ASGI else 'wsgi'}"
    parts = [part.replace("{app}", app) for part in {**ASGI, **WSGI, **RUN}[name]]
    if name in RUN:
        return [PYTHON, "-m", *parts, "--service", "tests.disposability.drilled:service"]
    quiet = ["--no-control-socket", "--log-level", "warning"] if parts[0] == "gunicorn" else []
    return [PYTHON, "-m", *parts, *quiet]


def once(name: str, keep_alive: bool, plain: bool) -> Result:
    environ = {"LOG_LEVEL": "WARNING" if plain else "INFO", **({"DRILL_PLAIN": "1"} if plain else {})}
    environ["DRILL_KIND"] = "asgi" if is_asgi(name) else "wsgi"
    return drill(command(name, plain), visitors=visitors(name, keep_alive), environ=environ, cwd=ROOT)


def write(results: dict[str, list[Result]], path: Path | None) -> str:
    table = "\n".join(told(dict(sorted(results.items()))))
    if path is not None and results:
        path.write_text(table + "\n")
    return table


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--modes", default="new,kept")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    names = [name for name in (*ASGI, *WSGI, *RUN) if not options.only or name in options.only.split(";")]
    results: dict[str, list[Result]] = {}
    for run in range(options.runs):
        write(results, options.write)
        for name in names:
            for mode in options.modes.split(","):
                for plain in (True, False) if options.plain and name not in RUN else (False,):
                    title = f"{name}, {mode} connections{', plain' if plain else ''}"
                    began = time.monotonic()
                    result = once(name, mode == "kept", plain)
                    results.setdefault(title, []).append(result)
                    took = time.monotonic() - began
                    print(run, title, result.noticed or "unnoticed", result.faults, f"{took:.0f} s", flush=True)
    print(write(results, options.write))
    return int(any(run.noticed for title, runs in results.items() if "plain" not in title for run in runs))


if __name__ == "__main__":
    sys.exit(main())
