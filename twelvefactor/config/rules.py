"""The rules of factor III."""

from __future__ import annotations

from twelvefactor.factor import Moment, Rule, Severity

TF301 = Rule(
    "TF301",
    "the environment does not satisfy the declared config",
    Severity.ERROR,
    (Moment.START,),
    "set the variables that the error names; `twelvefactor config example` lists all of them",
    deciding=True,
)
TF302 = Rule(
    "TF302",
    "app code reads the environment around the declared config",
    Severity.WARNING,
    (Moment.RUN,),
    "declare a field on the Config class and read service.config instead",
    deciding=True,
)
TF303 = Rule(
    "TF303",
    "a credential or a deploy's address is a constant in app code",
    Severity.ERROR,
    (Moment.START,),
    "declare a Secret or URL field, set the variable in the deploy, and rotate what was in the code",
    deciding=True,
)
TF304 = Rule(
    "TF304",
    "a .env file is tracked by version control or lies beside the code of a deployed process",
    Severity.ERROR,
    (Moment.BUILD, Moment.START),
    "untrack it (git rm --cached), add it to .gitignore and .dockerignore, and set the variables in the deploy",
)
TF305 = Rule(
    "TF305",
    "app code changes the environment or the config after start",
    Severity.ERROR,
    (Moment.RUN,),
    "pass the value as an argument, or give a child process its own env=",
)
TF306 = Rule(
    "TF306",
    "config is chosen by the name of an environment",
    Severity.WARNING,
    (Moment.START,),
    "give each difference a variable of its own, set per deploy",
)
TF307 = Rule(
    "TF307",
    "a variable that nothing declares is one edit away from a declared one",
    Severity.WARNING,
    (Moment.START,),
    "rename the variable as it is declared, or unset it",
)

RULES: tuple[Rule, ...] = (TF301, TF302, TF303, TF304, TF305, TF306, TF307)
