"""MQTT: `mqtt://` and `mqtts://`."""

from __future__ import annotations

import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Never

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Identity, Kind, Opening, library
from twelvefactor.backing_services.options import Options, Wrong, flag, one_of, text, whole
from twelvefactor.backing_services.url import URL, Parts

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage


class MQTTURL(URL["Client", Never]):
    """
    The handle of an MQTT broker.

    >>> MQTTURL("mqtts://device@broker.example.com?client_id=sensor-1").port
    8883
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.mqtt:KIND"
    schemes = MappingProxyType({"mqtt": "mqtt", "mqtts": "mqtts"})
    ports = MappingProxyType({"mqtt": 1883, "mqtts": 8883})
    options: ClassVar[Options] = Options(
        {"client_id": text, "clean_session": flag, "keepalive": whole, "version": one_of("3.1.1", "5"), "cafile": text}
    )

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "mqtts"

    @classmethod
    def _settled(cls, parts: Parts) -> Parts:
        if parts.path:
            raise Wrong("an mqtt URL has no path; a topic is the app's own business")
        return super()._settled(parts._replace(path=None))


class MQTT(Kind[MQTTURL, "Client", Never]):
    """An MQTT broker, by paho-mqtt, whose network loop runs in a thread of its own."""

    name = "mqtt"
    client = "paho.mqtt.client.Client"
    connects = "in the background, when the process starts; publishing before that is queued for QoS above 0"

    def open(self, url: MQTTURL, opening: Opening) -> Client:
        paho = library("paho.mqtt.client", "mqtt", "paho-mqtt")
        given = dict(url._parts.query)
        arguments: dict[str, Any] = {
            "client_id": given.get("client_id", ""),
            "protocol": paho.MQTTv5 if given.get("version") == "5" else paho.MQTTv311,
        }
        if "clean_session" in given and arguments["protocol"] != paho.MQTTv5:
            arguments["clean_session"] = given["clean_session"]
        client: Client = paho.Client(paho.CallbackAPIVersion.VERSION2, **{**arguments, **(opening.options or {})})
        client.connect_timeout = CONNECT_TIMEOUT
        user, password = opening.login(url)
        if user is not None or password is not None:
            client.username_pw_set(user or "", password)
        if opening.credentials is not None:
            client.on_pre_connect = lambda mqtt, _: mqtt.username_pw_set(*_asked(url, opening))
        if url.tls:
            client.tls_set(ca_certs=given.get("cafile"))
        client.reconnect_delay_set(min_delay=1, max_delay=10)
        client.connect_async(url.host or "", url.port or 0, keepalive=given.get("keepalive", 15))
        return client

    def ping(self, client: Client) -> None:
        """Connected means that the broker answered within one and a half keepalives."""
        if client.is_connected():
            return
        client.loop_start()  # does nothing where the loop runs
        pause = threading.Event()
        for _ in range(20):
            if client.is_connected():
                return
            pause.wait(0.05)
        raise ConnectionError("the broker did not accept a connection yet")

    def identify(self, client: Client) -> Identity:
        """What ``$SYS/broker/version`` says, where the broker has it."""
        said: list[str] = []
        heard = threading.Event()

        def hear(_: Any, __: Any, message: MQTTMessage) -> None:
            said.append(message.payload.decode(errors="replace"))
            heard.set()

        topic = "$SYS/broker/version"
        client.message_callback_add(topic, hear)
        try:
            client.subscribe(topic)
            heard.wait(0.5)
            client.unsubscribe(topic)
        finally:
            client.message_callback_remove(topic)
        name, _, version = (said or [""])[0].partition(" version ")
        return Identity(name.lower() or self.name, version or None)

    def close(self, client: Client) -> None:
        client.disconnect()
        client.loop_stop()


def _asked(url: MQTTURL, opening: Opening) -> tuple[str, str | None]:
    user, password = opening.login(url)
    return user or "", password


KIND = MQTT()
