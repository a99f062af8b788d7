"""What a deploy of digests must provide."""

import twelvefactor as tf


class Config(tf.Config):
    redis_url: tf.RedisURL  # the queue, and where the digests go
