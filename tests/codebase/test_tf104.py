"""TF104: app code from outside the codebase and the installed distributions."""

import importlib
import json
import sys
import threading

from twelvefactor.codebase import RULES
from twelvefactor.factor import Verdict

TF104 = RULES[3]


def module(folder, name, text=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    return folder


def names(process):
    return [finding.culprit for finding in process.found("TF104")]


def test_fires_on_a_shared_folder(judge, imports, tmp_path):
    """
    A folder that two services put on their path.
    """
    imports(module(tmp_path / "shared", "tf104_shared"))
    importlib.import_module("tf104_shared")

    (finding,) = [each for each in judge().found("TF104") if each.culprit == "tf104_shared"]

    assert finding.where == f"{tmp_path}/shared/tf104_shared.py:1"


def test_fires_on_a_lazy_import(judge, imports, tmp_path):
    """
    What is imported while the process runs is looked at too.
    """
    imports(module(tmp_path / "shared", "tf104_lazy"))

    process = judge(during=lambda: importlib.import_module("tf104_lazy"))

    assert "tf104_lazy" in names(process)


def test_quiet_on_the_codebase_put_on_the_path(judge, imports, root):
    """
    PYTHONPATH that points at the codebase is fine.
    """
    imports(module(root, "tf104_own"))
    importlib.import_module("tf104_own")

    process = judge()

    assert "tf104_own" not in names(process)


def test_quiet_on_an_editable_install(judge, imports, tmp_path):
    """
    Its source lies anywhere, and is declared.
    """
    site, source = tmp_path / "site", module(tmp_path / "elsewhere", "tf104_editable")
    info = site / "tf104_editable-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "direct_url.json").write_text(json.dumps({"url": f"file://{source}", "dir_info": {"editable": True}}))
    imports(site)
    imports(source)
    importlib.import_module("tf104_editable")

    assert "tf104_editable" not in names(judge())


def test_quiet_on_a_target_folder_of_an_installer(judge, imports, tmp_path):
    """
    `pip install --target` leaves metadata beside the code.
    """
    site = module(tmp_path / "packages", "tf104_target")
    (site / "tf104_target-1.0.dist-info").mkdir()
    imports(site)
    importlib.import_module("tf104_target")

    assert "tf104_target" not in names(judge())


def test_an_injector_is_told_and_not_found(judge, imports, tmp_path):
    """
    A telemetry agent comes by PYTHONPATH, with a sitecustomize.
    """
    agent = module(tmp_path / "agent" / "bootstrap", "sitecustomize")
    module(tmp_path / "agent", "tf104_agent")
    imports(tmp_path / "agent")
    importlib.import_module("tf104_agent")

    process = judge(environ={"PYTHONPATH": str(agent)})

    assert "tf104_agent" not in names(process)
    assert ("twelvefactor.codebase.injected", "tf104_agent") in [(e, f["module"]) for e, f in process.events]


def test_the_interpreter_and_its_distributions_are_no_strangers(judge):
    """
    Of the modules of this very process only those of other tests' folders are strange.
    """
    strange = {name for name in names(judge()) if "/tmp" not in (getattr(sys.modules[name], "__file__", None) or "")}

    assert strange <= {"tests", "benchmarks"} | {name for name in strange if name.startswith(("test_", "conftest"))}


def test_unknown_without_a_root(judge):
    """
    Nobody knows what the codebase is.
    """
    ruling = judge(root=None).evidence.ruling(TF104)

    assert ruling.verdict == Verdict.UNKNOWN


def test_it_looks_at_once_where_it_may_refuse_the_start(judge, imports, tmp_path):
    """
    An enforced rule is decided before `start` returns.
    """
    imports(module(tmp_path / "shared", "tf104_enforced"))
    importlib.import_module("tf104_enforced")
    from tests.codebase.conftest import Running
    from twelvefactor.codebase import sensors

    process = Running(tmp_path / "app", environ={"TWELVEFACTOR_ENFORCE": "TF1"})
    outside = sensors(process)[2]
    outside.install()
    found = names(process)
    outside.remove()

    assert "tf104_enforced" in found


def test_nothing_is_left_behind(judge):
    """
    No thread, no listener.
    """
    from twelvefactor._core import audit

    before, listeners = {thread.name for thread in threading.enumerate()}, dict(audit._listeners)
    judge()

    assert {thread.name for thread in threading.enumerate()} - before == set()
    assert dict(audit._listeners) == listeners


def test_quiet_on_what_a_test_loads_from_its_own_package(judge):
    """
    A helper beside it, which Python's own loader loaded.
    """
    importlib.import_module("tests.codebase.beside")

    assert "tests" not in names(judge())


def test_quiet_on_what_the_test_runner_loads(judge):
    """
    This test's own module: pytest imported it, the app did not.
    """
    assert __name__.partition(".")[0] not in names(judge())
