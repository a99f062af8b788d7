"""
What thorough mode costs the tests of real applications: CPU time a request, with and without, in one run each.

    python benchmarks/leaks_thorough.py [httpbin|datasette|admin] ...

httpbin (Flask, through werkzeug's client), datasette (ASGI, through httpx) where they are installed, and Django's admin
site with everything of `django.contrib` taken for the app. Each is run in a process of its own, bare and watched.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from twelvefactor._core.appcode import AppCode  # noqa: E402 - the path is set above

ROUNDS = 5
GOAL = 3.0


def httpbin():
    """A suite of small handlers."""
    from httpbin import app

    client = app.test_client()
    paths = ["/get?a=1", "/headers", "/ip", "/user-agent", "/anything/abc", "/status/418", "/redirect-to?url=/get"]
    paths += ["/cookies", "/cookies/set?k=v", "/json", "/xml", "/html", "/uuid", "/bytes/100", "/stream-bytes/100"]
    paths += ["/links/3/0", "/range/100", "/base64/aGVsbG8=", "/cache", "/etag/abc", "/gzip", "/deflate"]

    def run():
        for path in paths:
            client.get(path)
        client.post("/post", data={"user": "user-1001"})
        client.put("/put", json={"a": 1})
        client.delete("/delete")
        return len(paths) + 3

    return run


def datasette():
    """Pages over a table of 500 rows, with threads for the database."""
    import sqlite3

    import httpx
    from datasette.app import Datasette

    path = tempfile.mkdtemp() + "/shop.db"
    with sqlite3.connect(path) as database:
        database.execute("create table t(id integer primary key, name text, n int)")
        database.executemany("insert into t(name, n) values(?, ?)", [(f"name {n}", n % 7) for n in range(500)])
    served, loop = Datasette([path]), asyncio.new_event_loop()
    loop.run_until_complete(served.invoke_startup())
    app = served.app()
    paths = ["/", "/shop", "/shop/t", "/shop/t/1", "/shop/t.json", "/shop/t?n=3", "/shop.json"]
    paths += ["/shop?sql=select+1", "/shop/t.json?_facet=n"]

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            for path in paths:
                await client.get(path)
        return len(paths)

    return lambda: loop.run_until_complete(ask())


def admin():
    """Lists, forms and a log-in."""
    import django
    from django.conf import settings

    settings.configure(
        ROOT_URLCONF=__name__,
        SECRET_KEY="for tests",
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[f"django.contrib.{name}" for name in ["admin", "auth", "contenttypes", "sessions", "messages"]],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
    )
    django.setup()
    from django.contrib import admin as site
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client
    from django.urls import path

    globals()["urlpatterns"] = [path("admin/", site.site.urls)]
    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(User.objects.create_superuser("ann", "ann@example.com", "secret"))
    paths = [
        "/admin/",
        "/admin/auth/user/",
        "/admin/auth/user/add/",
        "/admin/auth/user/1/change/",
        "/admin/auth/group/",
    ]

    def run():
        for each in paths:
            assert client.get(each).status_code == 200
        return len(paths)

    return run


APPS = {"httpbin": (httpbin, "httpbin"), "datasette": (datasette, "datasette"), "admin": (admin, "django/contrib")}


class Installed(AppCode):
    """An installed distribution that is taken for the app's code, or a part of one."""

    def __init__(self, package, root):
        super().__init__(root)
        self.package = package

    def owns(self, filename, module=None):
        return f"/{self.package}/" in filename


def measure(name, mode):
    """Microseconds of CPU a request, at best."""
    make, package = APPS[name]
    run = make()
    found = ""
    if mode == "watched":
        from twelvefactor.testing import clients as watched

        watched.AppCode = functools.partial(Installed, package)
        clients = watched.Clients(ROOT)
        clients.patch()
    for _ in range(4):
        run()
    best = min(_spent(run) for _ in range(ROUNDS))
    if mode == "watched":
        clients.watch.settle()
        found = f" {len(clients.watch.graph)} {len(list(clients.process.findings))}"
    print(f"{best * 1e6:.0f}{found}")


def _spent(run):
    started = time.process_time()
    asked = run()
    return (time.process_time() - started) / asked


def main():
    """Print the table; the status says whether the goal is met."""
    names = [name for name in sys.argv[1:] or APPS if importlib.util.find_spec(APPS[name][1].partition("/")[0])]
    print(f"Python {sys.version.split()[0]}\n\n| suite | bare | watched | ratio | nodes | findings |")
    print("|---|---:|---:|---:|---:|---:|")
    met = True
    for name in names:
        told = {}
        for mode in ("bare", "watched"):
            command = [sys.executable, __file__, "--measure", name, mode]
            ended = subprocess.run(command, capture_output=True, text=True, check=True)
            told[mode] = ended.stdout.split()
        (bare,), (watched, nodes, findings) = told["bare"], told["watched"]
        ratio = int(watched) / int(bare)
        met &= ratio <= GOAL
        print(f"| {name} | {bare} µs | {watched} µs | {ratio:.1f} | {nodes} | {findings} |")
    return 0 if met else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
    else:
        raise SystemExit(main())
