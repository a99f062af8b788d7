"""TF603: the folders of the local disk that the app declares."""

import sqlite3

import pytest

from twelvefactor.processes.disk import Disk


@pytest.fixture
def database(tmp_path):
    """An SQLite file that was opened before the process started."""
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("create table runs (name text)")
        database.commit()
        yield database
    database.close()


@pytest.mark.parametrize(("declared", "watched"), [([], ["ledger.db"]), (["."], [])])
def test_a_database_that_is_open_already_is_watched_unless_its_folder_is_allowed(app, database, declared, watched):
    """
    As for one that is opened later.
    """
    app.process.declaration = {"processes": {"disk": declared}}
    disk = Disk(app.process)

    disk.ready()

    here = str(app.root)
    assert [path.rpartition("/")[2] for path in disk.databases if path.startswith(here)] == watched
