"""S3 and everything that speaks its protocol: one bucket is one resource."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Never

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Identity, Kind, Opening, library
from twelvefactor.backing_services.options import Options, Wrong, flag, one_of, secret, text, whole
from twelvefactor.backing_services.url import URL, Parts, decoded

if TYPE_CHECKING:
    from botocore.client import BaseClient  # type: ignore[import-untyped]  # botocore has no types


class S3URL(URL["BaseClient", Never]):
    """
    The handle of a bucket: ``s3://[key:secret@]endpoint[:port]/bucket?region=…``.

    Without a key, boto3's own chain is asked, so a workload's identity works; without an endpoint, Amazon's is meant.

    >>> url = S3URL("s3://key:secret-of-the-app@minio.example.com:9000/uploads?tls=false")
    >>> url.bucket, url.endpoint
    ('uploads', 'http://minio.example.com:9000')
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.s3:KIND"
    schemes = MappingProxyType({"s3": "s3"})
    needs_host = False
    options: ClassVar[Options] = Options(
        {
            "region": text,
            "tls": flag,
            "addressing": one_of("path", "virtual", "auto"),
            "signature": one_of("s3v4", "s3"),
            "session_token": secret,
            "connect_timeout": whole,
            "read_timeout": whole,
        }
    )

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        bucket: str = self._parts.path
        return bucket

    @property
    def region(self) -> str | None:
        """The region, or None where the URL names none."""
        region: str | None = dict(self._parts.query).get("region")
        return region

    @property
    def endpoint(self) -> str | None:
        """The endpoint as boto3 takes it, or None for Amazon's own."""
        if self.host is None:
            return None
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if dict(self._parts.query).get("tls", True) else "http"
        return f"{scheme}://{host}" if self.port is None else f"{scheme}://{host}:{self.port}"

    @classmethod
    def _settled(cls, parts: Parts) -> Parts:
        if not parts.path:
            raise Wrong("an s3 URL names the bucket in its path, as in s3://endpoint/bucket")
        if (parts.username is None) != (parts.password is None):
            raise Wrong("an s3 URL has both, the key and the secret, before the '@', or neither")
        return parts

    @classmethod
    def _read_path(cls, path: str | None) -> Any:
        bucket = decoded(path, "the bucket").rstrip("/")
        if "/" in bucket:
            raise Wrong("the path of an s3 URL is the bucket alone; a prefix is the app's own business")
        return bucket


class S3(Kind[S3URL, "BaseClient", Never]):
    """A bucket, by boto3."""

    name = "s3"
    client = "boto3.client('s3')"

    def open(self, url: S3URL, opening: Opening) -> BaseClient:
        boto3 = library("boto3", "s3")
        given = dict(url._parts.query)
        config = library("botocore.config", "s3").Config(
            connect_timeout=given.get("connect_timeout", CONNECT_TIMEOUT),
            read_timeout=given.get("read_timeout", 60),
            signature_version=given.get("signature"),
            s3={"addressing_style": given.get("addressing", "auto" if url.host is None else "path")},
        )
        session = boto3.Session(region_name=url.region or "us-east-1")
        arguments: dict[str, Any] = {
            "endpoint_url": url.endpoint,
            "config": config,
            "aws_access_key_id": url.username,
            "aws_secret_access_key": url._parts.password,
            "aws_session_token": given.get("session_token"),
            **(opening.options or {}),
        }
        if opening.credentials is not None:
            session._session._credentials = _asked(url, opening)
            for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
                arguments.pop(name)
        client: BaseClient = session.client("s3", **arguments)
        client.twelvefactor_bucket = url.bucket  # what a ping asks for
        return client

    def ping(self, client: Any) -> None:
        client.head_bucket(Bucket=client.twelvefactor_bucket)

    def identify(self, client: Any) -> Identity:
        answer = client.head_bucket(Bucket=client.twelvefactor_bucket)
        server = answer["ResponseMetadata"]["HTTPHeaders"].get("server", "")
        return Identity("minio" if "minio" in server.lower() else self.name)

    def close(self, client: Any) -> None:
        client.close()

    def addresses(self, url: S3URL) -> tuple[tuple[str, int], ...]:
        if url.host is None:
            return ()
        return ((url.host, url.port or (443 if dict(url._parts.query).get("tls", True) else 80)),)


def _asked(url: S3URL, opening: Opening) -> Any:
    """Credentials that are asked for whenever a request is signed."""
    botocore = library("botocore.credentials", "s3")

    class Asked(botocore.Credentials):  # type: ignore[misc, name-defined]  # botocore has no types
        def get_frozen_credentials(self) -> Any:
            key, secret_key = opening.login(url)
            return botocore.ReadOnlyCredentials(key, secret_key, None)

    return Asked("asked", "asked")


KIND = S3()
