"""Jobs of real workers are watched: what they leave in the worker's process is a finding that blames a job."""

import json

import pytest

from tests.conftest import url_of

pytest.importorskip("celery")
redis = pytest.importorskip("redis")
rq = pytest.importorskip("rq")

JOBS = """
    import os
    import twelvefactor as tf

    class Config(tf.Config):
        broker: str
        queue: str

    service = tf.Service("shop", Config)
    seen = []

    def leak(number):
        seen.append(number)

    def clean(number):
        return number

    def leave(number):
        import pathlib, subprocess
        pathlib.Path(f"left-{number}").write_text("x")
        if number == 2:
            subprocess.Popen(["sleep", "20"])
"""
CELERY = """
    import celery as celery_
    app = celery_.Celery("shop", broker=service.config.broker)
    app.conf.task_default_queue = service.config.queue
    app.conf.worker_prefetch_multiplier = 1
    service.jobs(app)
    leak = app.task(name="leak")(leak)
    clean = app.task(name="clean")(clean)
"""
RQ = """
    import redis, rq
    service.jobs(rq.Queue(service.config.queue, connection=redis.Redis.from_url(service.config.broker)))
"""


def finding_of(worker):
    found = worker.wait_event(
        "twelvefactor.finding", where=lambda event: event["rule"] in {"TF601", "TF602"}, within=60
    )
    return found["rule"], found["culprit"], found["where"], found["work_id"]


def found_in(worker, ids):
    rule, culprit, where, work = finding_of(worker)
    assert (rule, culprit, where.rpartition(":")[0]) == ("TF602", "shop.seen", "shop.py")
    assert work in ids


@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_a_task_of_celery(workshop, pool):
    """
    In the main process and in a forked one; tasks that leave nothing are not told.
    """
    url = url_of("redis")
    shop = workshop(JOBS + CELERY, BROKER=url, TWELVEFACTOR_SERVICE="shop:service", TWELVEFACTOR_LEAKS="thorough")
    import celery

    client = celery.Celery(broker=url)
    command = ("-m", "celery", "-A", "shop", "worker", "-P", pool, "-c", "1", "-Q", shop.queue, "--without-gossip")
    with shop.worker(*command) as worker:
        worker.wait_event("twelvefactor.ready", within=60)
        for number in range(4):
            client.send_task("clean", (number,), queue=shop.queue)
        sent = [client.send_task("leak", (number,), queue=shop.queue).id for number in range(5)]
        found_in(worker, sent)
    client.close()


def test_a_job_of_rq(workshop):
    """
    In the worker that runs its jobs in its own process.
    """
    url = url_of("redis")
    shop = workshop(JOBS + RQ, BROKER=url, TWELVEFACTOR_SERVICE="shop:service", TWELVEFACTOR_LEAKS="thorough")
    connection = redis.Redis.from_url(url)
    jobs = rq.Queue(shop.queue, connection=connection, default_timeout=60)
    simple = "twelvefactor.integrations.rq.SimpleWorker"
    with shop.worker("-m", "rq.cli", "worker", "-w", simple, "-u", url, shop.queue, "--name", shop.queue) as worker:
        worker.wait_event("twelvefactor.ready", within=60)
        for number in range(4):
            jobs.enqueue("shop.clean", number)
        found_in(worker, [jobs.enqueue("shop.leak", number).id for number in range(5)])
    jobs.delete(delete_jobs=True)
    connection.close()


def test_jobs_of_rq_with_a_process_each(workshop):
    """
    Nothing in memory outlives one, and the worker's verdict says so; what stays all the same is found, said once.
    """
    url = url_of("redis")
    shop = workshop(JOBS + RQ, BROKER=url, TWELVEFACTOR_SERVICE="shop:service")
    connection = redis.Redis.from_url(url)
    jobs = rq.Queue(shop.queue, connection=connection, default_timeout=60)
    sent = [jobs.enqueue(f"shop.{name}", number).id for name in ("leak", "leave") for number in range(3)]
    ours = "twelvefactor.integrations.rq.Worker"
    command = ("-m", "rq.cli", "worker", "-w", ours, "-u", url, "--burst", shop.queue)
    evidence = shop.folder / "evidence.json"
    with shop.worker(*command, TWELVEFACTOR_EVIDENCE=str(evidence)) as worker:
        assert worker.wait(90) == 0, worker.tail(30)
    said = {event["rule"]: event for event in worker.events if event["event"] == "twelvefactor.finding"}
    rules = json.loads(evidence.read_text())["rules"]
    assert len([event for event in worker.events if event.get("rule") == "TF603"]) == 1
    assert [each["count"] for each in rules["TF603"]["findings"]] == [3]
    assert (said["TF605"]["culprit"], rules["TF605"]["findings"][0]["work"]) == ("shop.leave: child process", sent[5])
    for rule in ("TF601", "TF602", "TF604", "TF606", "TF607"):
        assert rules[rule]["verdict"] == "not applicable"
        assert rules[rule]["because"].startswith("each of 6 jobs ran in a process of its own")
    assert not [event for event in worker.events if event["event"] == "twelvefactor.fault"]
    connection.close()
