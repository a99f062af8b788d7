"""XI. Treat logs as event streams: one JSON event per line on stdout."""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from twelvefactor.logs.records import JsonFormatter
    from twelvefactor.logs.rules import RULES
    from twelvefactor.logs.senses import sensors
    from twelvefactor.logs.stream import EventStream

__all__ = ["RULES", "EventStream", "JsonFormatter", "sensors"]

_HOMES = {
    "EventStream": "stream",
    "JsonFormatter": "records",
    "RULES": "rules",
    "sensors": "senses",
}

if not TYPE_CHECKING:  # a checker that saw this would believe in every name

    def __getattr__(name: str):  # noqa: ANN202 - whatever the name means
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'twelvefactor.logs' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"twelvefactor.logs.{home}"), name)
        globals()[name] = value
        return value
