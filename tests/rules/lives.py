"""
Live the examples of the rules' pages: each in a fork of this process, which has imported what is slow to import.

One line of JSON on standard input is one process to start: ``folder``, ``argv`` and ``environment``. Two lines are the
answer: its ``pid``, and when it has ended its ``status``.
"""

import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import socket
import sys
import threading
import time
import traceback
import types
import urllib.request
from pathlib import Path

import uvicorn
from celery.__main__ import main as celery
from gunicorn.app.wsgiapp import run as gunicorn

import twelvefactor as tf
from twelvefactor.cli import main as twelvefactor
from twelvefactor.factor import Moment, Verdict
from twelvefactor.report.evidence import write
from twelvefactor.report.rules import all_rules

APART = ("twelvefactor.__main__", "twelvefactor.observe", "twelvefactor.pytest_plugin", "twelvefactor.testing")
"""What a service that runs does not import."""
OTHERS = (
    "django.conf", "sqlalchemy.dialects.sqlite", "starlette.applications", "uvicorn.lifespan.on", "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto",
)  # fmt: skip

REQUESTS = 20  # at most, until one shows it: a busy machine hides what takes long
UNITS = 8  # of work: enough for whatever counts them
PATIENCE = 30.0  # seconds until a rule that is looked at in the background is decided


def life(rule, kind):
    """Start the app, let it work or serve, stop it, and write down what its service saw."""
    with contextlib.suppress(tf.ConfigError):  # the service has written it down
        _life(rule, kind)


def _life(rule, kind):
    rule = next(each for each in all_rules() if each.id == rule)
    dumps = json.dumps
    module = importlib.import_module("orders")
    service = vars(module).get("service") or made(module)
    if "app" in vars(module):
        serve(service, module.app, rule, REQUESTS if kind == "fires" else 1)
    else:
        work(service, vars(module).get("handle"), rule)
    service.close()
    json.dumps = dumps  # an example patches it
    write(service, os.environ["TWELVEFACTOR_EVIDENCE"])


def made(module):
    """The service of an app that has none of its own, made by a line of its module."""
    line = "import twelvefactor; service = twelvefactor.Service('orders', globals().get('Config'))"
    exec(compile(line, module.__file__, "exec"), vars(module))  # noqa: S102 - it is the app's
    return module.service


def work(service, handle, rule):
    service.start()
    service.ready()
    for number in range(UNITS if handle else 1):
        with service.work("job", "handle"):
            given = arguments(handle, number) if handle else ()  # held until the work is over, as servers do
            if handle:
                handle(*given)
    if tuple(rule.moments) != (Moment.STOP,):
        wait_until(lambda: decided(service, rule))


def arguments(handle, number):
    """What the app is called with: other values each time."""
    names = handle.__code__.co_varnames[: handle.__code__.co_argcount]
    given = {"name": f"{number}.txt", "upload": b"x" * number}
    return [given.get(name, {"number": number}) for name in names]


def serve(service, app, rule, requests):
    """Serve on a port of the kernel's choice, and ask for ``/`` until the rule is decided."""
    listener = socket.create_server(("0.0.0.0", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    asking = threading.Thread(target=ask, args=(server, service, rule, listener.getsockname()[1], requests))
    asking.start()
    server.run(sockets=[listener])
    asking.join()


def ask(server, service, rule, port, requests):
    try:
        wait_until(lambda: server.started)
        for _ in range(requests):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE).close()
            if service.findings.of(rule.id):
                break
        wait_until(lambda: decided(service, rule))
    finally:
        server.should_exit = True


def wait_until(holds):
    ends = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < ends:
        time.sleep(0.02)


def decided(service, rule):
    """Whether somebody has looked; a page's example is about one rule."""
    return service.evidence.ruling(rule).verdict is not Verdict.UNKNOWN


def command(argv):
    """Be the program that *argv* names."""
    sys.argv = list(argv)
    if argv[0] == "twelvefactor":
        twelvefactor(argv[1:], prog_name="twelvefactor")
    elif argv[0] == "uvicorn":
        uvicorn.main(argv[1:])
    elif argv[0] == "gunicorn":
        gunicorn()
    elif argv[0] == "celery":
        celery()
    else:
        life(*argv[1:])


def be(asked):
    """In the fork: be the process that is asked for."""
    folder = Path(asked["folder"])
    said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.chdir(folder / "orders")
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[:0] = [str(folder / "orders"), str(folder / "site-packages")]
    sys.path.remove(str(Path(__file__).parent))
    sys.modules.pop("__mp_main__", None)  # this file, which is not the app's
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        command(asked["argv"])
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - it is told, and the process ends
        traceback.print_exc()
        return 1
    return 0


def fork(asked):
    child = os.fork()
    if not child:
        status = 1
        try:
            status = be(asked)
            atexit._run_exitfuncs()  # noqa: SLF001 - os._exit would leave them out
            sys.stdout.flush()
        finally:
            os._exit(status)
    return child


def import_all():
    """Import now, once, what each life would import."""
    for each in pkgutil.walk_packages(tf.__path__, "twelvefactor."):
        if not each.name.startswith(APART):
            with contextlib.suppress(ImportError, tf.TwelveFactorError):
                importlib.import_module(each.name)
    for name in OTHERS:
        importlib.import_module(name)


def main():
    import_all()
    for line in sys.stdin:
        child = fork(json.loads(line))
        print(json.dumps({"pid": child}), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
