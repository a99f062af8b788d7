"""
What factor VIII costs: the lag probe of the event loop, the sensors at each unit of work, a worker's probe.

    python benchmarks/concurrency.py

CPU time, interleaved rounds. The second table says how many blocks of the loop are named, by how long they are.
"""

import asyncio
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from twelvefactor import probe
from twelvefactor.concurrency import sensors
from twelvefactor.concurrency.lag import LoopLag
from twelvefactor.service import Service
from twelvefactor.work import InFlight

ROUNDS = int(os.environ.get("ROUNDS", "7"))
IDLE = 2.0  # seconds of each idle round
TURNS = 200_000
UNITS = 20_000
BLOCKS = 20
PROBE_BUDGET, SHARE_BUDGET = 0.1, 0.005  # seconds of CPU; share of one processor


def service():
    return Service("bench", environ={"TWELVEFACTOR_LEAKS": "off"}, stream=io.StringIO(), packages=["__main__"])


async def watched(act, on):
    made = service()
    lag = LoopLag(made)
    if on:
        lag.install()
        lag.ready()
    before = time.process_time()
    found = await act()
    spent = time.process_time() - before
    lag.remove()
    return spent, found, made


async def idle():
    await asyncio.sleep(IDLE)


async def busy():
    for _ in range(TURNS):
        await asyncio.sleep(0)


def compare(act):
    spent = {False: [], True: []}
    for _ in range(ROUNDS):
        for on in (False, True):
            spent[on].append(asyncio.run(watched(act, on))[0])
    return {on: min(each) for on, each in spent.items()}


def block(seconds):
    threading.Event().wait(seconds)


def named(seconds):
    """The share of blocks of so many seconds, at any moment between two turns, that are named."""

    async def act():
        await asyncio.sleep(0.06 + time.monotonic() % 0.025)
        block(seconds)
        await asyncio.sleep(0.06)

    return sum(bool(asyncio.run(watched(act, True))[2].findings.of("TF805")) for _ in range(BLOCKS)) / BLOCKS


def units(with_room):
    made = service()
    hands = made.in_flight = InFlight()
    made.become("web")
    room = sensors(made) if with_room else ()
    for each in room:
        each.install()
    with hands.work("request", "first"):
        pass
    before = time.process_time()
    for _ in range(UNITS):
        with hands.work("request", "r"):
            pass
    spent = time.process_time() - before
    for each in room:
        each.remove()
    return spent / UNITS * 1e6


def run(*words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(name, without, with_, added):
    print(f"| {name} | {without:.2f} | {with_:.2f} | {added} |")


def main():
    resting, working = compare(idle), compare(busy)
    share = (resting[True] - resting[False]) / IDLE
    print("| | without | with | |\n|---|---:|---:|---:|")
    row("an idle loop, ms of CPU a second", *(each / IDLE * 1e3 for each in resting.values()), f"{share:.2%} of one")
    turn = {on: each / TURNS * 1e6 for on, each in working.items()}
    row("a turn of the loop, µs", *turn.values(), f"+ {turn[True] - turn[False]:.2f}")
    bare = min(units(False) for _ in range(ROUNDS))
    ours = min(units(True) for _ in range(ROUNDS))
    row("a unit of work, µs", bare, ours, f"+ {ours - bare:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        beat = Path(folder) / "beat"
        beat.write_bytes(probe.line(1, "ready", time.monotonic()))
        words = ("-m", "twelvefactor", "probe", "--heartbeat", str(beat), "--max-age", "9999")
        asked = statistics.median(run(*words) for _ in range(ROUNDS))
        nothing = statistics.median(run("-c", "pass") for _ in range(ROUNDS))
    row("`twelvefactor probe` beside `python -c pass`, ms of CPU", nothing * 1e3, asked * 1e3, "")
    print("\n| a block of | named |\n|---|---:|")
    for milliseconds in (50, 100, 125, 150, 200, 300):
        print(f"| {milliseconds} ms | {named(milliseconds / 1000):.0%} |")
    return 0 if share <= SHARE_BUDGET and asked <= PROBE_BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
