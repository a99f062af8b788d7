"""Where a process may run that is no usual checkout: one clear line, and the rest goes on."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

APP = """
import io, json, sys
import twelvefactor as tf
service = tf.Service("orders", environ={"LOG_FORMAT": "json", "PATH": "/usr/bin"}, stream=io.StringIO())
faults = []
service.fault = lambda where, error: faults.append(f"{where}: {error!r}")
service.start()
service.ready()
service.close()
ruled = {}
from twelvefactor.report.rules import all_rules
for rule in all_rules():
    if rule.factor.number in (1, 2, 5, 12):
        ruling = service.evidence.ruling(rule)
        ruled[rule.id] = [ruling.verdict.value, ruling.because]
ruled["faults"] = faults
print(json.dumps(ruled))
"""


def run(target, cwd, *before):
    done = subprocess.run(
        [*before, sys.executable, str(target)],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    ruled = json.loads(done.stdout)
    assert ruled.pop("faults") == []
    return ruled


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


def test_a_folder_with_nothing(folder):
    """
    No git, no pyproject, no manifest: said as unknown or as what is missing, never a crash.
    """
    ruled = run(folder / "main.py", folder)

    assert ruled["TF101"][0] == "fail"
    assert {ruled[rule][0] for rule in ("TF102", "TF103", "TF201", "TF202", "TF203", "TF503")} == {"unknown"}


def test_a_zip(folder, tmp_path):
    """
    Its files cannot be read from disk; nothing is said to have changed.
    """
    archive = tmp_path / "app.pyz"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(folder / "main.py", "__main__.py")
        file.writestr("zipped/__init__.py", "")
    manifest = {"schema": 1, "commit": "a", "packages": ["zipped"], "source_digest": "sha256:0", "config": {}}
    (tmp_path / "twelvefactor-build.json").write_text(json.dumps(manifest))

    ruled = run(archive, tmp_path)

    assert (ruled["TF101"][0], ruled["TF502"][0]) == ("pass", "unknown")  # unknown: it did no work


BROKEN = [
    b"",
    b"\xff\x00",
    b"{",
    b"[tool",
    b'{"lock": 3, "declared": 3, "main": 3, "packages": 3}',
    b'{"lock": {"packages": {"a": 3}}}',
    b'{"copies": [3, {"name": []}]}',
]

EACH = """
import contextlib, io, json, pathlib, runpy, sys
cases, ruled = json.load(sys.stdin), []
for data in cases["broken"]:
    pathlib.Path(cases["name"]).write_bytes(data.encode("latin-1"))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        runpy.run_path("main.py")
    ruled.append(json.loads(said.getvalue()))
print(json.dumps(ruled))
"""
"""In one process, since starting eighteen of them takes longer than all that they judge."""


@pytest.mark.parametrize("name", ["twelvefactor-build.json", "pyproject.toml", "uv.lock"])
def test_broken_files_beside_the_code(folder, name):
    """
    Every rule has a verdict all the same.
    """
    done = subprocess.run(
        [sys.executable, "-c", EACH],
        input=json.dumps({"name": name, "broken": [data.decode("latin-1") for data in BROKEN]}),
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    each = json.loads(done.stdout)
    assert len(each) == len(BROKEN)
    for data, ruled in zip(BROKEN, each, strict=True):
        assert ruled.pop("faults") == [], data
        assert {verdict for verdict, _ in ruled.values()} <= {"pass", "fail", "unknown", "not applicable"}, data


READ_ONLY = 'mount -o remount,ro,bind / && exec "$@"'
"""The whole of the machine's file system, for one process; `/dev/shm` stays what it is, as in a container."""


@pytest.fixture
def read_only(folder):
    """The words that run a command with a file system on which it can write nothing."""
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    words = [*own, "sh", "-c", READ_ONLY, "sh"]
    try:
        if subprocess.run([*words, "true"], capture_output=True, timeout=30).returncode == 0:
            yield words
            return
    except FileNotFoundError:
        pass
    if os.geteuid() == 0:
        pytest.skip("this machine lets nobody mount, and root may write anywhere")
    folder.chmod(0o555)
    yield []
    folder.chmod(0o755)


def test_a_read_only_file_system(folder, read_only):
    """
    It is normal: every rule has the verdict that it has elsewhere, and what cannot be written is not tried.
    """
    written = APP + 'try: open("x", "w")\nexcept OSError as error: print(error.strerror, file=sys.stderr)\n'
    (folder / "main.py").write_text(written + 'else: raise SystemExit("this can be written to")\n')

    ruled = run(folder / "main.py", folder, *read_only)

    assert sorted(path.name for path in folder.iterdir()) == ["main.py"]
    (folder / "main.py").write_text(APP)
    assert ruled == run(folder / "main.py", folder)


def test_an_editable_install(folder, tmp_path):
    """
    Its code lies outside of the installed distributions and of the codebase, and it is declared all the same.
    """
    site, source = tmp_path / "site", tmp_path / "elsewhere"
    info = site / "shared-1.0.dist-info"
    info.mkdir(parents=True)
    source.mkdir()
    (source / "shared.py").write_text("")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shared\nVersion: 1.0\n")
    url = {"url": source.as_uri(), "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(url))
    code = folder / "app"
    code.mkdir()
    (code / "pyproject.toml").write_text('[project]\nname = "orders"\ndependencies = ["shared"]\n')
    path = f"import sys\nsys.path[:0] = [{str(site)!r}, {str(source)!r}]\nimport shared\n"
    (code / "main.py").write_text(path + APP)

    ruled = run(code / "main.py", code)

    assert ruled["TF104"][0] == "pass", ruled["TF104"]
