"""A mail server that wants a login, for the tests: `python mail_server.py PORT`; it prints each message's first line."""

import sys
import threading
import warnings

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Printing:
    async def handle_DATA(self, server, session, envelope):
        print(envelope.content.decode().splitlines()[0], flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=data.login == b"app" and data.password == b"secret-of-the-app", handled=False)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    Controller(
        Printing(),
        hostname="127.0.0.1",
        port=int(sys.argv[1]),
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=False,
    ).start()
    print("ready", flush=True)
    threading.Event().wait()
