"""What tests about all rules share: a service of a test's own."""

from tests.service.conftest import make, stream

__all__ = ["make", "stream"]
