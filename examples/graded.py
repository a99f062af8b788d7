"""
Each example lives a whole life on real engines and is graded: `python -m examples.graded flask_notes`.

The release phase runs, the processes start, take some requests or jobs and are told to stop; each writes down what it
saw, and the scorecard is drawn from that. `--write FOLDER` keeps the report as Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING, Any

from twelvefactor.testing import engines
from twelvefactor.testing.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
WITHIN = 60.0  # seconds for a one-off process
ENGINES: dict[str, Callable[[], contextlib.AbstractContextManager[str]]] = {
    "DATABASE_URL": engines.postgres,
    "REDIS_URL": engines.redis,
}


@dataclass(frozen=True)
class Deploy:
    """
    How an example is deployed.

    Attributes:
        engines: The variables that name an engine of its own.
        environ: What else the platform sets.
        release: The one-off processes of the release phase.
        command: What starts the process that is driven.
        beside: What starts the processes that run beside it.
        ready: The path that answers 200 once it is ready; None where it has no port.
        drive: What its users do; it is given the processes in this order.
        stop: The signal that ends it.
        scores: From which score to which it is what the example promises.
    """

    engines: tuple[str, ...]
    drive: Callable[..., None]
    command: tuple[str, ...] = ("-m", "twelvefactor", "run", "web")
    beside: tuple[tuple[str, ...], ...] = ()
    ready: str | None = "/readyz"
    environ: dict[str, str] = field(default_factory=dict)
    release: tuple[tuple[str, ...], ...] = (("-m", "twelvefactor", "admin", "migrate"),)
    stop: int = SIGTERM
    scores: tuple[float, float] = (12.0, 12.0)


def write_notes(server: Server) -> None:
    """Keep notes, read them, ask for one that is not there."""
    headers = {"Content-Type": "application/json"}
    for number in range(20):
        body = json.dumps({"text": f"note {number}"}).encode()
        kept = server.request("POST", "/notes", headers=headers, body=body)
        assert kept.status == 201, kept
        assert server.get(f"/notes/{kept.json()['id']}").json()["text"] == f"note {number}"
    assert len(server.get("/notes").json()) == 20
    assert server.get("/notes/0").status == 404


def has(field: str, value: object, event: dict[str, object]) -> bool:
    return event[field] == value


def take_orders(web: Server, worker: Server) -> None:
    """Order, and look whether the worker has done its part."""
    headers = {"Content-Type": "application/json"}
    for number in range(20):
        body = json.dumps({"item": "tea", "quantity": 1 + number % 5}).encode()
        order = web.request("POST", "/orders", headers=headers, body=body).json()
        assert web.get(f"/orders/{order['id']}").json() == order
        sent = worker.wait_event("receipt.sent", where=partial(has, "order", order["id"]), within=WITHIN)
        worker.wait_event("job", where=partial(has, "work_id", sent["work_id"]))
    assert web.get("/orders/0").status == 404


def shop(server: Server) -> None:
    """Fill carts, order, upload."""
    for number in range(12):
        assert server.request("POST", f"/cart/customer-{number}/tea").status == 200
        assert server.request("POST", f"/order/customer-{number}").json()["total"] == 3
        assert server.request("POST", "/upload", body=b"a picture").status == 200


def await_digests(server: Server) -> None:
    """The release phase asked for 20."""
    for _ in range(20):
        server.wait_event("digest.made", within=WITHIN)
        server.wait_event("job", where=lambda event: event["outcome"] == "ok")


LEGACY = ("env", "PORT=8080", "LEGACY_PORT={port}", sys.executable, "app.py")  # which does not care for PORT


DEPLOYS = {
    "orders": Deploy(
        ("DATABASE_URL", "REDIS_URL"),
        take_orders,
        environ={"STRIPE_SECRET_KEY": "sk_live_0123456789abcdef"},
        beside=(("-m", "twelvefactor", "run", "worker"),),
    ),
    "flask_notes": Deploy(("DATABASE_URL",), write_notes),
    "django_notes": Deploy(
        ("DATABASE_URL",),
        write_notes,
        environ={"SECRET_KEY": "c4e0f1c2a6d94b6b8f7e5d1a3b2c9f80"},
        release=(("manage.py", "migrate", "--verbosity", "0"),),
    ),
    "worker_only": Deploy(
        ("REDIS_URL",),
        await_digests,
        command=("-m", "twelvefactor", "run", "worker"),
        ready=None,
        release=(("-m", "twelvefactor", "admin", "request", "--count", "20"),),
    ),
    "legacy": Deploy(
        (),
        shop,
        command=("-m", "twelvefactor", "observe", "--evidence", "{evidence}", "--", *LEGACY),
        environ={"TWELVEFACTOR_RELEASE": ""},
        ready="/healthy",
        stop=SIGINT,  # SIGTERM it ignores
        release=(),
        scores=(0.0, 3.0),
    ),
}


@contextlib.contextmanager
def provided(deploy: Deploy, evidence: Path) -> Iterator[dict[str, str]]:
    """The environment that the platform would make, with real engines behind it."""
    with contextlib.ExitStack() as stack:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        told = {
            "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "TWELVEFACTOR_DEPLOY": "example",
            "TWELVEFACTOR_RELEASE": "v1",
            "TWELVEFACTOR_GRACE_PERIOD": "20s",
            "TWELVEFACTOR_REPLICAS": "2",
            "TWELVEFACTOR_EVIDENCE": str(evidence),
            "TWELVEFACTOR_LEAKS": "thorough",
            "HOST": "0.0.0.0",
            "LOG_FORMAT": "json",
        }
        yield kept | told | {name: stack.enter_context(ENGINES[name]()) for name in deploy.engines} | deploy.environ


def live(name: str, evidence: Path) -> None:
    """One life of the example *name*: release phase, requests, SIGTERM."""
    deploy, folder = DEPLOYS[name], HERE / name
    with provided(deploy, evidence) as environ, contextlib.ExitStack() as stack:
        for arguments in deploy.release:
            subprocess.run([sys.executable, *arguments], env=environ, cwd=folder, timeout=WITHIN, check=True)

        def start(words: tuple[str, ...], ready: str | None) -> Server:
            command = [part.replace("{evidence}", str(evidence)) for part in (sys.executable, *words)]
            return stack.enter_context(Server(command, environ=environ, cwd=folder, ready=ready))

        processes = [start(deploy.command, deploy.ready)]
        for words in deploy.beside:
            processes.append(start(words, None))
            processes[-1].wait_event("twelvefactor.ready", within=WITHIN)
        deploy.drive(*processes)
        for each in processes:
            each.stop(deploy.stop)


def grade(evidence: Path, *options: str, folder: Path = HERE) -> subprocess.CompletedProcess[str]:
    """The scorecard that `twelvefactor check` draws from what all the processes saw."""
    command = [sys.executable, "-m", "twelvefactor", "check", *options, "--evidence", str(evidence)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN, check=False)


def as_promised(name: str, evidence: Path) -> bool:
    """Whether the example has the score that it promises; a factor that is proved not to apply counts as kept."""
    told = json.loads(grade(evidence, "--format", "json", folder=HERE / name).stdout)
    score = told["score"] + sum(factor["verdict"].startswith("not") for factor in told["factors"])
    least, most = DEPLOYS[name].scores
    if score < least:
        score += sum(1 - factor["score"] for factor in told["factors"] if lost_to_a_busy_machine(factor))
    if not least <= score <= most:
        print(f"{name} promises {least:g} to {most:g} of 12 and has {score:g}", file=sys.stderr)
        return False
    return True


def lost_to_a_busy_machine(factor: dict[str, Any]) -> bool:
    """Whether nothing but time was against it: a slow start, a loop that did not get its turn."""
    lost = {rule["id"] for rule in factor["rules"] if rule["verdict"] == "fail"}
    return bool(lost) and lost <= {"TF805", "TF901"}


def page(name: str, text: str) -> str:
    """The page of an example's grade."""
    return f"# {name}\n\nDrawn by `python -m examples.graded {name}`.\n\n```text\n{text.strip()}\n```\n"


def main() -> int:
    """Grade the examples that are named, or all; 0 where each has the score that it promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="EXAMPLE", help=", ".join(DEPLOYS))
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="keep each report there as Markdown")
    options = parser.parse_args()
    kept = True
    for name in options.names or DEPLOYS:
        with tempfile.TemporaryDirectory() as folder:
            live(name, Path(folder))
            told = grade(Path(folder), folder=HERE / name)
            kept &= as_promised(name, Path(folder))
        print(told.stdout, told.stderr, sep="\n")
        if options.write:
            (options.write / f"{name}.md").write_text(page(name, told.stdout))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
