"""Each kind reads its own quirks, and opens what its table says."""

import pytest

import twelvefactor as tf
from twelvefactor.backing_services.kind import Opening
from twelvefactor.backing_services.registry import TABLE, kind_of, register, url_class
from twelvefactor.backing_services.resources import Resources
from twelvefactor.backing_services.url import URL
from twelvefactor.testing.engines import free_port


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql2://u@h/db?reconnect=true", "mysql://u@h:3306/db"),
        ("mariadb://%2Frun%2Fm.sock/db", "mariadb:///db?unix_socket=/run/m.sock"),
        ("mysql:///db?unix_socket=/run/m.sock", "mysql:///db?unix_socket=/run/m.sock"),
        ("mysql://h/db?sslmode=verify_ca&ssl_ca=/ca.pem", "mysql://h:3306/db?ssl_ca=/ca.pem&ssl_mode=verify_ca"),
        ("sqlite:///rel.db", "sqlite:///rel.db"),
        ("sqlite:////abs%20x.db", "sqlite:////abs%20x.db"),
        ("sqlite://", "sqlite://"),
        ("oracle+oracledb://u@h:1521/x?encoding=UTF-8", "oracle+oracledb://u@h:1521/x?encoding=UTF-8"),
        ("redis+cluster://a,b:7001", "redis+cluster://a:6379,b:7001"),
        ("amqp://h", "amqp://h:5672/%2F"),
        ("amqp://h/", "amqp://h:5672/"),
        ("AMQPS://h/%2F?heartbeat=10", "amqps://h:5671/%2F?heartbeat=10"),
        ("nats://a-token-of-the-app@h", "nats://:********@h:4222"),
        ("nats://u:a-secret-of-it@a,b", "nats://u:********@a:4222,b:4222"),
        ("mqtts://h?version=5", "mqtts://h:8883?version=5"),
        ("kafka://a,b:1?security_protocol=SSL", "kafka://a:9092,b:1?security_protocol=ssl"),
        ("memcached://a,b", "memcached://a:11211,b:11211"),
        ("memcached:///run/m.sock", "memcached://%2Frun%2Fm.sock"),
        ("mongodb://a,b/db?ReplicaSet=rs", "mongodb://a:27017,b:27017/db?replicaSet=rs"),
        ("mongodb+srv://cluster.example.com/db", "mongodb+srv://cluster.example.com/db"),
        ("s3://k:a-secret-of-it@h:9000/b?tls=no", "s3://k:********@h:9000/b?tls=false"),
        ("s3:///b?region=eu-west-1", "s3:///b?region=eu-west-1"),
        ("s3:///b?session_token=a-secret-of-it", "s3:///b?session_token=********"),
        ("smtp://u@h?ssl=true", "smtps://u@h:465"),
        ("smtp://h:587?tls=true", "smtp://h:587?starttls=true"),
        ("http://h", "http://h:80/"),
        (
            "https://u:a-secret-of-it@h/v1/@me?q=a@b&token=a-secret",
            "https://u:********@h:443/v1/@me?q=a%40b&token=********",
        ),
        ("opensearch://h", "opensearch://h:9200"),
    ],
)
def test_quirk_is_read(text, shown):
    """
    What people write in the environment is read, normalised and masked.
    """
    url = tf.URL(text)

    assert str(url) == shown
    assert tf.URL(url.reveal()) == url


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("amqp://h//", "written amqp://host/%2F"),
        ("amqp://h/a/b", "'/' in the virtual host is written %2F"),
        ("s3://h/", "names the bucket in its path"),
        ("s3://k@h/b", "both, the key and the secret"),
        ("s3://h/b/prefix", "the bucket alone"),
        ("sqlite://rel.db", "three slashes"),
        ("nats://h/x", "no path"),
        ("mqtt://h/topic", "a topic is the app's own business"),
        ("smtps://h?starttls=true", "encrypted from the first byte"),
        ("memcached://u:p@h", "SASL"),
        ("https://u:55word/x@h/", "raw '/' in it"),
        ("mongodb://h/db?replicaSett=x", "did you mean 'replicaSet'?"),
        ("redis+cluster://h/3", "one database only"),
        ("mssql2://h", "no backing service is known for the scheme 'mssql2'"),
    ],
)
def test_wrong_is_said_in_the_words_of_the_kind(text, says):
    """
    A mistake is named with what the kind wants instead.
    """
    with pytest.raises(tf.URLError) as caught:
        tf.URL(text)

    assert says in str(caught.value)
    assert "55word" not in str(caught.value)


def test_every_built_in_scheme_is_the_scheme_of_its_class():
    """
    The table of strings and the classes agree, and each class names its kind.
    """
    for scheme in TABLE:
        cls = url_class(scheme)
        assert scheme in cls.schemes
        assert cls.kind


def test_third_party_kind_is_registered_by_name_or_class():
    """
    A scheme of one's own finds its class; a built-in one keeps its meaning.
    """

    class MineURL(URL["str", "str"]):
        __slots__ = ()
        schemes = {"mine": "mine"}

    register("mine", MineURL)
    register("mine", MineURL)

    assert type(tf.URL("mine://h")) is MineURL
    with pytest.raises(ValueError, match="already means"):
        register("redis", MineURL)


@pytest.mark.parametrize(
    "text", ["kafka://127.0.0.1:{port}", "mongodb://127.0.0.1:{port}/x", "elasticsearch://127.0.0.1:{port}?tls=false"]
)
def test_kind_without_a_server_here_is_refused_in_time(process, text):
    """
    Opened against a port where nobody listens it is waiting, not crashed, and closes.
    """
    resources = Resources(process, timeout=0.5)
    resources.attach(tf.URL(text.format(port=free_port())))

    assert not resources.wait(0.3)
    resources.close()
    assert len(process.findings.of("TF402")) == 1


def test_shapes_for_frameworks():
    """
    Django and Celery get their entries, in the build phase ones that do nothing.
    """
    assert tf.MySQLURL("mysql://u@h/db?ssl_mode=required").django()["OPTIONS"]["ssl"] == {"check_hostname": False}
    assert tf.SQLiteURL("sqlite:////a.db").django()["NAME"] == "/a.db"
    assert tf.SMTPURL("submission://u@h?from=a%40b.c").django()["EMAIL_USE_TLS"] is True
    assert tf.SMTPURL("submission://u@h?from=a%40b.c").django()["DEFAULT_FROM_EMAIL"] == "a@b.c"
    assert tf.AMQPURL("amqps://h/%2F?verify=verify_none").celery() == "amqps://h:5671/%2F"
    assert tf.KafkaURL("kafka://u:p@h").settings()["sasl.password"] == "p"
    assert tf.AMQPURL.placeholder("X").celery() == tf.RedisURL.placeholder("X").celery() == "memory://"
    assert tf.SMTPURL.placeholder("X").django() == {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}


def test_credentials_that_change_reach_every_request():
    """
    HTTP and S3 ask for their credentials at each request.
    """
    tokens = iter(["one", "two"])
    url = tf.HTTPURL("http://app@127.0.0.1:1/")
    client = kind_of(url).open(url, Opening(credentials=lambda: next(tokens)))
    sent = []

    def answer(request):
        import httpx

        sent.append(request.headers["authorization"])
        return httpx.Response(200)

    import httpx

    client._transport = httpx.MockTransport(answer)
    client.get("/a")
    client.get("/b")

    assert len(set(sent)) == 2
    client.close()


def test_sqlite_in_memory_is_one_database_for_all_threads(resources):
    """
    What one thread writes another reads; the driver's default is a database for each.
    """
    import threading

    db = resources.attach(tf.SQLiteURL("sqlite://"))
    with db.begin() as connection:
        connection.exec_driver_sql("create table t (n int)")
    found = []

    def read():
        with db.connect() as connection:
            found.append(connection.exec_driver_sql("select count(*) from t").scalar_one())

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(5)

    assert found == [0]
