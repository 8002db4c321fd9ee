"""What the caller of ``shell`` asks for, what comes of it, and the problems that are found on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from taorunner.errors import Finding, Severity, TaorunnerError, UsageError, UserFilesError
from taorunner.gpu.inventory import Inventory
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import Caller
from taorunner.project.workspace import Workspace

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ShellRequest:
    """What stands on the command line; None and empty: not said.

    ``terminal`` are rows and columns of the caller's, None without one. ``token`` is for a notebook that has none.
    """

    command: tuple[str, ...] = ()
    head: str | None = None
    group: str | None = None
    image: str | None = None
    experiment: str | None = None
    release: str | None = None
    tag: str | None = None
    gpus: str | None = None
    volumes: tuple[str, ...] = ()
    env: tuple[str, ...] = field(default=(), repr=False)
    ulimits: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    mounts_file: Path | None = None
    shm_size: str | None = None
    run_as_user: bool = False
    source: Path | None = None
    jupyter: bool = False
    terminal: tuple[int, int] | None = None
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Notebook:
    """Where a notebook will answer. ``token`` is None when it comes from somewhere else."""

    host: str
    port: int
    token: str | None = field(repr=False)

    @property
    def url(self) -> str:
        """Without the token."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"


@dataclass(frozen=True, slots=True)
class PlannedShell:
    plan: RunPlan
    notebook: Notebook | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class ShellPlanning:
    """What is known while planning. ``usage`` are problems of the command line, ``files`` those of files."""

    workspace: Workspace
    project: str | None
    request: ShellRequest
    caller: Caller
    here: Path
    inventory: Inventory
    free_port: Callable[[], int]
    usage: list[Finding] = field(default_factory=list)
    files: list[Finding] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return Path(self.caller.environ.get("HOME") or Path.home())

    def each(self, option: str, words: Iterable[str], read: Callable[[str], _T]) -> list[_T]:
        """What ``read`` makes of the words; those that it refuses are problems."""
        found: list[_T] = []
        for word in words:
            try:
                found.append(read(word))
            except ValueError as error:
                what, hint = error.args
                shown = (
                    word.partition("=")[0] if option == "--env" else word
                )  # what is behind may be a secret
                self.problem(f'{option} "{shown}": {what}', hint)
        return found

    def one(self, option: str, word: str | None, read: Callable[[str], _T]) -> _T | None:
        return next(iter(self.each(option, () if word is None else (word,), read)), None)

    def problem(self, message: str, hint: str | None = None) -> None:
        self.usage.append(Finding(Severity.ERROR, "wrong-option", message, hint))

    def warn(self, code: str, message: str, hint: str | None = None) -> None:
        self.files.append(Finding(Severity.WARNING, code, message, hint))

    def take(self, error: TaorunnerError) -> None:
        told = error.findings or (Finding(Severity.ERROR, "shell", error.message, error.hint),)
        self.files += [finding for finding in told if finding not in self.files]

    def raise_for_errors(self) -> None:
        findings = (*self.usage, *(finding for finding in self.files if finding.is_error))
        kind = UsageError if self.usage else UserFilesError
        if len(findings) == 1 and findings[0].file is None:
            raise kind(findings[0].message, hint=findings[0].hint)
        if findings:
            count = "a problem" if len(findings) == 1 else f"{len(findings)} problems"
            raise kind(f"nothing was started, because of {count}", findings=findings)
