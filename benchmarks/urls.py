"""The CPU time of reading a resource URL, beside one regular expression with unquote and SQLAlchemy's make_url."""

import re
import time
from urllib.parse import unquote, urlsplit

from sqlalchemy import make_url

import twelvefactor as tf

URLS = {
    "plain": "postgresql://db.example.com/orders",
    "password": "postgresql://app:a-password-of-it@db.example.com:5432/orders",
    "encoded": "postgresql://app:p%40ss%2Fword-of-it@db.example.com:5432/orders",
    "options": "postgresql://app:p%40ss%2Fword-of-it@db.example.com:5432/orders?sslmode=require&connect_timeout=3",
}
_FLOOR = re.compile(
    r"(?P<scheme>[\w+]+)://(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<v6>[^/?]+)\]|(?P<host>[^/:?]+))?(?::(?P<port>[^/?]*))?(?:/(?P<db>[^?]*))?(?:\?(?P<query>.*))?"
)


def floor(text):
    found = _FLOOR.fullmatch(text).groupdict()
    for name in ("user", "password", "db"):
        if found[name] is not None:
            found[name] = unquote(found[name])
    if found["query"]:
        found["query"] = {k: unquote(v) for k, _, v in (pair.partition("=") for pair in found["query"].split("&"))}
    return found


def best(functions, text, rounds=60, calls=2_000):
    """The best of many short rounds in turn, in microseconds: noise only ever adds, and hits all alike."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        for function, own in zip(functions, times, strict=True):
            started = time.process_time()
            for _ in range(calls):
                function(text)
            own.append((time.process_time() - started) / calls)
    return [min(own) * 1e6 for own in times]


def main():
    print(f"{'URL':<10}{'floor µs':>10}{'urlsplit':>10}{'make_url':>10}{'tf.PostgresURL':>16}")
    for name, text in URLS.items():
        least, *others = best((floor, urlsplit, make_url, tf.PostgresURL), text)
        ratios = [each / least for each in others]
        print(f"{name:<10}{least:>10.2f}{ratios[0]:>10.2f}{ratios[1]:>10.2f}{ratios[2]:>16.2f}")


if __name__ == "__main__":
    main()
