"""Who is acting? What the stack says of an act that the audit hook hears of."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_OURS = str(Path(__file__).resolve().parent.parent) + "/"


def _standard_library() -> tuple[str, ...]:
    paths = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.dirname(os.__file__)}  # noqa: PTH120
    return (*(f"{path.rstrip('/')}/" for path in paths if path), "<frozen", _OURS)


_STANDARD = _standard_library()


def direct(frame: FrameType) -> bool:
    """Whether only the standard library stands between the app's *frame* and the act."""
    inner: FrameType | None = sys._getframe(1)  # the public way is ten times slower  # noqa: SLF001
    while inner is not None and inner is not frame:
        file = inner.f_code.co_filename
        if "/site-packages/" in file or not file.startswith(_STANDARD):
            return False
        inner = inner.f_back
    return True


def name_of(frame: FrameType) -> str:
    """``module.function`` of a frame."""
    return f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname.replace('.<locals>', '')}"
