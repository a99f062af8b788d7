"""
legacy: a shop as many are, with every factor broken on purpose. Do not copy anything from here.

It does not know the library: `twelvefactor observe -- python app.py` grades it.
"""

import logging
import os
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path

from flask import Flask, request

FOLDER = Path(tempfile.gettempdir()) / f"legacy-{os.getuid()}"  # state beside the app, on one machine's disk
FOLDER.mkdir(exist_ok=True)

(FOLDER / "shared_prices.py").write_text("PRICES = {'tea': 3}\n")  # I: code that no codebase has
sys.path.insert(0, str(FOLDER))
from shared_prices import PRICES

# II: neither a lock nor a manifest says what this needs

if os.environ.get("ENVIRONMENT") == "production":  # III: named environments, and a credential in the code
    DATABASE = "postgresql://shop:Tr0ub4dor&3@db.internal.example.com/shop"
else:
    DATABASE = str(FOLDER / "shop.db")

logging.basicConfig(filename=FOLDER / "legacy.log", level=logging.INFO)  # XI: a file of its own
(FOLDER / "legacy.pid").write_text(str(os.getpid()))  # VIII: a PID file
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # IX: it stops when it is killed

app = Flask(__name__)
carts: dict[str, list[str]] = {}  # VI: sessions in this process
orders = 0


def sqlite() -> sqlite3.Connection:
    return sqlite3.connect(FOLDER / "shop.db")  # X: a stand-in for the database of production


@app.get("/healthy")
def healthy():
    return "yes"


@app.post("/cart/<customer>/<item>")
def add(customer: str, item: str):
    carts.setdefault(customer, []).append(item)  # VI: the next request may come to another process
    return {"items": len(carts[customer])}


@app.post("/upload")
def upload():
    path = FOLDER / f"upload-{time.time_ns()}"
    path.write_bytes(request.get_data())  # VI: the local disk
    return {"kept": path.name}


@app.post("/order/<customer>")
def order(customer: str):
    global orders
    orders += 1
    items = carts.get(customer, [])
    total = sum(PRICES.get(item, 1) for item in items)
    (FOLDER / "last_report.py").write_text(f"TOTAL = {total}\n")  # V: code written while it runs
    sys.modules.pop("last_report", None)
    import last_report

    with sqlite() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS orders (customer TEXT, total INTEGER)")
        connection.execute("INSERT INTO orders VALUES (?, ?)", (customer, last_report.TOTAL))
    print("ordered", customer, total)  # XI: for whoever looks at the terminal
    return {"total": total}


def clean_up() -> None:
    while True:  # VIII: a scheduler that every copy of the web process has
        time.sleep(3600)
        carts.clear()


if __name__ == "__main__":
    threading.Thread(target=clean_up, name="scheduler", daemon=True).start()
    app.run(host="127.0.0.1", port=int(os.environ.get("LEGACY_PORT", "5000")))  # VII: its own variable, not PORT
