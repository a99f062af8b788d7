"""The package as a whole: its names, its cost, its typing."""

import ast
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import twelvefactor

INIT = Path(twelvefactor.__file__)


def names_for_type_checkers():
    """The names in the `if TYPE_CHECKING` block, each with its home."""
    for node in ast.parse(INIT.read_text()).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from (
                (name.asname or name.name, imported.module.removeprefix("twelvefactor."))
                for imported in node.body
                for name in imported.names
            )


def fresh(code):
    """What *code* prints in an interpreter of its own, without pytest's modules in it."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_the_three_lists_of_names_are_one():
    """
    `__all__`, the table of homes and what type checkers see agree.
    """
    assert sorted(twelvefactor.__all__) == sorted(twelvefactor._HOMES)
    assert dict(names_for_type_checkers()) == {
        name: home for name, home in twelvefactor._HOMES.items() if name in twelvefactor.__all__
    }


def test_the_names_are_sorted():
    """
    A name is found where the eye looks for it.
    """
    assert sorted(set(twelvefactor.__all__), key=str.lower) == sorted(twelvefactor.__all__, key=str.lower)
    assert len(set(twelvefactor.__all__)) == len(twelvefactor.__all__)


@pytest.mark.parametrize("name", twelvefactor.__all__)
def test_every_name_is_there(name):
    """
    What the package offers can be imported, says what it is, and is listed by `dir`.
    """
    assert getattr(twelvefactor, name) is not None
    assert name in dir(twelvefactor)


def test_an_unknown_name_is_an_attribute_error():
    """
    A typo fails as in any other module.
    """
    with pytest.raises(AttributeError, match="has no attribute 'Servce'"):
        twelvefactor.Servce  # noqa: B018


def test_import_loads_nothing_else():
    """
    `import twelvefactor` loads no third-party module, no room, and not even `typing`.
    """
    code = "import sys; before = set(sys.modules); import twelvefactor; print(*sorted(set(sys.modules) - before))"

    assert fresh(code) == ["twelvefactor"]


def test_the_rules_of_a_room_cost_no_third_party_module():
    """
    Listing every rule imports the rooms, and nothing that is not ours or Python's.
    """
    code = (
        "import sys; before = set(sys.modules); from twelvefactor.report.rules import all_rules; all_rules(); "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )

    assert fresh(code) == ["twelvefactor"]


def test_type_checkers_are_told_that_we_are_typed():
    """
    The marker of PEP 561 is in the package.
    """
    assert resources.files(twelvefactor).joinpath("py.typed").is_file()
