"""What all queues share: the message's ids, one event a job, hand-back, settings, and who takes which queue."""

import contextlib
import gc
import threading
import tracemalloc

import pytest

import twelvefactor as tf
from twelvefactor.disposability.rules import TF904
from twelvefactor.factor import Verdict
from twelvefactor.integrations import _queues
from twelvefactor.integrations._job import Message, open_job, outcome_of
from twelvefactor.integrations._job_headers import for_message, put
from twelvefactor.integrations._job_settings import Settings

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def event_of(shop):
    (event,) = shop.said("job")
    return event


def test_the_message_is_told(shop):
    """
    Queue, attempt and delay are in the event; id, queue and attempt in every event of the job.
    """
    due = shop.service.clock.time() - 2
    with open_job(shop.service, Message("send", "j-1", "mail", 2, due)):
        shop.service.log.info("sending")
    event, (said,) = event_of(shop), shop.said("sending")
    assert (event["name"], event["queue"], event["attempt"], event["outcome"]) == ("send", "mail", 2, "ok")
    assert 2000 <= event["queue_delay_ms"] < 10_000
    assert (said["work_id"], said["queue"], said["attempt"]) == ("j-1", "mail", 2)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_the_parents_ids_go_along(shop, as_bytes):
    """
    What a request sends carries its id and its trace into the job, whatever type the client gives headers.
    """
    with shop.service.in_flight.work("request", "/", request_id="r-1", trace_id=TRACE, span_id=SPAN) as request:
        request.trace_flags, request.trace_state = "01", "a=b"
        headers = for_message()
    if as_bytes:
        headers = {name: value.encode() for name, value in headers.items()}
    with open_job(shop.service, Message("send", headers=headers)) as job:
        assert (job.request_id, job.trace_id, job.span_id) == ("r-1", TRACE, SPAN)
        assert for_message()["traceparent"] == f"00-{TRACE}-{SPAN}-01"
    event = event_of(shop)
    assert (event["request_id"], event["trace_id"], event["span_id"]) == ("r-1", TRACE, SPAN)
    assert event["queue_delay_ms"] < 10_000


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "soon", None, 5, "1e400", ["a"]])
def test_bad_headers_are_ignored(shop, bad):
    """
    A message of somebody else's costs nothing but what cannot be read.
    """
    headers = {"x-request-id": "a\r\nb", "traceparent": bad, "x-sent-at": bad, "tracestate": bad}
    with open_job(shop.service, Message("send", headers=headers)) as job:
        assert (job.request_id, job.trace_id) == (None, None)
    assert event_of(shop).get("queue_delay_ms", 0) >= 0


def test_a_tracers_own_headers_win(shop):
    """
    What OpenTelemetry, or the caller, has put there stays.
    """
    headers = {"traceparent": "theirs", "x-request-id": "mine"}
    with shop.service.in_flight.work("request", "/", request_id="r-1", trace_id=TRACE, span_id=SPAN) as work:
        work.trace_state = "a=b"
        put(headers)
    assert headers["traceparent"] == "theirs"
    assert headers["x-request-id"] == "mine"
    assert "tracestate" not in headers


def test_nothing_of_a_job_is_left_for_the_next(shop):
    """
    The next job in the same thread has none of the last one's context.
    """
    with open_job(shop.service, Message("one", "j-1", "mail", 3, headers={"x-request-id": "r-1"})):
        pass
    with open_job(shop.service, Message("two", "j-2")) as job:
        assert job.context == {"work_id": "j-2"}
    assert tf.current_work() is None


def test_a_retry_is_an_outcome_of_its_own(shop):
    """
    An exception that speaks to the queue is no error; what it was raised for is shown.
    """
    celery = pytest.importorskip("celery.exceptions")
    with pytest.raises(celery.Retry), open_job(shop.service, Message("send")):
        raise celery.Retry(exc=ValueError("broken"))
    event = event_of(shop)
    assert (event["level"], event["outcome"], event["exception_type"]) == ("warning", "retry", "ValueError")
    assert [outcome_of(kind()) for kind in (celery.Ignore, celery.Reject)] == ["ignored", "rejected"]


def test_a_timeout_is_a_deadline(shop):
    """
    What the queue lets a job take is its deadline, past which it should stop.
    """
    with open_job(shop.service, Message("send", timeout=0)) as job:
        assert job.deadline <= shop.service.clock.monotonic()
        assert job.should_stop


def test_a_loop_of_ones_own(shop):
    """
    `service.work("job", …)` takes what the loop knows of the message.
    """
    with shop.service.work("job", "send", "j-1", queue="mail", attempt=1, headers={"x-request-id": "r-1"}):
        pass
    event = event_of(shop)
    assert (event["work_id"], event["queue"], event["attempt"], event["request_id"]) == ("j-1", "mail", 1, "r-1")


def test_open_jobs_are_handed_back_when_their_time_is_over(make_shop):
    """
    At the end of the budget the adapter gives back, each job is said once, and none is named as cut (TF903).
    """
    shop = make_shop({"TWELVEFACTOR_GRACE_PERIOD": "0.4"})
    service, held, done = shop.service, threading.Event(), threading.Event()
    deadlines = []

    def give_back():
        for job in service.in_flight:
            job.hand_back()
            job.hand_back()
        held.set()

    def run():
        with open_job(service, Message("send", "j-1", "mail", 1)) as job:
            held.wait(5)
            deadlines.append((job.deadline, job.should_stop))
        done.set()

    service.start()
    service.ready()
    service.takes_jobs()
    service.on_time_over(give_back)
    threading.Thread(target=run).start()
    while service.in_flight.idle:
        pass
    service.drain()
    assert done.wait(5)
    service.close()
    (told,) = shop.said("job.handed_back")
    assert (told["name"], told["id"], told["queue"], told["attempt"]) == ("send", "j-1", "mail", 1)
    assert event_of(shop)["outcome"] == "handed_back"
    assert not service.findings.of("TF903")
    assert deadlines[0][0] is not None
    assert deadlines[0][1]


def test_a_job_that_ends_in_time_is_not_handed_back(make_shop):
    """
    Giving back is for the budget's end: a stop without jobs in hand gives nothing back, and says nothing.
    """
    shop, given = make_shop(), []
    shop.service.start()
    shop.service.on_time_over(lambda: given.append(1))
    with open_job(shop.service, Message("send")):
        pass
    shop.service.close()
    assert not given
    assert not shop.said("job.handed_back")


def test_a_loops_message_that_comes_back_is_handed_back(make_shop):
    """
    Where the broker gives an unacknowledged message to somebody else, the job is not cut but handed back.
    """
    shop = make_shop({"TWELVEFACTOR_GRACE_PERIOD": "0.4"})
    service, begun, over = shop.service, threading.Event(), threading.Event()

    def run():
        with service.work("job", "send", "j-1", comes_back=True):
            begun.set()
            over.wait(5)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(5)
    service.takes_jobs()
    service.close()
    over.set()
    thread.join()
    assert [event["id"] for event in shop.said("job.handed_back")] == ["j-1"]
    assert not service.findings.of("TF903")


def test_settings_are_told_in_one_event(shop):
    """
    What was set is one event; with nothing wrong, TF904 passes in a worker.
    """
    shop.service.takes_jobs()
    settings = Settings("celery", made={"task_acks_late": True})
    settings.tell(shop.service)
    (event,) = shop.said("twelvefactor.jobs.settings")
    assert (event["queue"], event["set"]) == ("celery", {"task_acks_late": True})
    assert shop.service.evidence.ruling(TF904).verdict is Verdict.PASS


def test_each_wrong_setting_is_a_finding(shop):
    """
    TF904 names the setting, what it does to a job, the line to write and what that needs of the job.
    """
    settings = Settings("celery")
    settings.wrong("task_acks_late", "a job is acknowledged before it runs", "app.conf.task_acks_late = True")
    settings.wrong("worker_prefetch_multiplier", "jobs wait behind a long one", "it = 1", twice=False)
    settings.tell(shop.service)
    one, two = shop.service.findings.of("TF904")
    assert one.culprit == "celery:task_acks_late"
    assert one.message == "celery: a job is acknowledged before it runs"
    assert one.hint.startswith("Write app.conf.task_acks_late = True. A job that is given back begins again")
    assert "begins again" not in two.hint


def test_settings_with_nothing_wrong_pass(shop):
    """
    TF904 is quiet about a queue that hands back.
    """
    shop.service.takes_jobs()
    Settings("celery").tell(shop.service)

    assert shop.service.evidence.ruling(TF904).verdict is Verdict.PASS
    assert not shop.service.findings.of("TF904")


def test_unknown_is_not_passed(shop):
    """
    Where it cannot be known whether jobs are lost, the rule is unknown.
    """
    shop.service.takes_jobs()
    Settings("celery", unknown="the broker does not tell").tell(shop.service)
    assert shop.service.evidence.ruling(TF904).verdict is Verdict.UNKNOWN


def test_ten_thousand_jobs_leave_nothing(shop):
    """
    Memory does not grow with the jobs that are done, failed and retried.
    """

    def jobs(count):
        for number in range(count):
            with contextlib.suppress(ValueError), open_job(shop.service, Message("send", None, "mail", number)):
                if number % 10 == 0:
                    raise ValueError
        shop.out.seek(0)
        shop.out.truncate()
        gc.collect()

    jobs(1000)
    tracemalloc.start()
    jobs(1000)
    before = tracemalloc.get_traced_memory()[0]
    jobs(10_000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 100_000, grown
    assert shop.idle


class Queue:
    pass


def test_third_parties_take_their_own_queues(shop, monkeypatch):
    """
    A registered adapter gets the service and the queue, which is given back as it is.
    """
    monkeypatch.setattr(_queues, "_registered", {})
    queue, taken, package = Queue(), [], Queue.__module__.partition(".")[0]

    def adopt(service, queue):
        taken.append((service, queue))

    _queues.register(package, adopt)
    _queues.register(package, adopt)
    assert shop.service.jobs(queue) is queue
    assert taken == [(shop.service, queue)]
    with pytest.raises(ValueError, match="already"):
        _queues.register("celery", "mine:jobs")


def test_what_nobody_knows_is_an_error(shop):
    """
    It says what was given, what can be given, and what to do instead.
    """
    with pytest.raises(tf.TwelveFactorError, match=r"object.*celery.*service\.work"):
        shop.service.jobs(object())
