"""TF1201 and TF1202: migrations have an admin process; nobody types code into a deploy."""

import sys

import pytest

from tests.codebase.conftest import Running
from twelvefactor.admin_processes import RULES
from twelvefactor.admin_processes.registry import AdminProcesses
from twelvefactor.admin_processes.senses import Migrations, Typed, typed_as
from twelvefactor.exceptions import UsageError
from twelvefactor.factor import Verdict

TF1201, TF1202, TF1203 = RULES


def judged(root, *functions):
    process = Running(root)
    process.admins = AdminProcesses()
    for function in functions:
        process.admins.add(function)
    Migrations(process).install()
    return process.evidence.ruling(TF1201)


def migrate(): ...


def prepare():
    from alembic import command

    command.upgrade(None, "head")


def send(): ...


class TestTF1201:
    """A migration tool and its admin process."""

    @pytest.mark.parametrize("place", ["alembic.ini", "db/alembic.ini"])
    def test_fires_where_nothing_runs_it(self, root, place):
        """
        Somebody does it by hand, from a laptop.
        """
        (root / place).parent.mkdir(exist_ok=True)
        (root / place).write_text("[alembic]\n")

        ruling = judged(root, send)

        assert (ruling.verdict, ruling.because) == (
            Verdict.FAIL,
            "Alembic is here, and no admin process is declared that runs it",
        )

    @pytest.mark.parametrize("function", [migrate, prepare])
    def test_quiet_where_one_is_declared(self, root, function):
        """
        By its name, or by what it calls.
        """
        (root / "alembic.ini").write_text("[alembic]\n")

        assert judged(root, function).verdict == Verdict.PASS

    def test_quiet_without_a_tool(self, root):
        """
        A folder called migrations is none.
        """
        (root / "migrations").mkdir()

        assert judged(root).verdict == Verdict.PASS


class TestTF1202:
    """How the process was started."""

    def judged(self, argv, deploy="production", process_type=None):
        process = Running(None, deploy=deploy)
        process.process_type = process_type
        Typed(process, argv).install()
        return process.evidence.ruling(TF1202).verdict

    @pytest.mark.parametrize(
        ("argv", "what"),
        [
            (["python", "-c", "import orders"], "python -c"),
            (["/venv/bin/python3.12", "-u", "-X", "dev", "-c", "x"], "python -c"),
            (["python", "-uc", "x"], "python -c"),
            (["python"], "an interactive interpreter"),
            (["python", "-i"], "an interactive interpreter"),
            (["python", "-"], "standard input"),
        ],
    )
    def test_fires_in_a_deploy(self, argv, what):
        """
        It is in no commit and in no record.
        """
        assert typed_as(argv) == what
        assert self.judged(argv) == Verdict.FAIL

    @pytest.mark.parametrize(
        "argv",
        [
            ["python", "-m", "orders"],
            ["python", "-Im", "orders"],
            ["python", "manage.py", "-c", "x"],
            ["gunicorn", "orders:app"],
            ["/venv/bin/python", "/venv/bin/uvicorn", "orders:app"],
            [
                "python",
                "-c",
                "from multiprocessing.spawn import spawn_main; spawn_main(5, 7)",
                "--multiprocessing-fork",
            ],
            ["python", "-c", "from multiprocessing.resource_tracker import main;main(4)"],
            ["uwsgi", "--ini", "x"],
            [],
        ],
    )
    def test_quiet_on_programs_and_their_children(self, argv):
        """
        A worker that multiprocessing spawns is started with -c too.
        """
        assert self.judged(argv) == Verdict.PASS

    def test_unknown_where_nothing_says_that_it_is_a_deploy(self):
        """
        On a laptop it is nobody's business.
        """
        assert self.judged(["python", "-c", "x"], deploy=None) == Verdict.UNKNOWN

    @pytest.mark.parametrize("process_type", ["admin", "shell"])
    def test_quiet_in_our_commands(self, process_type):
        """
        They record.
        """
        assert self.judged(["python"], process_type=process_type) == Verdict.PASS

    def test_this_very_process_can_be_looked_at(self):
        """
        pytest is a program.
        """
        assert typed_as(sys.orig_argv) in {None, "python -c"}  # workers of pytest-xdist


def test_tf1203_does_not_apply_to_the_app_itself():
    """
    A web process that is older is a rolling deploy.
    """
    process = Running(None)
    Typed(process, ["python", "x.py"]).install()

    assert process.evidence.ruling(TF1203).verdict == Verdict.NOT_APPLICABLE


def test_the_same_function_again_replaces_itself():
    """
    A module that is imported twice.
    """
    admins = AdminProcesses()
    admins.add(migrate)
    admins.add(migrate)

    assert len(admins) == 1
    assert admins.get("migrate").name == "migrate"
    with pytest.raises(UsageError, match="two admin processes are called 'migrate'"):
        admins.add(send, name="migrate")
