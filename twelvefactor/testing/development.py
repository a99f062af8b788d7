"""Real services for what the environment does not provide, their data kept between runs outside the code."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from twelvefactor._core.lazy import load
from twelvefactor.exceptions import LockHeld, MissingExtraError, ResourceUnavailable
from twelvefactor.testing import compose, engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Want:
    """
    A variable that names a backing service.

    Attributes:
        variable: Its name in the environment.
        kind: The kind of its service.
        declared: What parity declares, as ``postgresql 16``; empty where nothing is.
    """

    variable: str
    kind: str
    declared: str = ""

    @property
    def engine(self) -> str:
        """The declared engine, or an empty string."""
        return self.declared.partition(" ")[0].lower()

    @property
    def version(self) -> str:
        """The declared version, or an empty string."""
        return self.declared.partition(" ")[2].strip()


def wants(variables: Iterable[Any], environ: Mapping[str, str], parity: Mapping[str, Any]) -> tuple[Want, ...]:
    """What the environment does not provide, of the config's *variables* that are URLs of a service."""
    found = []
    for variable in variables:
        if not variable.required or any(name in environ for name in _names(variable)):
            continue
        kinds = _kinds(variable)
        declared = str(parity.get(variable.attribute, ""))
        if kinds:
            engine = declared.partition(" ")[0].lower()
            found.append(Want(variable.name, engine if engine in kinds else kinds[0], declared))
    return tuple(found)


def _names(variable: Any) -> Iterable[str]:
    for name in variable.names:
        yield from (name, f"{name}_FILE")


def _kinds(variable: Any) -> tuple[str, ...]:
    types = load("twelvefactor.config.wanted:url_types")(variable.info.annotation)
    return tuple(load(url.kind).name for url in types if url.kind)


class Development:
    """
    The services of one project on this machine, while the block runs.

    Args:
        project: The project's folder; its data is kept apart from every other's.
        fresh: Whether to start with nothing.
        say: Told each line that a person wants to read.

    Raises:
        LockHeld: Another process has them already; two engines on one folder would lose each other's data.
    """

    def __init__(self, project: Path, *, fresh: bool = False, say: Callable[[str], None] = lambda _: None) -> None:
        self._say = say
        self._stack = contextlib.ExitStack()
        self.folder = data_folder(project)
        self._stack.enter_context(_alone(self.folder))
        if fresh and self.folder.exists():
            compose.forget(self.folder)
            shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def provide(self, wanted: Iterable[Want]) -> dict[str, str]:
        """
        Start what is *wanted*, each kind once, and give the variables to set.

        Raises:
            ResourceUnavailable: Something cannot be had here; every such thing is named.
        """
        urls: dict[tuple[str, str], str] = {}
        provided, missing = {}, []
        for want in wanted:
            try:
                url = urls.get((want.kind, want.version)) or self._start(want)
            except (ResourceUnavailable, MissingExtraError) as error:
                missing.append(f"{want.variable}: {error}")
                continue
            urls[want.kind, want.version] = provided[want.variable] = url
        if missing:
            raise ResourceUnavailable("\n".join(missing))
        return provided

    def _start(self, want: Want) -> str:
        folder = self.folder / (f"{want.kind}-{want.version}" if want.version else want.kind)
        folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        where = f"data in {folder}{self._other(want)}"
        if want.kind == "sqlite":
            folder.mkdir(exist_ok=True)
            url = f"sqlite:///{folder}/app.db"
        elif self._container_is_better(want):
            url, where = self._in_a_container(want, folder)
        else:
            try:
                url = self._on_this_machine(want, folder)
            except (ResourceUnavailable, MissingExtraError) as error:
                if compose.image_for(want.kind, want.engine) is None:
                    raise
                if compose.why_not():
                    raise ResourceUnavailable(f"{error} (and in no container: {compose.why_not()})") from None
                url, where = self._in_a_container(want, folder)
        self._say(f"{want.variable}={url}  ({where})")
        return url

    def _container_is_better(self, want: Want) -> bool:
        """Where the version is declared and this machine's programs leave no choice."""
        if not want.version or want.kind in engines.CHOICE or compose.image_for(want.kind, want.engine) is None:
            return False
        return not compose.why_not()

    def _in_a_container(self, want: Want, folder: Path) -> tuple[str, str]:
        """Its URL, and where its data is: for Docker alone to see."""
        url = self._stack.enter_context(compose.running(want.kind, folder, want.declared))
        return url, f"in a container; its data in a volume of {compose.project(folder)}"

    def _on_this_machine(self, want: Want, folder: Path) -> str:
        """From a wheel or a program."""
        version = want.version if want.kind in engines.CHOICE else ""
        return str(self._stack.enter_context(engines.start(want.kind, folder, version or None)))

    def _other(self, want: Want) -> str:
        if not want.version or want.kind in engines.CHOICE:
            return ""
        return f"; declared is {want.declared}, and there is no choice here"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock beside *folder*; the system takes it back from a process that ends in any way."""
    folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LockHeld(
                f"another process ({file.read().strip()}) runs this project's services already; "
                "end it, or set in this one's environment the URLs that it told"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def data_folder(project: Path) -> Path:
    """Where a project's data is kept: one folder of the user's state, told apart by the project's own path."""
    project = project.resolve()
    name = f"{project.name}-{hashlib.sha256(str(project).encode()).hexdigest()[:8]}"
    if os.geteuid() == 0:  # root's PostgreSQL runs as nobody, who cannot enter root's home
        base = Path("/var/tmp/twelvefactor-root")  # noqa: S108 - its owner is checked
        base.mkdir(mode=0o711, exist_ok=True)
        if base.stat().st_uid != 0:
            raise ResourceUnavailable(f"{base} belongs to somebody else")
        return base / name
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "twelvefactor" / name
