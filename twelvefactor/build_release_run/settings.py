"""The config half of a release: which variables it has, and with a key, whether they are the same as before."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY = "TWELVEFACTOR_LEDGER_KEY"
_PER_PROCESS = {"PORT", "HOST", "HOSTNAME", "DYNO", "POD_NAME", "POD_IP", "NODE_NAME", "CF_INSTANCE_INDEX", KEY}
_DIGITS = 16


class PerProcess:
    """The mark of a field that differs between the processes of one release."""

    def __repr__(self) -> str:
        return "per_process"


per_process: Final = PerProcess()
"""
Marks a field of the config that differs between the processes of one release, so that it does not enter the digest.

>>> from typing import Annotated
>>> import twelvefactor as tf
>>> class Config(tf.Config):
...     shard: Annotated[int, tf.per_process]
"""


def variables(config: Any) -> dict[str, bool]:
    """The declared variables that belong to the release, and whether each is set; never a value."""
    return {name: is_set for name, is_set, _ in _fields(config)}


def fingerprints(config: Any, environ: Mapping[str, str]) -> dict[str, str]:
    """
    One word per variable: an HMAC of its value, else ``set`` or ``unset`` where there is no ledger key.

    Two releases can then be compared variable by variable, and no value can be guessed from what is kept.
    """
    key = (environ.get(KEY) or "").encode()
    return {name: _word(name, is_set, value, key) for name, is_set, value in _fields(config)}


def digest(config: Any, environ: Mapping[str, str]) -> str:
    """The digest of the config: the same in every process of one release."""
    words = fingerprints(config, environ)
    text = "\n".join(f"{name}={words[name]}" for name in sorted(words))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _word(name: str, is_set: bool, value: Any, key: bytes) -> str:
    if not key:
        return "set" if is_set else "unset"
    text = f"{name}\0{_clear(value)}".encode(errors="surrogatepass")
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:_DIGITS]


def _fields(config: Any) -> Iterator[tuple[str, bool, Any]]:
    """(variable, whether it is set, value) of each leaf that is not per process."""
    if config is None:
        return
    from twelvefactor.config.loading import plan_of
    from twelvefactor.config.settings import provenance

    origins = provenance(config)
    for leaf in plan_of(type(config)).leaves:
        if leaf.name in _PER_PROCESS or any(isinstance(each, PerProcess) for each in leaf.info.metadata):
            continue
        yield leaf.name, leaf.attribute in origins, _at(config, leaf.path)


def _at(config: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        config = getattr(config, part, None)
    return config


def _clear(value: Any) -> str:
    """The value as text, secrets included: it goes into an HMAC and nowhere else."""
    for reveal in ("reveal", "get_secret_value"):
        method = getattr(value, reveal, None)
        if method is not None:
            return str(method())
    if isinstance(value, dict):
        return repr(sorted((str(key), _clear(each)) for key, each in value.items()))
    if isinstance(value, list | tuple):
        return repr([_clear(each) for each in value])
    if isinstance(value, set | frozenset):
        return repr(sorted(_clear(each) for each in value))
    return repr(value)
