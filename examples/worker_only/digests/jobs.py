"""What the workers do. Each may begin twice, where its worker was killed: the second time changes nothing."""

import hashlib

from digests.service import redis, service


@service.job
def digest(text: str) -> str:
    """Keep the digest of *text*."""
    made = hashlib.sha256(text.encode()).hexdigest()
    redis.hset("digests", text, made)
    service.log.info("digest.made", characters=len(text))
    return made
