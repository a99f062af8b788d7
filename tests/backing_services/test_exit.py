"""A script that just ends: its resources are closed all the same."""

import os
import subprocess
import sys

SCRIPT = """
import twelvefactor as tf

class Config(tf.Config):
    redis_url: tf.RedisURL

service = tf.Service("orders", Config)
cache = service.attach(service.config.redis_url)
service.start()
service.ready()
cache.ping()
"""


def test_resources_are_closed_at_interpreter_exit(redis_url):
    """
    Where there are no new threads any more.
    """
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "REDIS_URL": redis_url, "LOG_FORMAT": "json", "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stderr
    assert "twelvefactor.stopped" in ended.stdout
    assert "twelvefactor.fault" not in ended.stdout
