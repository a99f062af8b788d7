"""
TF906: did the previous process of this instance end without saying so?

Beside the ledger a table names the processes that run: each adds itself when its database has answered and takes itself
away when it has stopped. One of the same host and type that is there and does not run was killed.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from twelvefactor._core import threads
from twelvefactor._core.platform import host
from twelvefactor.build_release_run.recorder import LedgerReader
from twelvefactor.disposability.rules import TF906
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from twelvefactor._core.process import Process
    from twelvefactor.build_release_run.ledger import Ledger

_SAYING_MAY = 2.0  # seconds that a stop waits for its record


class Presence(LedgerReader):
    """Judges TF906, and keeps the row of this process."""

    rule = TF906

    def __init__(self, process: Process) -> None:
        super().__init__(process)
        self._entered: str | None = None
        self._leaving = threading.Lock()

    def read(self, ledger: Ledger) -> None:
        """Judge those before, then be one that runs."""
        from twelvefactor.build_release_run import running

        process, evidence = self._process, self._process.evidence
        if not ledger.has_processes():
            evidence.could_not_look(TF906, "the ledger is of an older version; do `twelvefactor release init` again")
            return
        where = host(process.environ)
        instance = {"service": process.name, "process_type": process.process_type or "", "host": where}
        killed = running.killed(ledger, instance)
        self._entered = running.enter(ledger, instance, process.release.name or process.release.digest or "", killed)
        if not killed:
            evidence.looked(TF906, f"no process of {where} is missing its stop")
        for row in killed:
            what = f"{row.process_type or 'process'} on {where}"
            message = f"{what}, process {row.pid} since {row.started_at}, ended without a stop record"
            evidence.report(Finding(TF906, message, what, evidence={"release": row.release}))

    def stopped(self) -> None:
        """Say so; a database that does not answer holds the stop up for two seconds at most. Idempotent."""
        self._rounds.end()  # a look that has begun may just have entered us
        if self._entered is None or not self._leaving.acquire(blocking=False):
            return
        try:
            threads.start(self._leave, self._entered, name="twelvefactor presence").join(_SAYING_MAY)
        except RuntimeError:  # an exit hook's stop: no thread begins any more, and nobody waits
            self._leave(self._entered)

    def _leave(self, entered: str) -> None:
        from twelvefactor.build_release_run import running
        from twelvefactor.build_release_run.ledger import opened

        try:
            with opened(self._resource) as ledger:
                running.leave(ledger, entered)
        except Exception as error:  # noqa: BLE001 - the next process will say that this one did not
            said = str(error).partition("\n")[0][:200]
            self._process.event("warning", "twelvefactor.ledger.unreadable", because=said)
