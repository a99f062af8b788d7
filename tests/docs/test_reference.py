"""The reference pages name everything there is: names, variables, events, endpoints, commands, options, extras, rules."""

import ast
import importlib
import inspect
import re
import tomllib
from functools import cache
from pathlib import Path

import click
import pytest

import twelvefactor
from docs._ext import generated
from twelvefactor import exceptions, pytest_plugin
from twelvefactor.disposability.lifecycle import State
from twelvefactor.integrations._web import DEFAULT_PROBES
from twelvefactor.management.answers import Answers
from twelvefactor.report.rules import all_rules

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PROSE = [ROOT / "README.md", *(each for each in DOCS.rglob("*.md") if "_build" not in each.parts)]
TREES = {file.relative_to(ROOT): ast.parse(file.read_text()) for file in (ROOT / "twelvefactor").rglob("*.py")}
ENVIRONMENTS = {"environ", "env", "environment"}
STATES = {f"twelvefactor.{state.word}" for state in State}  # said by the lifecycle, which puts the name together
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*[A-Z0-9]|[a-z]+_proxy|container")
NO_VARIABLES = {  # in capitals, in a module that reads a variable whose name it computes
    *("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_USER", "SCRIPT_NAME"),  # WSGI's environ
    *("HTTP_TRACEPARENT", "HTTP_TRACESTATE", "HEAD"),  # as above
    *("GIT_OPTIONAL_LOCKS", "LC_ALL"),  # set for git
    "REVISION",  # a file
}


@cache
def page(name):
    """A reference page as it is built, with what the code says put in."""
    text = (DOCS / "reference" / f"{name}.md").read_text()
    return generated.filled(text, f"reference/{name}", DOCS)


# -- variables ---------------------------------------------------------------------------------------------------------


def is_environment(node):
    return getattr(node, "id", getattr(node, "attr", None)) in ENVIRONMENTS


def keys_read(tree):
    """Every expression by which a module of ours asks an environment."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=asked, slice=key, ctx=ast.Load()) if is_environment(asked):
                yield key
            case ast.Call(func=ast.Attribute(value=asked, attr="get"), args=[key, *_]) if is_environment(asked):
                yield key
            case ast.Call(func=ast.Attribute(attr="getenv"), args=[key, *_]):
                yield key
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()], comparators=[asked]) if is_environment(asked):
                yield key


@cache
def texts(tree):
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def variables_read(tree):
    """The names; where one is computed, each text of the module that looks like one."""
    keys = list(keys_read(tree))
    named = {key.value for key in keys if isinstance(key, ast.Constant)}
    if len(named) < len({ast.dump(key) for key in keys}):
        named |= {text for text in texts(tree) if VARIABLE.fullmatch(text)}
    return {name for name in named if isinstance(name, str) and VARIABLE.fullmatch(name)} - NO_VARIABLES


def ours():
    """The names with our prefix in any text of the source, a prefix of several ends with _."""
    words = " ".join(text for tree in TREES.values() for text in texts(tree))
    return set(re.findall(r"\bTWELVEFACTOR_[A-Z_]+", words))


def named_on(name):
    return set(re.findall(r"`([A-Za-z0-9_]+)`", page(name)))


def test_every_variable_that_the_code_reads_is_on_the_page():
    """
    A variable that can change what the library does is documented, whoever sets it.
    """
    read = set().union(*map(variables_read, TREES.values()))

    assert {"PORT", "TWELVEFACTOR_MODE", "K_REVISION", "SENTRY_DSN", "LOG_LEVEL", "VCAP_SERVICES"} <= read
    assert read - named_on("environment") == set()


def test_every_variable_of_ours_that_the_code_names_is_on_the_page():
    """
    One that is only passed on, too.
    """
    assert {name for name in ours() if not name.endswith("_")} - named_on("environment") == set()


def test_no_variable_of_ours_is_on_the_page_that_nothing_names():
    """
    What was taken away is taken away here too.
    """
    told = {name.removesuffix("_FILE") for name in named_on("environment") if name.startswith("TWELVEFACTOR_")}

    assert told - ours() == set()


# -- events ------------------------------------------------------------------------------------------------------------


def said(tree):
    """The names of events in a module: second argument of `event` and `emit`, or a field called event."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="event" | "emit"), args=[_, name, *_]):
                yield from (each for each in texts(name) if re.fullmatch(r"[a-z_.]+", each))
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                yield from (value.value for key, value in pairs if is_event_field(key, value))


def is_event_field(key, value):
    is_event = isinstance(key, ast.Constant) and key.value == "event" and isinstance(value, ast.Constant)
    return is_event and isinstance(value.value, str) and value.value.startswith("twelvefactor.")


def test_every_event_that_the_code_says_is_on_the_page():
    """
    An event of ours that can be on the stream is explained.
    """
    events = STATES.union(*map(said, TREES.values()))
    kinds = {"request", "job", "tick", "admin"}  # a unit of work's own event is called after its kind

    assert len(events) > 50
    assert {name for name in events | kinds if f"`{name}`" not in page("events")} == set()


def test_no_event_is_on_the_page_that_nothing_says():
    """
    What was renamed is renamed here too.
    """
    told = set(re.findall(r"^\| `(twelvefactor\.[a-z_.]+)`", page("events"), re.MULTILINE))
    words = STATES.union(*map(texts, TREES.values()))

    assert len(told) > 40
    assert told - words == set()


# -- names -------------------------------------------------------------------------------------------------------------


@cache
def documented():
    return set(re.findall(r"auto(?:class|function|data):: (twelvefactor\.[\w.]+)", page("api")))


def test_every_public_name_of_the_package_is_on_the_page():
    """
    A name that `from twelvefactor import …` gives is documented.
    """
    assert {f"twelvefactor.{name}" for name in twelvefactor.__all__} - documented() == set()


def public(module):
    """The names that a room offers, less what the machinery asks each room for."""
    names = getattr(importlib.import_module(f"twelvefactor.{module}"), "__all__", ())
    return {name for name in names if name not in ("RULES", "sensors") and not re.fullmatch(r"TF\d+", name)}


@pytest.mark.parametrize("module", sorted(generated.SUBMODULES))
def test_every_name_that_a_public_module_offers_is_on_the_page(module):
    """
    Under the module's name, or under the package's.
    """
    missing = public(module) - {name.rpartition(".")[2] for name in documented()}

    assert missing == set()


def test_every_room_that_offers_names_is_a_public_module():
    """
    A room that gets an `__all__` of its own is documented from then on.
    """
    rooms = {tree.parent.relative_to("twelvefactor") for tree in TREES if tree.name == "__init__.py"}
    modules = {name for name in (".".join(room.parts) for room in rooms) if name and not name.startswith("_")}

    assert {module for module in modules if public(module) and module not in generated.SUBMODULES} == set()


def imports(text):
    """What the snippets of a page import from our modules: (module, name)."""
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("twelvefactor."):
                yield from ((node.module, alias.name) for alias in node.names)


def test_every_name_that_a_page_tells_to_import_is_on_the_page():
    """
    What users are shown is public.
    """
    pages = [file for file in PROSE if file.parent.name != "rules"]  # those show how a rule looks, with what is ours
    told = {f"{module}.{name}" for file in pages for module, name in imports(file.read_text())}
    modules = {f"twelvefactor.{module}" for module in generated.SUBMODULES}

    assert told
    assert {name for name in told if name not in documented() and name not in modules} == set()


def test_every_error_is_on_the_page():
    """
    What can be raised can be caught by name.
    """
    ours = {name for name, value in vars(exceptions).items() if generated.is_ours(value)}

    assert ours - {name.rpartition(".")[2] for name in documented()} == set()


def test_every_documented_name_says_what_it_is():
    """
    A name without a docstring would be a heading and nothing more.
    """
    silent = set()
    for path in documented():
        module, _, name = path.rpartition(".")
        value = getattr(importlib.import_module(module), name)
        if (inspect.isclass(value) or inspect.isroutine(value)) and not inspect.getdoc(value):
            silent.add(path)

    assert silent == set()


# -- commands ----------------------------------------------------------------------------------------------------------


def test_every_command_is_on_the_page():
    """
    And below, with its options: `make docs` looks at the built page.
    """
    leaves = {path for path, command in generated.every_command() if not isinstance(command, click.Group)}

    assert {path for path in leaves if f"`{path}`" not in page("cli")} == set()
    assert ":nested: full" in page("cli")


def test_every_option_says_what_it_does():
    """
    An option without a help text is a riddle.
    """
    options = [(path, each) for path, command in generated.every_command() for each in command.params]

    assert [(path, each.name) for path, each in options if isinstance(each, click.Option) and not each.help] == []


def test_every_option_and_fixture_of_the_pytest_plugin_is_on_the_page():
    """
    They are there in every test suite, so they are told.
    """
    told = page("pytest")

    assert {name for name in generated.plugin_options() if f"`{name}" not in told} == set()
    assert {name for name in pytest_plugin.__all__ if f"| `{name}` | " not in told} == set()
    assert "|  |" not in told


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_every_endpoint_is_on_the_page():
    """
    With the methods that it takes.
    """
    told = page("endpoints")
    routes = {(path, method) for path, methods in Answers._routes.items() for method in methods}

    assert {path for path in DEFAULT_PROBES.values() if f"| `{path}` | " not in told} == set()
    assert {each for each in routes if f"| `{each[0]}` | {each[1]} |" not in told} == set()


def test_every_extra_is_on_the_page():
    """
    An extra that can be installed is listed.
    """
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert {name for name in extras if f"`{name}`" not in page("extras")} == set()


def test_every_rule_has_a_page_and_a_row():
    """
    In the list of all, and in that of its factor.
    """
    everything = generated.filled("<!-- rules: all -->", "rules/index", DOCS)

    for rule in all_rules():
        factor = DOCS / "factors" / f"{rule.factor.page}.md"
        own = generated.filled(factor.read_text(), f"factors/{factor.stem}", DOCS)
        assert (DOCS / "rules" / f"{rule.id}.md").is_file()
        assert f"[{rule.id}](../rules/{rule.id}.md)" in everything
        assert f"[{rule.id}](../rules/{rule.id}.md)" in own
