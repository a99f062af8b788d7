"""
What the start-up checks of factors I, II and V cost: 100 distributions, 500 source files of the app, CPU time.

    python benchmarks/startup_checks.py

Everything is made in a temporary folder: distributions with metadata and lists of files, an app of 500 modules that
import them, a lock, a build manifest. Beside it: what reading and hashing the same files costs, the floor.
"""

import hashlib
import importlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from twelvefactor._core import distributions
from twelvefactor._core.appcode import AppCode
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor.factor import Evidence
from twelvefactor.work import InFlight

DISTRIBUTIONS, FILES, ROUNDS = 100, 500, 7
LINES = 120  # of a module
BUDGET = 150.0  # milliseconds


class Running:
    name = "orders"
    clock = SYSTEM_CLOCK
    process_type = "web"
    config = None
    deploy = None

    def __init__(self, root, manifest):
        self.app_code = AppCode(root)
        self.environ = {"TWELVEFACTOR_ENFORCE": "TF1,TF2,TF5", "GIT_SHA": "a", "PATH": "/usr/bin:/bin"}  # all at once
        self.manifest = manifest
        self.declaration = {}
        self.evidence = Evidence()
        self.findings = self.evidence.findings
        self.in_flight = InFlight()

    def event(self, level, event, **fields):
        pass

    def fault(self, where, error):
        raise error


def make(folder):
    site, root = folder / "site", folder / "app"
    for n in range(DISTRIBUTIONS):
        info = site / f"dist{n}-1.{n}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist{n}\nVersion: 1.{n}\n" + "x" * 5000)
        (info / "RECORD").write_text("".join(f"pkg{n}/m{i}.py,sha256=abc,100\n" for i in range(200)))
        package = site / f"pkg{n}"
        package.mkdir()
        (package / "__init__.py").write_text("")
    package = root / "bench_app"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    body = "\n".join(f"def f{i}(a, b):\n    return a + b + {i}\n" for i in range(LINES // 3))
    for n in range(FILES):
        (package / f"m{n}.py").write_text(f"import json\nimport pkg{n % DISTRIBUTIONS}\n{body}")
    return site, root


def main():
    with tempfile.TemporaryDirectory() as name:
        site, root = make(Path(name))
        sys.path[:0] = [str(site), str(root)]
        for n in range(FILES):
            importlib.import_module(f"bench_app.m{n}")
        names = [f"dist{n}" for n in range(DISTRIBUTIONS)]
        manifest = {
            "commit": "a",
            "dirty": False,
            "declared": {"source": "pyproject.toml", "requirements": names},
            "lock": {
                "file": "uv.lock",
                "packages": {n: [f"1.{n[4:]}"] for n in names},
                "required": names,
                "platform": sys.platform,
            },
        }
        floor = timed(lambda: [hashlib.sha256(path.read_bytes()).digest() for path in root.rglob("*.py")])
        rooms, total = {}, []
        for room in ("codebase", "dependencies", "build_release_run"):
            importlib.import_module(f"twelvefactor.{room}").sensors(Running(root, manifest))  # imports
        for _ in range(ROUNDS):
            spent = 0.0
            for room in ("codebase", "dependencies", "build_release_run"):
                distributions.forget()
                one = check(room, root, manifest)
                rooms.setdefault(room, []).append(one)
                spent += one
            total.append(spent)
        report = {room: round(statistics.median(times), 1) for room, times in rooms.items()}
        whole = statistics.median(total)
        print(json.dumps({"milliseconds": report, "total": round(whole, 1), "floor": round(floor, 1)}))
        print(f"{whole:.0f} ms of {BUDGET:.0f} ms; {whole / floor:.1f} times reading and hashing the same files once")
        return 0 if whole <= BUDGET else 1


def check(room, root, manifest):
    process = Running(root, manifest)
    sensors = importlib.import_module(f"twelvefactor.{room}").sensors(process)
    spent = timed(lambda: [sensor.install() for sensor in sensors])
    for sensor in reversed(sensors):
        sensor.remove()
    return spent


def timed(act):
    begun = time.thread_time()
    act()
    return (time.thread_time() - begun) * 1000


if __name__ == "__main__":
    sys.exit(main())
