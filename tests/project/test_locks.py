"""The lock files: complete, hashed, of any index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
APART = {"arq": ("redis",)}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock):
    """The pinned requirements of a lock file, each with its hashes."""
    entries = lock.read_text().replace("\\\n", " ").splitlines()
    return [entry.split(" --hash=") for entry in entries if entry and not entry.startswith("#")]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_line_is_a_pin_with_hashes(lock):
    """
    Nothing is left for the day of the installation to decide.
    """
    for requirement, *hashes in pins(lock):
        assert re.fullmatch(r"==[^*,]+", str(Requirement(requirement).specifier)), requirement
        assert hashes
        assert all(each.startswith("sha256:") for each in hashes)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_no_address_is_in_a_lock(lock):
    """
    A lock installs from whatever index the machine is told to use.
    """
    assert "://" not in lock.read_text()


def test_the_locks_agree():
    """
    All sets can share an environment: no distribution is pinned to two versions, but for what keeps a set apart.
    """
    pinned = {}
    for lock in LOCKS:
        apart = APART.get(lock.stem, ())
        for requirement, *_ in pins(lock):
            parsed = Requirement(requirement)
            if parsed.name in apart:
                continue
            pinned.setdefault((parsed.name, str(parsed.marker)), set()).add(str(parsed.specifier))

    assert {key: versions for key, versions in pinned.items() if len(versions) > 1} == {}


def test_the_test_lock_satisfies_what_pyproject_asks_for():
    """
    After a change of pyproject somebody has run `make lock`.
    """
    locked = {}
    for requirement, *_ in pins(ROOT / "requirements" / "test.txt"):
        parsed = Requirement(requirement)
        locked.setdefault(parsed.name.lower(), []).append(parsed)
    asked = [*PROJECT["project"]["dependencies"], *in_all_extras(), *strings(PROJECT["dependency-groups"]["test"])]
    for requirement in map(Requirement, asked):
        versions = [str(each.specifier).removeprefix("==") for each in locked.get(requirement.name.lower(), [])]
        assert versions, f"{requirement.name} is not locked: make lock"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: make lock"


def test_all_is_every_extra_but_arq():
    """
    A new extra is in `all`, or the documentation says why it is not.
    """
    extras = set(PROJECT["project"]["optional-dependencies"]) - {"all"}

    assert extras - set(names_in_all()) == {"arq"}


def names_in_all():
    for entry in PROJECT["project"]["optional-dependencies"]["all"]:
        yield from Requirement(entry).extras


def in_all_extras():
    for name in names_in_all():
        yield from PROJECT["project"]["optional-dependencies"][name]


def strings(group):
    return [entry for entry in group if isinstance(entry, str)]
