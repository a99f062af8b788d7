"""Where the time of a start goes: said once, with the ready event, and in the evidence of TF901."""

import json
import subprocess
import sys

from twelvefactor.disposability.judge import start_budget
from twelvefactor.disposability.rules import TF901
from twelvefactor.disposability.timeline import Timeline
from twelvefactor.factor import Verdict

SCRIPT = """
import time
time.sleep(0.3)  # a heavy import
import twelvefactor as tf

service = tf.Service("orders")

@service.on_ready(limit=5)
def warm_up():
    time.sleep(0.2)

service.start()
service.ready()
"""


def test_the_parts_of_a_start_are_said_with_ready(service, said, clock):
    """
    By the service's clock: what it does, what it waits for, and the rest.
    """

    @service.on_ready
    def warm_up():
        clock.advance(0.25)

    clock.advance(1)
    service.start()
    clock.advance(2)
    service.ready()

    assert said.one("ready")["timeline"] == {"setup": 3.0, "hooks": 0.25}
    assert "hooks 0.25 s" in service.evidence.ruling(TF901).because


def test_a_script_says_how_long_its_imports_took():
    """
    From the birth of the process, which the kernel tells; no test runner's imports are a service's.
    """
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True)

    (ready,) = [event for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "twelvefactor.ready"]
    assert ready["timeline"]["import"] >= 0.3
    assert 0.2 <= ready["timeline"]["hooks"] < ready["timeline"]["import"] + 5


def test_a_second_life_has_no_import(service, said):
    """
    Start, close, start again, as test clients do.
    """
    service.start()
    service.close()
    service.start()
    service.ready()

    assert "import" not in said.one("ready")["timeline"]


def test_an_import_counts_for_the_budget(new_service, clock):
    """
    The user waits for it as for everything else.
    """
    service = new_service()
    service.timeline = Timeline(clock, born=4.0)
    service.start()
    clock.advance(1.5)
    service.ready()

    ruling = service.evidence.ruling(TF901)
    assert (ruling.verdict, "import 4.00 s, setup 1.50 s" in ruling.because) == (Verdict.FAIL, True)


def test_the_budget_is_declared():
    """
    As a duration or a number; nonsense is the default.
    """
    declared = ({"start-budget": "20s"}, {"start-budget": 8}, {"start-budget": "soon"}, {})

    assert [start_budget(each) for each in declared] == [20.0, 8.0, 5.0, 5.0]
