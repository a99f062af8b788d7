"""What the tests of factor II share: a codebase, installed distributions of a test's own, and the judged process."""

import importlib
import sys

import pytest

from tests.codebase.conftest import Running, imports, root  # noqa: F401 - fixtures
from twelvefactor._core import distributions
from twelvefactor.dependencies import comparing, owners, sensors


@pytest.fixture
def judge(root):  # noqa: F811 - the fixture
    """Install the sensors of the room, do something, remove them, and give the process that they judged."""

    def judge(during=lambda: None, **options):
        process = Running(options.pop("root", root), **options)
        process.environ.setdefault("PATH", "/usr/bin:/bin")
        installed = sensors(process)
        for sensor in installed:
            sensor.install()
        try:
            during()
        finally:
            for sensor in reversed(installed):
                sensor.remove()
        assert process.faults == []
        return process

    return judge


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Distributions that only this test sees as installed: `site.add(name, version, modules, requires)`."""

    class Site:
        folder = tmp_path / "site"

        def __init__(self):
            self.folder.mkdir()
            self.seen = {}

        def add(self, name, version="1.0", modules=None, requires=()):
            info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
            info.mkdir()
            lines = [f"Requires-Dist: {each}" for each in requires]
            lines += [
                f"Provides-Extra: {each.split('extra == ')[1].strip()[1:-1]}" for each in requires if "extra ==" in each
            ]
            (info / "METADATA").write_text(
                "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines]) + "\n"
            )
            modules = [name.replace("-", "_")] if modules is None else modules
            (info / "RECORD").write_text("".join(f"{module}/__init__.py,,\n" for module in modules))
            for module in modules:
                (self.folder / module).mkdir(exist_ok=True)
                (self.folder / module / "__init__.py").write_text("")
            self.seen[distributions.normal(name)] = distributions.Distribution(
                distributions.normal(name), version, info
            )

    site = Site()
    monkeypatch.syspath_prepend(str(site.folder))
    for room in (comparing, owners):
        monkeypatch.setattr(room, "installed", lambda: site.seen)
    importlib.invalidate_caches()
    return site


@pytest.fixture
def app(root, imports):  # noqa: F811 - the fixtures
    """Write modules of the app and import them: `app(name=source)`."""
    imports(root)

    def write(**modules):
        for name, source in modules.items():
            (root / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        return [importlib.import_module(name) for name in modules]

    before = set(sys.modules)
    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def declare(root):  # noqa: F811 - the fixture
    """Write a manifest of direct dependencies, and a lock."""

    def declare(*requirements, lock=None, extras=None):
        lines = ["[project]", 'name = "orders"', f"dependencies = {list(requirements)!r}"]
        if extras:
            lines += ["[project.optional-dependencies]", *(f"{key} = {value!r}" for key, value in extras.items())]
        (root / "pyproject.toml").write_text("\n".join(lines))
        if lock is not None:
            (root / "requirements.txt").write_text("".join(f"{pin} --hash=sha256:0\n" for pin in lock))

    return declare
