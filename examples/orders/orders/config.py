"""What a deploy of orders must provide."""

import twelvefactor as tf


class Config(tf.Config):
    database_url: tf.PostgresURL  # DATABASE_URL, or a binding
    redis_url: tf.RedisURL
    stripe_secret_key: tf.Secret  # a SecretStr that is never empty
    receipt_sender: str = "orders@example.com"
    most_items: int = 100
