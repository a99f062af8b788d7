"""A script that prints, reads its environment, starts others in three ways, and ends with a status of its own."""

import multiprocessing
import os
import subprocess
import sys


def child(kind):
    open(f"{kind}.log", "w").close()


if __name__ == "__main__":
    print("to stdout")
    print(os.environ.get("GREETING", ""), file=sys.stderr)
    for kind in ("fork", "spawn"):
        process = multiprocessing.get_context(kind).Process(target=child, args=(kind,))
        process.start()
        process.join()
    subprocess.run([sys.executable, "-c", "import script; script.child('exec')"], check=True)
    pid = os.fork()
    if pid == 0:
        child("raw")
        os._exit(0)
    os.waitpid(pid, 0)
    sys.exit(7)
