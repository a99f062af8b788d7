"""
Put into the pages what the code says of itself, so that it is written once.

- A rule's page gets the facts below its title, as `twelvefactor explain` shows them.
- `<!-- rules: 6 -->` becomes the table of factor VI's rules, and `<!-- rules: all -->` that of all.
- `<!-- api -->` becomes the documentation of the package's names, `<!-- api: submodules -->` that of its modules'.
- `<!-- commands -->` becomes the table of the commands. A command or an option that is not on the page warns.
- `<!-- fixtures -->` and `<!-- pytest -->` become the tables of the pytest plugin's fixtures and options.
- `<!-- platforms -->` becomes the platforms' table, `<!-- variables: commit -->` and `<!-- variables: release -->`
  the lists of the variables in which they tell the commit and the release.
- `<!-- versions -->` becomes the table of the libraries, with the oldest that we take and those of the locks.
- `<!-- errors -->` becomes the table of our exceptions and their exit statuses.
- `<!-- kinds -->` becomes the table of the backing services' kinds, with their clients and when these connect.
- `<!-- factors -->` becomes the list of the factors' pages, `<!-- others -->` that of pages this one does not name.
"""

import html
import inspect
import re
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path

import click
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import twelvefactor
from twelvefactor import exceptions
from twelvefactor.factor import FACTORS
from twelvefactor.report.rules import all_rules, with_facts

ROOT = Path(__file__).resolve().parents[2]
PLACE = re.compile(r"<!-- (\w+)(?:: ([\w.]+))? -->")


def setup(app):
    app.connect("source-read", fill_in)
    app.connect("build-finished", all_is_there)
    return {"parallel_read_safe": True}


def fill_in(app, docname, source):
    source[0] = filled(source[0], docname, Path(app.srcdir))


def filled(text, docname, root):
    """The source *text* of the page *docname*, with what the code says put in."""

    def made(place):
        maker = MAKERS.get(place[1])
        return place[0] if maker is None else maker(place[2], docname, root)

    text = PLACE.sub(made, text)
    rule = next((rule for rule in all_rules() if docname == f"rules/{rule.id}"), None)
    return with_facts(text, rule) if rule else text


def rules(which, docname, root):
    """The rules of a factor, or all, as a table that links to their pages."""
    up = "../" * docname.count("/")
    rows = [
        f"| {linked(root, up, rule)}{' •' if rule.deciding else ''} | {rule.title} | {rule.severity} "
        f"| {', '.join(rule.moments)} | {looked_at(root, rule)} |"
        for rule in all_rules()
        if which in ("all", str(rule.factor.number))
    ]
    return "\n".join(["| rule | fires when | severity | moment | looked at |", "|---|---|---|---|---|", *rows])


def kinds(*_):
    """The kinds of backing services: schemes, clients, when they connect."""
    from twelvefactor._core.lazy import load
    from twelvefactor.backing_services.registry import TABLE, url_class

    classes = {url_class(scheme): None for scheme in TABLE}
    rows = []
    for cls in classes:
        kind, schemes = load(cls.kind), ", ".join(f"`{s}`" for s in dict.fromkeys(cls.schemes) if url_class(s) is cls)
        sides = [
            f"`{client}`, {connects}" if client else "none; give `client=`"
            for client, connects in ((kind.client, kind.connects), (kind.async_client, kind.async_connects))
        ]
        rows.append(f"| `tf.{cls.__name__}` | {schemes} | {sides[0]} | {sides[1]} |")
    head = ["| handle | schemes | `attach` gives, connects | `attach_async` gives, connects |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def factors(_, docname, root):
    """The twelve pages in the manifesto's order."""
    return toctree(factor.page for factor in FACTORS if (root / "factors" / f"{factor.page}.md").is_file())


def others(_, docname, root):
    """The pages of this folder that the page itself does not name."""
    page = root / f"{docname}.md"
    named = set(page.read_text(encoding="utf-8").split())
    return toctree(sorted({each.stem for each in page.parent.glob("*.md")} - named - {page.stem}))


def toctree(names):
    listed = "\n".join(names)
    return f"::::{{toctree}}\n:maxdepth: 1\n\n{listed}\n::::" if listed else ""


def linked(root, up, rule):
    return f"[{rule.id}]({up}rules/{rule.id}.md)" if page(root, rule).is_file() else rule.id


def looked_at(root, rule):
    file = page(root, rule)
    return "yes" if file.is_file() and "Not looked at yet" not in file.read_text(encoding="utf-8") else "not yet"


def page(root, rule):
    return root / "rules" / f"{rule.id}.md"


SUBMODULES = {
    "config": ("Origin", "Phase", "phase", "provenance"),
    "backing_services.registry": ("register",),
    "backing_services.kind": ("Kind", "Identity"),
    "build_release_run": ("Release", "identify"),
    "codebase": ("Commit", "running_commit", "otel_attribute"),
    "port_binding": ("Listener", "listeners", "waiting"),
    "logs": ("EventStream", "JsonFormatter"),
    "clock": ("ServiceClock",),
    "management": ("Management",),
    "exceptions": (
        "Problem",
        "FrozenConfigError",
        "UsageError",
        "MissingExtraError",
        "ResourceUnavailable",
        "LockHeld",
        "PhaseError",
        "WorkError",
    ),
    "integrations.django": ("Middleware", "the_service"),
    "integrations.rq": ("Worker", "SimpleWorker"),
    "testing.engines": (
        *("postgres", "redis", "rabbitmq", "nats", "mosquitto", "memcached", "mariadb"),
        *("start", "free_port"),
    ),
    "testing.drill": ("drill", "Visitors", "Result"),
    "testing.queues": ("QueueDrill", "Stop", "Book", "Counted"),
    "testing.replicas": ("share_nothing", "Replicas", "Sticky", "Asked"),
    "testing.servers": ("Server", "Response", "python_server", "events_in"),
    "testing.backing_services": ("Compliance",),
    "testing.fixtures": ("session_engine",),
}
"""The names that users may import from a module of the package; what is in no such list is ours, and may change."""


def api(which, docname, root):
    """The public names, module by module, each under the name that users write."""
    if which == "submodules":
        parts = ((heading(home), *(in_module(home, name) for name in names)) for home, names in SUBMODULES.items())
        return "\n\n".join(each for part in parts for each in part)
    homes = dict.fromkeys(twelvefactor._HOMES.values())
    return "\n\n".join(part for home in homes for part in (heading(home), *map(documented, names_of(home))))


def heading(home):
    module = import_module(f"twelvefactor.{home}")
    sentence = next(iter((module.__doc__ or "").strip().splitlines()), "")
    return f"## `{home}`\n\n{sentence}"


def names_of(home):
    return sorted(name for name, where in twelvefactor._HOMES.items() if where == home)


def documented(name):
    return directive(f"twelvefactor.{name}", getattr(twelvefactor, name))


def in_module(home, name):
    return directive(f"twelvefactor.{home}.{name}", getattr(import_module(f"twelvefactor.{home}"), name))


def directive(path, value):
    if inspect.isclass(value):
        options = "   :members:\n" + ("   :show-inheritance:\n" if issubclass(value, Exception) else "")
        return f"```{{eval-rst}}\n.. autoclass:: {path}\n{options}```"
    kind = "autofunction" if callable(value) else "autodata"
    return f"```{{eval-rst}}\n.. {kind}:: {path}\n```"


def commands(*_):
    """Each command in a line."""
    rows = [
        f"| `{path}` | {command.get_short_help_str(120)} |"
        for path, command in every_command()
        if not isinstance(command, click.Group) or not command.list_commands(click.Context(command))
    ]
    return "\n".join(["| command | does |", "|---|---|", *rows])


def every_command():
    """Each command, groups too, with the words that call it."""
    from twelvefactor.cli import main

    pending = [("twelvefactor", main)]
    while pending:
        path, command = pending.pop(0)
        yield path, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            inner = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
            pending = [(f"{path} {name}", each) for name, each in inner] + pending


def all_is_there(app, exception):
    """Warn of each command and option that the built page of the command does not name."""
    from sphinx.util import logging

    page = Path(app.outdir) / "reference" / "cli.html"
    if exception is not None or not page.is_file():
        return
    text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
    for path, command in every_command():
        words = [path, *(each for option in command.params if isinstance(option, click.Option) for each in option.opts)]
        for word in words:
            if word not in text:
                logging.getLogger(__name__).warning("reference/cli does not name %s (of %s)", word, path)


def fixtures(*_):
    """The fixtures that the plugin gives to every test suite."""
    from twelvefactor import pytest_plugin

    rows = [f"| `{name}` | {sentence(getattr(pytest_plugin, name))} |" for name in pytest_plugin.__all__]
    return "\n".join(["| fixture | gives |", "|---|---|", *rows])


def sentence(fixture):
    """The first paragraph of a fixture's docstring."""
    text = inspect.getdoc(getattr(fixture, "__wrapped__", fixture) or fixture) or ""
    return " ".join(text.split("\n\n")[0].split())


def pytest_options(*_):
    """The options that the plugin gives to pytest."""
    rows = [f"| `{name}{value_of(told)}` | {told['help']} |" for name, told in plugin_options().items()]
    return "\n".join(["| option | does |", "|---|---|", *rows])


def value_of(told):
    if told.get("action") == "store_true":
        return ""
    name = told.get("metavar") or "\\|".join(told.get("choices", ()))
    return f"[={name}]" if told.get("nargs") == "?" else f"={name}"


def plugin_options():
    """Each option with what pytest is told of it."""
    from twelvefactor import pytest_plugin

    found = {}

    class Heard:
        def getgroup(self, _):
            return self

        def addoption(self, name, **told):
            found[name] = told

    pytest_plugin.pytest_addoption(Heard())
    return found


def platforms(*_):
    """The platforms in the order in which they are believed, and what is assumed of each."""
    from twelvefactor._core.platform import PLATFORMS
    from twelvefactor.disposability.budget import Budget
    from twelvefactor.port_binding.binding import Binding

    rows = []
    for each in PLATFORMS:
        environ = {each.variable: "told"}
        budget = Budget.from_environ(environ)
        host = Binding.from_environ(environ).host
        parts = " + ".join(f"{part:g}" for part in (budget.drain, budget.work, budget.hooks, budget.flush))
        rows.append(f"| {each.name} | `{each.variable}` | `{host}` | {budget.grace:g} | {parts} |")
    head = "| platform | known by | `HOST` where unset | grace period, s | drain + work + hooks + flush, s |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def variables(which, *_):
    """The variables that tell the commit, or the release, in the order in which they are believed."""
    from twelvefactor.build_release_run.names import RELEASE_VARIABLES
    from twelvefactor.codebase.commit import COMMIT_VARIABLES

    return ", ".join(f"`{name}`" for name in {"commit": COMMIT_VARIABLES, "release": RELEASE_VARIABLES}[which])


def errors(_, docname, root):
    """Our exceptions, each with what it means and how a process ends because of it."""
    found = [each for each in vars(exceptions).values() if is_ours(each)]
    rows = [f"| `{each.__name__}` | {inspect.getdoc(each).splitlines()[0]} | {each.exit_code} |" for each in found]
    return "\n".join(["| error | means | exit status |", "|---|---|---|", *rows])


def is_ours(value):
    return inspect.isclass(value) and issubclass(value, exceptions.TwelveFactorError)


GROUPS = {
    "servers": ("uvicorn", "gunicorn", "hypercorn", "granian", "waitress"),
    "frameworks": ("fastapi", "flask", "django", "litestar", "quart"),
    "queues and schedulers": ("celery", "rq", "dramatiq", "arq", "taskiq", "huey", "faststream", "apscheduler"),
    "backing services": (
        *("postgres", "asyncpg", "mysql", "sqlite", "redis", "rabbitmq", "nats", "mqtt", "kafka", "memcached"),
        *("mongodb", "s3", "smtp", "elasticsearch", "http"),
    ),
    "telemetry": ("otel", "prometheus"),
}
"""The extras whose libraries an app brings along; Starlette is always there."""


def versions(*_):
    """The libraries that we adapt: what is asked for, and what the suite runs against."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras, always = project["optional-dependencies"], [Requirement(text) for text in project["dependencies"]]
    rows = ["| | from | tested |", "|---|---|---|", "| **always there** | | |", *map(version_row, always)]
    for group, names in GROUPS.items():
        rows.append(f"| **{group}** | | |")
        wanted = {text: Requirement(text) for name in names for text in extras[name]}
        rows.extend(version_row(each, "arq" if each.name == "arq" else "test") for each in wanted.values())
    return "\n".join(dict.fromkeys(rows))


def version_row(requirement, lock="test"):
    """One library; where the locked version hangs on the Python, both."""
    found = locked(lock).get(canonicalize_name(requirement.name), [])
    oldest = next((each.version for each in requirement.specifier if each.operator == ">="), "any")
    tested = ", ".join(f"{version} ({marker})" if marker else version for version, marker in found)
    return f"| {requirement.name} | {oldest} | {tested or 'no'} |"


@cache
def locked(name):
    """The pinned versions of a lock, by library: each with the Pythons that it is for."""
    found = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        pinned = re.match(r"([\w.-]+)==([^ ;]+)(?: ; ([^\\]*))?", line)
        if pinned:
            python = re.search(r"python_(?:full_)?version (\S+) '([\d.]+)'", pinned[3] or "")
            marker = f"Python {python[1]} {python[2]}" if python else ""
            found.setdefault(canonicalize_name(pinned[1]), []).append((pinned[2], marker))
    return found


MAKERS = {
    "rules": rules,
    "api": api,
    "errors": errors,
    "factors": factors,
    "others": others,
    "kinds": kinds,
    "commands": commands,
    "fixtures": fixtures,
    "pytest": pytest_options,
    "platforms": platforms,
    "variables": variables,
    "versions": versions,
}
