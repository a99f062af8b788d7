"""The rules of factor I."""

from __future__ import annotations

from twelvefactor.factor import Moment, Rule, Severity

TF101 = Rule(
    "TF101",
    "the process cannot say which commit it runs",
    Severity.ERROR,
    (Moment.START,),
    "Build with `twelvefactor release build`, or set GIT_SHA (or another release variable) in the deploy.",
    deciding=True,
)
TF102 = Rule(
    "TF102",
    "the build was made from a tree with uncommitted changes",
    Severity.ERROR,
    (Moment.BUILD, Moment.START),
    "Commit or stash, then build again; `twelvefactor release build --require-clean` refuses a dirty tree.",
)
TF103 = Rule(
    "TF103",
    "the commit that was built is not on the main branch",
    Severity.WARNING,
    (Moment.BUILD,),
    "Merge the branch back, or name the branch that deploys come from as `main-branch`.",
)
TF104 = Rule(
    "TF104",
    "app code was imported from outside the codebase and the installed distributions",
    Severity.ERROR,
    (Moment.START, Moment.RUN),
    "Move the shared code into a distribution of its own and declare it as a dependency.",
    deciding=True,
)
TF105 = Rule(
    "TF105",
    "a copy of a distributed library is checked into the codebase",
    Severity.WARNING,
    (Moment.BUILD, Moment.START),
    "Delete the copy and declare the distribution as a dependency.",
)

RULES = (
    TF101,
    TF102,
    TF103,
    TF104,
    TF105,
)
