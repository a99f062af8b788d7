"""Read a git repository's own files: an image has no git, and a process never starts one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def find(folder: Path | None) -> Path | None:
    """The git folder of the repository that *folder* lies in, or None. A worktree's and a submodule's too."""
    for each in () if folder is None else (folder, *folder.parents):
        if (each / ".git").exists():
            try:
                return _git_folder(each / ".git")
            except (OSError, ValueError):
                return None
    return None


def head(git: Path) -> str | None:
    """The commit that is checked out; None before the first one, and where the repository is broken."""
    try:
        named = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not named.startswith("ref:"):
            return named or None
        ref = named.removeprefix("ref:").strip()
        return next((found for folder in _folders(git) if (found := _resolve(folder, ref))), None)
    except (OSError, ValueError):
        return None


def _git_folder(path: Path) -> Path:
    """The real git folder: a worktree and a submodule have a file that points at it."""
    if path.is_dir():
        return path
    target = path.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    return (path.parent / target).resolve()


def _folders(git: Path) -> list[Path]:
    shared = git / "commondir"
    return [git, (git / shared.read_text(encoding="utf-8").strip()).resolve()] if shared.exists() else [git]


def _resolve(git: Path, ref: str) -> str | None:
    loose = git / ref
    if loose.is_file():
        return loose.read_text(encoding="utf-8").strip() or None
    packed = git / "packed-refs"
    for line in packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else ():
        commit, _, name = line.partition(" ")
        if name == ref:
            return commit
    return None
