"""How long a stop may take, and its parts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twelvefactor.disposability.budget import Budget, seconds
from twelvefactor.exceptions import ConfigError

PLATFORMS = [
    ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, 30, 5),
    ({"DYNO": "web.1"}, 30, 0),
    ({"K_SERVICE": "orders"}, 10, 0),
    ({"VCAP_APPLICATION": "{}"}, 10, 0),
    ({"INVOCATION_ID": "0123"}, 90, 0),
    ({}, 10, 0),
]


@pytest.mark.parametrize(("environ", "grace", "drain"), PLATFORMS)
def test_grace_period_and_drain_delay_come_from_the_platform(environ, grace, drain):
    """
    Where nobody told, the platform's defaults are assumed.
    """
    budget = Budget.from_environ(environ)

    assert (budget.grace, budget.drain, budget.assumed) == (grace, drain, True)


def test_what_the_environment_tells_wins():
    """
    Both variables override the platform, and the grace period is no longer assumed.
    """
    told = {"DYNO": "web.1", "TWELVEFACTOR_GRACE_PERIOD": "1m", "TWELVEFACTOR_DRAIN_DELAY": "2500ms"}

    budget = Budget.from_environ(told)

    assert (budget.grace, budget.drain, budget.assumed) == (60, 2.5, False)


@settings(deadline=None)
@given(st.floats(1, 3600), st.floats(0, 60))
def test_the_parts_never_exceed_the_grace_period_where_they_fit(grace, drain):
    """
    Drain, work, hooks and flush add up to the grace period, unless the drain delay alone is too long.
    """
    budget = Budget.from_environ({"TWELVEFACTOR_GRACE_PERIOD": f"{grace:f}", "TWELVEFACTOR_DRAIN_DELAY": f"{drain:f}"})
    parts = budget.drain + budget.work + budget.hooks + budget.flush

    assert parts == pytest.approx(budget.grace, abs=1e-5) if budget.fits else parts >= budget.grace - 1e-5


def test_a_wrong_duration_is_named_with_every_other_problem():
    """
    Both variables are reported at once, without their values.
    """
    with pytest.raises(ConfigError) as caught:
        Budget.from_environ({"TWELVEFACTOR_GRACE_PERIOD": "soon", "TWELVEFACTOR_DRAIN_DELAY": "-1"})

    assert [problem.names[0] for problem in caught.value.problems] == [
        "TWELVEFACTOR_GRACE_PERIOD",
        "TWELVEFACTOR_DRAIN_DELAY",
    ]
    assert "soon" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("5s", 5), (" 1.5 s ", 1.5), ("2m", 120), ("1h", 3600), ("250ms", 0.25), ("", None)]
)
def test_durations(text, value):
    """
    A duration is seconds, or a number with its unit.
    """
    assert seconds(text) == value


def test_the_budget_is_said_at_start(new_service, said):
    """
    The event of the start carries each part, and whether the grace period is assumed.
    """
    new_service(TWELVEFACTOR_GRACE_PERIOD="20s", TWELVEFACTOR_DRAIN_DELAY="2s").start()

    assert said.one("starting")["grace"] == {
        "period": 20.0,
        "drain": 2.0,
        "work": 12.0,
        "hooks": 5.0,
        "flush": 1.0,
        "assumed": False,
    }
