"""Interleaved rounds of contestants, and a table of what each adds to the bare one."""

from __future__ import annotations

import gc
import os
import statistics
import sys

ROUNDS = int(os.environ.get("ROUNDS", "25"))
CALLS = int(os.environ.get("CALLS", "1500"))


def tenth(samples):
    """The value that a tenth of *samples* is below: what else runs on the machine only ever adds."""
    return statistics.quantiles(samples, n=10)[0]


def interleave(contestants, rounds=ROUNDS, calls=CALLS):
    """
    Microseconds of CPU per call of each: a list of samples by name.

    Args:
        contestants: Name to a function that makes so many calls and gives the CPU nanoseconds they took.
    """
    samples = {name: [] for name in contestants}
    for spend in contestants.values():
        spend(calls // 5)  # warm up
    gc.collect()
    for _ in range(rounds):
        for name, spend in contestants.items():
            samples[name].append(spend(calls) / calls / 1e3)
    return samples


def added(samples, bare):
    """Microseconds that each adds to *bare*."""
    base = tenth(samples[bare])
    return {name: tenth(each) - base for name, each in samples.items() if name != bare}


def table(title, times, ours, goals):
    """
    Print *times*, and *ours* as ratios to its rivals with the goals it must meet; whether it does.

    Args:
        goals: Rival to the highest ratio of ours to it.
    """
    print(f"\n{title}\n\n| | added µs a request | ours over it | goal |\n|---|---:|---:|---:|", file=sys.stderr)
    met = True
    for name, spent in sorted(times.items(), key=lambda pair: pair[1]):
        ratio = times[ours] / spent
        goal = goals.get(name)
        met &= goal is None or ratio <= goal
        verdict = "" if goal is None else f"≤ {goal} {'✓' if ratio <= goal else '✗'}"
        print(f"| {name} | {spent:.2f} | {ratio:.2f} | {verdict} |", file=sys.stderr)
    return met
