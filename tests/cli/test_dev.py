"""`twelvefactor dev` gives a command real services, keeps their data, and leaves nothing running."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twelvefactor.testing.development import Development, data_folder

ROOT = Path(__file__).resolve().parents[2]
SERVICE = """
import twelvefactor as tf


class Config(tf.Config):
    database_url: tf.PostgresURL
    cache_url: tf.RedisURL
    optional_url: tf.NATSURL | None = None


service = tf.Service("shop", Config)
"""
SHOW = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.endswith('_URL') or k in ('PORT', 'TWELVEFACTOR_DEV', 'SAID')}))"
COUNT = """
import os, redis
client = redis.Redis.from_url(os.environ["CACHE_URL"])
print(client.incr("visits"))
client.save()
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "shop.py").write_text(SERVICE)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.twelvefactor]\nservice = "shop:service"\n[tool.twelvefactor.parity]\ndatabase_url = "postgresql 16"\n'
    )
    yield tmp_path
    import shutil

    shutil.rmtree(data_folder(tmp_path), ignore_errors=True)
    Path(f"{data_folder(tmp_path)}.lock").unlink(missing_ok=True)


def dev(project, *arguments, **environ):
    return subprocess.Popen(
        [sys.executable, "-m", "twelvefactor", "dev", *arguments],
        cwd=project,
        env={**_clean(), "PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _clean():
    return {name: value for name, value in os.environ.items() if not name.endswith("_URL") and name != "PORT"}


def _gone(folder):
    """Whether nothing runs there any more; the guard of an engine leaves a moment after it."""
    ends = time.monotonic() + 20
    while _running_below(folder) and time.monotonic() < ends:
        time.sleep(0.02)
    return not _running_below(folder)


def _running_below(folder):
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(entry).startswith(str(folder)):
                found.append(entry)
        except OSError:
            continue
    return found


def test_missing_urls_become_real_services_of_the_declared_version(project):
    """
    What the environment and .env provide stays; the rest is started, told, and gone when the command ends.
    """
    (project / ".env").write_text("SAID=in .env\n")
    with dev(project, "--", sys.executable, "-c", SHOW) as running:
        out, err = running.communicate(timeout=60)
    seen = json.loads(out)

    assert running.returncode == 0, err
    assert seen["DATABASE_URL"].startswith("postgresql://app@127.0.0.1:")
    assert seen["CACHE_URL"].startswith("redis://127.0.0.1:")
    assert "OPTIONAL_URL" not in seen
    assert (seen["SAID"], seen["PORT"], seen["TWELVEFACTOR_DEV"]) == ("in .env", "8000", "1")
    assert "dev: DATABASE_URL=postgresql://" in err
    assert (data_folder(project) / "postgresql-16" / "PG_VERSION").read_text().strip() == "16"
    assert _gone(data_folder(project))


def test_data_stays_until_fresh(project):
    """
    A second run finds what the first one wrote; --fresh starts with nothing. What is set in the environment is used.
    """
    said = []
    for arguments in ((), (), ("--fresh",)):
        with dev(
            project, *arguments, "--", sys.executable, "-c", COUNT, DATABASE_URL="postgres://h/elsewhere"
        ) as running:
            out, err = running.communicate(timeout=60)
            said.append(out.strip())
            assert "DATABASE_URL" not in err, err

    assert said == ["1", "2", "1"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_command_and_the_services(project, how):
    """
    The command is told, its status is ours, and nothing is left.
    """
    wait = "import time; print('up', flush=True); time.sleep(60)"
    with dev(project, "--", sys.executable, "-c", wait, DATABASE_URL="postgres://h/elsewhere") as running:
        assert running.stdout.readline().strip() == "up"
        assert _running_below(data_folder(project))
        running.send_signal(how)
        running.communicate(timeout=30)

    assert running.returncode in {128 + how, 1}
    assert _gone(data_folder(project))


def test_two_at_once_would_lose_each_others_data(project):
    """
    The second is refused and told who has the services, before --fresh could remove what is in use.
    """
    with Development(project):
        with dev(project, "--fresh", "--", sys.executable, "-c", SHOW) as second:
            out, err = second.communicate(timeout=60)
        assert (second.returncode, out) == (75, "")
        assert f"another process ({os.getpid()}) runs this project's services already" in err


def test_what_cannot_be_had_is_named_and_exits_69(project):
    """
    A kind without an engine says which variable to set; nothing is run.
    """
    (project / "shop.py").write_text(SERVICE.replace("tf.PostgresURL", "tf.KafkaURL"))
    with dev(project, "--", sys.executable, "-c", "print('ran')") as running:
        out, err = running.communicate(timeout=60)

    assert running.returncode == 69
    assert "DATABASE_URL: there is no engine for kafka" in err
    assert out == ""


def test_every_process_type_is_run_and_the_first_to_end_ends_the_rest(project):
    """
    Without a command the declared types run with the services, and what only the Procfile has; a worker that ends stops
    the others too.
    """
    (project / "Procfile").write_text(f"release: false\nassets: {sys.executable} assets.py $CACHE_URL\n")
    (project / "assets.py").write_text(
        "import sys, time; print('assets has', sys.argv[1], flush=True); open('said', 'w').close(); time.sleep(60)"
    )
    (project / "shop.py").write_text(
        SERVICE
        + """
import pathlib


def worker():
    print("worker has", service.config.cache_url.scheme, flush=True)
    for _ in range(600):
        if pathlib.Path("said").exists() or service.stopping.wait(0.05):
            break
    return 7


def clock():
    import threading

    service.stopping.wait(60)


service.process("worker", worker)
service.process("clock", clock)
"""
    )
    with dev(project, DATABASE_URL="postgres://127.0.0.1:1/elsewhere") as running:
        out, err = running.communicate(timeout=90)

    assert "worker has redis" in out, out + err
    assert "assets has redis://127.0.0.1:" in out, out + err
    assert running.returncode == 7
    assert _gone(data_folder(project))


def test_nothing_to_run_is_a_usage_error(project):
    """
    A service without process types needs a command.
    """
    with dev(project) as running:
        _, err = running.communicate(timeout=60)

    assert running.returncode == 64
    assert "declares no process type" in err
