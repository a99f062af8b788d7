"""notes: keeps what people write, with Flask."""

from dataclasses import asdict

from flask import Flask, jsonify, request

import twelvefactor as tf
from notes.config import Config
from notes.store import Notes, metadata

service = tf.Service("notes", Config)
database = service.attach(service.config.database_url)  # a sqlalchemy.Engine
notes = Notes(database)
flask = Flask(__name__)


@flask.post("/notes")
def keep():
    sent = request.get_json()
    text = sent.get("text") if isinstance(sent, dict) else None
    if not isinstance(text, str) or "\0" in text or not 0 < len(text) <= service.config.longest_note:
        return jsonify(error=f"text: 1 to {service.config.longest_note} characters"), 422
    note = notes.keep(text)
    service.log.info("note.kept", note=note.id, characters=len(text))
    return jsonify(asdict(note)), 201


@flask.get("/notes")
def newest():
    return jsonify([asdict(note) for note in notes.newest(20)])


@flask.get("/notes/<int(max=2147483647):number>")
def show(number: int):
    note = notes.find(number)
    return (jsonify(asdict(note)), 200) if note else (jsonify(error="no such note"), 404)


@service.admin
def migrate() -> None:
    """Bring the schema to this release: the release phase, `twelvefactor admin migrate`."""
    metadata.create_all(database)


app = service.wsgi(flask)
service.process("web", app)
