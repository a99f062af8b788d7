"""
What Python imports first in each process of `twelvefactor observe`: the next sitecustomize, then the sensors.

Nothing of that may keep the process from starting as it would without us. In a process of `check --exercise`, where
only some connections are allowed, it must not start without its guard.
"""

import os
import sys


def _chain(here: str) -> None:
    """Run the sitecustomize that would have run without us; what it raises is told by Python, as ever."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    rest = [folder for folder in sys.path if os.path.realpath(folder or os.curdir) != here]
    sys.path[:] = rest
    spec = PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _observe() -> None:
    folder = os.environ.get("TWELVEFACTOR_OBSERVE")
    if not folder:
        return
    try:
        from twelvefactor.observe.process import begin
    except Exception as error:  # noqa: BLE001 - the process starts as it would without us
        _note(folder, f"{sys.executable} cannot import twelvefactor: {type(error).__name__}")
    else:
        begin(folder)


def _guard() -> None:
    if "TWELVEFACTOR_CONNECT_ONLY" in os.environ:
        try:
            from twelvefactor._core.outbound import begin
        except Exception:  # noqa: BLE001 - whatever it is, nothing runs unguarded
            raise SystemExit(
                f"{sys.executable} has no twelvefactor, so it could connect anywhere; not started"
            ) from None
        begin(os.environ)


def _note(folder: str, problem: str) -> None:
    """For the one who reads the evidence; this module must do without the library."""
    try:
        with open(f"{folder}/unattached-{os.getpid()}.txt", "a", encoding="utf-8") as file:  # noqa: PTH123 - in every process
            file.write(f"{problem}\n")
    except OSError:
        pass


_guard()
try:
    _chain(os.path.realpath(__file__).rpartition(os.sep)[0])
finally:
    _observe()
