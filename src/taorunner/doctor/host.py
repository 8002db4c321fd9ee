"""The doors through which checks look at the machine: files, programs, the engine, the driver, the clock.

Every door can be given from outside, so that a fault is planted where it would really be: another ``root`` for
/proc and /etc, another PATH in ``environ``, another engine in DOCKER_HOST. What several checks need is asked once.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from taorunner import host_commands
from taorunner.doctor.workspace_needs import Needs
from taorunner.errors import TaorunnerError
from taorunner.gpu.inventory import Inventory, inventory, with_settings
from taorunner.project.workspace import Workspace

if TYPE_CHECKING:
    from taorunner.engine.client import Engine
    from taorunner.engine.facts import EngineFacts

_T = TypeVar("_T")

PATIENCE_S = 3.0
"""For a program, the engine or the driver: whoever takes longer is said to hang."""
_NVIDIA = "0x10de"
_SYSTEM_PATH = ("usr/local/sbin", "usr/sbin", "sbin")


class StillWaitingError(Exception):
    """No answer yet, and nobody knows whether one will come."""


class Once(Generic[_T]):
    """A question that is asked in a thread of its own when somebody first wants to know, and never again."""

    def __init__(self, question: Callable[[], _T]) -> None:
        self._question = question
        self._starting, self._ending = threading.Lock(), threading.Lock()
        self._how: Callable[[_T], None] | None = None
        self._thread: threading.Thread | None = None
        self._answer: _T | None = None
        self._error: Exception | None = None

    def get(self, patience_s: float) -> _T:
        """Raises StillWaitingError, or what the question raised."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._ask, daemon=True)
                self._thread.start()
        self._thread.join(patience_s)
        if self._thread.is_alive():
            raise StillWaitingError
        if self._error is not None:
            raise self._error
        return cast(_T, self._answer)

    def give_back(self, how: Callable[[_T], None]) -> None:
        """The answer is not needed any more; one that comes later is given back when it comes."""
        with self._ending:
            self._how = how
            if self._answer is not None:
                how(self._answer)

    def _ask(self) -> None:
        try:
            answer = self._question()
        except Exception as error:  # handed on to whoever asked
            self._error = error
            return
        with self._ending:
            self._answer = answer
            if self._how is not None:
                self._how(answer)


@dataclass(frozen=True, slots=True)
class EngineView:
    engine: Engine
    facts: EngineFacts

    @property
    def is_remote(self) -> bool:
        return self.engine.address.is_remote


@dataclass(frozen=True)
class Machine:
    """``root`` stands in for ``/`` where files of the system are read. ``uid`` and ``gid`` are those of who asks."""

    environ: Mapping[str, str]
    root: Path = Path("/")
    uid: int = field(default_factory=os.getuid)
    gid: int = field(default_factory=os.getgid)
    workspace: Workspace | None = None
    needs: Needs = field(default_factory=Needs)
    offline: bool = False
    now: Callable[[], float] = time.time
    disk: Callable[[Path], os.statvfs_result] = os.statvfs
    cores: int = field(default_factory=lambda: _usable_cores())
    _shared: dict[str, Once[Any]] = field(default_factory=dict, repr=False)
    _sharing: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _engine: Once[EngineView] = field(default_factory=lambda: Once(_engine_view), repr=False)
    _gpus: Once[Inventory] = field(
        default_factory=lambda: Once(lambda: with_settings(inventory())), repr=False
    )

    @property
    def home(self) -> Path:
        return Path(self.environ.get("HOME") or Path.home())

    @property
    def is_root(self) -> bool:
        return self.uid == 0

    @property
    def sudo(self) -> str:
        """What goes before a command that only root may give."""
        return "" if self.is_root else "sudo "

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str | None:
        """A file of the system; None where it is not there or may not be read."""
        try:
            return self.path(name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def program(self, name: str) -> Path | None:
        """As a shell finds it, also where daemons lie though a user's PATH lacks them."""
        folders = [self.environ.get("PATH", os.defpath), *(str(self.path(folder)) for folder in _SYSTEM_PATH)]
        found = shutil.which(name, path=os.pathsep.join(folders))
        return None if found is None else Path(found)

    def run(self, *argv: str | Path) -> host_commands.CommandResult:
        """Raises MachineError when it cannot be started or hangs."""
        return host_commands.run(argv, timeout_s=PATIENCE_S, env=self.environ)

    def shared(self, key: str, question: Callable[[], _T]) -> _T:
        """The answer to a question that other checks ask too. Raises StillWaitingError, or what the question raises."""
        with self._sharing:
            once: Once[_T] = self._shared.setdefault(key, Once(question))
        return once.get(PATIENCE_S)

    def engine(self) -> EngineView:
        """Raises StillWaitingError, MachineError or EngineRefusedError."""
        import taorunner.engine.facts  # noqa: F401 (docker-py takes 0.2 s to load, and that is not the engine's fault)

        return self._engine.get(PATIENCE_S)

    def engine_or_none(self) -> EngineView | None:
        """For checks that have nothing to say without an engine: why there is none is the check "engine"'s to tell."""
        try:
            return self.engine()
        except Exception:  # told by the check "engine", once
            return None

    def missing_images(self) -> tuple[str, ...] | None:
        """Which of the needed images the engine lacks; None when it does not say."""
        view = self.engine_or_none()
        if view is None:
            return None
        try:
            return self.shared("missing images", lambda: _missing_images(view, self.needs))
        except (StillWaitingError, TaorunnerError):
            return None

    def gpus(self) -> Inventory:
        """Raises StillWaitingError."""
        return self._gpus.get(PATIENCE_S)

    def gpus_or_none(self) -> Inventory | None:
        """None where the driver hangs: the check "driver" tells it."""
        try:
            return self.gpus()
        except StillWaitingError:
            return None

    def close(self) -> None:
        """Gives the connection to the engine back. A check that is still waiting loses it."""
        self._engine.give_back(lambda view: view.engine.api.close())

    @property
    def kernel(self) -> str:
        return (self.text("proc/sys/kernel/osrelease") or "").strip()

    @property
    def is_wsl(self) -> bool:
        return "microsoft" in self.kernel.lower()

    @property
    def has_gpu(self) -> bool:
        """Whether an NVIDIA GPU is on the PCI bus; in WSL and on Jetson there is no telling."""
        for path in self.path("sys/bus/pci/devices").glob("*/vendor"):
            try:
                kind = (path.parent / "class").read_text()
                if path.read_text().strip() == _NVIDIA and kind.startswith("0x03"):
                    return True
            except OSError:
                continue
        return self.is_wsl or self.path("etc/nv_tegra_release").exists()

    @property
    def has_systemd(self) -> bool:
        return self.path("run/systemd/system").is_dir()


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _missing_images(view: EngineView, needs: Needs) -> tuple[str, ...]:
    from taorunner.engine.images import find_image

    return tuple(image for image in needs.images if find_image(view.engine, image) is None)


def _engine_view() -> EngineView:
    from taorunner.engine.client import connect
    from taorunner.engine.facts import read_facts

    engine = connect()
    try:
        return EngineView(engine, read_facts(engine))
    except BaseException:
        engine.api.close()
        raise
