"""What a deploy of the site must provide."""

import twelvefactor as tf


class Config(tf.Config):
    database_url: tf.PostgresURL  # DATABASE_URL, or a binding
    secret_key: tf.Secret
    allowed_hosts: tuple[str, ...] = ("*",)
