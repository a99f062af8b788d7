"""
What a started process looks up in the ledger, in the background.

TF503: is the same release name there with another build or config? And the first start of a release is recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor._core.rounds import Rounds
from twelvefactor.build_release_run.rules import TF503
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from twelvefactor._core.process import Process
    from twelvefactor.build_release_run.ledger import Entry, Ledger
    from twelvefactor.factor import Rule


def databases(process: Any) -> list[Any]:
    """The attached SQL databases; asking makes nothing where nothing is attached."""
    resources = getattr(process, "__dict__", {}).get("resources") or ()
    return [each for each in resources if hasattr(each.url, "sqlalchemy_url")]


class LedgerReader:
    """
    Looks into the ledger once its database has answered, in the background.

    Only in a deploy, or where the declaration names the ledger: a test run records nothing.
    """

    rule: Rule

    def __init__(self, process: Process) -> None:
        self._process: Any = process
        self._resource: Any = None
        self._watched: Any = None
        self._done = False
        self._rounds = Rounds(process, "ledger", self.look, pause=0.0)

    def install(self) -> None:
        """Wait for the database, without a thread of its own until it has answered."""
        why_not = self._why_not()
        if why_not:
            self._process.evidence.could_not_look(self.rule, why_not)
            return
        self._watched = self._process.resources
        self._watched.observe(self._answered)

    def _why_not(self) -> str:
        process = self._process
        if process.process_type in {"admin", "shell"}:
            return "an admin process looks into the ledger by itself"
        if process.deploy is None and not process.declaration.get("ledger"):
            return "this is no deploy; in one, or with `ledger` declared, the ledger is looked into"
        return "" if databases(process) else "no SQL database is attached, so there is no ledger"

    def remove(self) -> None:
        """Stop; wait for a look that has begun."""
        if self._watched is not None:
            self._watched.unobserve(self._answered)
            self._watched = None
        self._rounds.end()

    def _answered(self, resource: Any) -> None:
        named = self._process.declaration.get("ledger")
        if self._resource is None and hasattr(resource.url, "sqlalchemy_url") and named in {None, resource.name}:
            self._resource = resource
            self._rounds.begin()

    def look(self) -> None:
        """Look once."""
        if self._done or self._resource is None:
            return
        self._done = True
        from twelvefactor.build_release_run.ledger import opened

        try:
            with opened(self._resource) as ledger:
                if ledger.exists():
                    self.read(ledger)
                else:
                    because = "there is no ledger; make one with `twelvefactor release init`"
                    self._process.evidence.could_not_look(self.rule, because)
        except Exception as error:  # noqa: BLE001 - no ledger takes a service down
            because = f"the ledger cannot be read: {type(error).__name__}"
            self._process.evidence.could_not_look(self.rule, because)
            said = str(error).partition("\n")[0][:200]
            self._process.event("warning", "twelvefactor.ledger.unreadable", because=said)

    def read(self, ledger: Ledger) -> None:
        """What is to be done with the ledger, once."""
        raise NotImplementedError


class Recorder(LedgerReader):
    """Judges TF503, and appends a release that is new."""

    rule = TF503

    def read(self, ledger: Ledger) -> None:
        """Compare this release with those of the same name, and record it."""
        from twelvefactor.build_release_run.recording import facts_of, record

        release, facts = self._process.release, facts_of(self._process)
        name = release.name or release.digest
        for entry in ledger.releases(self._process.name):
            what = _differs(entry, facts) if entry.name == name else ""
            if what:
                message = f"{name} was recorded at {entry.at} with another {what}"
                self._process.evidence.report(Finding(TF503, message, name))
        record(ledger, self._process, once="ever")
        self._process.evidence.looked(TF503, f"release {name} in the ledger in {self._resource.name}")


def _differs(entry: Entry, facts: dict[str, Any]) -> str:
    """What of the release is another than the ledger says; config only where both were digested in the same way."""
    if entry.facts.get("build") and facts["build"] and entry.facts["build"] != facts["build"]:
        return "build"
    same_way = entry.facts.get("keyed") == facts["keyed"]
    return "config" if same_way and entry.facts.get("config") != facts["config"] else ""
