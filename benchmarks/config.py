"""
What config costs: a load beside a plain BaseSettings of the same fields, a watched read beside a plain one.

    python benchmarks/config.py            # all
    python benchmarks/config.py load       # one table: load, refusal, guard

Both classes have the same fields and read the same process environment: a quarter secrets, a quarter integers, the
rest text. Rounds are interleaved, and the best of each is taken, for what else runs on the machine only ever adds.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

from pydantic import SecretStr, TypeAdapter, ValidationError, create_model
from pydantic_settings import BaseSettings

sys.path.insert(0, str(Path(__file__).parent.parent))

import twelvefactor as tf
from twelvefactor.config.guard import Reads

ROUNDS = int(os.environ.get("ROUNDS", "15"))
CALLS = int(os.environ.get("CALLS", "200"))


def measure(contestants, calls=CALLS):
    """The least microseconds per call of each, over interleaved rounds."""
    best = dict.fromkeys(contestants, float("inf"))
    gc.collect()
    gc.disable()
    for _ in range(ROUNDS):
        for name, act in contestants.items():
            start = time.process_time_ns()
            for _ in range(calls):
                act()
            best[name] = min(best[name], (time.process_time_ns() - start) / calls / 1e3)
    gc.enable()
    return best


def table(title, times, against, goals):
    """Print *times* in microseconds and as ratios to *against*."""
    print(f"\n{title}\n{'':42}{'us':>9}{'ratio':>9}")
    for name, spent in sorted(times.items(), key=lambda pair: pair[1]):
        goal = goals.get(name)
        verdict = "" if goal is None else f"   goal {goal}: {'met' if spent / times[against] <= goal else 'MISSED'}"
        print(f"{name:42}{spent:9.2f}{spent / times[against]:9.2f}{verdict}")


def declared(base, secret, count):
    """A class of *base* with *count* fields."""
    kinds = (secret, int, str, str)
    fields = {f"shop_value_{at}": (kinds[at % len(kinds)], ...) for at in range(count)}
    return create_model(f"Config{count}", __base__=base, **fields)


def environment(count):
    """What satisfies it, among the variables that the process has anyway."""
    for at in range(count):
        os.environ[f"SHOP_VALUE_{at}"] = str(1000 + at) if at % 4 == 1 else f"value-number-{at}"


def loads():
    """A config of 10 and of 100 variables."""
    for count in (10, 100):
        environment(count)
        ours, plain = declared(tf.Config, tf.Secret, count), declared(BaseSettings, SecretStr, count)
        ours(), plain()
        adapter = TypeAdapter(dict[str, str])
        times = measure(
            {
                "pydantic alone, over os.environ": lambda a=adapter: a.validate_python(dict(os.environ)),
                "BaseSettings()": plain,
                "tf.Config()": ours,
                "tf.Config.load(mapping)": lambda c=ours, e=dict(os.environ): c.load(e),
            }
        )
        table(f"load {count} variables", times, "BaseSettings()", {"tf.Config()": 1.1, "tf.Config.load(mapping)": 1.1})


def refusals():
    """A config that nothing provides."""
    ours, plain = declared(tf.Config, tf.Secret, 10), declared(BaseSettings, SecretStr, 10)
    for at in range(100):
        os.environ.pop(f"SHOP_VALUE_{at}", None)

    def refused(cls, error):
        try:
            cls()
        except error as problem:
            str(problem)

    times = measure(
        {
            "BaseSettings()": lambda: refused(plain, ValidationError),
            "tf.Config()": lambda: refused(ours, tf.ConfigError),
        }
    )
    table("refuse 10 variables that are not set", times, "BaseSettings()", {})


class Process:
    """A process whose app is this file, or nothing."""

    config = None

    def __init__(self, own):
        self.app_code = self.evidence = self
        self.own = own

    def owns(self, *_):
        return self.own

    def looked(self, *_):
        return None

    report = where = fault = looked


def guards():
    """A read of the environment, watched and not."""
    os.environ["SHOP_MODE"] = "card"
    environ = os.environ
    reads = {
        "os.environ[...]": lambda: environ["SHOP_MODE"],
        "os.environ.get(...)": lambda: environ.get("SHOP_MODE"),
        "os.getenv(...)": lambda: os.getenv("SHOP_MODE"),
        "... in os.environ": lambda: "SHOP_MODE" in environ,
    }
    for name, read in reads.items():
        best = {"plain": float("inf"), "watched, by a library": float("inf"), "watched, by the app": float("inf")}
        for _ in range(ROUNDS):
            best["plain"] = min(best["plain"], once(read))
            for key, own in (("watched, by a library", False), ("watched, by the app", True)):
                guard = Reads(Process(own))
                guard.install()
                best[key] = min(best[key], once(read))
                guard.remove()
        table(name, best, "plain", {"watched, by a library": 2.0, "watched, by the app": 2.0})


def once(read, calls=20_000):
    start = time.process_time_ns()
    for _ in range(calls):
        read()
    return (time.process_time_ns() - start) / calls / 1e3


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["load", "refusal", "guard"]
    for name, run in {"load": loads, "refusal": refusals, "guard": guards}.items():
        if name in wanted:
            run()
