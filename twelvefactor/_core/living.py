"""Which processes are there."""

from __future__ import annotations

import os


def lives(number: int) -> bool:
    """
    Whether the process *number* is there, whoever it belongs to; a negative one is a process group.

    >>> import os
    >>> lives(os.getpid()), lives(-os.getpgrp())
    (True, True)
    """
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True
