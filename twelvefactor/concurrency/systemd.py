"""A formation as systemd wants it: a unit each, a template where there are several, and a target for all."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from twelvefactor.concurrency.formation import dns

if TYPE_CHECKING:
    from twelvefactor.concurrency.formation import Formation, ProcessType

_HARDENED = """\
DynamicUser=yes
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
"""


def write(formation: Formation) -> dict[str, str]:
    """The text of each unit by its file's name."""
    units = {unit_of(formation, each): _unit(formation, each) for each in formation.types}
    wanted = " ".join(wants for each in formation.types for wants in _instances(formation, each))
    target = (
        f"[Unit]\nDescription={formation.service}: all process types\nWants={wanted}\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    return {**units, f"{formation.name}.target": target}


def unit_of(formation: Formation, each: ProcessType) -> str:
    """The name of its file: a template where there are several. Those that serve have workers instead."""
    return f"{formation.name}-{dns(each.name)}{'@' if _several(each) else ''}.service"


def _several(each: ProcessType) -> bool:
    return each.replicas > 1 and not each.serves


def _instances(formation: Formation, each: ProcessType) -> list[str]:
    unit = unit_of(formation, each)
    if not _several(each):
        return [unit]
    return [unit.replace("@.", f"@{number}.") for number in range(1, each.replicas + 1)]


def _unit(formation: Formation, each: ProcessType) -> str:
    words = each.command
    started = (
        f"{formation.program} {shlex.join(words[1:])}"
        if words[0] == "twelvefactor"
        else f"/usr/bin/env {_quoted(words)}"
    )
    variables = formation.variables(each)
    variables.pop("TWELVEFACTOR_HEARTBEAT", None)  # systemd has a watchdog
    if each.serves and each.replicas > 1:
        variables["WEB_CONCURRENCY"] = str(each.replicas)
        variables["TWELVEFACTOR_REPLICAS"] = "1"
    environment = "".join(f'Environment="{name}={value}"\n' for name, value in variables.items())
    told = "Type=notify\nNotifyAccess=all\nWatchdogSec=30\n" if each.tells else "Type=exec\n"
    return (
        f"[Unit]\nDescription={formation.service}: {each.name}\nPartOf={formation.name}.target\n"
        "Wants=network-online.target\nAfter=network-online.target\n\n"
        f"[Service]\n{told}ExecStart={started}\n{environment}EnvironmentFile=-/etc/{formation.name}.env\n"
        f"KillMode=mixed\nTimeoutStopSec={formation.grace_seconds}\nRestart=on-failure\n"
        f"RestartPreventExitStatus={os.EX_CONFIG}\n"  # a config that does not fit will not fit in a second either
        f"# resources, such as MemoryMax=, are yours\n{_HARDENED}\n"
        f"[Install]\nWantedBy={formation.name}.target\n"
    )


def _quoted(words: tuple[str, ...]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in words)
