"""TF901, TF902 and TF905: each fires on a real violation, and is quiet on the look-alike."""

import signal

from twelvefactor.disposability.judge import shell_in_front
from twelvefactor.disposability.rules import TF901, TF902, TF905
from twelvefactor.factor import Verdict


def test_tf901_fires_where_the_start_is_slow(service, clock):
    """
    More than five seconds from construction to ready is told.
    """
    service.start()
    clock.advance(5.1)
    service.ready()

    assert [finding.rule.id for finding in service.findings.of("TF901")] == ["TF901"]


def test_tf901_is_quiet_where_only_the_first_request_is_late(service, clock):
    """
    Time that passes after the process is ready is not start.
    """
    service.start()
    service.ready()
    clock.advance(60)
    with service.work("request", "/"):
        pass

    assert service.evidence.ruling(TF901).verdict is Verdict.PASS


def test_tf902_fires_where_app_code_overwrites_the_handler(service, signals):
    """
    A handler that was set over the drain during start-up is a violation.
    """

    @service.on_ready
    def careless():
        signals.handlers[signal.SIGTERM] = lambda *_: None

    service.start()
    service.ready()

    assert len(service.findings.of("TF902")) == 1


def test_tf902_is_quiet_over_the_servers_handler(service, server):
    """
    A server's handler behind ours is how it should be.
    """
    service.start()
    service.ready()

    assert service.evidence.ruling(TF902).verdict is Verdict.PASS


def test_tf902_fires_where_sigterm_is_ignored_or_blocked(new_service, signals):
    """
    A process that SIGTERM does not reach is killed at every stop.
    """
    signals.mask.add(signal.SIGTERM)
    blocked = new_service()
    blocked.start()
    blocked.ready()
    blocked.close()
    signals.mask.clear()
    signals.handlers[signal.SIGTERM] = signal.SIG_IGN
    ignored = new_service()
    ignored.start()
    ignored.ready()

    assert "blocked" in blocked.findings.of("TF902")[0].message
    assert "ignored" in ignored.findings.of("TF902")[0].message


def test_tf902_fires_behind_a_shell_that_is_process_1(tmp_path):
    """
    A container whose command is a shell's line; a shell that is not process 1 is somebody's terminal.
    """
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "comm").write_text("sh\n")

    assert shell_in_front(tmp_path, parent=1) == "sh"
    assert shell_in_front(tmp_path, parent=4711) is None

    (tmp_path / "1" / "comm").write_text("tini\n")
    assert shell_in_front(tmp_path, parent=1) is None


def test_tf905_fires_where_the_delay_takes_it_all(new_service):
    """
    A drain delay as long as the grace period leaves nothing for work.
    """
    service = new_service(TWELVEFACTOR_GRACE_PERIOD="10s", TWELVEFACTOR_DRAIN_DELAY="10s")
    service.start()

    assert len(service.findings.of("TF905")) == 1


def test_tf905_is_quiet_where_both_fit(new_service):
    """
    A long delay in a longer grace period is fine.
    """
    service = new_service(TWELVEFACTOR_GRACE_PERIOD="60s", TWELVEFACTOR_DRAIN_DELAY="30s")
    service.start()

    assert service.evidence.ruling(TF905).verdict is Verdict.PASS


def test_tf905_is_unknown_where_nobody_told_the_grace_period(service):
    """
    An assumed grace period proves nothing.
    """
    service.start()

    assert service.evidence.ruling(TF905).verdict is Verdict.UNKNOWN
