"""Which rules the operator enforces."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def enforced(environ: Mapping[str, str], *rule_ids: str) -> bool:
    """
    Whether `TWELVEFACTOR_ENFORCE` names one of *rule_ids*, a prefix of it, or all.

    >>> enforced({"TWELVEFACTOR_ENFORCE": "TF3, TF206"}, "TF206"), enforced({}, "TF206")
    (True, False)
    """
    parts = [part.strip() for part in environ.get("TWELVEFACTOR_ENFORCE", "").split(",") if part.strip()]
    return any(part == "all" or rule_id.startswith(part) for part in parts for rule_id in rule_ids)
