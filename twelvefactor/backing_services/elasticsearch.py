"""Elasticsearch and OpenSearch. Parsed, masked, opened; not exercised against a server."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from twelvefactor.backing_services.kind import Identity, Kind, Opening, library
from twelvefactor.backing_services.options import Options, Wrong, flag, seconds, secret, text
from twelvefactor.backing_services.url import URL, Parts

if TYPE_CHECKING:
    import elasticsearch


class ElasticsearchURL(URL["elasticsearch.Elasticsearch", "elasticsearch.AsyncElasticsearch"]):
    """
    The handle of an Elasticsearch or OpenSearch cluster; ``http://`` and ``https://`` are taken too.

    >>> ElasticsearchURL("elasticsearch://search.example.com?tls=false").nodes
    ['http://search.example.com:9200']
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.elasticsearch:KIND"
    schemes = MappingProxyType(
        {
            "elasticsearch": "elasticsearch",
            "elastic": "elasticsearch",
            "opensearch": "opensearch",
            "http": "http",
            "https": "https",
        }
    )
    ports = MappingProxyType({"elasticsearch": 9200, "opensearch": 9200, "http": 9200, "https": 443})
    many_hosts = True
    options: ClassVar[Options] = Options(
        {"tls": flag, "verify_certs": flag, "ca_certs": text, "api_key": secret, "request_timeout": seconds}
    )

    @property
    def nodes(self) -> list[str]:
        """The nodes to ask first, as the clients take them, without credentials."""
        tls = self.scheme == "https" or (self.scheme != "http" and dict(self._parts.query).get("tls", True))
        scheme = "https" if tls else "http"
        return [f"{scheme}://{f'[{h}]' if ':' in h else h}:{p}" for h, p in self.hosts]

    @classmethod
    def _settled(cls, parts: Parts) -> Parts:
        if parts.path:
            raise Wrong("an elasticsearch URL has no path; an index is the app's own business")
        if parts.scheme in {"http", "https"} and "tls" in dict(parts.query):
            raise Wrong("the option 'tls' says again what the scheme already says")
        return super()._settled(parts._replace(path=None))


class Elasticsearch(Kind[ElasticsearchURL, "elasticsearch.Elasticsearch", "elasticsearch.AsyncElasticsearch"]):
    """Elasticsearch, by its own client; that client refuses OpenSearch, for which give ``client=``."""

    name = "elasticsearch"
    learns_nodes = True
    client = "elasticsearch.Elasticsearch"
    async_client = "elasticsearch.AsyncElasticsearch"

    def open(self, url: ElasticsearchURL, opening: Opening) -> elasticsearch.Elasticsearch:
        client: elasticsearch.Elasticsearch = library("elasticsearch", "elasticsearch").Elasticsearch(
            url.nodes, **_arguments(url, opening)
        )
        return client

    def open_async(self, url: ElasticsearchURL, opening: Opening) -> elasticsearch.AsyncElasticsearch:
        client: elasticsearch.AsyncElasticsearch = library("elasticsearch", "elasticsearch").AsyncElasticsearch(
            url.nodes, **_arguments(url, opening)
        )
        return client

    def ping(self, client: elasticsearch.Elasticsearch) -> None:
        client.info()

    async def ping_async(self, client: elasticsearch.AsyncElasticsearch) -> None:
        await client.info()

    def identify(self, client: elasticsearch.Elasticsearch) -> Identity:
        return _identity(client.info())

    async def identify_async(self, client: elasticsearch.AsyncElasticsearch) -> Identity:
        return _identity(await client.info())

    def close(self, client: elasticsearch.Elasticsearch) -> None:
        client.close()

    async def close_async(self, client: elasticsearch.AsyncElasticsearch) -> None:
        await client.close()


def _arguments(url: ElasticsearchURL, opening: Opening) -> dict[str, Any]:
    given = {name: value for name, value in url._parts.query if name != "tls"}
    user, password = opening.login(url)
    if user is not None:
        given["basic_auth"] = (user, password or "")
    return {**given, **(opening.options or {})}


def _identity(info: Any) -> Identity:
    version = info["version"]
    return Identity(version.get("distribution", "elasticsearch"), version["number"])


KIND = Elasticsearch()
