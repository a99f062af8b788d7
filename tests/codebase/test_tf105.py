"""TF105: a library that was copied into the codebase."""

import pytest

from twelvefactor.codebase import RULES
from twelvefactor.factor import Verdict

TF105 = RULES[4]

BOTTLE = '''#!/usr/bin/env python
"""A fast and simple micro-framework."""
__author__ = "Somebody"
__version__ = "0.12"
__license__ = "MIT"
'''


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_fires_on_a_module_in_a_vendor_folder(judge, root):
    """
    With its version and its licence.
    """
    write(root, "orders/vendor/bottle.py", BOTTLE)

    (finding,) = judge().found("TF105")

    assert (finding.culprit, finding.where) == ("bottle", "orders/vendor/bottle.py")


def test_fires_on_metadata(judge, root):
    """
    What an installer left in the tree.
    """
    (root / "lib" / "requests-2.31.0.dist-info").mkdir(parents=True)

    assert [finding.culprit for finding in judge().found("TF105")] == ["requests"]


def test_fires_on_a_copy_of_what_is_installed(judge, root):
    """
    A package of the same name as a distribution, with a version and a licence.
    """
    write(root, "click/__init__.py", '__version__ = "8.0"\n')
    write(root, "click/LICENSE.txt", "BSD")

    assert [finding.culprit for finding in judge().found("TF105")] == ["click"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("orders/__init__.py", "# Copyright the company\n__version__ = '1'\n"),  # the app itself
        ("orders/lib/money.py", "def add(): ...\n"),  # an own module in a folder called lib
        ("orders/vendor/__init__.py", ""),  # a domain word: who sells things
        ("orders/vendor/models.py", "# Copyright the company\nclass Vendor: ...\n"),
        ("click/__init__.py", "def on_click(): ...\n"),  # an own package of a taken name
        (".venv/lib/site-packages/bottle.py", BOTTLE),  # an environment
    ],
)
def test_quiet_on_code_of_the_app(judge, root, name, text):
    """
    Nothing says that it was ever distributed.
    """
    write(root, name, text)

    assert judge().evidence.ruling(TF105).verdict == Verdict.PASS


def test_quiet_on_the_egg_info_of_the_app_itself(judge, root):
    """
    A development install writes it.
    """
    (root / "orders.egg-info").mkdir()

    assert judge().found("TF105") == []


def test_fires_on_what_the_build_saw(judge, root):
    """
    The manifest tells of the whole tree, of which the image may hold a part.
    """
    copy = {"name": "bottle", "where": "orders/vendor/bottle.py", "because": "it carries a version"}

    (finding,) = judge(manifest={"copies": [copy]}).found("TF105")

    assert (finding.culprit, finding.where) == ("bottle", "orders/vendor/bottle.py")


def test_quiet_on_a_build_without_copies(judge, root):
    """
    The manifest is believed also where nobody knows the codebase root.
    """
    assert judge(manifest={"copies": []}, root=None).evidence.ruling(TF105).verdict == Verdict.PASS
