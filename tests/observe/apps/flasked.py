"""Flask as people write it: a list at module level that grows."""

from flask import Flask

app = Flask(__name__)
baskets = []


@app.get("/")
def index():
    return "hello"


@app.post("/baskets")
def add():
    baskets.append(object())
    return str(len(baskets))
