"""Kafka. Parsed, masked, opened; not exercised against a server."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Never

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Kind, Opening, library
from twelvefactor.backing_services.options import Options, Wrong, one_of, secret, text
from twelvefactor.backing_services.url import URL, Parts

if TYPE_CHECKING:
    from confluent_kafka import Producer


class KafkaURL(URL["Producer", Never]):
    """
    The handle of a Kafka cluster, by the brokers to ask first; options are librdkafka's, with dots or underscores.

    >>> KafkaURL("kafka://a,b:9093?security_protocol=ssl").settings()["bootstrap.servers"]
    'a:9092,b:9093'
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.kafka:KIND"
    schemes = MappingProxyType({"kafka": "kafka", "kafka+ssl": "kafka+ssl", "kafkas": "kafka+ssl"})
    ports = MappingProxyType({"kafka": 9092, "kafka+ssl": 9093})
    many_hosts = True
    options: ClassVar[Options] = Options(
        {
            "client_id": text,
            "group_id": text,
            "sasl_mechanism": one_of("plain", "scram-sha-256", "scram-sha-512", "gssapi", "oauthbearer"),
            "security_protocol": one_of("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
            "ssl_ca_location": text,
            "ssl_certificate_location": text,
            "ssl_key_location": text,
            "ssl_key_password": secret,
        }
    )

    def settings(self) -> dict[str, Any]:
        """The settings that librdkafka's producers, consumers and admin clients share; they hold the password."""
        parts = self._parts
        given = {name.replace("_", "."): value for name, value in parts.query if name != "sasl_mechanism"}
        tls = parts.scheme == "kafka+ssl"
        protocol = ("sasl_" if parts.username else "") + ("ssl" if tls else "plaintext")
        settings = {
            "bootstrap.servers": ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in parts.hosts),
            "security.protocol": protocol,
            **given,
        }
        if parts.username is not None:
            settings["sasl.mechanism"] = dict(parts.query).get("sasl_mechanism", "plain").upper()
            settings["sasl.username"], settings["sasl.password"] = parts.username, parts.password or ""
        return settings

    @classmethod
    def _settled(cls, parts: Parts) -> Parts:
        if parts.path:
            raise Wrong("a kafka URL has no path; a topic is the app's own business")
        return super()._settled(parts._replace(path=None))


class Kafka(Kind[KafkaURL, "Producer", Never]):
    """Kafka, by confluent-kafka's producer; give ``client=`` for a consumer, with ``url.settings()``."""

    name = "kafka"
    learns_nodes = True
    client = "confluent_kafka.Producer"
    connects = "in the background, as soon as it is attached"

    def open(self, url: KafkaURL, opening: Opening) -> Producer:
        confluent_kafka = library("confluent_kafka", "kafka", "confluent-kafka")
        named = {"client.id": opening.application} if opening.application else {}
        quiet = {"error_cb": lambda _: None, "log_level": 0}  # the watch reports; librdkafka writes to stderr
        client: Producer = confluent_kafka.Producer({**named, **quiet, **url.settings(), **(opening.options or {})})
        return client

    def ping(self, client: Producer) -> None:
        client.list_topics(timeout=CONNECT_TIMEOUT)

    def close(self, client: Producer) -> None:
        client.flush(CONNECT_TIMEOUT)


KIND = Kafka()
