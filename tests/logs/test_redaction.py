"""Nothing that must not be shown is shown."""

import base64
import dataclasses
import json
import logging
import os
import random
import string
from urllib.parse import quote, quote_plus

import pytest
import structlog

from twelvefactor._core.secrets import SECRETS
from twelvefactor.logs.hiding import judge
from twelvefactor.work import InFlight

MASK = "********"
HIDDEN = """
    password passwd pwd db_password dbPassword DB_PASSWORD user-password userpassword PASSWORD password2 passphrase
    secret client_secret clientSecret stripe_secret_key api_key apiKey APIKEY X-API-Key aws_secret_access_key access_key
    private_key token access_token accessToken auth_token X-Auth-Token refresh_token csrftoken jwt Authorization
    authorization Cookie Set-Cookie cookies sessionid session_id session-key credentials credential cvv card_number
    signing_key encryptionKey passwords secrets connection_string ssn otp Proxy-Authorization
""".split()
SHOWN = """
    keyboard key keys primary_key author authorized monkey passport password_changed_at password_length token_count
    tokens_used token_type secretary secret_name session sessions session_count cookie_policy compass bypass order_id
    api_key_id user_id author_id tokenizer authors card card_type path
""".split()


@pytest.mark.parametrize("key", HIDDEN)
def test_a_key_that_names_a_secret_is_hidden(log, out, key):
    """
    However it is spelt, on top and below.
    """
    log.info("x", **{key: "hunter2"}, deep=[{key: {"a": "hunter2"}}])

    assert "hunter2" not in out.getvalue().decode()
    assert out.event[key] == MASK
    assert out.event["deep"] == [{key: MASK}]


@pytest.mark.parametrize("key", SHOWN)
def test_a_key_that_only_looks_like_one_is_shown(log, out, key):
    """
    The tempting look-alikes stay readable.
    """
    log.info("x", **{key: "value"})

    assert out.event[key] == "value"


def test_whether_something_is_there_may_be_seen(log, out):
    """
    None, an empty text and a yes or no under a hidden key give nothing away; a number of tokens is a count.
    """
    log.info("x", password=None, has_password=True, token="", tokens=1532, secrets=["a"], pin_token=7)

    event = out.event
    assert (event["password"], event["has_password"], event["token"], event["tokens"]) == (None, True, "", 1532)
    assert (event["secrets"], event["pin_token"]) == (MASK, MASK)


def test_more_keys_can_be_hidden_and_shown(stream, log, out):
    """
    Either way, whatever their case and spelling, and for events already seen too.
    """
    log.info("x", iban="DE1", session_id="s")
    stream.hide("iban", "tax-number")
    stream.show("sessionId")
    log.info("x", IBAN="DE1", taxNumber="1", session_id="s")

    first, second = out.events
    assert (first["iban"], first["session_id"]) == ("DE1", MASK)
    assert (second["IBAN"], second["taxNumber"], second["session_id"]) == (MASK, MASK, "s")


def test_keys_are_remembered_within_bounds(stream, log):
    """
    A key per user does not make the process grow without end.
    """
    for number in range(5000):
        log.info("x", table={f"user{number}": 1})

    assert len(stream.renderer.verdicts.known) <= 4096


FORMS = {
    "as it is": lambda text: text,
    "in a text": lambda text: f"before {text} after",
    "quoted": lambda text: quote(text, safe=""),
    "as a query": quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "url-safe base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "within JSON": lambda text: json.dumps({"a": text}),
    "its repr": lambda text: repr({"a": text}),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_known_secret_is_masked_wherever_it_is(stream, log, out, secret, form):
    """
    In the event, in fields, in keys, deep, in bytes, in a repr, in what is bound, in the context, in the work.
    """
    text = form(secret)

    @dataclasses.dataclass
    class Holder:
        value: str

    class Shown:
        def __repr__(self):
            return text

    work = InFlight().work("request", "r")
    work.context["note"] = text
    with structlog.contextvars.bound_contextvars(context=text), work:
        log.bind(bound=text).info(
            text,
            plain=text,
            deep=[{"a": (text, {text})}],
            key={text: 1},
            raw=text.encode(),
            held=Holder(text),
            seen=Shown(),
        )
        log.info("%s", text)
        log.info("x", **{text: 1})
        log.info("x", error=ValueError(text))
    stream.bind(base=text)
    log.info("y")

    written = out.getvalue().decode()
    assert len(out.events) == 5
    for each in FORMS.values():
        assert each(secret).strip('"{}') not in written
    assert "Pä55" not in written
    assert MASK in written


def test_a_secret_in_a_traceback_is_masked(log, out, secret):
    """
    In the message, in a cause, in a note; as text and as frames.
    """
    try:
        try:
            raise KeyError(secret)
        except KeyError as error:
            error.add_note(f"with {secret}")
            raise ValueError(f"bad {secret}") from error
    except ValueError:
        log.exception("failed")

    assert secret not in json.dumps(out.events, ensure_ascii=False)
    assert f"bad {MASK}" in out.event["exception"]


def test_a_secret_in_a_record_is_masked(stream, out, secret):
    """
    Records of the standard library are masked in message, arguments, extras and exceptions.
    """
    stream.install()
    logger = logging.getLogger("lib")
    try:
        raise ValueError(secret)
    except ValueError:
        logger.exception("failed with %s", secret, extra={"dsn": f"postgres://u:{secret}@h/"})
    stream.uninstall()

    assert "Pä55" not in out.getvalue().decode()
    assert out.event["event"] == f"failed with {MASK}"


def test_a_secret_that_comes_later_is_masked_too(log, out):
    """
    What is registered while the process runs counts at once, for keys seen before as well.
    """
    log.info("x", **{"late-secret-value": 1})
    SECRETS.register("late-secret-value")
    log.info("x", **{"late-secret-value": 1})

    first, second = out.events
    assert "late-secret-value" in first
    assert "late-secret-value" not in second


def test_short_and_ordinary_texts_stay(log, out, secret):
    """
    What holds no secret is unchanged.
    """
    log.info("order placed", note="deliver on Tuesday, in the afternoon", short="s3cr3t")

    assert (out.event["note"], out.event["short"]) == ("deliver on Tuesday, in the afternoon", "s3cr3t")


def test_judging_never_raises():
    """
    Keys without a word, and very long ones.
    """
    assert judge("") == judge("…") == judge("_") == 0
    assert judge("a" * 100_000) == 0


def test_no_planted_secret_in_many_generated_events(stream, out):
    """
    Thousands of generated events with secrets planted anywhere hold none of them; TWELVEFACTOR_SOAK=1 makes it 100 000.
    """
    count = 100_000 if os.environ.get("TWELVEFACTOR_SOAK") else 3_000
    dice = random.Random(4)
    secrets = [
        "".join(dice.choices(string.ascii_letters + string.digits + "/+-_=!äß \\\"'\n", k=24)) for _ in range(20)
    ]
    for each in secrets:
        SECRETS.register(each)
    log = stream.logger()
    stream.install()
    record = logging.getLogger("soak")
    spellings = {form(each) for each in secrets for form in list(FORMS.values())[2:6]} | set(secrets)
    needles = [json.dumps(each, ensure_ascii=False)[1:-1].encode() for each in spellings] + [
        each.encode() for each in spellings
    ]

    for number in range(count):
        _say(dice, log, record, secrets)
        if number % 500 == 0 or number == count - 1:
            written = out.getvalue()
            assert [needle for needle in needles if needle in written] == []
            for line in written.splitlines():
                json.loads(line)
            out.seek(0)
            out.truncate()
    stream.uninstall()

    assert stream.written == count
    assert stream.lost == 0


def _say(dice, log, record, secrets):
    plant = dice.choice(list(FORMS.values()))
    text = plant(dice.choice(secrets))
    value = _value(dice, text, 3)
    match dice.randrange(6):
        case 0:
            log.info(text, value=value)
        case 1:
            log.bind(bound=value).warning("x", **{dice.choice(["note", "password", text.replace("\n", "")]): value})
        case 2:
            log.info("got %s and %s", value, text)
        case 3:
            _raise(dice, log, text)
        case 4:
            record.warning("got %s", text, extra={"value": value})
        case 5:
            with structlog.contextvars.bound_contextvars(value=value):
                log.error("x", stack_info=text)


def _value(dice, text, depth):
    match dice.randrange(8 if depth else 3):
        case 0:
            return text
        case 1:
            return text.encode()
        case 2:
            return dice.choice([1, None, 2.5, "innocent", ValueError(text)])
        case 3 | 4:
            return {dice.choice(["a", "token", text]): _value(dice, text, depth - 1) for _ in range(2)}
        case 5 | 6:
            return [_value(dice, text, depth - 1) for _ in range(2)]
        case 7:
            return (text, {text})


def _raise(dice, log, text):
    try:
        try:
            raise KeyError(text)
        except KeyError as error:
            if dice.random() < 0.5:
                raise ExceptionGroup(text, [ValueError(text), error]) from None
            error.add_note(text)
            raise RuntimeError("no") from error
    except Exception:
        log.exception("failed", value=text)
