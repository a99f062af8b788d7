"""TF201 and TF202: what is declared is locked, and what is locked is installed."""

import pytest

from twelvefactor.dependencies import RULES
from twelvefactor.factor import Verdict

TF201, TF202 = RULES[0], RULES[1]


def messages(process, rule):
    return sorted(finding.message for finding in process.found(rule))


class TestTF201:
    """A manifest, and a lock that pins everything."""

    def test_fires_without_a_lock(self, judge, site, declare):
        """
        A manifest alone installs something else tomorrow.
        """
        declare("alpha>=1")

        assert messages(judge(), "TF201") == ["no lock file pins the dependencies"]

    def test_fires_without_a_manifest(self, judge, site, root):
        """
        In a repository, where one could be.
        """
        (root / ".git").mkdir()

        assert "nothing declares the dependencies" in messages(judge(), "TF201")[1]

    def test_fires_on_a_dependency_that_was_declared_after_locking(self, judge, site, declare):
        """
        The lock was made from an older manifest.
        """
        declare("alpha>=1", "beta", lock=["alpha==1.0"])

        assert messages(judge(), "TF201") == ["requirements.txt does not hold beta"]

    def test_fires_on_a_list_that_forgets_what_its_entries_need(self, judge, site, declare, root):
        """
        Pinned by hand, direct dependencies only.
        """
        declare("alpha")
        site.add("alpha", requires=["beta>=2", "gamma; sys_platform == 'nowhere'"])
        site.add("beta", "2.0")
        (root / "requirements.txt").write_text("alpha==1.0\n")

        assert messages(judge(), "TF201") == ["requirements.txt does not hold beta"]

    def test_fires_on_what_is_not_pinned(self, judge, site, declare, root):
        """
        A range is no lock.
        """
        declare("alpha")
        (root / "requirements.txt").write_text("alpha>=1.0\n")

        assert "requirements.txt does not pin alpha" in messages(judge(), "TF201")

    def test_fires_on_a_truncated_lock(self, judge, site, declare, root):
        """
        One clear line, and TF202 is unknown.
        """
        declare("alpha")
        (root / "uv.lock").write_text("[[package]]\nname = ")

        process = judge()

        assert messages(process, "TF201") == ["uv.lock: is broken or cut off (TOMLDecodeError)"]
        assert process.evidence.ruling(TF202).verdict == Verdict.UNKNOWN

    def test_quiet_on_hashed_requirements(self, judge, site, declare):
        """
        An installer refuses a list with hashes that is not complete.
        """
        declare("alpha", lock=["alpha==1.0"])
        site.add("alpha", requires=["beta"])

        assert judge().evidence.ruling(TF201).verdict == Verdict.PASS

    def test_quiet_on_a_project_without_dependencies_and_an_empty_lock(self, judge, site, declare, root):
        """
        Nothing to pin.
        """
        declare()
        (root / "uv.lock").write_text('version = 1\n[[package]]\nname = "orders"\nsource = { editable = "." }\n')

        assert judge().evidence.ruling(TF201).verdict == Verdict.PASS

    def test_the_build_manifest_says_it_where_pyproject_is_absent(self, judge, site):
        """
        As in an image.
        """
        manifest = {
            "declared": {"source": "pyproject.toml", "requirements": ["alpha"]},
            "lock": {"file": "uv.lock", "form": "uv", "packages": {"alpha": ["1.0"]}, "required": ["alpha"]},
        }
        site.add("alpha")

        process = judge(manifest=manifest)

        assert process.evidence.ruling(TF201).because == "pyproject.toml and uv.lock, which pins 1"
        assert process.evidence.ruling(TF202).verdict == Verdict.PASS

    def test_an_image_with_neither_is_unknown(self, judge, site):
        """
        Not failed: nobody can see what was there when it was built.
        """
        ruling = judge().evidence.ruling(TF201)

        assert (ruling.verdict, "twelvefactor release build" in ruling.because) == (Verdict.UNKNOWN, True)


class TestTF202:
    """Installed is what is locked."""

    def test_fires_on_another_version(self, judge, site, declare):
        """
        Both are named.
        """
        declare("alpha", lock=["alpha==1.0"])
        site.add("alpha", "1.1")

        assert messages(judge(), "TF202") == ["alpha 1.1 is installed; the lock says 1.0"]

    def test_fires_on_a_missing_one(self, judge, site, declare):
        """
        Locked and not there.
        """
        declare("alpha", lock=["alpha==1.0", "beta==2.0"])
        site.add("alpha")

        assert messages(judge(), "TF202") == ["beta 2.0 is locked and not installed"]

    def test_many_differences_are_summed_up(self, judge, site, declare):
        """
        A wrong lock is no flood.
        """
        declare(lock=[f"alpha{n}==1.0" for n in range(50)])

        found = messages(judge(), "TF202")

        assert (len(found), "30 more distributions differ from the lock" in found) == (21, True)

    @pytest.mark.parametrize(
        ("pin", "version"), [("alpha==1.0", "1.0.0"), ("alpha==2.1", "2.1+cpu"), ("Alpha_X==1", "1")]
    )
    def test_quiet_on_another_spelling(self, judge, site, declare, pin, version):
        """
        Versions and names are compared, not their texts.
        """
        declare(lock=[pin])
        site.add(pin.partition("==")[0], version)

        assert messages(judge(), "TF202") == []

    def test_quiet_on_what_a_marker_leaves_out(self, judge, site, declare):
        """
        Another platform's.
        """
        declare("alpha", lock=["alpha==1.0", "gamma==1.0; sys_platform == 'nowhere'"])
        site.add("alpha")

        assert judge().evidence.ruling(TF202).verdict == Verdict.PASS

    def test_an_extra_one_is_told_and_not_found(self, judge, site, declare):
        """
        What an injector or a developer added.
        """
        declare("alpha", lock=["alpha==1.0"])
        site.add("alpha")
        site.add("ipdb")
        site.add("pip")

        process = judge()

        assert messages(process, "TF202") == []
        assert ("twelvefactor.dependencies.unlocked", ["ipdb"]) in [(e, f["distributions"]) for e, f in process.events]

    def test_an_extra_one_that_app_code_imports_is_found(self, judge, site, declare, app):
        """
        It works here, and nowhere else.
        """
        declare("alpha", lock=["alpha==1.0"])
        site.add("alpha")
        site.add("beta")
        app(tf202_app="import beta\n")

        process = judge()

        assert messages(process, "TF202") == [
            "app code imports beta; its distribution beta is installed and not locked"
        ]

    def test_a_manifest_from_another_platform_says_nothing_of_markers(self, judge, site):
        """
        Built on a laptop, run on a server.
        """
        lock = {"file": "uv.lock", "packages": {"alpha": ["1.0"]}, "required": ["alpha"], "platform": "plan9"}

        process = judge(manifest={"declared": {"source": "pyproject.toml"}, "lock": lock})

        assert messages(process, "TF202") == []
