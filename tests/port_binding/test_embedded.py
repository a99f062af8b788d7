"""TF702: the app runs inside a web server's process."""

import sys
from types import SimpleNamespace

from twelvefactor.factor import Verdict
from twelvefactor.port_binding import TF702
from twelvefactor.port_binding.watch import embedded_in


def test_tf702_fires_inside_a_web_servers_program(new_service, monkeypatch):
    """
    The program of the process is Apache's.
    """
    monkeypatch.setattr("twelvefactor.port_binding.watch._program", lambda: "apache2")
    service = new_service()
    service.start()

    assert [finding.culprit for finding in service.findings.of("TF702")] == ["apache2"]


def test_tf702_is_quiet_where_only_the_library_of_the_server_is_imported(new_service, monkeypatch):
    """
    mod_wsgi-express is a package too: its module in a process of Python's own proves nothing.
    """
    monkeypatch.setitem(sys.modules, "mod_wsgi", SimpleNamespace())
    service = new_service()
    service.start()

    assert service.evidence.ruling(TF702).verdict is Verdict.PASS


def test_mod_wsgi_is_told_by_what_it_puts_into_its_module(monkeypatch):
    """
    Inside Apache the module knows its process group.
    """
    monkeypatch.setitem(sys.modules, "mod_wsgi", SimpleNamespace(process_group="orders"))

    assert embedded_in("python3.12") == "mod_wsgi"
