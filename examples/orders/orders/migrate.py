"""The release phase: `twelvefactor admin migrate` brings the schema to this release, in the same config."""

from orders.service import database, service
from orders.store import metadata


@service.admin(exclusive=True)
def migrate() -> None:
    """Make the tables that this release needs, where they are missing."""
    metadata.create_all(database)
