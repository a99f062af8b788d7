"""TF501: who names the release, and what its digest is made of."""

import json
from typing import Annotated

import pytest

import twelvefactor as tf
from tests.codebase.conftest import Running
from twelvefactor.build_release_run import RULES, identify
from twelvefactor.factor import Verdict

TF501 = RULES[0]


class Config(tf.Config):
    greeting: str = "hello"
    token: tf.Secret
    shard: Annotated[int, tf.per_process] = 0
    port: int = 8000


def release(root, environ, manifest=None, **values):
    process = Running(root, environ=environ, manifest=manifest)
    process.config = Config.load({"TOKEN": "tell-nobody", **values})
    return identify(process)


def test_fires_where_nobody_names_it(judge):
    """
    Neither a manifest nor a variable.
    """
    assert [finding.rule.id for finding in judge().found("TF501")] == ["TF501"]


def test_quiet_where_the_platform_names_it(judge):
    """
    The ruling says who.
    """
    ruling = judge(environ={"HEROKU_RELEASE_VERSION": "v42"}).evidence.ruling(TF501)

    assert (ruling.verdict, ruling.because) == (Verdict.PASS, "release v42, says HEROKU_RELEASE_VERSION")


def test_a_commit_of_a_repository_names_no_release(judge, root, commit):
    """
    The tempting look-alike: nobody released what a developer runs.
    """
    commit(root)

    assert judge().found("TF501")


def test_the_manifest_names_it_by_its_commit(judge):
    """
    Twelve digits are enough.
    """
    process = judge(manifest={"commit": "0123456789abcdef"})

    assert identify(process).name == "0123456789ab"


def test_cloud_foundry(judge):
    """
    Its version is inside of JSON.
    """
    environ = {"VCAP_APPLICATION": json.dumps({"application_version": "b8e8"})}

    assert identify(judge(environ=environ)).name == "b8e8"


@pytest.mark.parametrize("told", ["{", "[]", "{}", '{"application_version": 3}'])
def test_broken_json_names_nothing(judge, told):
    """
    And raises nothing.
    """
    assert identify(judge(environ={"VCAP_APPLICATION": told})).name is None


def test_two_processes_of_one_release_have_one_digest(root):
    """
    The port and what is marked `per_process` differ between pods.
    """
    one = release(root, {"GIT_SHA": "a", "TWELVEFACTOR_LEDGER_KEY": "k"}, SHARD="1", PORT="1")
    other = release(root, {"GIT_SHA": "a", "TWELVEFACTOR_LEDGER_KEY": "k"}, SHARD="2", PORT="2")

    assert one.digest == other.digest


def test_a_changed_value_is_another_release_where_there_is_a_key(root):
    """
    Values enter as an HMAC.
    """
    environ = {"GIT_SHA": "a", "TWELVEFACTOR_LEDGER_KEY": "k"}

    assert release(root, environ, GREETING="hi").digest != release(root, environ, GREETING="ho").digest
    assert release(root, environ, TOKEN="one-token").digest != release(root, environ, TOKEN="two-token").digest


def test_without_a_key_only_names_and_whether_they_are_set_enter(root):
    """
    A digest of a short value could be guessed.
    """
    environ = {"GIT_SHA": "a"}

    assert release(root, environ, GREETING="hi").digest == release(root, environ, GREETING="ho").digest
    assert release(root, environ, GREETING="hi").digest != release(root, environ).digest


@pytest.mark.parametrize("key", ["source_digest", "lock_digest", "python"])
def test_another_build_is_another_release(root, key):
    """
    The same commit built from other sources, another lock or on another Python.
    """
    manifest = {"commit": "a", "source_digest": "s", "lock_digest": "l", "python": "3.12.1"}

    assert release(root, {}, manifest).digest != release(root, {}, {**manifest, key: "x"}).digest


def test_the_digest_is_on_every_event_and_in_the_version(root):
    """
    Beside the platform's name.
    """
    import io

    stream = io.StringIO()
    environ = {"GIT_SHA": "0123456789abcdef", "TWELVEFACTOR_RELEASE": "v42", "LOG_FORMAT": "json"}
    service = tf.Service("orders", environ=environ, stream=stream)

    service.log.info("x")

    event = json.loads(stream.getvalue())
    assert (event["release"], event["release_digest"], event["commit"]) == (
        "v42",
        service.release.digest,
        "0123456789ab",
    )
    assert json.loads(service.version_json())["digest"] == service.release.digest
