"""What a deploy of notes must provide."""

import twelvefactor as tf


class Config(tf.Config):
    database_url: tf.PostgresURL  # DATABASE_URL, or a binding
    longest_note: int = 2000  # characters
