"""How checks access the machine: files, programs, the engine, the driver, the clock.

Each of these can be replaced, so that tests can plant real faults: another ``root`` for /proc and /etc, another PATH
in ``environ``, another engine in DOCKER_HOST. A result that several checks need is computed once.
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
"""Time limit for a program, the engine or the driver; a longer call counts as hanging."""
_NVIDIA = "0x10de"
_SYSTEM_PATH = ("usr/local/sbin", "usr/sbin", "sbin")


class StillWaitingError(Exception):
    """No result within the time limit; it may never come."""


class LazyValue(Generic[_T]):
    """A value computed once, on first use, in a background thread."""

    def __init__(self, compute: Callable[[], _T]) -> None:
        self._compute = compute
        self._starting, self._ending = threading.Lock(), threading.Lock()
        self._dispose_value: Callable[[_T], None] | None = None
        self._thread: threading.Thread | None = None
        self._value: _T | None = None
        self._error: Exception | None = None

    def get(self, patience_s: float) -> _T:
        """Raises StillWaitingError, or the exception of the computation."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        self._thread.join(patience_s)
        if self._thread.is_alive():
            raise StillWaitingError
        if self._error is not None:
            raise self._error
        return cast(_T, self._value)

    def dispose(self, dispose_value: Callable[[_T], None]) -> None:
        """Disposes of the value, now or as soon as it is computed."""
        with self._ending:
            self._dispose_value = dispose_value
            if self._value is not None:
                dispose_value(self._value)

    def _run(self) -> None:
        try:
            value = self._compute()
        except Exception as error:  # raised again by get()
            self._error = error
            return
        with self._ending:
            self._value = value
            if self._dispose_value is not None:
                self._dispose_value(value)


@dataclass(frozen=True, slots=True)
class EngineView:
    engine: Engine
    facts: EngineFacts

    @property
    def is_remote(self) -> bool:
        return self.engine.address.is_remote


@dataclass(frozen=True)
class Machine:
    """``root`` replaces ``/`` for system files. ``uid`` and ``gid`` are those of the calling user."""

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
    _shared: dict[str, LazyValue[Any]] = field(default_factory=dict, repr=False)
    _sharing: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _engine: LazyValue[EngineView] = field(default_factory=lambda: LazyValue(_engine_view), repr=False)
    _gpus: LazyValue[Inventory] = field(
        default_factory=lambda: LazyValue(lambda: with_settings(inventory())), repr=False
    )

    @property
    def home(self) -> Path:
        return Path(self.environ.get("HOME") or Path.home())

    @property
    def is_root(self) -> bool:
        return self.uid == 0

    @property
    def sudo(self) -> str:
        """Prefix for commands that need root: ``sudo ``, or empty for root."""
        return "" if self.is_root else "sudo "

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str | None:
        """The text of a system file; None when it is missing or unreadable."""
        try:
            return self.path(name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def program(self, name: str) -> Path | None:
        """Finds a program on PATH, or in the sbin folders that a user's PATH may lack."""
        folders = [self.environ.get("PATH", os.defpath), *(str(self.path(folder)) for folder in _SYSTEM_PATH)]
        found = shutil.which(name, path=os.pathsep.join(folders))
        return None if found is None else Path(found)

    def run(self, *argv: str | Path) -> host_commands.CommandResult:
        """Raises MachineError when it cannot be started or hangs."""
        return host_commands.run(argv, timeout_s=PATIENCE_S, env=self.environ)

    def shared(self, key: str, compute: Callable[[], _T]) -> _T:
        """A value shared by several checks. Raises StillWaitingError, or the exception of the computation."""
        with self._sharing:
            once: LazyValue[_T] = self._shared.setdefault(key, LazyValue(compute))
        return once.get(PATIENCE_S)

    def engine(self) -> EngineView:
        """Raises StillWaitingError, MachineError or EngineRefusedError."""
        import taorunner.engine.facts  # noqa: F401 (docker-py takes 0.2 s to load, and that is not the engine's fault)

        return self._engine.get(PATIENCE_S)

    def engine_or_none(self) -> EngineView | None:
        """None without an engine; the "engine" check reports why it is unavailable."""
        try:
            return self.engine()
        except Exception:  # reported once, by the "engine" check
            return None

    def missing_images(self) -> tuple[str, ...] | None:
        """Needed images that the engine does not have; None when unknown."""
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
        """None when the driver hangs; the "driver" check reports it."""
        try:
            return self.gpus()
        except StillWaitingError:
            return None

    def close(self) -> None:
        """Closes the connection to the engine, even if a check is still using it."""
        self._engine.dispose(lambda view: view.engine.api.close())

    @property
    def kernel(self) -> str:
        return (self.text("proc/sys/kernel/osrelease") or "").strip()

    @property
    def is_wsl(self) -> bool:
        return "microsoft" in self.kernel.lower()

    @property
    def has_gpu(self) -> bool:
        """Whether an NVIDIA GPU is on the PCI bus; in WSL and on Jetson this is unknown."""
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
