"""What Celery must be set to so that its tasks come back: below the app's own settings, and looked at in a worker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from celery.app.defaults import NAMESPACES

from twelvefactor.integrations._job_settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from celery import Celery

_EMULATED = ("redis", "rediss", "sentinel", "sqs", "redis+socket")
"""Transports that give an unacknowledged message back only after their visibility timeout."""
_VISIBLE = 3600.0  # seconds, kombu's default


class Ours(dict[str, Any]):
    """The settings that we make, a dictionary of its own in the app's chain of them."""


def ours() -> Ours:
    """What to set where the app sets nothing; by what this version of Celery has."""
    lost = "task_retry_on_worker_lost" if "retry_on_worker_lost" in NAMESPACES["task"] else "task_reject_on_worker_lost"
    return Ours(
        task_acks_late=True,
        **{lost: True},
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
    )


def put_below(source: Any, **_: Any) -> None:
    """Put ours under the app's own settings, once they are read: Celery's `add_defaults` puts them over. Idempotent."""
    if not any(isinstance(each, Ours) for each in source.maps):
        made = ours()
        source.maps.insert(-1, made)
        source.defaults.insert(-1, made)


def look(app: Celery, worker: Any, work: float) -> Settings:
    """
    What is set, and what would lose a task of this worker.

    Args:
        app: Whose settings.
        worker: The worker that is about to take tasks.
        work: Seconds that tasks have from SIGTERM to the hand-back.
    """
    _ = app.conf.task_acks_late  # settings are read now, if they were not
    conf = app.conf
    found = Settings("celery", made=dict(_made(conf)))
    _acknowledgement(app, found)
    _lost_workers(conf, worker, found)
    _prefetch(worker, conf, found)
    _visibility(app, found)
    _signals(conf, work, found)
    return found


def _made(conf: Any) -> Iterator[tuple[str, Any]]:
    mine: MutableMapping[str, Any] = next((each for each in conf.maps if isinstance(each, Ours)), {})
    for name, value in mine.items():
        first = next((each for each in conf.maps if any(key in each for key in _spelt(conf, name))), None)
        if first is mine:
            yield name, value


def _spelt(conf: Any, name: str) -> tuple[str, ...]:
    keys: tuple[str, ...] = conf._to_keys(name)  # noqa: SLF001 - with the app's own prefix and the old spellings
    return keys


def _acknowledgement(app: Celery, found: Settings) -> None:
    if not app.conf.task_acks_late:
        found.wrong(
            "task_acks_late",
            "a task is acknowledged before it runs, and is lost when its worker dies or its time is over",
            "`app.conf.task_acks_late = True`",
        )
        return
    for name, task in sorted(app.tasks.items()):
        if task.acks_late is False and not name.startswith("celery."):
            found.wrong(
                f"{name}.acks_late",
                f"{name} is acknowledged before it runs, and is lost when its worker dies or its time is over",
                f"`@app.task(acks_late=True)` for {name}",
            )


def _lost_workers(conf: Any, worker: Any, found: Settings) -> None:
    if not _forks(worker):
        return
    retries, rejects = conf.get("task_retry_on_worker_lost"), conf.get("task_reject_on_worker_lost")
    bounded = "task_retry_on_worker_lost" in conf
    if not retries and not rejects:
        name = "task_retry_on_worker_lost" if bounded else "task_reject_on_worker_lost"
        found.wrong(name, "a task whose process is killed fails, and nobody runs it again", f"`app.conf.{name} = True`")
    elif rejects and not retries and not _has_limit(conf):
        found.wrong(
            "task_reject_on_worker_lost",
            "a task that kills its process is begun again and again, and keeps the others waiting",
            "`app.conf.task_retry_on_worker_lost = True`, which keeps to `max_retries`"
            if bounded
            else "a quorum queue with `x-delivery-limit` in `task_queues`",
        )


def _has_limit(conf: Any) -> bool:
    queues = conf.get("task_queues") or ()
    return bool(queues) and all("x-delivery-limit" in (getattr(each, "queue_arguments", None) or {}) for each in queues)


def _forks(worker: Any) -> bool:
    return "prefork" in str(getattr(worker.pool_cls, "__module__", worker.pool_cls))


def _prefetch(worker: Any, conf: Any, found: Settings) -> None:
    multiplier = getattr(worker, "prefetch_multiplier", None) or conf.worker_prefetch_multiplier
    if multiplier != 1 and not conf.get("worker_disable_prefetch"):
        found.wrong(
            "worker_prefetch_multiplier",
            f"{multiplier} tasks are fetched for each that runs, and come back late when the worker is killed",
            "`app.conf.worker_prefetch_multiplier = 1`, and no other `--prefetch-multiplier`",
            twice=False,
        )


def _visibility(app: Celery, found: Settings) -> None:
    scheme = str(app.conf.broker_read_url or "").partition("://")[0]
    if scheme not in _EMULATED:
        return
    visible = float((app.conf.broker_transport_options or {}).get("visibility_timeout", _VISIBLE))
    longest, name = _longest(app)
    if longest is None:
        found.notes.append(
            f"a task that runs longer than the visibility timeout of {visible:g} s is begun a second time; "
            "set task_time_limit below it"
        )
    elif longest >= visible:
        found.wrong(
            "visibility_timeout",
            f"{name} may run for {longest:g} s, and is begun a second time after {visible:g} s",
            f"`app.conf.broker_transport_options = {{'visibility_timeout': {int(longest * 2)}}}`",
        )


def _longest(app: Celery) -> tuple[float | None, str]:
    limits = {name: task.time_limit or app.conf.task_time_limit for name, task in app.tasks.items()}
    mine = {name: float(limit) for name, limit in limits.items() if limit and not name.startswith("celery.")}
    longest = max(mine, key=lambda name: mine[name], default="")
    return mine.get(longest), longest


def _signals(conf: Any, work: float, found: Settings) -> None:
    soft = float(conf.get("worker_soft_shutdown_timeout") or 0)
    remapped = os.environ.get("REMAP_SIGTERM")
    if remapped and not soft:
        found.wrong(
            "REMAP_SIGTERM",
            f"SIGTERM means {remapped}, which stops running tasks at once",
            "`unset REMAP_SIGTERM` in the environment, or `app.conf.worker_soft_shutdown_timeout` in seconds",
        )
    if soft >= work:
        found.wrong(
            "worker_soft_shutdown_timeout",
            f"a cold shutdown waits for {soft:g} s, longer than the {work:g} s that tasks have before the kill",
            f"`app.conf.worker_soft_shutdown_timeout = {max(0.0, work - 1):g}`, or a longer TWELVEFACTOR_GRACE_PERIOD",
        )
