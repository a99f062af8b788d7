"""
Our command in a process of its own that need not import everything anew: forked off one that has done so.

    python forked.py SOCKET        the one that has imported: a process for each client
    python -I -S forked.py CLIENT SOCKET WORDS…   one command; its descriptors, folder and environment are the process's

The client is what a test starts and signals. It passes on SIGTERM and SIGINT, ends as the process does, and the process
is killed where the client is.
"""

import array
import json
import os
import signal
import socket
import sys

LENGTH = 8
PASSED_ON = (signal.SIGTERM, signal.SIGINT)


def client(path, words):
    """Have *words* run; never returns."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until somebody is there whom they are for
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        asked = json.dumps({"words": words, "folder": os.getcwd(), "environ": dict(os.environ)}).encode()
        files = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
        server.sendmsg([len(asked).to_bytes(LENGTH, "big")], files)
        server.sendall(asked)
        pid = int(server.recv(LENGTH, socket.MSG_WAITALL))
        for number in PASSED_ON:
            signal.signal(number, lambda received, _: os.kill(pid, received))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        ended = int(server.recv(LENGTH, socket.MSG_WAITALL) or b"9")
    code = os.waitstatus_to_exitcode(ended)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def serve(path):
    """Import what every command does, then fork for each client until nobody needs us."""
    import sqlalchemy  # noqa: F401 - as below

    from twelvefactor import Config, Service  # noqa: F401
    from twelvefactor.cli import _one_off, _options, admin, main, release, shell  # noqa: F401 - imported for its weight
    from twelvefactor.processes import watch  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who wait for clients are not waited for
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _attend(connection, main)
            connection.close()


def _attend(connection, main):
    """Fork the process, tell the client its number and how it ended; kill it where the client goes first."""
    size, control, _, _ = connection.recvmsg(LENGTH, socket.CMSG_LEN(3 * 4))
    files = array.array("i", control[0][2])
    left, asked = int.from_bytes(size, "big"), b""
    while len(asked) < left:
        asked += connection.recv(left - len(asked))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(json.loads(asked), files)
        main()
        raise SystemExit
    for descriptor in (*files, 0, 1):
        os.close(descriptor)
    connection.sendall(b"%0*d" % (LENGTH, pid))
    watched = os.pidfd_open(pid)
    import select

    select.select([watched, connection], [], [])
    if not select.select([watched], [], [], 0)[0]:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    try:
        connection.sendall(b"%0*d" % (LENGTH, status))
    except OSError:
        pass  # nobody asks any more
    os._exit(0)


def _become(asked, files):
    for descriptor, file in enumerate(files):
        os.dup2(file, descriptor)
        os.close(file)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    sys.argv = ["twelvefactor", *asked["words"]]
    sys.path[0] = os.getcwd()


if __name__ == "__main__":
    if sys.argv[1] == "CLIENT":
        client(sys.argv[2], sys.argv[3:])
    serve(sys.argv[1])
