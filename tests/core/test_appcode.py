"""Whose code is it?"""

import json
import sysconfig
from pathlib import Path

import pytest

from twelvefactor._core.appcode import AppCode


def test_a_file_below_the_root_is_the_apps(tmp_path):
    """
    The codebase root decides.
    """
    assert AppCode(tmp_path).owns(str(tmp_path / "orders" / "service.py"))


@pytest.mark.parametrize("filename", [json.__file__, pytest.__file__, "<string>", "<frozen importlib._bootstrap>"])
def test_the_standard_library_distributions_and_no_file_are_not(filename):
    """
    Even where the root is above them all.
    """
    assert not AppCode(Path("/")).owns(filename)


def test_a_virtual_environment_below_the_root_is_not(tmp_path):
    """
    `site-packages` inside the checkout holds installed distributions.
    """
    code = AppCode(tmp_path)

    assert not code.owns(str(tmp_path / ".venv" / "lib" / "python3.12" / "site-packages" / "flask" / "app.py"))


def test_a_command_of_the_environment_is_not():
    """
    `.venv/bin/uvicorn` below the root is `__main__`, and no code of the app; a script of the app's is.
    """
    command, script = Path(sysconfig.get_path("scripts")) / "uvicorn", Path("/code/worker.py")

    for code in (AppCode(Path("/")), AppCode(Path("/"), ["orders"])):
        assert not code.owns(str(command), "__main__")
        assert code.owns(str(script), "__main__")


def test_our_own_code_is_never_the_apps():
    """
    A checkout of twelvefactor below the root does not judge itself.
    """
    import twelvefactor.work

    assert not AppCode(Path("/")).owns(twelvefactor.work.__file__)


def test_named_packages_are_the_app_and_nothing_else(tmp_path):
    """
    With `packages=` the files no longer matter.
    """
    code = AppCode(tmp_path, ["orders"])

    assert code.owns("/anywhere/x.py", "orders.service")
    assert not code.owns(str(tmp_path / "other.py"), "other")


def test_where_is_the_innermost_frame_of_the_app(tmp_path):
    """
    Relative to the root, with the line.
    """
    (tmp_path / "shop.py").write_text("def sell(look):\n    return look()\n")
    namespace = {"__name__": "shop", "__file__": str(tmp_path / "shop.py")}
    exec(compile((tmp_path / "shop.py").read_text(), str(tmp_path / "shop.py"), "exec"), namespace)
    code = AppCode(tmp_path)

    assert namespace["sell"](lambda: code.where(code.frame())) == "shop.py:2"


def test_without_a_root_nothing_is_the_apps():
    """
    Nobody is blamed where nobody knows the codebase.
    """
    assert not AppCode(None).owns("/srv/orders/service.py")
