"""The request for a shell, its plan, and the problems found while planning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from taorunner.errors import (
    Finding,
    MachineError,
    Severity,
    TaorunnerError,
    UnknownNameError,
    UsageError,
    UserFilesError,
)
from taorunner.gpu.inventory import Inventory
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import Caller
from taorunner.project.container_words import read_each
from taorunner.project.workspace import Workspace

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ShellRequest:
    """The options of the command line; None and empty: not given.

    ``terminal`` is (rows, columns), None without a terminal. ``token`` is used for a notebook without a token.
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
    """The address of a notebook. ``token`` is None when the user sets it elsewhere."""

    host: str
    port: int
    token: str | None = field(repr=False)

    @property
    def url(self) -> str:
        """The address without the token."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"


@dataclass(frozen=True, slots=True)
class PlannedShell:
    plan: RunPlan
    notebook: Notebook | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class ShellPlanning:
    """The state of planning.

    ``usage`` are problems of the command line, ``files`` those of files and of names that do not exist,
    ``machine`` what this machine lacks, ``has_unknown_name`` whether one of ``files`` is a name of the command line.
    """

    workspace: Workspace
    project: str | None
    request: ShellRequest
    caller: Caller
    here: Path
    inventory: Inventory
    free_port: Callable[[], int]
    usage: list[Finding] = field(default_factory=list)
    files: list[Finding] = field(default_factory=list)
    machine: list[Finding] = field(default_factory=list)
    has_unknown_name: bool = False

    @property
    def home(self) -> Path:
        return Path(self.caller.environ.get("HOME") or Path.home())

    def each(self, option: str, words: Iterable[str], read: Callable[[str], _T]) -> list[_T]:
        """The parsed words; a word that ``read`` refuses becomes a problem."""
        found, problems = read_each(option, words, read)
        self.usage += problems
        return found

    def one(self, option: str, word: str | None, read: Callable[[str], _T]) -> _T | None:
        return next(iter(self.each(option, () if word is None else (word,), read)), None)

    def problem(self, message: str, hint: str | None = None) -> None:
        self.usage.append(Finding(Severity.ERROR, "wrong-option", message, hint))

    def lacks(self, code: str, message: str, hint: str | None = None) -> None:
        """This machine does not have what the command line asks for."""
        self.machine.append(Finding(Severity.ERROR, code, message, hint))

    def warn(self, code: str, message: str, hint: str | None = None) -> None:
        self.files.append(Finding(Severity.WARNING, code, message, hint))

    def take(self, error: TaorunnerError) -> None:
        reported = error.findings or (Finding(Severity.ERROR, "shell", error.message, error.hint),)
        self.files += [finding for finding in reported if finding not in self.files]
        self.has_unknown_name = self.has_unknown_name or isinstance(error, UnknownNameError)

    def raise_for_errors(self) -> None:
        of_files = [finding for finding in self.files if finding.is_error]
        findings = (*self.usage, *of_files, *self.machine)
        kind: type[TaorunnerError] = UserFilesError if of_files else MachineError
        if self.usage or self.has_unknown_name:
            kind = UsageError if self.usage else UnknownNameError
        if len(findings) == 1 and findings[0].file is None:
            raise kind(findings[0].message, hint=findings[0].hint)
        if findings:
            count = "a problem" if len(findings) == 1 else f"{len(findings)} problems"
            raise kind(f"nothing was started: {count}", findings=findings)
