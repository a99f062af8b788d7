"""The fields that others expect, each schema against its published list."""

import datetime as dt
import os

import pytest

from twelvefactor.work import InFlight

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.fixture
def say(make, out):
    """What a schema makes of a full event."""

    def say(schema, event="order placed", level="error", fields=None, **environ):
        stream = make(LOG_SCHEMA=schema, **environ)
        stream.bind(release="4f2c1a9", process_type="web")
        with InFlight().work("request", "r", "w-1", request_id="r-1", trace_id=TRACE, span_id=SPAN) as work:
            work.trace_flags = "01"
            try:
                raise ValueError("no")
            except ValueError:
                stream.logger("orders.api").log(
                    {"error": 40, "warning": 30, "debug": 10, "info": 20, "critical": 50}[level],
                    event,
                    **({"order": 7, "exc_info": True} if fields is None else fields),
                )
        return out.event

    return say


def test_opentelemetry(say):
    """
    The log data model; the trace keys at the top, as outside OTLP; level names and numbers as mapped for Python.
    """
    event = say("otel", TWELVEFACTOR_DEPLOY="production")

    assert set(event) == {
        "Timestamp", "SeverityText", "SeverityNumber", "Body", "trace_id", "span_id", "trace_flags", "Resource",
        "InstrumentationScope", "Attributes",
    }  # fmt: skip
    dt.datetime.fromisoformat(event["Timestamp"])
    assert (event["SeverityText"], event["SeverityNumber"], event["Body"]) == ("ERROR", 17, "order placed")
    assert (event["trace_id"], event["span_id"], event["trace_flags"]) == (TRACE, SPAN, "01")
    assert event["Resource"] == {
        "service.name": "orders",
        "service.version": "4f2c1a9",
        "service.instance.id": f"web-1:{os.getpid()}",
        "twelvefactor.process_type": "web",
        "deployment.environment.name": "production",
    }
    assert event["InstrumentationScope"] == {"name": "orders.api"}
    attributes = event["Attributes"]
    assert (attributes["exception.type"], attributes["exception.message"]) == ("ValueError", "no")
    assert attributes["exception.stacktrace"].startswith("Traceback")
    assert (attributes["order"], attributes["request_id"]) == (7, "r-1")


@pytest.mark.parametrize(
    ("level", "number"), [("debug", 5), ("info", 9), ("warning", 13), ("error", 17), ("critical", 21)]
)
def test_opentelemetry_severities(say, level, number):
    """
    The numbers of the specification's mapping.
    """
    assert say("otel", level=level, LOG_LEVEL="debug")["SeverityNumber"] == number


def test_opentelemetrys_own_names_win(say):
    """
    OTEL_SERVICE_NAME names the service, then the resource attributes, percent-decoded.
    """
    event = say(
        "otel", OTEL_SERVICE_NAME="shop", OTEL_RESOURCE_ATTRIBUTES="service.name=x,team=a%20b,service.version=9"
    )

    resource = event["Resource"]
    assert (resource["service.name"], resource["team"], resource["service.version"]) == ("shop", "a b", "4f2c1a9")


def test_elastic_dotted(say):
    """
    The required fields first and in order, dotted keys at the top, the caller's fields as labels.
    """
    event = say(
        "ecs", fields={"order": 7, "exc_info": True, "a.b": 1, "deep": {"x": [1]}}, TWELVEFACTOR_DEPLOY="production"
    )

    assert list(event)[:4] == ["@timestamp", "log.level", "message", "ecs.version"]
    assert event["log.level"] == "error"
    assert event["message"] == "order placed"
    assert event["log.logger"] == "orders.api"
    assert event["service.name"] == event["event.dataset"] == "orders"
    assert event["service.version"] == "4f2c1a9"
    assert event["service.environment"] == "production"
    assert event["service.node.name"] == f"web-1:{os.getpid()}"
    assert (event["trace.id"], event["span.id"], event["http.request.id"]) == (TRACE, SPAN, "r-1")
    assert (event["error.type"], event["error.message"]) == ("ValueError", "no")
    assert event["error.stack_trace"].startswith("Traceback")
    assert event["labels"] == {
        "process_type": "web", "work_id": "w-1", "order": 7, "a_b": 1, "deep": '{"x":[1]}',
    }  # fmt: skip


def test_elastic_nested(say):
    """
    The same as objects.
    """
    event = say("ecs-nested")

    assert list(event)[:3] == ["@timestamp", "log", "message"]
    assert event["log"] == {"level": "error", "logger": "orders.api"}
    assert event["ecs"]["version"]
    assert event["service"]["name"] == "orders"
    assert event["trace"] == {"id": TRACE}
    assert event["error"]["type"] == "ValueError"
    assert event["labels"]["order"] == 7


def test_google_cloud(say):
    """
    Severity, message, time, the trace as a resource name, and what Error Reporting reads.
    """
    event = say("gcp", GOOGLE_CLOUD_PROJECT="shop-1")

    assert (event["severity"], event["message"]) == ("ERROR", "order placed")
    assert event["time"].endswith("Z")
    assert event["logging.googleapis.com/trace"] == f"projects/shop-1/traces/{TRACE}"
    assert event["logging.googleapis.com/spanId"] == SPAN
    assert event["logging.googleapis.com/trace_sampled"] is True
    assert event["logging.googleapis.com/labels"]["logger"] == "orders.api"
    assert event["serviceContext"] == {"service": "orders", "version": "4f2c1a9"}
    assert event["stack_trace"].startswith("Traceback")
    assert (event["order"], event["request_id"]) == (7, "r-1")


def test_google_clouds_request(say):
    """
    The access event is an httpRequest, with the latency in seconds.
    """
    fields = {
        "method": "GET",
        "path": "/a",
        "status": 200,
        "duration_ms": 12.5,
        "bytes": 3,
        "client": "10.0.0.1",
        "route": None,
    }

    event = say("gcp", "request", "info", fields)

    assert event["httpRequest"] == {
        "requestMethod": "GET",
        "requestUrl": "/a",
        "status": 200,
        "responseSize": 3,
        "remoteIp": "10.0.0.1",
        "latency": "0.012500s",
    }


def test_datadog(say):
    """
    The reserved attributes and those that link to traces; Datadog's own variables win.
    """
    event = say("datadog", DD_ENV="production", DD_SERVICE="shop", DD_VERSION="7")

    assert (event["status"], event["message"], event["source"]) == ("error", "order placed", "python")
    assert event["service"] == event["dd.service"] == "shop"
    assert (event["dd.env"], event["dd.version"]) == ("production", "7")
    assert (event["dd.trace_id"], event["dd.span_id"]) == (TRACE, SPAN)
    assert event["logger.name"] == "orders.api"
    assert event["host"].startswith("web-1")
    assert (event["error.kind"], event["error.message"]) == ("ValueError", "no")
    assert event["error.stack"].startswith("Traceback")
    assert event["order"] == 7


@pytest.mark.parametrize("schema", ["otel", "ecs", "ecs-nested", "gcp", "datadog"])
def test_a_schema_hides_and_masks_as_well(say, secret, schema):
    """
    Names change, secrets stay hidden; structured tracebacks and a line's cap hold too.
    """
    fields = {"password": "hunter2", "note": f"with {secret}", "exc_info": True, "message": "x", "service": "y"}

    text = str(say(schema, fields=fields, LOG_TRACEBACKS="frames", LOG_MAX_BYTES="4000"))

    assert "hunter2" not in text
    assert secret not in text


@pytest.mark.parametrize("schema", ["default", "otel", "ecs", "ecs-nested", "gcp", "datadog"])
def test_a_caller_cannot_take_a_schemas_own_field(say, schema):
    """
    The level and the message of a line are what was said, whatever the caller's fields are called.
    """
    taken = (
        "severity",
        "message",
        "time",
        "status",
        "log.level",
        "@timestamp",
        "Body",
        "log",
        "trace_id",
        "log.level.x",
    )

    event = say(schema, fields=dict.fromkeys(taken, "forged"))

    ours = {
        "default": ["level", "event"],
        "otel": ["SeverityText", "Body"],
        "ecs": ["log.level", "message"],
        "ecs-nested": ["message"],
        "gcp": ["severity", "message"],
        "datadog": ["status", "message"],
    }[schema]
    assert "forged" not in [event[each] for each in ours]
    assert schema != "ecs-nested" or event["log"]["level"] == "error"
