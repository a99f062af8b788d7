"""TF205, TF206, TF207: system tools, and installations while the app runs."""

import subprocess
import sys

import pytest

from twelvefactor import FactorViolation
from twelvefactor._core import audit
from twelvefactor.dependencies import RULES, commands
from twelvefactor.factor import Verdict

TF205, TF206, TF207 = RULES[4:]

STARTS = """
import asyncio, os, subprocess
def run(*args, **kwargs): return subprocess.run(*args, **kwargs)
def system(text): os.system(text)
def spawn(*args):
    async def main():
        process = await asyncio.create_subprocess_exec(*args)
        await process.wait()
    asyncio.run(main())
"""


@pytest.fixture
def starter(app):
    return app(tf207_app=STARTS)[0]


def tool(folder, name, text="exit 0"):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def found(process, rule):
    return [(finding.culprit, finding.where) for finding in process.found(rule)]


class TestTF205:
    """Declared tools are there, in the wanted version."""

    def judged(self, judge, tmp_path, declared):
        process = judge(declaration={"system-tools": declared}, environ={"PATH": str(tmp_path)})
        return [finding.message for finding in process.found("TF205")], process.evidence.ruling(TF205).verdict

    def test_fires_on_an_absent_tool(self, judge, tmp_path):
        """
        At start, not when the first user needs it.
        """
        assert self.judged(judge, tmp_path, ["ffmpeg"])[0] == ["ffmpeg is declared and not on PATH"]

    def test_fires_on_a_wrong_version(self, judge, tmp_path):
        """
        Both are named.
        """
        path = tool(tmp_path, "ffmpeg", "echo 'ffmpeg version 4.2.7-0ubuntu Copyright 2000'")

        found = self.judged(judge, tmp_path, {"ffmpeg": ">=5"})[0]

        assert found == [f"ffmpeg >=5 is declared; {path} is 4.2.7"]

    @pytest.mark.parametrize(
        ("wanted", "text"),
        [
            ("*", "exit 3"),
            (">=2.30", "echo git version 2.39.2"),
            ("2.39", "echo git version 2.39.2"),
            (">=2", "test $1 = -V && echo v2.1 >&2"),
        ],
    )
    def test_quiet_on_the_right_one(self, judge, tmp_path, wanted, text):
        """
        However it says its version.
        """
        tool(tmp_path, "git", text)

        assert self.judged(judge, tmp_path, {"git": wanted}) == ([], Verdict.PASS)

    def test_quiet_without_a_declaration(self, judge, tmp_path):
        """
        Nothing is declared, nothing can be absent.
        """
        assert self.judged(judge, tmp_path, None) == ([], Verdict.PASS)

    def test_a_nonsense_version_is_said_to_be_nonsense(self, judge, tmp_path):
        """
        With what would be right.
        """
        tool(tmp_path, "git")

        assert "is no version" in self.judged(judge, tmp_path, {"git": ">=abc"})[0][0]


class TestTF206:
    """Packages are installed while the app runs."""

    @pytest.mark.parametrize(
        ("argv", "what"),
        [
            (["pip", "install", "x"], "pip install"),
            (["/venv/bin/pip3", "--quiet", "install", "x"], "pip3 install"),
            ([sys.executable, "-m", "pip", "install", "x"], "pip install"),
            (["python3.12", "-m", "ensurepip"], "ensurepip"),
            (["uv", "pip", "install", "x"], "uv install"),
            (["uv", "sync"], "uv sync"),
            (["sudo", "-E", "apt-get", "-y", "install", "x"], "apt-get install"),
            (["sh", "-c", "cd /app && npm ci"], "npm ci"),
            (
                ["bash", "-lc", "curl -sSL https://example.com/i.sh | sudo bash"],
                "a script that was fetched from the network",
            ),
            (["env", "A=1", "pip", "install", "x"], "pip install"),
        ],
    )
    def test_an_installation_is_understood(self, argv, what):
        """
        By whom, however wrapped.
        """
        assert commands.installs(argv) == what

    @pytest.mark.parametrize(
        "argv",
        [
            ["pip", "list"],
            ["pip", "--version"],
            ["python", "-m", "orders.install"],
            ["npm", "run", "build"],
            ["echo", "pip", "install"],
            ["grep", "install", "pip.log"],
            ["sh", "-c", "curl https://example.com | jq ."],
            ["pip", "install", "--dry-run", "x"],
            [],
            ["sh", "-c"],
            ["sh", "-c", "'unbalanced"],
        ],
    )
    def test_something_else_is_not(self, argv):
        """
        The tempting look-alikes.
        """
        assert commands.installs(argv) == ""

    def test_fires_with_the_line(self, judge, starter, tmp_path):
        """
        A fake pip, really started.
        """
        path = tool(tmp_path, "pip")

        process = judge(lambda: starter.run([str(path), "install", "x"]))

        assert found(process, "TF206") == [("pip install", "tf207_app.py:3")]

    def test_an_enforced_one_does_not_happen(self, judge, starter, tmp_path):
        """
        Stopped in the frame that tried.
        """
        path = tool(tmp_path, "pip", f"touch {tmp_path}/installed")

        def act():
            with pytest.raises(FactorViolation):
                starter.run([str(path), "install", "x"])

        judge(act, environ={"TWELVEFACTOR_ENFORCE": "TF206"})

        assert not (tmp_path / "installed").exists()


class TestTF207:
    """App code starts a tool that is not declared."""

    @pytest.mark.parametrize("how", ["run", "shell", "system", "spawn"])
    def test_fires_with_the_line(self, judge, starter, tmp_path, how):
        """
        By subprocess, a shell, os.system or asyncio.
        """
        path = str(tool(tmp_path, "convert"))
        acts = {
            "run": (lambda: starter.run([path, "a", "b"]), 3),
            "shell": (lambda: starter.run(f"cd / && {path} a b", shell=True), 3),
            "system": (lambda: starter.system(f"{path} a"), 4),
            "spawn": (lambda: starter.spawn(path, "a"), 7),
        }
        act, line = acts[how]

        process = judge(act)

        assert found(process, "TF207") == [("convert", f"tf207_app.py:{line}")]

    def test_quiet_on_a_declared_tool(self, judge, starter, tmp_path):
        """
        That is what declaring is for.
        """
        path = tool(tmp_path, "convert")

        process = judge(
            lambda: starter.run([str(path)]), declaration={"system-tools": ["convert"]}, environ={"PATH": str(tmp_path)}
        )

        assert process.evidence.ruling(TF207).verdict == Verdict.PASS

    @pytest.mark.parametrize(
        "argv", [[sys.executable, "-c", ""], ["sh", "-c", "exit 0"], ["sh", "-c", "cd / && echo x"]]
    )
    def test_quiet_on_python_itself_and_on_a_bare_shell(self, judge, starter, argv):
        """
        A child of the same environment; POSIX is there.
        """
        assert found(judge(lambda: starter.run(argv, stdout=subprocess.DEVNULL)), "TF207") == []

    def test_quiet_on_a_script_of_the_codebase(self, judge, starter, root):
        """
        It is tracked with the rest.
        """
        path = tool(root, "helper")

        assert found(judge(lambda: starter.run([str(path)])), "TF207") == []

    def test_quiet_on_what_a_library_starts(self, judge, tmp_path):
        """
        This test is no app code.
        """
        path = tool(tmp_path, "convert")

        assert found(judge(lambda: subprocess.run([str(path)], check=True)), "TF207") == []

    def test_nothing_listens_afterwards(self, judge):
        """
        The hook is inert.
        """
        before = dict(audit._listeners)
        judge()

        assert audit._listeners == before
