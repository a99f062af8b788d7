"""The page of supported versions says what the locks say."""

import re
import tomllib
from pathlib import Path

from docs._ext import generated

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TOOLS = {"shell", "engines", "pytest", "all"}  # extras that no app is built on


def rows():
    found = re.findall(r"^\| ([\w.-]+) \| (\S+) \| (.*) \|$", generated.versions(), re.MULTILINE)
    return {name: (oldest, tested) for name, oldest, tested in found}


def test_every_library_has_a_version_that_it_is_tested_with():
    """
    What nobody tests is not supported.
    """
    assert len(rows()) > 40
    assert {name for name, (_, tested) in rows().items() if tested == "no"} == set()


def test_every_extra_of_a_library_is_in_a_group():
    """
    One that is added is listed from then on.
    """
    listed = {name for names in generated.GROUPS.values() for name in names}

    assert set(PROJECT["optional-dependencies"]) - listed == TOOLS


def test_a_version_that_hangs_on_the_python_is_told_for_each():
    """
    Django has dropped a Python that we have not.
    """
    assert re.fullmatch(r"\S+ \(Python < 3.12\), \S+ \(Python >= 3.12\)", rows()["django"][1])


def test_the_pythons_are_those_of_the_package():
    """
    As the classifiers have them.
    """
    classifiers = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    page = (ROOT / "docs" / "versions.md").read_text()

    assert f"CPython {', '.join(classifiers[:-1])} and {classifiers[-1]}" in page
