"""Tell a real credential from a sample: keys by their issuer's format, URLs by their password and host."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# Formats that issuers document so that scanners can find them. Test keys (sk_test_) are not deploys' credentials.
_KEYS = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "a Stripe key": r"\b[sr]k_live_[0-9A-Za-z]{16,}",
    "a GitHub token": r"\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{60,})",
    "a GitLab token": r"\bglpat-[0-9A-Za-z_-]{20,}",
    "a Slack token": r"\bxox[abposr]-[0-9A-Za-z-]{20,}",
    "a Google API key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a SendGrid key": r"\bSG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}",
    "an npm token": r"\bnpm_[0-9A-Za-z]{36}\b",
    "a PyPI token": r"\bpypi-AgEI[0-9A-Za-z_-]{50,}",
    "an API key": r"\bsk-(?:ant-|proj-)[0-9A-Za-z_-]{24,}",
    "a DigitalOcean token": r"\bdo[opr]_v1_[0-9a-f]{64}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[0-9A-Za-z+/=]{16}",
}
_KEY = re.compile("|".join(f"(?P<k{at}>{pattern})" for at, pattern in enumerate(_KEYS.values())))
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)
_SERVICES = frozenset(
    [
        "postgres",
        "postgresql",
        "mysql",
        "mariadb",
        "redis",
        "rediss",
        "valkey",
        "amqp",
        "amqps",
        "mongodb",
        "mongodb+srv",
        "nats",
        "mqtt",
        "mqtts",
        "kafka",
    ]
)
_SAMPLE_WORDS = frozenset(
    [
        "password",
        "passwd",
        "pass",
        "pwd",
        "secret",
        "user",
        "username",
        "admin",
        "root",
        "guest",
        "test",
        "example",
        "changeme",
        "postgres",
        "mysql",
        "redis",
        "xxx",
        "xxxx",
        "your_password",
        "yourpassword",
        "my_password",
        "mypassword",
        "s3cret",
        "s3cr3t",
        "foobar",
        "foo",
        "bar",
        "hunter2",
        "token",
        "key",
    ]
)
_PLACEHOLDER = re.compile(r"[{}<>$%*…]|\.\.\.|^x+$|example|changeme|placeholder|your[_-]", re.IGNORECASE)
_SAMPLE_HOST = re.compile(
    r"^(?:localhost|127\.\d+\.\d+\.\d+|::1|0\.0\.0\.0|host|hostname|server|db|database)$"
    r"|(?:^|\.)(?:example|test|invalid|localhost)$|(?:^|\.)example\.(?:com|net|org)$",
    re.IGNORECASE,
)
_NAMED_HOST = re.compile(r"^[a-z0-9-]+(?:\.[a-z0-9-]+)+$", re.IGNORECASE)
_DISTINCT = 7  # letters in the end of a real key; fewer is xxxx or 0000


_MARKS = re.compile("://|AKIA|ASIA|k_live_|gh[pousr]_|github_|glpat-|xox|AIza|SG\\.|npm_|pypi-|sk-|_v1_|PRIVATE KEY")


def found_in(text: str) -> str:
    """
    What kind of credential or address of a deploy *text* holds, in words; empty where it holds none.

    >>> found_in("postgresql://orders:Zk3v9QpLmT@db.prod.internal/orders")
    'a URL with a password'
    >>> found_in("postgresql://user:pass@localhost/db"), found_in("AKIAIOSFODNN7EXAMPLE")
    ('', '')
    """
    if _MARKS.search(text) is None:
        return ""  # most text; the patterns below cost more
    key = _KEY.search(text)
    if key is not None and not _is_sample(key.group()):
        return tuple(_KEYS)[int(str(key.lastgroup)[1:])]
    for url in _URL.findall(text):
        said = _judge(url)
        if said:
            return said
    return ""


def _is_sample(key: str) -> bool:
    return bool(_PLACEHOLDER.search(key)) or len(set(key[-16:])) < _DISTINCT


def _judge(url: str) -> str:
    try:
        split = urlsplit(url)
        host, password = split.hostname or "", split.password or ""
    except ValueError:
        return ""
    if not host or _PLACEHOLDER.search(host):
        return ""
    if password:
        return "" if _is_sample_password(password, split.username or "", host) else "a URL with a password"
    if (
        split.scheme.partition("+")[0].lower() in _SERVICES
        and _NAMED_HOST.search(host)
        and not _SAMPLE_HOST.search(host)
    ):
        return "the address of a backing service"
    return ""


def _is_sample_password(password: str, user: str, host: str) -> bool:
    if _PLACEHOLDER.search(password):
        return True
    return password.lower() in _SAMPLE_WORDS or (password == user and bool(_SAMPLE_HOST.search(host)))
