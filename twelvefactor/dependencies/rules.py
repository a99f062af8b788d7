"""The rules of factor II."""

from __future__ import annotations

from twelvefactor.factor import Moment, Rule, Severity

TF201 = Rule(
    "TF201",
    "no manifest, or no lock that pins every transitive dependency",
    Severity.ERROR,
    (Moment.BUILD, Moment.START),
    "Declare dependencies in pyproject.toml and commit a lock file made from it.",
    deciding=True,
)
TF202 = Rule(
    "TF202",
    "an installed distribution is missing or of another version than the lock says",
    Severity.ERROR,
    (Moment.START,),
    "Install from the lock file, and from nothing else, when the image is built.",
    deciding=True,
)
TF203 = Rule(
    "TF203",
    "app code imports a distribution that its manifest does not declare",
    Severity.ERROR,
    (Moment.START, Moment.RUN),
    "Add the distribution to the manifest's dependencies and lock again.",
    deciding=True,
)
TF204 = Rule(
    "TF204",
    "the interpreter is not isolated from the machine's own packages",
    Severity.WARNING,
    (Moment.START,),
    "Run in a virtual environment without system site-packages, or in a container.",
)
TF205 = Rule(
    "TF205",
    "a declared system tool is absent or of a wrong version",
    Severity.ERROR,
    (Moment.START,),
    "Install the tool where the image is built, or correct `system-tools`.",
)
TF206 = Rule(
    "TF206",
    "a package is installed while the app runs",
    Severity.ERROR,
    (Moment.RUN,),
    "Install when the image is built; a release never changes.",
)
TF207 = Rule(
    "TF207",
    "app code starts a system tool that is not declared",
    Severity.WARNING,
    (Moment.RUN,),
    "Declare the tool in `system-tools` with its version, or ship a library that does the same.",
)

RULES = (
    TF201,
    TF202,
    TF203,
    TF204,
    TF205,
    TF206,
    TF207,
)
