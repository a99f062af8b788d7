"""TF203: app code imports what its manifest does not declare."""

import importlib

import pytest

from twelvefactor.dependencies import RULES
from twelvefactor.factor import Verdict

TF203 = RULES[2]


def found(process):
    return [(finding.culprit, finding.where) for finding in process.found("TF203")]


def test_fires_on_a_transitive_dependency(judge, site, declare, app):
    """
    It is there because another one brought it, until that one drops it.
    """
    declare("alpha")
    site.add("alpha", requires=["tqdm"])
    site.add("tqdm")
    app(tf203_app="import alpha\nfrom tqdm import __name__ as x\n")

    assert found(judge()) == [("tqdm", "tf203_app.py:2")]


def test_the_distribution_is_named_where_its_name_differs(judge, site, declare, app):
    """
    PyYAML is imported as yaml.
    """
    declare()
    site.add("PyYAML", modules=["yaml"])
    app(tf203_app="import yaml\n")

    (finding,) = judge().found("TF203")

    assert finding.message == "app code imports yaml, of the distribution pyyaml, which pyproject.toml does not declare"


def test_fires_on_a_lazy_import_in_a_function(judge, site, declare, app):
    """
    It would fail at the first use, not at the start.
    """
    declare()
    site.add("tqdm")
    app(tf203_app="def f():\n    import tqdm\n")

    assert found(judge()) == [("tqdm", "tf203_app.py:2")]


def test_fires_on_a_module_that_is_imported_late(judge, site, declare, app, root):
    """
    While the process runs.
    """
    declare()
    site.add("tqdm")
    (tf203_app,) = app(tf203_app="import importlib\ndef f():\n    importlib.import_module('tf203_late')\n")
    (root / "tf203_late.py").write_text("import tqdm\n")
    importlib.invalidate_caches()

    assert found(judge(tf203_app.f)) == [("tqdm", "tf203_late.py:1")]


def test_fires_on_an_import_that_no_source_shows(judge, site, declare, app):
    """
    `__import__` with a name that was computed.
    """
    declare()
    site.add("tqdm")
    (tf203_app,) = app(tf203_app="def f(name):\n    __import__(name)\n")

    assert found(judge(lambda: tf203_app.f("tqdm"))) == [("tqdm", "tf203_app.py:2")]


@pytest.mark.parametrize(
    "source",
    [
        "import json, os.path\n",
        "import alpha\n",
        "import yaml\n",  # declared under another name
        "import httptools\n",  # a declared extra asks for it
        "import optional\n",  # declared by an extra of the app's own
        "import tf203_other\n",  # the app's own
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tqdm\n",
        "try:\n    import tqdm\nexcept ImportError:\n    tqdm = None\n",
        '"""\nimport tqdm\n"""\n',
        "x = '''\nimport tqdm\n'''\n",
    ],
)
def test_quiet(judge, site, declare, app, root, source):
    """
    What is declared under any name, and what only looks like an import.
    """
    declare("alpha", "PyYAML>=6", "uvicorn[standard]>=0.3", extras={"more": ["optional"]})
    site.add("alpha")
    site.add("optional")
    site.add("PyYAML", modules=["yaml", "_yaml"])
    site.add("uvicorn", requires=["click", 'httptools; extra == "standard"'])
    site.add("httptools")
    site.add("tqdm")
    (root / "tf203_other.py").write_text("")
    app(tf203_app=source)

    process = judge()

    assert found(process) == []
    assert process.evidence.ruling(TF203).verdict == Verdict.PASS


def test_tests_may_import_what_only_development_has(judge, site, declare, root, imports):
    """
    They are no part of the app that is deployed.
    """
    declare()
    site.add("tqdm")
    imports(root)
    (root / "test_tf203.py").write_text("import tqdm\n")
    importlib.invalidate_caches()
    importlib.import_module("test_tf203")

    assert found(judge()) == []


def test_a_library_that_imports_is_not_the_app(judge, site, declare, app):
    """
    A declared library's own business, even when the app calls it.
    """
    declare("alpha")
    site.add("alpha")
    site.add("tqdm")
    (site.folder / "alpha" / "__init__.py").write_text("def load():\n    import tqdm\n")
    (tf203_app,) = app(tf203_app="import alpha\ndef f():\n    alpha.load()\n")

    assert found(judge(tf203_app.f)) == []


def test_unknown_where_nothing_declares(judge, site, app):
    """
    TF201 says what is missing.
    """
    app(tf203_app="import json\n")

    assert judge().evidence.ruling(TF203).verdict == Verdict.UNKNOWN


def test_a_broken_manifest_is_unknown(judge, site, app, root):
    """
    And said to be broken.
    """
    (root / "pyproject.toml").write_text("[project")

    assert "pyproject.toml: cannot be read" in judge().evidence.ruling(TF203).because


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "pyproject.toml",
            "[tool.poetry]\nname = 'orders'\n[tool.poetry.dependencies]\npython = '^3.11'\ntqdm = '*'\n",
        ),
        ("Pipfile", "[packages]\ntqdm = '*'\n"),
        ("requirements.in", "# direct\ntqdm>=4  # progress\n"),
        ("requirements.txt", "-r more.txt\n"),
    ],
)
def test_other_manifests(judge, site, app, root, name, text):
    """
    Poetry's table, a Pipfile, lists of requirements.
    """
    (root / name).write_text(text)
    (root / "more.txt").write_text("tqdm==4.0\n")
    site.add("tqdm")
    app(tf203_app="import tqdm\n")

    process = judge()

    assert (found(process), process.evidence.ruling(TF203).verdict) == ([], Verdict.PASS)
