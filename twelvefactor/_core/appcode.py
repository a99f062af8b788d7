"""Whose code is it? Only the app's own is judged."""

from __future__ import annotations

import site
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

_OURS = str(Path(__file__).resolve().parent.parent) + "/"

_INSTALLED = ("/site-packages/", "/dist-packages/")  # of another interpreter, below the root


def _foreign_roots() -> tuple[str, ...]:
    """Where the standard library, installed distributions and their commands live."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")}
    paths.update(site.getsitepackages())
    paths.add(site.getusersitepackages())
    resolved = {str(Path(path).resolve()) for path in paths if path} | {path for path in paths if path}
    return tuple(sorted(path.rstrip("/") + "/" for path in resolved))


class AppCode:
    """
    The code of the app: files below *root* outside the installed distributions, or the named *packages*.

    Args:
        root: The codebase root, or None where nobody knows it.
        packages: Top-level packages that are the app; where given, nothing else is.
    """

    def __init__(self, root: Path | None, packages: Iterable[str] | None = None) -> None:
        self.root = root
        self.packages = None if packages is None else tuple(packages)
        self._prefix = None if root is None else str(root.resolve()).rstrip("/") + "/"
        self._foreign = _foreign_roots()
        self._seen: dict[str, bool] = {}

    def owns(self, filename: str, module: str | None = None) -> bool:
        """Whether the code in *filename* (of module *module*) is the app's; remembered by file."""
        if self.packages is not None and module is not None:
            is_script = module == "__main__" and not filename.startswith(self._foreign)  # and no server's command
            return is_script or module.partition(".")[0] in self.packages
        seen = self._seen.get(filename)
        if seen is None:
            seen = self._seen[filename] = self._judge(filename)
        return seen

    def _judge(self, filename: str) -> bool:
        if filename.startswith(("<", _OURS)) or self._prefix is None:
            return False
        path = filename if filename.startswith("/") else str(Path(filename).resolve())
        installed = path.startswith(self._foreign) or any(folder in path for folder in _INSTALLED)
        return path.startswith(self._prefix) and not installed

    def frame(self, depth: int = 1) -> FrameType | None:
        """The innermost frame of the app on this thread's stack, or None."""
        frame: FrameType | None = sys._getframe(depth)  # the public way is ten times slower  # noqa: SLF001
        while frame is not None:
            if self.owns(frame.f_code.co_filename, frame.f_globals.get("__name__")):
                return frame
            frame = frame.f_back
        return None

    def where(self, frame: FrameType | None) -> str:
        """``file:line`` of *frame*, below the root where it is; empty without a frame."""
        if frame is None:
            return ""
        return f"{self.relative(frame.f_code.co_filename)}:{frame.f_lineno}"

    def relative(self, filename: str) -> str:
        """*filename* below the root where it is, else as it is."""
        return filename if self._prefix is None else filename.removeprefix(self._prefix)

    def modules(self) -> tuple[str, ...]:
        """The app's top-level modules among those imported so far."""
        names = set()
        for name, module in list(sys.modules.items()):
            filename = getattr(module, "__file__", None)
            if filename and self.owns(filename, name):
                names.add(name.partition(".")[0])
        return tuple(sorted(names))
