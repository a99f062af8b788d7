"""What the tests of factor V share."""

import pytest

from tests.codebase.conftest import Running, commit, git, imports, root  # noqa: F401 - fixtures
from twelvefactor.build_release_run import sensors


@pytest.fixture
def judge(root):  # noqa: F811 - the fixture
    """Install the sensors of the room, do something, remove them, and give the process that they judged."""

    def judge(during=lambda process: None, **options):
        process = Running(options.pop("root", root), **options)
        installed = sensors(process)
        for sensor in installed:
            sensor.install()
        try:
            during(process)
        finally:
            for sensor in reversed(installed):
                sensor.remove()
        assert process.faults == []
        return process

    return judge
