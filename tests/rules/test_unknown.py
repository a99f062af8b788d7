"""Unknown is never pass: no rule passes while its sensor is switched off."""

import itertools

import pytest

from twelvefactor.factor import Verdict
from twelvefactor.report.rules import ROOMS, all_rules

RULES = all_rules()
SEEN_BY_THE_STOP = {"TF903"}  # whoever stops the process sees whether work was cut: there is no sensor to switch off


@pytest.fixture
def passing(make, monkeypatch):
    """The rules that pass after a service started, worked thoroughly and stopped, with the sensors that may look."""

    def passing(may_look):
        service = make(environ={"TWELVEFACTOR_LEAKS": "thorough", "TWELVEFACTOR_PROCESS_TYPE": "worker"})
        sensors = service._make_sensors

        def chosen():
            for sensor in sensors():
                if not may_look(sensor):
                    sensor.install = broken
                    sensor.ready = nothing
                yield sensor

        monkeypatch.setattr(service, "_make_sensors", chosen)
        if not may_look(service._shutdown):
            monkeypatch.setattr("twelvefactor.service.Judge", Blind)
        service.start()
        service.ready()
        for _ in range(3):
            with service.work("job", "send_receipt"):
                pass
        service.close()
        monkeypatch.undo()
        return {rule.id for rule in RULES if service.evidence.ruling(rule).verdict is Verdict.PASS}

    return passing


def broken():
    raise RuntimeError("switched off")


def nothing():
    pass


class Blind:
    """A judge of disposability that does not look."""

    def __init__(self, *_):
        self.install, self.remove, self.ready = broken, nothing, nothing


def room(sensor):
    return type(sensor).__module__.split(".")[1]


def test_with_every_sensor_switched_off_no_rule_passes(passing):
    """
    Though work was done.
    """
    assert passing(lambda sensor: False) == SEEN_BY_THE_STOP


def test_with_every_sensor_switched_on_rules_of_most_factors_pass(passing):
    """
    So that the tests beside this one say something.
    """
    passed = passing(lambda sensor: True)

    factors = {rule.factor.number for rule in RULES if rule.id in passed}

    assert factors >= {1, 3, 5, 6, 8, 9, 11, 12}


@pytest.mark.parametrize("off", ROOMS)
def test_the_rules_of_a_room_whose_sensors_are_off_do_not_pass(passing, off):
    """
    Whatever the other rooms see.
    """
    own = {rule.id for rule in RULES if rule.factor.page.replace("-", "_") == off}

    assert passing(lambda sensor: room(sensor) != off) & own <= SEEN_BY_THE_STOP


def test_before_any_work_no_rule_about_work_passes(make):
    """
    A start alone shows nothing of what requests and jobs do.
    """
    service = make(environ={"TWELVEFACTOR_LEAKS": "thorough"})
    service.start()
    service.ready()
    service.close()

    passed = {rule.id for rule in RULES if service.evidence.ruling(rule).verdict is Verdict.PASS}
    assert passed
    assert not {rule.id for rule in RULES if rule.about_work} & passed


def test_in_mode_off_nobody_looks(make):
    """
    `TWELVEFACTOR_MODE=off` and `TWELVEFACTOR_LEAKS=off` are no way to a better score.
    """
    off = make(environ={"TWELVEFACTOR_MODE": "off"})
    off.start()
    leaks_off = make(environ={"TWELVEFACTOR_LEAKS": "off"})
    with leaks_off.work("request", "GET /"):
        pass
    leaks_off.close()

    for service, factors in ((off, range(1, 13)), (leaks_off, [6])):
        rulings = [service.evidence.ruling(rule) for rule in RULES if rule.factor.number in factors]
        assert not [ruling for ruling in rulings if ruling.verdict is Verdict.PASS]


def test_the_sampled_watch_passes_nothing_that_it_did_not_look_at(make):
    """
    One unit in 128: after three, state is unknown, and the reason says what would let it look.
    """
    service = make(environ={"TWELVEFACTOR_LEAKS": "report"})
    for _ in range(3):
        with service.work("request", "GET /"):
            pass
    rulings = {rule.id: service.evidence.ruling(rule) for rule in RULES}
    service.close()

    for rule in ("TF601", "TF602", "TF604", "TF605", "TF606", "TF607"):
        assert rulings[rule].verdict is Verdict.UNKNOWN, rule
        assert "TWELVEFACTOR_LEAKS=thorough" in rulings[rule].because


def test_evidence_that_says_both_is_not_believed():
    """
    A sensor that looked and another that was blind: blind wins, in any order.
    """
    from twelvefactor.factor import Evidence

    for order in itertools.permutations([0, 1]):
        for rule in RULES:
            evidence = Evidence()
            acts = [lambda: evidence.looked(rule, "x"), lambda: evidence.could_not_look(rule, "y")]
            for act in order:
                acts[act]()
            assert evidence.ruling(rule).verdict is Verdict.UNKNOWN
