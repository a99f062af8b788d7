"""Work of every kind, wherever it runs, also where the app's code is loaded anew."""

import importlib
import importlib.util
import io
import os
import sys
import time
import tracemalloc

import pytest

import twelvefactor as tf
from twelvefactor.testing.leaks import settle

CLEAN = "seen = []\n\ndef handle():\n    return len(seen)\n"
LEAKING = "\n\nseen = []\n\ndef handle():\n    seen.append(1)\n"


def rewrite(module, source):
    """Edit the file of a module, as whoever develops it does."""
    with open(module.__file__, "w") as file:
        file.write(source)
    later = time.time() + 5
    os.utime(module.__file__, (later, later))


@pytest.fixture
def service(monkeypatch, tmp_path):
    """Starts services that watch everything, of modules below *tmp_path*."""
    monkeypatch.syspath_prepend(tmp_path)
    made, names = [], []

    def service(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        names.append(name)
        module = importlib.import_module(name)
        environ = {"TWELVEFACTOR_LEAKS": "thorough"}
        made.append(tf.Service(name, environ=environ, stream=io.StringIO(), packages=[name]))
        return made[-1], module

    yield service
    for each in made:
        each.close()
        each.stream.close()
    for name in names:
        sys.modules.pop(name, None)


def of_work(app):
    """Without TF608, which looks at what else lives in this process, of another test maybe."""
    return [each for each in app.findings if each.rule.id != "TF608"]


def culprits(service):
    settle()
    return sorted(
        (f.rule.id, f.culprit, f.where.rpartition(":")[2])
        for f in service.findings
        if f.rule.id.startswith("TF60") and f.rule.id != "TF608"
    )


@pytest.mark.parametrize("kind", ["request", "job", "tick", "admin", "message"])
def test_every_kind_of_work(service, kind):
    """
    A unit by hand of any kind is watched as any other.
    """
    running, module = service(f"kindof{kind}", LEAKING)

    for _ in range(4):
        with running.work(kind, "w"):
            module.handle()

    assert culprits(running) == [("TF602", f"kindof{kind}.seen", "6")]


def test_a_background_task_after_the_response(service):
    """
    What Starlette does after its answer is still the request's.
    """
    testclient = pytest.importorskip("starlette.testclient")
    running, module = service(
        "afterwards",
        "from starlette.applications import Starlette\n"
        "from starlette.background import BackgroundTask\n"
        "from starlette.responses import PlainTextResponse\n"
        "from starlette.routing import Route\n"
        "seen = []\n\n"
        "def note():\n    seen.append(1)\n\n"
        "async def home(request):\n    return PlainTextResponse('x', background=BackgroundTask(note))\n\n"
        "app = Starlette(routes=[Route('/', home)])\n",
    )
    with testclient.TestClient(running.asgi(module.app)) as client:
        for _ in range(4):
            assert client.get("/").status_code == 200

        (found,) = culprits(running)

    assert found == ("TF602", "afterwards.seen", "8")


def test_several_services_each_tell_what_their_own_work_did(service):
    """
    Two services in one process: each sees its own modules, and blames its own units.
    """
    (one, mine), (other, theirs) = service("firstof2", LEAKING), service("secondof2", LEAKING)

    for _ in range(4):
        with one.work("job", "mine"):
            mine.handle()
        with other.work("job", "theirs"):
            theirs.handle()

    assert culprits(one) == [("TF602", "firstof2.seen", "6")]
    assert culprits(other) == [("TF602", "secondof2.seen", "6")]


def test_a_module_that_is_reloaded_between_requests(app):
    """
    The edit itself is no leak, and a leak that it brings is told with its line in the new source.
    """
    module = app.write(CLEAN)
    app.start()
    app.run(lambda: module.handle(), times=4)

    rewrite(module, LEAKING)
    sys.modules[module.__name__] = module
    module.__spec__.loader.exec_module(module)  # what importlib.reload does
    app.run(lambda: module.handle(), times=5)

    (finding,) = of_work(app)
    assert (finding.rule.id, finding.culprit, finding.where) == (
        "TF602",
        f"{module.__name__}.seen",
        f"{module.__name__}.py:6",
    )


def test_a_module_that_another_takes_the_place_of(app):
    """
    A reloader that imports a module again is followed, and what the old one held is let go.
    """
    old = app.write(CLEAN)
    app.start()
    app.run(old.handle, times=2)

    rewrite(old, LEAKING)
    spec = importlib.util.spec_from_file_location(old.__name__, old.__file__)
    new = importlib.util.module_from_spec(spec)
    sys.modules[old.__name__] = new
    spec.loader.exec_module(new)
    app.run(new.handle, times=5)

    (finding,) = of_work(app)
    assert (finding.rule.id, finding.where) == ("TF602", f"{old.__name__}.py:6")


def test_a_clean_app_stays_clean_and_the_watch_does_not_grow(app):
    """
    Ten thousand sampled units: no finding, no case that is left over, and no memory. A million are in `benchmarks/`.
    """
    module = app.write(
        "import functools\ncache = {}\nactive = set()\nhits = 0\n\n"
        "@functools.lru_cache(8)\ndef rate(kind):\n    return len(kind)\n\n"
        "def handle(number):\n    global hits\n    active.add(number)\n    rate('abcd'[number % 4])\n"
        "    cache.setdefault('ab'[number % 2], object())\n    hits = 0\n    active.discard(number)\n"
    )
    watch = app.start("report", sample=32)

    def units(count):
        for number in range(count):
            with app.work("unit", carrier={"type": "http", "path": "/x", "query_string": b"", "headers": []}):
                module.handle(number)

    units(4_000)
    tracemalloc.start()
    units(1_000)
    before = tracemalloc.get_traced_memory()[0]
    units(5_000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    watch.settle()

    assert of_work(app) == []
    assert grown < 20_000
    assert (len(watch.units), len(watch.waiting), len(watch.judge.cases) < 8) == (0, 0, True)
