"""The same event in the words of others: OpenTelemetry, Elastic, Google Cloud, Datadog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from twelvefactor.work import current_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Line = dict[str, Any]
    Shape = Callable[[Line], Line]

ECS_VERSION: Final = "8.17"
_OTEL_NUMBERS = {"trace": 1, "debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}


def shape_of(schema: str, environ: Mapping[str, str]) -> Shape:
    """The function that gives the fields of an event the names of *schema*."""
    makers: dict[str, Callable[[Mapping[str, str]], Shape]] = {
        "otel": _otel,
        "ecs": _ecs,
        "ecs-nested": _ecs_nested,
        "gcp": _gcp,
        "datadog": _datadog,
    }
    return makers[schema](environ)


def _take(line: Line, target: Line, names: Mapping[str, str]) -> None:
    """Move what is there from *line* to *target*, renamed."""
    for name, other in names.items():
        if name in line:
            target[other] = line.pop(name)


def _deploy(environ: Mapping[str, str], *names: str) -> str | None:
    for name in (*names, "TWELVEFACTOR_DEPLOY"):
        if environ.get(name):
            return environ[name]
    return None


def _trace_flags(line: Line) -> str | None:
    """The flags of the trace that *line* belongs to, where the caller sent some."""
    work = current_work()
    return None if work is None or "span_id" not in line else work.trace_flags


def _otel(environ: Mapping[str, str]) -> Shape:
    """
    The log data model, with the trace fields at the top as the specification has it for JSON that is not OTLP.

    Source: opentelemetry.io, "Logs Data Model" and "Trace Context in non-OTLP Log Formats".
    """
    declared = _otel_resource(environ)
    named = {"service.name": environ["OTEL_SERVICE_NAME"]} if environ.get("OTEL_SERVICE_NAME") else {}

    def shape(line: Line) -> Line:
        level = line.pop("level")
        made: Line = {
            "Timestamp": line.pop("timestamp"),
            "SeverityText": level.upper(),
            "SeverityNumber": _OTEL_NUMBERS.get(level, 9),
            "Body": line.pop("event"),
        }
        _take(line, made, {"trace_id": "trace_id", "span_id": "span_id"})
        flags = _trace_flags(made)
        if flags is not None:
            made["trace_flags"] = flags
        resource: Line = {}
        _take(line, resource, _OTEL_RESOURCE)
        made["Resource"] = {**declared, **resource, **named}
        made["InstrumentationScope"] = {"name": line.pop("logger")}
        attributes: Line = {}
        _take(line, attributes, _OTEL_ATTRIBUTES)
        made["Attributes"] = attributes | line
        return made

    return shape


def _otel_resource(environ: Mapping[str, str]) -> Line:
    """The resource attributes that the environment declares, percent-decoded, and the deploy."""
    pairs = (each.partition("=") for each in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    declared: Line = {key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals}
    deploy = _deploy(environ)
    return {**declared, "deployment.environment.name": deploy} if deploy else declared


_OTEL_RESOURCE = {
    "service": "service.name",
    "release": "service.version",
    "instance": "service.instance.id",
    "process_type": "twelvefactor.process_type",
}
_OTEL_ATTRIBUTES = {
    "exception_type": "exception.type",
    "exception_message": "exception.message",
    "exception": "exception.stacktrace",
    "stack": "code.stacktrace",
}


def _ecs(environ: Mapping[str, str]) -> Shape:
    """
    Elastic Common Schema with dotted keys, the three required ones first and in order.

    Source: github.com/elastic/ecs-logging, spec.json.
    """
    deploy = _deploy(environ, "ELASTIC_APM_ENVIRONMENT")

    def shape(line: Line) -> Line:
        made: Line = {
            "@timestamp": line.pop("timestamp"),
            "log.level": line.pop("level"),
            "message": line.pop("event"),
            "ecs.version": ECS_VERSION,
        }
        _take(line, made, _ECS_NAMES)
        if "service.name" in made:
            made["event.dataset"] = made["service.name"]
        if deploy:
            made["service.environment"] = deploy
        if isinstance(made.get("error.stack_trace"), list):
            made["error.stack_trace"] = _text_of_frames(made["error.stack_trace"])
        labels = {_label(key): _label_value(value) for key, value in line.items() if value is not None}
        if labels:
            made["labels"] = labels
        return made

    return shape


_ECS_NAMES = {
    "logger": "log.logger",
    "service": "service.name",
    "release": "service.version",
    "instance": "service.node.name",
    "trace_id": "trace.id",
    "span_id": "span.id",
    "request_id": "http.request.id",
    "exception_type": "error.type",
    "exception_message": "error.message",
    "exception": "error.stack_trace",
}


def _label(key: str) -> str:
    return key.replace(".", "_").replace("*", "_").replace("\\", "_")


def _label_value(value: Any) -> Any:
    """Labels are scalars; what is deeper is told as JSON in a text."""
    if isinstance(value, (dict, list)):
        import orjson

        from twelvefactor.logs.values import encodable

        return orjson.dumps(encodable(value), repr).decode()
    return value


def _text_of_frames(chain: list[Any]) -> str:
    lines = []
    for each in chain:
        lines += [f'File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}' for frame in each["frames"]]
        lines.append(f"{each['exc_type']}: {each['exc_value']}")
    return "\n".join(lines)


def _ecs_nested(environ: Mapping[str, str]) -> Shape:
    """Elastic Common Schema with nested objects instead of dotted keys."""
    dotted = _ecs(environ)

    def shape(line: Line) -> Line:
        made: Line = {}
        for key, value in dotted(line).items():
            *parents, last = key.split(".")
            place = made
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        return made

    return shape


def _gcp(environ: Mapping[str, str]) -> Shape:
    """
    Structured logging of Google Cloud: the special fields of its agents.

    Source: cloud.google.com/logging/docs/structured-logging and .../error-reporting/docs/formatting-error-messages.
    """
    project = environ.get("GOOGLE_CLOUD_PROJECT") or environ.get("GCP_PROJECT") or ""
    prefix = f"projects/{project}/traces/" if project else ""

    def shape(line: Line) -> Line:
        level = line.pop("level")
        made: Line = {"severity": level.upper(), "message": line.pop("event"), "time": line.pop("timestamp")}
        if line.get("trace_id"):
            made["logging.googleapis.com/trace"] = prefix + str(line.pop("trace_id"))
            flags = _trace_flags(line)
            if flags is not None:
                made["logging.googleapis.com/trace_sampled"] = bool(int(flags, 16) & 1)
        _take(line, made, {"span_id": "logging.googleapis.com/spanId"})
        _take(line, made, {"exception": "stack_trace"})
        if isinstance(made.get("stack_trace"), list):
            made["stack_trace"] = _text_of_frames(made["stack_trace"])
        context: Line = {}
        _take(line, context, {"service": "service", "release": "version"})
        if context:
            made["serviceContext"] = context
        labels: Line = {}
        _take(line, labels, {"logger": "logger", "process_type": "process_type", "instance": "instance"})
        if labels:
            made["logging.googleapis.com/labels"] = {key: str(value) for key, value in labels.items()}
        if made["message"] == "request" and "status" in line:
            made["httpRequest"] = _http_request(line)
        return made | {key: value for key, value in line.items() if key not in made}

    return shape


def _http_request(line: Line) -> Line:
    made: Line = {}
    _take(line, made, _GCP_REQUEST)
    if "latency" in made:
        made["latency"] = f"{float(made['latency']) / 1000:.6f}s"
    return made


_GCP_REQUEST = {
    "method": "requestMethod",
    "path": "requestUrl",
    "status": "status",
    "user_agent": "userAgent",
    "client": "remoteIp",
    "protocol": "protocol",
    "bytes": "responseSize",
    "duration_ms": "latency",
}


def _datadog(environ: Mapping[str, str]) -> Shape:
    """
    The reserved and the standard attributes of Datadog.

    Source: docs.datadoghq.com, "Attributes and Aliasing" and "Correlating logs and traces".
    """
    deploy = _deploy(environ, "DD_ENV")
    service = environ.get("DD_SERVICE")
    version = environ.get("DD_VERSION")

    def shape(line: Line) -> Line:
        made: Line = {
            "timestamp": line.pop("timestamp"),
            "status": line.pop("level"),
            "message": line.pop("event"),
            "source": "python",
        }
        _take(line, made, _DATADOG_NAMES)
        if service:
            made["service"] = service
        if version:
            made["dd.version"] = version
        if deploy:
            made["dd.env"] = deploy
        if "service" in made:
            made["dd.service"] = made["service"]
        if isinstance(made.get("error.stack"), list):
            made["error.stack"] = _text_of_frames(made["error.stack"])
        return made | {key: value for key, value in line.items() if key not in made}

    return shape


_DATADOG_NAMES = {
    "service": "service",
    "release": "dd.version",
    "instance": "host",
    "logger": "logger.name",
    "trace_id": "dd.trace_id",
    "span_id": "dd.span_id",
    "exception_type": "error.kind",
    "exception_message": "error.message",
    "exception": "error.stack",
}
