"""TF806: a connection that was opened before a fork, and that is used in the child."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

from twelvefactor._core import origin
from twelvefactor.concurrency.daemons import blamed
from twelvefactor.concurrency.rules import TF806
from twelvefactor.factor import Finding
from twelvefactor.work import current_work

if TYPE_CHECKING:
    from twelvefactor._core.process import Process

_watching: list[Forks] = []


class _Carried(socket.socket):
    """A socket of the parent: its first use is told, and it is a plain one again."""

    __slots__ = ()


class _CarriedTLS(ssl.SSLSocket):
    """The same with TLS."""

    __slots__ = ()


_PLAIN = {_Carried: socket.socket, _CarriedTLS: ssl.SSLSocket}


def _telling(cls: type, name: str) -> Any:
    def used(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.__class__ = _PLAIN[cls]
        for each in _watching:
            each.used(self)
        return getattr(self, name)(*args, **kwargs)

    used.__name__ = name
    return used


for _cls in _PLAIN:
    for _name in ("send", "sendall", "sendmsg", "recv", "recv_into"):
        setattr(_cls, _name, _telling(_cls, _name))


class Forks:
    """
    Looks when a forked process starts for connections that its parent had opened, and marks them: the first use tells.

    What `service.attach` gave has been dropped by then, and Redis clients drop theirs themselves.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._marked: list[Any] = []
        self._records: dict[int, str] = {}
        self._listens = False

    def install(self) -> None:
        """Look at what was inherited."""
        evidence = self._process.evidence
        if os.getpid() == origin.PID:
            evidence.looked(TF806, "this process is not a fork")
            return
        evidence.looked(TF806, f"connected sockets that a fork left here: {len(origin.inherited)}")
        if origin.inherited:
            _watching.append(self)
            self._mark_sockets()
            self._mark_pools()

    def remove(self) -> None:
        """Unmark what was not used."""
        if self in _watching:
            _watching.remove(self)
        for each in self._marked:
            if type(each) in _PLAIN:
                each.__class__ = _PLAIN[type(each)]
        self._marked = []
        if self._listens:
            from sqlalchemy import event
            from sqlalchemy.pool import Pool

            event.remove(Pool, "checkout", self._checked_out)
            self._listens = False
        self._records = {}

    def _mark_sockets(self) -> None:
        for each in gc.get_objects():
            kind = type(each)
            if (kind is socket.socket or kind is ssl.SSLSocket) and _inode(each) in origin.inherited:
                each.__class__ = _Carried if kind is socket.socket else _CarriedTLS
                self._marked.append(each)

    def _mark_pools(self) -> None:
        """A driver in C has no socket that Python sees; SQLAlchemy knows when a connection of its pool is taken."""
        if "sqlalchemy.pool.base" not in sys.modules:
            return
        from sqlalchemy import event
        from sqlalchemy.pool import Pool
        from sqlalchemy.pool.base import _ConnectionRecord

        for record in gc.get_objects():
            if type(record) is _ConnectionRecord and (peer := origin.inherited.get(_inode(record.dbapi_connection))):
                self._records[id(record)] = peer
        if self._records and not self._listens:
            event.listen(Pool, "checkout", self._checked_out)
            self._listens = True

    def used(self, carried: Any) -> None:
        """*carried* is used for the first time."""
        self._tell(origin.inherited.get(_inode(carried), "somewhere"))

    def _checked_out(self, connection: Any, record: Any, proxy: Any) -> None:
        del proxy
        peer = self._records.pop(id(record), None)
        if peer is not None and _inode(connection) in origin.inherited:
            self._tell(peer)

    def _tell(self, peer: str) -> None:
        try:
            frame, work = self._process.app_code.frame(), current_work()
            who, where = blamed(self._process, frame) if frame is not None else ("a library", "")
            message = f"{who} uses the connection to {peer} that was opened before the fork"
            self._process.evidence.report(
                Finding(TF806, message, f"{who} {peer}", where, work=None if work is None else work.id)
            )
        except Exception as error:  # noqa: BLE001 - it is used whatever we think of it
            self._process.fault("watching forks", error)


def _inode(connection: Any) -> int:
    """The inode of what *connection* talks through; 0 where it does not say."""
    try:
        descriptor = connection.fileno()
        return os.fstat(descriptor).st_ino if descriptor >= 0 else 0
    except Exception:  # noqa: BLE001 - closed, or of a driver that has none
        return 0
