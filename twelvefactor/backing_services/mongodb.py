"""MongoDB. Parsed, masked, opened; not exercised against a server."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Identity, Kind, Opening, library
from twelvefactor.backing_services.options import Options, flag, one_of, secret, text, whole
from twelvefactor.backing_services.url import URL

if TYPE_CHECKING:
    import pymongo

_OPTIONS: dict[str, Any] = {
    "appName": text,
    "authMechanism": text,
    "authMechanismProperties": secret,
    "authSource": text,
    "compressors": text,
    "connectTimeoutMS": whole,
    "directConnection": flag,
    "heartbeatFrequencyMS": whole,
    "journal": flag,
    "loadBalanced": flag,
    "localThresholdMS": whole,
    "maxIdleTimeMS": whole,
    "maxPoolSize": whole,
    "minPoolSize": whole,
    "readConcernLevel": text,
    "readPreference": one_of("primary", "primarypreferred", "secondary", "secondarypreferred", "nearest"),
    "readPreferenceTags": text,
    "replicaSet": text,
    "retryReads": flag,
    "retryWrites": flag,
    "serverSelectionTimeoutMS": whole,
    "socketTimeoutMS": whole,
    "ssl": flag,
    "tls": flag,
    "tlsAllowInvalidCertificates": flag,
    "tlsAllowInvalidHostnames": flag,
    "tlsCAFile": text,
    "tlsCertificateKeyFile": text,
    "tlsCertificateKeyFilePassword": secret,
    "tlsInsecure": flag,
    "uuidRepresentation": text,
    "w": text,
    "wTimeoutMS": whole,
    "waitQueueTimeoutMS": whole,
    "zlibCompressionLevel": whole,
}
"""MongoDB's connection string options; their case does not matter."""


class MongoURL(URL["pymongo.MongoClient[Any]", "pymongo.AsyncMongoClient[Any]"]):
    """
    The handle of a MongoDB deployment; its path names the default database.

    >>> MongoURL("mongodb://a,b/orders?replicaset=rs0").query["replicaSet"]
    'rs0'
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.mongodb:KIND"
    schemes = MappingProxyType({"mongodb": "mongodb", "mongodb+srv": "mongodb+srv"})
    ports = MappingProxyType({"mongodb": 27017})
    many_hosts = True
    options: ClassVar[Options] = Options(_OPTIONS, fold=True)

    @property
    def database(self) -> str | None:
        """The default database, or None."""
        database: str | None = self._parts.path
        return database


class MongoDB(Kind[MongoURL, "pymongo.MongoClient[Any]", "pymongo.AsyncMongoClient[Any]"]):
    """MongoDB, by pymongo's own clients for both sides."""

    name = "mongodb"
    learns_nodes = True
    client = "pymongo.MongoClient"
    async_client = "pymongo.AsyncMongoClient"

    def open(self, url: MongoURL, opening: Opening) -> pymongo.MongoClient[Any]:
        client: pymongo.MongoClient[Any] = library("pymongo", "mongodb").MongoClient(
            url.reveal(), **_arguments(url, opening)
        )
        return client

    def open_async(self, url: MongoURL, opening: Opening) -> pymongo.AsyncMongoClient[Any]:
        client: pymongo.AsyncMongoClient[Any] = library("pymongo", "mongodb").AsyncMongoClient(
            url.reveal(), **_arguments(url, opening)
        )
        return client

    def ping(self, client: pymongo.MongoClient[Any]) -> None:
        client.admin.command("ping")

    async def ping_async(self, client: pymongo.AsyncMongoClient[Any]) -> None:
        await client.admin.command("ping")

    def identify(self, client: pymongo.MongoClient[Any]) -> Identity:
        return Identity(self.name, client.server_info()["version"])

    async def identify_async(self, client: pymongo.AsyncMongoClient[Any]) -> Identity:
        return Identity(self.name, (await client.server_info())["version"])

    def close(self, client: pymongo.MongoClient[Any]) -> None:
        client.close()

    async def close_async(self, client: pymongo.AsyncMongoClient[Any]) -> None:
        await client.close()


def _arguments(url: MongoURL, opening: Opening) -> dict[str, Any]:
    asked = dict(url._parts.query)
    arguments: dict[str, Any] = {"connect": False}
    if "serverSelectionTimeoutMS" not in asked:
        arguments["serverSelectionTimeoutMS"] = int(CONNECT_TIMEOUT * 1000)
    if opening.application and "appName" not in asked:
        arguments["appname"] = opening.application
    if opening.credentials is not None:
        arguments["username"], arguments["password"] = opening.login(url)
    return {**arguments, **(opening.options or {})}


KIND = MongoDB()
