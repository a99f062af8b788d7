"""Admin processes: a typed function is a command, in the same release, config and stream as the app."""

import json
import signal

import pytest

SOURCE = '''
import asyncio, datetime, enum, sys, time
from pathlib import Path
from typing import Literal

class Colour(enum.Enum):
    RED = 1
    DARK_BLUE = 2

@service.admin
def migrate(to: str = "head", *, dry_run: bool = False) -> None:
    """
    Bring the schema to a revision.

    Args:
        to: The revision to
            go to.
        dry_run: Only say what would be done.
    """
    print(f"to={to} dry_run={dry_run}")
    service.log.info("migrated", to=to)

@service.admin(name="send")
async def send_reminders(day: datetime.date, /, *names: str, colour: Colour = Colour.RED, limit: int | None = None,
                         only: list[int] = [], how: Literal["mail", "sms"] = "mail", to: Path = Path("x")) -> int:
    await asyncio.sleep(0)
    print(day.isoformat(), names, colour.name, limit, list(only), how, to)
    return 3

@service.admin
def fail(api_token: str = "") -> None:
    raise ValueError("no such thing")

@service.admin
def slow() -> None:
    print("begun", flush=True)
    try:
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)

@service.admin
def count() -> None:
    for _ in tf.progress(range(3), name="counting", every=0.0):
        pass
'''


def test_help_is_made_of_the_function(project):
    """
    Its docstring, its parameters, their defaults.
    """
    done = project(SOURCE)("admin", "migrate", "--help")

    assert done.status == 0
    for words in (
        "Bring the schema to a revision.",
        "--to TEXT",
        "The revision to go to.",
        "[default: head]",
        "--dry-run",
    ):
        assert words in done.out
    assert "Args:" not in done.out


def test_the_list_is_what_the_service_declares(project):
    """
    With the first line of each.
    """
    done = project(SOURCE)("admin", "--help")

    assert [word for word in ("count", "fail", "migrate", "send", "slow") if word in done.out] == [
        "count",
        "fail",
        "migrate",
        "send",
        "slow",
    ]


def test_it_runs_with_its_data_on_stdout_and_its_events_on_stderr(project):
    """
    One unit of work of kind admin, in the named release.
    """
    done = project(SOURCE)("admin", "migrate", "--to", "abc", "--dry-run", TWELVEFACTOR_RELEASE="v42")

    assert (done.status, done.out) == (0, "to=abc dry_run=True\n")
    (migrated,) = done.named("migrated")
    (ended,) = done.named("admin")
    assert (ended["name"], ended["outcome"], ended["process_type"], ended["release"]) == (
        "migrate",
        "ok",
        "admin",
        "v42",
    )
    assert migrated["work_id"] == ended["work_id"]


def test_every_kind_of_parameter(project):
    """
    Positional, many, enumerations, dates, lists, paths; an int that is returned is the status.
    """
    words = [
        "2026-01-02",
        "a",
        "b",
        "--colour",
        "dark-blue",
        "--limit",
        "5",
        "--only",
        "1",
        "--only",
        "2",
        "--how",
        "sms",
        "--to",
        "/tmp",
    ]

    done = project(SOURCE)("admin", "send", *words)

    assert (done.status, done.out) == (3, "2026-01-02 ('a', 'b') DARK_BLUE 5 [1, 2] sms /tmp\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["send", "yesterday"], "is no date"),
        (["send", "2026-01-02", "--limit", "many"], "not a valid integer"),
        (["send", "2026-01-02", "--colour", "green"], "is no red|dark-blue"),
        (["migrat"], "did you mean migrate?"),
        (["migrate", "--tu", "x"], "No such option"),
    ],
)
def test_wrong_usage_exits_64_and_starts_nothing(project, words, said):
    """
    With what is wrong, and no traceback.
    """
    done = project(SOURCE)("admin", *words)

    assert (done.status, said in done.err, "Traceback" in done.err, done.events) == (64, True, False, [])


def test_what_raises_is_one_event_and_status_1(project):
    """
    The traceback is in the event, and nowhere else.
    """
    done = project(SOURCE)("admin", "fail")

    (ended,) = done.named("admin")
    assert (done.status, ended["outcome"], ended["exception_type"]) == (1, "error", "ValueError")
    assert not [line for line in done.err.splitlines() if line.startswith("Traceback")]


def test_sigterm_runs_what_cleans_up(project):
    """
    As a platform stops it: 143, and the work is cancelled.
    """
    process = project(SOURCE).start("admin", "slow", TWELVEFACTOR_GRACE_PERIOD="5s", TWELVEFACTOR_DRAIN_DELAY="0")
    assert process.stdout.readline() == "begun\n"

    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)

    ended = [json.loads(line) for line in err.splitlines() if '"event":"admin"' in line]
    assert (process.returncode, out, ended[0]["outcome"]) == (143, "cleaned up\n", "cancelled")


def test_the_trace_of_who_started_it_goes_on(project):
    """
    TRACEPARENT, as a pipeline sets it.
    """
    trace = "0af7651916cd43dd8448eb211c80319c"

    done = project(SOURCE)("admin", "migrate", TRACEPARENT=f"00-{trace}-b7ad6b7169203331-01")

    assert done.named("migrated")[0]["trace_id"] == trace


def test_progress_is_events_where_there_is_no_terminal(project):
    """
    How far, now and then, and the end.
    """
    said = project(SOURCE)("admin", "count").named("progress")

    assert [event["done"] for event in said] == [1, 2, 3, 3]
    assert (said[-1]["finished"], said[-1]["total"], said[-1]["name"]) == (True, 3, "counting")


def test_the_manifest_is_the_job_that_runs_it(project):
    """
    The same image, the ConfigMap and the Secret of the app, the same words.
    """
    done = project(SOURCE)(
        "admin", "--manifest", "kubernetes", "--image", "registry/orders:1", "migrate", "--to", "abc"
    )

    job = json.loads(done.out)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry/orders:1"
    assert container["command"] == ["twelvefactor", "admin", "migrate", "--to", "abc"]
    assert container["envFrom"] == [{"configMapRef": {"name": "orders"}}, {"secretRef": {"name": "orders"}}]
    assert (job["metadata"]["generateName"], job["spec"]["template"]["spec"]["restartPolicy"]) == (
        "orders-migrate-",
        "Never",
    )


def test_a_signature_that_is_no_command_says_which_parameter(project):
    """
    With what would do.
    """
    done = project("@service.admin\ndef odd(x: object) -> None: ...\n")("admin", "odd")

    assert (done.status, "no option can be made of x" in done.err) == (64, True)


def test_two_of_one_name_are_refused(project):
    """
    Neither would be run by accident.
    """
    done = project("@service.admin(name='x')\ndef a(): ...\n@service.admin(name='x')\ndef b(): ...\n")("admin", "x")

    assert "two admin processes are called 'x'" in done.err
