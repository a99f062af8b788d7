"""Look through the app's compiled code for what belongs in the environment (TF303) or is chosen by a name (TF306)."""

from __future__ import annotations

import dis
import re
from typing import TYPE_CHECKING

from twelvefactor.config import compiled, credentials
from twelvefactor.config.known import is_known
from twelvefactor.config.rules import TF302, TF303, TF306
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

    from twelvefactor._core.process import Process
    from twelvefactor.config.compiled import Module

_TESTS = re.compile(r"(?:^|\.)(?:tests?|conftest|test_[^.]*|[^.]*_test|testing|fixtures?)(?:\.|$)")
_ENVIRONMENTS = frozenset(
    ["production", "prod", "staging", "stage", "development", "dev", "local", "qa", "uat", "preprod", "preview"]
)
_ASKED = frozenset(
    [
        "env",
        "environment",
        "app_env",
        "app_environment",
        "stage",
        "deploy_env",
        "deployment",
        "django_env",
        "flask_env",
        "tier",
    ]
)
_SETTINGS = re.compile(
    r"(?:^|[._])(?:settings|config|configuration|conf)[._](?P<name>[a-z]+)$|(?P<first>[a-z]+)_settings$"
)


class Constants:
    """TF303 and TF306, and what TF302 cannot see at run time: reads at import, before anybody watched."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._reader = compiled.Reader(process.app_code)

    def install(self) -> None:
        """Look through what is imported."""
        self._look()
        evidence = self._process.evidence
        if self._reader.unreadable:
            because = f"{len(self._reader.unreadable)} modules of the app have no code to read"
            evidence.could_not_look(TF303, because)
            evidence.could_not_look(TF306, because)
        else:
            evidence.looked(TF303, "the constants of the app's modules")
            evidence.looked(TF306, "the comparisons in the app's modules")

    def remove(self) -> None:
        """Look through what was imported since."""
        self._look()

    def _look(self) -> None:
        try:
            for module in self._reader.new():
                if not _TESTS.search(module.name):
                    self._module(module)
        except Exception as error:  # noqa: BLE001 - a fault of ours never stops the start
            self._process.fault("constants", error)

    def _module(self, module: Module) -> None:
        where = self._process.app_code.relative(module.filename)
        self._named_settings(module, where)
        for body in module.bodies():
            function = f"{module.name}.{body.co_qualname}".removesuffix(".<module>")
            for text, line in compiled.strings(body, credentials.found_in):
                said = credentials.found_in(text)
                self._report(TF303, f"{function} holds {said} as a constant", f"{function}:{said}", where, line)
            for name, line in _choices(body):
                message = f"{function} compares {name} with the name of an environment"
                self._report(TF306, message, f"{function}:{name}", where, line)
            for name, line in _reads(body) if body is module.code else ():
                message = f"{module.name} reads {name} from the environment itself while it is imported"
                self._report(TF302, message, f"{module.name}:{name}", where, line)

    def _named_settings(self, module: Module, where: str) -> None:
        found = _SETTINGS.search(module.name)
        name = found and (found["name"] or found["first"])
        if name in _ENVIRONMENTS:
            message = f"the module {module.name} is the settings of one named environment"
            self._report(TF306, message, module.name, where, 1)

    def _report(self, rule: object, message: str, culprit: str, where: str, line: int) -> None:
        self._process.evidence.report(Finding(rule, message, culprit, f"{where}:{line}"))  # type: ignore[arg-type]  # a Rule


def _choices(body: CodeType) -> Iterator[tuple[str, int]]:
    """Comparisons of something called an environment with the name of one."""
    called = {*body.co_names, *body.co_varnames, *body.co_freevars, *filter(_is_text, body.co_consts)}
    if _ASKED.isdisjoint(map(str.lower, called)) or not any(map(_named, body.co_consts)):
        return  # disassembling is what costs
    steps = [step for step in dis.get_instructions(body) if step.opname not in _NOISE]
    for at, step in enumerate(steps):
        if step.opname not in {"COMPARE_OP", "CONTAINS_OP"} or at < 2:  # noqa: PLR2004 - it has two operands
            continue
        if step.opname == "COMPARE_OP" and not _EQUALS.search(str(step.argval)):
            continue
        asked, named = _operands(steps[max(0, at - 6) : at])
        if asked and named:
            line = 0 if step.positions is None else step.positions.lineno or 0
            yield asked, line


_EQUALS = re.compile("==|!=")
_NOISE = frozenset(("CACHE", "PRECALL", "PUSH_NULL", "EXTENDED_ARG", "NOP", "RESUME", "COPY", "SWAP"))
_ENDS = ("COMPARE_OP", "CONTAINS_OP", "POP_JUMP", "POP_TOP", "STORE", "RETURN", "JUMP")
_LOADS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FAST", "LOAD_ATTR", "LOAD_DEREF", "LOAD_METHOD")


def _operands(steps: list[dis.Instruction]) -> tuple[str, bool]:
    """What is asked, where it is called an environment, and whether the other side names one."""
    asked, named = "", False
    for step in reversed(steps):
        if step.opname.startswith(_ENDS):
            break  # another expression
        if step.opname.startswith("LOAD_CONST"):
            if isinstance(step.argval, str) and step.argval.lower() in _ASKED:
                asked = asked or step.argval
            else:
                named = named or _named(step.argval)
        elif step.opname.startswith(_LOADS):
            name = str(step.argval[-1] if isinstance(step.argval, tuple) else step.argval)
            if name.lower() in _ASKED:
                asked = asked or name
    return asked, named


def _is_text(constant: object) -> bool:
    return isinstance(constant, str)


def _named(constant: object) -> bool:
    if isinstance(constant, str):
        return constant.lower() in _ENVIRONMENTS
    return isinstance(constant, tuple | frozenset) and bool(constant) and all(_named(each) for each in constant)


def _reads(body: CodeType) -> Iterator[tuple[str, int]]:
    """Names that are read with a constant: ``os.environ["X"]``, ``os.environ.get("X")``, ``getenv("X")``."""
    if not {"environ", "getenv"} & set(body.co_names):
        return
    steps = [step for step in dis.get_instructions(body) if step.opname not in _NOISE]
    for at, step in enumerate(steps):
        if step.argval not in {"environ", "getenv"} or not step.opname.startswith(_LOADS):
            continue
        after = steps[at + 1 : at + 5]
        if step.argval == "environ" and after and after[0].argval in {"get", "__getitem__"}:
            after = after[1:]
        elif step.argval == "environ" and not (len(after) > 1 and _is_subscript(after[1])):
            continue
        if after and after[0].opname.startswith("LOAD_CONST") and isinstance(after[0].argval, str):
            name = after[0].argval
            if not is_known(name):
                yield name, 0 if step.positions is None else step.positions.lineno or 0


def _is_subscript(step: dis.Instruction) -> bool:
    return step.opname == "BINARY_SUBSCR" or (step.opname == "BINARY_OP" and "[" in str(step.argrepr))
