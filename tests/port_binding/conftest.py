"""What the tests of port binding share."""

import io

import pytest

from twelvefactor.service import Service


@pytest.fixture
def new_service():
    """Makes a service of this environment; it is closed at the end."""
    made = []

    def new(**environ):
        made.append(Service("orders", environ=environ, stream=io.StringIO()))
        return made[-1]

    yield new
    for service in made:
        service.close()
