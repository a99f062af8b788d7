"""TF307: a variable that nothing declares is one edit from a declared one."""

import twelvefactor as tf


class Config(tf.Config):
    database_url: str = ""
    api_key_1: str = ""
    workers: int = 1


def test_fires_on_a_misspelt_name(watching):
    """
    One letter wrong, missing, doubled or swapped is found; the value is not told.
    """
    environ = {"DATABASE_URI": "secret-value", "WORKER": "1", "WROKERS": "2", "WORKERSS": "3"}

    found = watching(Config.load({}), environ=environ).found("TF307")

    assert {finding.culprit for finding in found} == set(environ)
    assert "secret-value" not in str(found)


def test_quiet_on_numbered_names_and_on_pointers(watching):
    """
    API_KEY_2 is another key, WORKERS_FILE a place, PATH somebody else's.
    """
    environ = {"API_KEY_2": "x", "WORKERS_FILE": "/x", "PATH": "/bin", "DATABASE_URL": "x"}

    assert watching(Config.load({}), environ=environ).found("TF307") == []
