"""TF803: a scheduler, or a queue's consumer, inside a web process."""

import asyncio
import threading

import pytest

from twelvefactor.concurrency import TF803
from twelvefactor.concurrency.consumers import CONSUMERS, SCHEDULERS
from twelvefactor.factor import Severity, Verdict

background = pytest.importorskip("apscheduler.schedulers.background")
aio = pytest.importorskip("apscheduler.schedulers.asyncio")


@pytest.fixture
def web(new_service):
    service = new_service(TWELVEFACTOR_PROCESS_TYPE="web")
    service.process("web", print)
    return service


@pytest.fixture
def scheduler():
    made = background.BackgroundScheduler()
    made.add_job(print, "interval", hours=1)
    yield made
    if made.running:
        made.shutdown(wait=False)


def start_scheduler(scheduler):
    scheduler.start()


def test_it_fires_on_a_scheduler_that_is_started_in_a_web_process(web, scheduler):
    """
    At once, with the line of the app that starts it.
    """
    web.start()
    start_scheduler(scheduler)

    (finding,) = web.findings.of("TF803")
    assert (finding.culprit, finding.rule.severity) == ("APScheduler", Severity.ERROR)
    assert "test_tf803.py:" in finding.where


def test_it_fires_on_a_scheduler_that_ran_before_the_service_started(web, scheduler):
    """
    Started while modules were imported: its thread is found when the process is ready.
    """
    scheduler.start()
    web.start()
    assert not web.findings.of("TF803")
    web.ready()

    assert [each.culprit for each in web.findings.of("TF803")] == ["APScheduler"]


def test_it_fires_on_a_scheduler_in_the_loop(web):
    """
    An AsyncIOScheduler has no thread; its timer waits in the loop that serves.
    """

    async def serve():
        scheduler = aio.AsyncIOScheduler()
        scheduler.add_job(print, "interval", hours=1)
        scheduler.start()
        web.start()
        await web.aready()
        scheduler.shutdown(wait=False)
        await asyncio.sleep(0)

    asyncio.run(serve())

    assert [each.culprit for each in web.findings.of("TF803")] == ["APScheduler"]


def test_it_is_quiet_on_a_scheduler_that_is_declared_and_not_started(web, scheduler):
    """
    The web process imports the module that declares the jobs of the clock.
    """
    web.start()
    web.ready()
    with web.work("request", "GET /"):
        pass

    assert web.evidence.ruling(TF803).verdict is Verdict.PASS


def test_it_is_quiet_in_a_clock(new_service, scheduler):
    """
    There it belongs, and the rule does not apply.
    """
    service = new_service(TWELVEFACTOR_PROCESS_TYPE="clock")
    service.start()
    scheduler.start()
    service.ready()

    assert service.evidence.ruling(TF803).verdict is Verdict.NOT_APPLICABLE


def test_what_is_seen_before_the_type_is_known_is_told_when_it_is(new_service, scheduler):
    """
    A WSGI server's first request comes after the scheduler.
    """
    service = new_service()
    service.start()
    scheduler.start()
    assert not service.findings.of("TF803")
    service.become("web")
    with service.work("request", "GET /"):
        pass

    assert len(service.findings.of("TF803")) == 1


def test_a_beat_fires_unless_its_scheduler_takes_a_lock(web):
    """
    Two of Celery's beats send each task twice; RedBeat's take turns.
    """
    celery = pytest.importorskip("celery")
    beat = pytest.importorskip("celery.beat")
    app = celery.Celery("orders", broker="memory://")

    class Locking(beat.Scheduler):
        __module__ = "redbeat.schedulers"

    def run(scheduler_class):
        service = beat.Service(app, max_interval=0.01, scheduler_cls=scheduler_class)
        service._is_shutdown.set()  # one that ends with its first round
        thread = threading.Thread(target=service.start)
        thread.start()
        thread.join(10)

    web.start()
    run(Locking)
    assert not web.findings.of("TF803")
    run(beat.Scheduler)
    assert [each.culprit for each in web.findings.of("TF803")] == ["Celery beat"]


def test_a_consumer_in_a_web_process_is_a_warning(web):
    """
    The same rule, milder: the factor keeps half its point.
    """
    mixins = pytest.importorskip("kombu.mixins")
    kombu = pytest.importorskip("kombu")

    class Consumer(mixins.ConsumerMixin):
        should_stop = True
        connection = kombu.Connection("memory://")

    web.start()
    Consumer().run()

    ruling = web.evidence.ruling(TF803)
    assert ruling.severity is Severity.WARNING
    assert "a kombu consumer runs inside this web process" in ruling.because


def test_every_method_that_is_watched_is_there():
    """
    Of the libraries that are installed, in the versions that are installed.
    """
    import importlib

    missing = []
    for each in (*SCHEDULERS, *CONSUMERS):
        try:
            module = importlib.import_module(each.module)
        except ImportError:
            continue
        if not hasattr(getattr(module, each.cls, None), each.method):
            missing.append(each)

    assert missing == []


def test_close_puts_the_methods_back(web):
    """
    What was wrapped is what it was.
    """
    before = background.BackgroundScheduler.__mro__[2].__dict__["start"]
    web.start()
    during = background.BackgroundScheduler.__mro__[2].__dict__["start"]
    web.close()

    assert during is not before
    assert background.BackgroundScheduler.__mro__[2].__dict__["start"] is before
