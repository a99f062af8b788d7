"""
The labelled set: small modules of which it is known what leaks, where, and what only looks like a leak.

`python tests/processes/labelled.py [thorough|report]` prints recall, precision, lines and blame.
"""

import asyncio
import gc
import locale
import logging
import os
import random
import re
import signal
import string
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

CASES = Path(__file__).parent / "cases"
_MARK = re.compile(r"# LEAK (?P<marks>.*)$")


@dataclass
class Leak:
    """One leak that a case has: the rules that may tell it, the end of its path, its line."""

    rules: tuple[str, ...]
    name: str
    lines: set[int]


@dataclass
class Case:
    """A module with its labels."""

    file: str
    name: str
    source: str
    drive: str = "plain"
    leaks: list[Leak] = field(default_factory=list)

    @property
    def id(self):
        return f"{self.file}: {self.name}"


@dataclass
class Outcome:
    """What the detector said of a case."""

    missed: list = field(default_factory=list)
    extra: list = field(default_factory=list)
    wrong_line: list = field(default_factory=list)
    wrong_blame: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    seconds: float = 0.0


def load():
    """Every case of every file."""
    return [case for file in sorted(CASES.glob("*.txt")) for case in _read(file)]


def _read(file):
    for block in re.split(r"^# case: ", file.read_text(), flags=re.MULTILINE)[1:]:
        name, _, source = block.partition("\n")
        case = Case(file.stem, name.strip(), source)
        for number, line in enumerate(source.splitlines(), 1):
            if line.startswith("# drive: "):
                case.drive = line.removeprefix("# drive: ").strip()
            mark = _MARK.search(line)
            for label in mark["marks"].split(";") if mark else ():
                rules, _, path = label.strip().partition(" ")
                known = next((leak for leak in case.leaks if leak.name == path.strip()), None)
                if known is not None:
                    known.lines.add(number)  # one of several lines that write to the same place
                else:
                    case.leaks.append(Leak(tuple(rules.split("|")), path.strip(), {number}))
        yield case


@contextmanager
def same_process_afterwards():
    """Put back what a case does to the process."""
    import builtins
    import json

    cwd, umask, path, limit = os.getcwd(), os.umask(0o22), list(sys.path), sys.getrecursionlimit()
    os.umask(umask)
    place, zone, filters = locale.setlocale(locale.LC_ALL), os.environ.get("TZ"), list(warnings.filters)
    handler, dumps, ascii_, state = signal.getsignal(signal.SIGUSR2), json.dumps, builtins.ascii, random.getstate()
    digits, fraction = string.digits, Fraction.limit_denominator
    try:
        yield
    finally:
        os.chdir(cwd)
        os.umask(umask)
        sys.path[:] = path
        sys.setrecursionlimit(limit)
        locale.setlocale(locale.LC_ALL, place)
        os.environ.pop("TZ", None) if zone is None else os.environ.update(TZ=zone)
        time.tzset()
        warnings.filters[:] = filters
        signal.signal(signal.SIGUSR2, handler)
        json.dumps, builtins.ascii, string.digits = dumps, ascii_, digits
        Fraction.limit_denominator = fraction
        random.setstate(state)
        for name in ("acts.case", "acts.handlers"):
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).setLevel(logging.NOTSET)


def run(case, app, mode="thorough", units=9, **options):
    """Run *case* in *app* (see conftest) and compare what was found with its labels."""
    with same_process_afterwards(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        started = time.perf_counter()
        module = app.write(case.source)
        if hasattr(module, "start"):
            module.start()
        app.start(mode, **options)
        done = {}
        try:
            DRIVES[case.drive](app, module, units, done)
            app.watch.settle()
        finally:
            if hasattr(module, "stop_it"):
                module.stop_it()
            app.close()
            module.__dict__.clear()
            gc.collect()
        outcome = judge(case, app, done)
        outcome.seconds = time.perf_counter() - started
        return outcome


def judge(case, app, done):
    """Compare findings with labels."""
    outcome = Outcome(faults=list(app.process.faults))
    findings = list(app.process.findings)
    for leak in case.leaks:
        found = next((f for f in findings if f.rule.id in leak.rules and _names(f.culprit, leak.name)), None)
        if found is None:
            outcome.missed.append((leak, [(f.rule.id, f.culprit) for f in findings]))
            continue
        findings = [f for f in findings if f is not found]
        if found.where.rpartition(":")[2] not in set(map(str, leak.lines)):
            outcome.wrong_line.append((leak, found.where, found.evidence.get("certainty"), found.evidence.get("lines")))
        works = found.evidence.get("works", [])
        blamed = [done.get(work, "nobody") for work in works]
        if found.work is not None and not all(blame is True for blame in blamed):
            outcome.wrong_blame.append((leak, blamed))
    outcome.extra = [(f.rule.id, f.culprit, f.where) for f in findings]
    return outcome


def _names(culprit, name):
    return culprit == name or name in culprit


def _carrier(user):
    return {"type": "http", "path": "/x", "query_string": f"user={user}".encode(), "headers": []}


def _writes(module, user):
    return module.writes(user) if hasattr(module, "writes") else True


def _users(units):
    return [f"user-{1000 + n}" for n in range(units)]


def _plain(app, module, units, done, kind="request"):
    for user in _users(units):
        with app.work("unit", kind, _carrier(user)) as work:
            module.request(user)
        done[work.id] = _writes(module, user)


def _job(app, module, units, done):
    _plain(app, module, units, done, "job")


def _nested(app, module, units, done):
    for user in _users(units):
        with app.work("outer", carrier=_carrier(user)) as outer:
            module.request(user)
            with app.work("inner", "job") as inner:
                module.job(user)
        done[outer.id], done[inner.id] = sys.version_info < (3, 12), True


async def _one(app, module, user, done):
    async with app.process.in_flight.work("request", "unit") as work:
        work.carrier = _carrier(user)
        await module.request(user)
    done[work.id] = _writes(module, user)


def _loop(app, module, units, done):
    async def main():
        background = module.start_in_loop() if hasattr(module, "start_in_loop") else None
        for user in _users(units):
            await asyncio.create_task(_one(app, module, user, done))
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        for _ in range(3):  # on a busy machine tasks end in the turn of that sleep, and their callbacks one turn later
            await asyncio.sleep(0)
        app.watch.settle()
        if background is not None:
            background.cancel()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(main())


def _interleaved(app, module, units, done):
    async def main():
        users = _users(units)
        for start in range(0, units, 3):
            await asyncio.gather(*(_one(app, module, user, done) for user in users[start : start + 3]))

    asyncio.run(main())


DEAR = {"threads left", "timers left", "child processes left", "files left open", "sockets left open", "tasks left"}
"""What 2,560 units of leave too much behind; report mode is tried on the others."""

DRIVES = {"plain": _plain, "job": _job, "nested": _nested, "loop": _loop, "interleaved": _interleaved}


def main():
    """Print how the detector does on the whole set."""
    sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).parent)]
    from conftest import App

    mode = sys.argv[1] if len(sys.argv) > 1 else "thorough"
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    units = 9 if mode == "thorough" else 2_560
    leaks = missed = extra = lines = blames = clean = 0
    for case in load():
        if only not in case.id or (mode == "report" and case.name in DEAR):
            continue
        app = App(Path(tempfile.mkdtemp()))
        outcome = run(case, app, mode, units)
        leaks, clean = leaks + len(case.leaks), clean + (not case.leaks)
        missed, extra = missed + len(outcome.missed), extra + len(outcome.extra)
        lines, blames = lines + len(outcome.wrong_line), blames + len(outcome.wrong_blame)
        if outcome.missed or outcome.extra or outcome.wrong_line or outcome.wrong_blame or outcome.faults:
            print(case.id, outcome, sep="\n    ")
    found = max(1, leaks - missed)
    print(f"{sys.version.split()[0]} {mode}: {leaks} leaks, {clean} clean cases")
    print(
        f"recall {1 - missed / max(1, leaks):.1%}, false positives {extra}, right line {1 - lines / found:.1%}, wrong blame {blames}"
    )


if __name__ == "__main__":
    main()
