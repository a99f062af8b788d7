"""
What importing costs: `import twelvefactor` beside `python -c pass`, and each room's first use beside what it wraps.

    python benchmarks/imports.py

CPU time of whole interpreters, interleaved; the lower quartile of each, since a busy machine only ever adds.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

ROUNDS = 21
PAIRS = {
    "import twelvefactor": ("pass", "import twelvefactor"),
    "tf.Config": ("import pydantic_settings", "import twelvefactor as tf; tf.Config"),
    "tf.Service": (
        "import structlog, orjson, pythonjsonlogger.core, json, logging.config",
        "import twelvefactor as tf; tf.Service; import twelvefactor.logs as logs; logs.EventStream",
    ),
}


def cpu(code: str) -> float:
    """Milliseconds of CPU that one interpreter takes to run *code*."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure(codes: list[str]) -> dict[str, float]:
    """The lower quartile of each, interleaved."""
    for code in codes:
        cpu(code)  # writes the byte code
    seen: dict[str, list[float]] = {code: [] for code in codes}
    for _ in range(ROUNDS):
        for code in codes:
            seen[code].append(cpu(code))
    return {code: statistics.quantiles(values, n=4)[0] for code, values in seen.items()}


def inside(code: str) -> float:
    """Milliseconds of CPU that *code* takes inside a running interpreter, where starting one is no part of it."""
    script = f"import time; t = time.process_time(); {code}; print(1000 * (time.process_time() - t))"
    runs = [float(subprocess.check_output([sys.executable, "-c", script])) for _ in range(ROUNDS)]
    return statistics.quantiles(runs, n=4)[0]


def third_parties() -> list[str]:
    """Third-party modules that `import twelvefactor` loads."""
    code = (
        "import sys; before = set(sys.modules); import twelvefactor; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - {'twelvefactor'}))"
    )
    return subprocess.check_output([sys.executable, "-c", code], text=True).split()


def main() -> None:
    """Print the table."""
    took = measure(sorted({code for pair in PAIRS.values() for code in pair}))
    nothing = took["pass"]
    print(f"{'':24}{'ms above pass':>14}{'what it wraps':>15}{'ratio':>8}")
    for name, (peer, ours) in PAIRS.items():
        added, wrapped = took[ours] - nothing, took[peer] - nothing
        ratio = f"{added / wrapped:8.2f}" if peer != "pass" else f"{took[ours] / nothing:8.2f}"
        print(f"{name:24}{added:14.1f}{wrapped:15.1f}{ratio}")
    print(f"\nimport twelvefactor inside a running interpreter: {inside('import twelvefactor'):.2f} ms CPU")
    print(f"other modules that it loads: {' '.join(third_parties()) or 'none'}")


if __name__ == "__main__":
    main()
