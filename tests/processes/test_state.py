"""State that outlives its work, in the plainest shapes."""

import pytest


def found(app, rule):
    """The last names of the culprits of one rule."""
    return sorted(finding.culprit.partition(".")[2] for finding in app.findings if finding.rule.id == rule)


def test_counter_in_a_global_is_named_with_its_line(app):
    """
    A global that each unit binds anew is a finding with path, line and the unit to blame.
    """
    module = app.write(
        """
        hits = 0

        def handle():
            global hits
            hits += 1
        """
    )
    app.start()

    units = app.run(module.handle, times=4)

    (finding,) = app.findings
    assert finding.rule.id == "TF601"
    assert finding.culprit == f"{module.__name__}.hits"
    assert finding.where == f"{module.__name__}.py:6"
    assert finding.work in {unit.id for unit in units}
    assert finding.count == 4
    assert finding.evidence["certainty"] == "certain"


def test_growing_dict_is_named(app):
    """
    A dict that gains an entry per unit grows with the work.
    """
    module = app.write("cache = {}\n\ndef handle(key):\n    cache[key] = object()\n")
    app.start()

    for key in range(4):
        app.run(module.handle, key)

    (finding,) = app.findings
    assert (finding.rule.id, finding.where) == ("TF602", f"{module.__name__}.py:4")


@pytest.mark.parametrize("name", ["Store.items", "store.count", "make.calls", "collect.into", "handle.calls"])
def test_state_is_found_wherever_python_keeps_it(app, name):
    """
    Class attributes, instances, closures, defaults and function attributes are all state.
    """
    module = app.write(
        """
        class Store:
            items = []

            def __init__(self):
                self.count = 0

        store = Store()

        def make():
            calls = 0
            def count():
                nonlocal calls
                calls += 1
            return count

        count = make()

        def collect(item, into=[]):
            into.append(item)

        def handle():
            Store.items.append(1)
            store.count += 1
            count()
            collect(1)
            handle.calls = getattr(handle, "calls", 0) + 1
        """
    )
    app.start()

    app.run(module.handle, times=4)

    assert name in found(app, "TF601") + found(app, "TF602")


def test_lazy_initialisation_is_silent(app):
    """
    What the first unit of a route makes and keeps is not a leak.
    """
    module = app.write(
        """
        client = None
        templates = {}

        def handle(name):
            global client
            if client is None:
                client = object()
            templates.setdefault(name, object())
        """
    )
    app.start()

    for name in ("home", "about", "home", "about", "home", "about"):
        app.run(module.handle, name, name=name)

    assert app.findings == []


def test_entries_that_live_as_long_as_their_work_are_silent(app):
    """
    A table of what is in flight is empty when the work is over, and no finding even while other work still runs.
    """
    module = app.write(
        "active = {}\n\ndef enter(key):\n    active[key] = key\n\ndef leave(key):\n    del active[key]\n"
    )
    app.start()

    for number in range(6):
        outer, inner = f"outer-{number}", f"inner-{number}"
        with app.work("outer"):
            module.enter(outer)
            with app.work("inner"):
                module.enter(inner)
                module.leave(inner)
            module.leave(outer)

    assert app.findings == []


def test_data_of_one_request_is_enough(app):
    """
    A value that only one request brought is a leak the first time it stays.
    """
    module = app.write("last = None\n\ndef handle(user):\n    global last\n    last = user\n")
    app.start()
    scope = {"type": "http", "path": "/", "query_string": b"user=mallory-4711", "headers": []}

    app.run(module.handle, "mallory-4711", carrier=scope)

    (finding,) = app.findings
    assert finding.culprit.endswith(".last")
    assert "4711" not in repr(finding)


def test_sampled_mode_suspects_arms_and_confirms(app):
    """
    Report mode finds the same leak within a few hundred units, though it looks at few of them.
    """
    module = app.write("seen = []\n\ndef handle():\n    seen.append(1)\n")
    app.start("report", sample=16)

    app.run(module.handle, times=200)
    app.watch.settle()

    (finding,) = app.findings
    assert (finding.rule.id, finding.where) == ("TF602", f"{module.__name__}.py:4")


def test_nothing_is_kept_once_the_sensor_is_removed(app):
    """
    Removing the sensor ends the observation and lets go of every object.
    """
    module = app.write("cache = {}\n\ndef handle():\n    cache[len(cache)] = 1\n")
    watch = app.start()
    app.run(module.handle, times=2)

    watch.remove()
    app.run(module.handle, times=5)

    assert app.process.in_flight.observers == ()
    assert len(watch.graph) == 0
    assert app.findings == []


def test_a_unit_that_outlives_the_close_look_does_not_end_the_sampling(app):
    """
    What changes while nobody is at work is looked at closely afterwards as before, and is no finding.
    """
    module = app.write(
        "seen = []\nrates = 0\n\ndef handle():\n    seen.append(1)\n\n"
        "def refresh(number):\n    global rates\n    rates = number\n"
    )
    app.start("report", sample=16)

    while not app.watch.suspects.window:
        app.run(module.handle)
    with app.work("outlives"):
        app.run(module.handle, times=80)
    for number in range(800):
        module.refresh(number)
        app.run(lambda: None)
    app.watch.settle()

    assert "rates" not in [finding.culprit.rpartition(".")[2] for finding in app.findings]
