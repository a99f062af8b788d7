"""What an enforced run rule does: a test fails, a deploy asks to be replaced, a response is never changed."""

import pytest

from tests.service.conftest import Clock
from twelvefactor import FactorViolation
from twelvefactor.enforcement import JITTER, YOUNGEST, Enforcement
from twelvefactor.factor import Finding, Moment, Rule, Severity

RULE = Rule("TF601", "state outlives its work", Severity.ERROR, (Moment.RUN,), "Keep it outside.", deciding=True)


def leak(work=None):
    return Finding(RULE, "a cart stays", "shop.CART", where="shop.py:3", work=work)


class TestUnderTest:
    """pytest, `check` and the drill."""

    def test_the_work_that_broke_it_fails_at_its_end(self, make):
        """
        After the work was done, with the finding.
        """
        service, done = make(environ={"TWELVEFACTOR_ENFORCE": "TF6"}), []

        def request():
            with service.work("job", "cart") as work:
                service.evidence.report(leak(work.id))
                done.append(True)

        with pytest.raises(FactorViolation, match=r"TF601 a cart stays at shop\.py:3"):
            request()
        assert done
        assert service.in_flight.idle

    def test_a_known_culprit_fails_the_next_work_too(self, make):
        """
        Each test that breaks it fails, not only the first.
        """
        service = make(environ={"TWELVEFACTOR_ENFORCE": "TF601"})

        def request():
            with service.work("job", "cart") as work:
                service.evidence.report(leak(work.id))

        for _ in range(2):
            with pytest.raises(FactorViolation):
                request()

    @pytest.mark.parametrize("enforce", ["", "TF602", "TF3"])
    def test_work_that_broke_what_is_not_enforced_goes_on(self, make, enforce):
        """
        The finding is told, nothing else.
        """
        service = make(environ={"TWELVEFACTOR_ENFORCE": enforce})

        with service.work("job", "cart") as work:
            service.evidence.report(leak(work.id))

        assert [finding.count for finding in service.findings.of("TF601")] == [1]

    def test_the_finding_of_other_work_is_not_this_works_fault(self, make):
        """
        Blame is by the unit of work.
        """
        service = make(environ={"TWELVEFACTOR_ENFORCE": "TF601"})

        with service.work("job", "innocent"):
            service.evidence.report(leak("another"))

        assert len(service.findings.of("TF601")) == 1

    def test_what_is_told_of_work_that_is_over_fails_the_work_that_made_it_sure(self, make):
        """
        Growth is seen by comparing units, and is told of the first of them.
        """
        service = make(environ={"TWELVEFACTOR_ENFORCE": "TF601"})
        with service.work("job", "first") as first:
            pass

        with pytest.raises(FactorViolation), service.work("job", "second"):
            service.evidence.report(leak(first.id))
        with service.work("job", "third"):
            pass

    def test_an_error_of_the_app_is_not_hidden(self, make):
        """
        What the work raised is what its caller gets.
        """
        service = make(environ={"TWELVEFACTOR_ENFORCE": "TF601"})

        def request():
            with service.work("job", "cart") as work:
                service.evidence.report(leak(work.id))
                raise LookupError("the app's own")

        with pytest.raises(LookupError, match="the app's own"):
            request()


class TestInProduction:
    """No response and no acknowledgement is changed."""

    @pytest.fixture
    def asked(self, monkeypatch):
        """What a deployed process was asked: (finding, seconds)."""
        monkeypatch.delenv("PYTEST_VERSION")
        return []

    def test_the_process_asks_once_to_be_replaced(self, asked):
        """
        However often the rule is broken.
        """
        enforcement = Enforcement({"TWELVEFACTOR_ENFORCE": "TF601"}, lambda *each: asked.append(each))

        for _ in range(3):
            enforcement.note(leak(), age=YOUNGEST)

        ((finding, seconds),) = asked
        assert finding.culprit == "shop.CART"
        assert 0 <= seconds <= JITTER

    def test_a_young_process_serves_ten_minutes_first(self, asked):
        """
        So that a leak at start is no restart loop.
        """
        enforcement = Enforcement({"TWELVEFACTOR_ENFORCE": "TF601"}, lambda *each: asked.append(each))

        enforcement.note(leak(), age=100.0)

        assert YOUNGEST - 100 <= asked[0][1] <= YOUNGEST - 100 + JITTER

    def test_the_work_itself_goes_on(self, asked, make):
        """
        And readiness stays as it is.
        """
        service = make(environ={"TWELVEFACTOR_ENFORCE": "TF601"}, clock=Clock())
        service._recycle = lambda *each: asked.append(each)
        service._enforcement._recycle = service._recycle
        service.start()
        service.ready()

        with service.work("job", "cart") as work:
            service.evidence.report(leak(work.id))

        assert service.readiness() == "ok"
        assert len(asked) == 1

    def test_it_leaves_by_the_signal_that_platforms_know(self, make, stream):
        """
        SIGTERM to itself: drained like any other stop.
        """
        service = make()
        service.start()

        service._leave_after(0)

        assert service._signals.raised == [15]
        service.stopping.set()
        service._leave_after(60)
        assert service._signals.raised == [15]
