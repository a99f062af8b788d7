"""Where values are looked for, and in which order."""

import json
import os
import warnings

import pytest
from pydantic import AliasChoices, Field

import twelvefactor as tf
from twelvefactor.config import places, provenance


class Config(tf.Config):
    token: tf.Secret
    database_url: tf.PostgresURL | None = None


def load(environ, **values):
    return Config.load(environ, **values)


def refused(environ, cls=Config, **values):
    with pytest.raises(tf.ConfigError) as error:
        cls.load(environ, **values)
    return [line.strip() for line in str(error.value).splitlines()[1:]]


@pytest.fixture
def file(tmp_path):
    def write(text, name="token"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    """A directory in the place of /run/secrets, which only root can write."""
    directory = tmp_path / "run-secrets"
    directory.mkdir()
    monkeypatch.setattr(places, "RUN_SECRETS", directory)
    from twelvefactor.config import loading

    loading._plans.clear()
    yield directory
    loading._plans.clear()


def test_a_file_that_a_variable_points_at(file):
    """
    NAME_FILE holds the path, the file the value.
    """
    config = load({"TOKEN_FILE": file("from-a-file")})

    assert config.token.reveal() == "from-a-file"
    assert provenance(config)["token"].kind == "file"


@pytest.mark.parametrize(("raw", "value"), [("x\n", "x"), ("x\r\n", "x"), ("x\n\n", "x\n"), (" x ", " x "), ("x", "x")])
def test_one_trailing_newline_is_stripped(file, raw, value):
    """
    One, and nothing else: a secret may end in white space.
    """
    assert load({"TOKEN_FILE": file(raw)}).token.reveal() == value


def test_both_a_variable_and_its_file_is_an_error(file):
    """
    Which one was meant, nobody knows.
    """
    assert refused({"TOKEN": "a", "TOKEN_FILE": file("b")}) == [
        "TOKEN: is set, and TOKEN_FILE is too. Unset one of the two"
    ]


def test_a_pointer_that_is_declared_is_no_pointer():
    """
    LOG_FILE is a value where it is declared.
    """

    class Both(tf.Config):
        log: str = "quiet"
        log_file: str

    config = Both.load({"LOG_FILE": "/var/log/x"})
    assert (config.log, config.log_file) == ("quiet", "/var/log/x")


def test_a_mounted_secret(secrets):
    """
    /run/secrets/token, as Docker and Kubernetes mount it, in any case.
    """
    (secrets / "Token").write_text("mounted\n")

    config = load({})

    assert config.token.reveal() == "mounted"
    assert str(provenance(config)["token"]) == f"secret file {secrets / 'Token'}"


def test_a_kubernetes_mount(secrets):
    """
    Links into ..data are followed; the entries with dots are not values.
    """
    (secrets / "..2026_01_01").mkdir()
    (secrets / "..2026_01_01" / "token").write_text("linked")
    (secrets / "..data").symlink_to("..2026_01_01")
    (secrets / "token").symlink_to("..data/token")

    assert load({}).token.reveal() == "linked"


def test_the_first_place_wins(file, secrets, tmp_path):
    """
    Argument, environment, file, mounted secret, binding, VCAP_SERVICES.
    """
    (secrets / "token").write_text("mounted")
    binding = {"SERVICE_BINDING_ROOT": str(tmp_path / "bindings")}
    file("generic", "bindings/token/type")
    for entry in ("token",):
        file("bound", f"bindings/my/{entry}")
    vcap = {"VCAP_SERVICES": json.dumps({"user-provided": [{"name": "x", "credentials": {"token": "vcap"}}]})}

    class Own(tf.Config):
        my_token: tf.Secret

    file("generic", "bindings/my/type")
    (secrets / "my_token").write_text("mounted")
    found = []
    everything = {"MY_TOKEN": "variable", **binding, **vcap}
    found.append(Own.load(everything, my_token="argument").my_token.reveal())
    found.append(Own.load(everything).my_token.reveal())
    del everything["MY_TOKEN"]
    found.append(Own.load({**everything, "MY_TOKEN_FILE": file("pointed")}).my_token.reveal())
    found.append(Own.load(everything).my_token.reveal())
    (secrets / "my_token").unlink()
    found.append(Own.load(everything).my_token.reveal())

    assert found == ["argument", "variable", "pointed", "mounted", "bound"]


def test_an_empty_variable_does_not_fall_through(secrets):
    """
    Who sets it empty does not mean another place.
    """
    (secrets / "token").write_text("mounted")

    assert refused({"TOKEN": ""}) == ["TOKEN: is empty; expected a secret, not empty"]


@pytest.mark.parametrize(
    ("kind", "text", "value"), [(int, "", 7), (str, "", ""), (bool, "", True), (float, "", 7.0), (list[str], "", [])]
)
def test_empty_text_is_unset_for_everything_but_text(kind, text, value):
    """
    PORT= is the default, NAME= is the empty text.
    """

    class Empty(tf.Config):
        it: kind = value

    assert Empty.load({"IT": text}).it == value


def test_empty_text_without_a_default_is_a_problem():
    """
    It is said to be empty, not to be missing.
    """

    class Empty(tf.Config):
        it: int

    assert refused({"IT": ""}, Empty) == ["IT: is empty; expected an integer"]


def test_an_old_name_warns_once():
    """
    The first alias is the name, the others are old.
    """

    class Renamed(tf.Config):
        key: str = Field(validation_alias=AliasChoices("STRIPE_KEY", "PAYMENT_KEY"))

    with pytest.warns(FutureWarning, match="^PAYMENT_KEY is an old name for STRIPE_KEY$"):
        assert Renamed.load({"PAYMENT_KEY": "x"}).key == "x"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Renamed.load({"PAYMENT_KEY": "x"})


def test_a_deprecated_variable_warns_once():
    """
    With what the field says about it.
    """

    class Old(tf.Config):
        key: str = Field("", deprecated="use TOKEN")

    with pytest.warns(FutureWarning, match="^KEY is deprecated: use TOKEN$"):
        Old.load({"KEY": "x"})


def test_exact_upper_case_wins_over_other_spellings():
    """
    Whatever the order in the environment.
    """

    class Cased(tf.Config):
        port: int

    assert [Cased.load({"port": "1", "PORT": "2"}).port, Cased.load({"PORT": "2", "port": "1"}).port] == [2, 2]
    assert Cased.load({"Port": "3"}).port == 3


# -- bad input: one line that says what and where


def test_undecodable_bytes_in_a_variable():
    """
    A byte that is not UTF-8 is told by its place.
    """
    text = os.fsdecode(b"abc\xff")

    assert refused({"TOKEN": text}) == [
        "TOKEN: is not UTF-8 (first bad byte at character 3); expected a secret, not empty"
    ]


def test_undecodable_bytes_in_a_file(file):
    """
    The same, by the byte.
    """
    assert refused({"TOKEN_FILE": file(b"abc\xff")}) == [
        "TOKEN_FILE: the file it points at is not UTF-8 (first bad byte at 3)"
    ]


def test_a_nul_in_a_file(file):
    """
    It would cut the value short in every C library.
    """
    (line,) = refused({"TOKEN_FILE": file("ab\0c")})

    assert line.startswith("TOKEN: holds a NUL character (at 2); expected a secret, not empty")


def test_a_megabyte_is_a_value_and_more_is_not(file):
    """
    What is larger was not meant to be one.
    """
    assert len(load({"TOKEN": "x" * 1024 * 1024}).token) == 1024 * 1024
    assert refused({"TOKEN_FILE": file("x" * (1024 * 1024 + 1))}) == [
        "TOKEN_FILE: the file it points at holds more than 1048576 bytes"
    ]


def test_a_megabyte_where_a_number_is_wanted_is_one_short_line():
    """
    The value is not repeated.
    """

    class Number(tf.Config):
        it: int

    assert refused({"IT": "9" * 1024 * 1024}, Number) == ["IT: is not an integer"]


@pytest.mark.parametrize("kind", ["directory", "nothing", "loop", "pipe", "text"])
def test_what_a_pointer_may_point_at(tmp_path, kind):
    """
    A directory, nothing, a link to itself, a pipe, no path at all: one line each, and no waiting.
    """
    path = tmp_path / "it"
    if kind == "directory":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)

    (line,) = refused({"TOKEN_FILE": "a\0b" if kind == "text" else str(path)})

    words = {"directory": "is a directory", "nothing": "does not exist", "pipe": "is not a regular file"}
    words |= {"loop": "cannot be read: Too many levels of symbolic links", "text": "cannot be read: not a path"}
    assert line == f"TOKEN_FILE: the file it points at {words[kind]}"


@pytest.fixture
def _nobody():
    """Root reads everything, so for a while be somebody else."""
    refused({})  # imports what is imported late
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.mark.usefixtures("_nobody")
def test_a_file_that_may_not_be_read():
    """
    The system's reason is told.
    """
    assert refused({"TOKEN_FILE": "/etc/shadow"}) == [
        "TOKEN_FILE: the file it points at cannot be read: Permission denied"
    ]


def test_a_secret_in_the_place_of_a_path_is_not_told():
    """
    Who mistakes TOKEN_FILE for TOKEN finds the secret in no message.
    """
    assert refused({"TOKEN_FILE": "planted-secret"}) == ["TOKEN_FILE: the file it points at does not exist"]


def test_loading_reads_no_other_environment(monkeypatch):
    """
    With a mapping, os.environ is not asked once.
    """
    load({"TOKEN": "x"})  # what is worked out once
    with monkeypatch.context() as patched:
        patched.setattr(os, "environ", None)
        config = load({"TOKEN": "x"})

    assert config.token.reveal() == "x"


def test_cyclic_aliases_are_refused_when_the_class_is_made():
    """
    Setting one would set another.
    """
    from twelvefactor.exceptions import UsageError

    with pytest.raises(UsageError, match=r"^Cyclic: the aliases form a circle: a reads B, b reads C, c reads A\. "):

        class Cyclic(tf.Config):
            a: str = Field(validation_alias="b")
            b: str = Field(validation_alias="C")
            c: str = Field(validation_alias="A")
