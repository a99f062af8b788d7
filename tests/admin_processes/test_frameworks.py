"""Django's and Flask's own commands are admin processes, with nothing to rewrite."""

import pytest

SETTINGS = """
INSTALLED_APPS = []
DATABASES = {}
SECRET_KEY = "x"
USE_TZ = True
"""


def test_a_management_command_of_django(project):
    """
    Its own options, in a unit of work, with its own status.
    """
    pytest.importorskip("django")
    project = project("")
    (project.path / "framework_settings.py").write_text(SETTINGS)

    done = project("admin", "diffsettings", "--all", DJANGO_SETTINGS_MODULE="framework_settings")

    assert (done.status, "USE_TZ = True" in done.out) == (0, True)
    assert [(e["name"], e["outcome"]) for e in done.named("admin")] == [("diffsettings", "ok")]


def test_a_command_of_flask(project):
    """
    As `flask NAME` would run it.
    """
    pytest.importorskip("flask")
    project = project("")
    (project.path / "framework_flask.py").write_text(
        "import click, flask\napp = flask.Flask('x')\n"
        "@app.cli.command()\n@click.option('--to')\ndef greet(to): print('hello', to)\n"
    )

    done = project("admin", "greet", "--to", "jo", FLASK_APP="framework_flask:app")

    assert (done.status, done.out) == (0, "hello jo\n")
    assert len(done.named("twelvefactor.stopped")) == 1
    assert [event["name"] for event in done.named("admin")] == ["greet"]
