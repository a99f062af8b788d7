"""
Make the lock files: every file of every pinned version by its hash, and no address.

Each lock holds for every supported Python; where they differ, a line says for which it is. All sets are cut from one
resolution, so that they can share an environment.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SETS = {
    "demo": (
        "--extra=uvicorn",
        "--extra=postgres",
        "--extra=redis",
        "--extra=dramatiq",
        "--extra=http",
        "--extra=engines",
        "--group=build",
    ),
    "orders": ("--extra=uvicorn", "--extra=postgres", "--extra=redis", "--extra=dramatiq"),
    "flask_notes": ("--extra=flask", "--extra=gunicorn", "--extra=postgres"),
    "worker_only": ("--extra=redis", "--extra=rq"),
    "django_notes": ("--extra=django", "--extra=gunicorn", "--extra=postgres"),
    "test": ("--extra=all", "--group=test"),
    "lint": ("--extra=all", "--group=lint"),
    "docs": ("--extra=all", "--group=docs"),
    "bench": ("--extra=all", "--group=bench"),
    "lock": ("--group=lock",),
}
APART = {
    "arq": (("--extra=arq", "--extra=pytest", "--group=build"), ("redis",)),
}
"""Sets that need another version of something than the others, and so an environment of their own."""

HEADER = "# Made by `make lock` from pyproject.toml; do not edit. Installed with --require-hashes.\n"


def compile_lock(*options: str, output: Path) -> None:
    """Resolve pyproject's requirements with *options* into *output*."""
    uv = (sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal")
    exact = ("--python-version=3.11", "--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url")
    quiet = ("--no-config", "--no-python-downloads")
    subprocess.run([*uv, *exact, *quiet, *options, f"--output-file={output}"], cwd=ROOT, check=True)


def main() -> None:
    """Resolve everything once, then cut each set out of it."""
    with tempfile.TemporaryDirectory() as folder:
        everything = Path(folder) / "everything.txt"
        compile_lock(
            "--extra=all", *(f"--group={name}" for name in ("lint", "docs", "bench", "lock")), output=everything
        )
        for name, options in SETS.items():
            lock = Path(folder) / f"{name}.txt"
            compile_lock(*options, f"--constraint={everything}", output=lock)
            _home(name).write_text(HEADER + _without_addresses(lock))
        for name, (options, others) in APART.items():
            lock, shared = Path(folder) / f"{name}.txt", Path(folder) / f"shared-with-{name}.txt"
            shared.write_text(_without(others, everything.read_text()))
            compile_lock(*options, f"--constraint={shared}", output=lock)
            _home(name).write_text(HEADER + _without_addresses(lock))


def _without(names: tuple[str, ...], lock: str) -> str:
    """*lock* without the pins of *names*, each of which is a line that goes on with its hashes."""
    pins = lock.replace("\\\n", "\0").splitlines()
    return "\n".join(pin for pin in pins if pin.partition("==")[0] not in names).replace("\0", "\\\n")


def _home(name: str) -> Path:
    """Where a set's lock lies: an example has its own, as a deploy of it would."""
    example = ROOT / "examples" / name
    return example / "requirements.txt" if example.is_dir() else HERE / f"{name}.txt"


def _without_addresses(lock: Path) -> str:
    text = lock.read_text()
    if "://" in text:
        raise SystemExit(f"{lock.name} holds an address; a lock must install from any index")
    return text


if __name__ == "__main__":
    main()
