"""Every how-to page of a group has the same headings, and what the platforms' pages show is what the code does."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from twelvefactor._core.platform import deploy
from twelvefactor.cli import main
from twelvefactor.disposability.budget import Budget

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"
INDEX = (HOW_TO / "index.md").read_text()
HEADINGS = ["Install", "Initialise", "Use", "Health", "Shutdown", "Test"]
PAGES = {
    "Platforms": {"kubernetes", "heroku", "cloud-run", "cloud-foundry", "systemd", "docker", "laptop"},
    "Frameworks": {"starlette", "fastapi", "flask", "django", "litestar", "quart"},
    "Servers": {"uvicorn", "gunicorn", "granian", "hypercorn", "waitress", "runserver"},
    "Queues": {"celery", "rq", "dramatiq", "arq", "taskiq", "huey", "faststream", "apscheduler", "loops"},
    "Backing services": {"postgresql", "mysql", "redis", "rabbitmq", "s3", "smtp", "http", "nats", "mqtt", "memcached"},
}
VISITS = """
import twelvefactor as tf

service = tf.Service("visits")


async def app(scope, receive, send): ...


def report(): ...


service.process("web", app)
service.process("reporter", report)
"""
FORMATS = {
    "kubernetes": ("kubernetes",),
    "docker": ("compose",),
    "systemd": ("systemd", "--program", "/opt/visits/bin/twelvefactor"),
}


def group(name):
    """The pages in the group's toctree."""
    tree = re.search(rf"^{name}.*?:\n\n::::{{toctree}}\n:maxdepth: 1\n\n(.*?)\n::::", INDEX, re.MULTILINE | re.DOTALL)
    assert tree, f"how-to/index.md has no group {name}"
    return tree[1].split()


def blocks(page, *languages):
    text = (HOW_TO / f"{page}.md").read_text()
    return re.findall(rf"```(?:{'|'.join(languages)})\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_a_group_has_a_page_for_each(name):
    """
    What is supported is explained.
    """
    assert PAGES[name] - set(group(name)) == set()


@pytest.mark.parametrize("page", [page for name in PAGES for page in group(name)])
def test_a_page_has_the_headings_of_all(page):
    """
    In order, so that a reader finds each thing in the same place.
    """
    text = re.sub(r"```.*?```", "", (HOW_TO / f"{page}.md").read_text(), flags=re.DOTALL)

    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("page", group("Platforms"))
def test_the_start_event_on_a_platforms_page_is_what_that_environment_gives(page):
    """
    The grace period and its parts, and whether the process counts as deployed.
    """
    shown = [re.match(r"\$ (.*) twelvefactor run web\n(\{.*\})\n", block) for block in blocks(page, "console")]
    started = [each for each in shown if each]
    assert started, f"{page}.md shows no start"
    for command, line in (each.groups() for each in started):
        environ = dict(word.split("=", 1) for word in shlex.split(command))
        event, budget = json.loads(line), Budget.from_environ(environ)
        assert event["deploy"] == deploy(environ)
        parts = {
            "period": budget.grace,
            **{part: getattr(budget, part) for part in ("drain", "work", "hooks", "flush")},
        }
        assert event["grace"] == {**parts, "assumed": budget.assumed}


@pytest.mark.parametrize("page", FORMATS)
def test_the_manifest_on_a_platforms_page_is_what_the_command_writes(page, tmp_path, monkeypatch):
    """
    Line for line, though not all of it.
    """
    (tmp_path / "visits.py").write_text(VISITS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TWELVEFACTOR_PHASE", "describe")  # the command sets it, and a test's process goes on after it
    monkeypatch.delenv("TWELVEFACTOR_GRACE_PERIOD", raising=False)
    form, *more = FORMATS[page]
    words = ["--service", "visits:service", "formation", "--format", form, *more]
    told = CliRunner().invoke(main, [*words, "--image", "registry/visits:1", "--replicas", "web=2"])

    assert told.exit_code == 0, told.output
    shown = blocks(page, "yaml", "ini")
    assert shown
    assert [block for block in shown if block not in told.output] == []
