"""The exception tree with its exit codes, and ``Finding``.

    TaorunnerError                  70  (only its subclasses are raised)
    ├── UsageError                   2  a wrong command line
    ├── UserFilesError               3  experiments.yml, specs, data, weights
    │   └── UnknownNameError         2  a name of the command line that does not exist: network, experiment, action
    ├── MachineError                 4  engine, driver, disk or credentials of this machine
    ├── EngineRefusedError           5  refused by the engine
    └── RunStateError                6  a run is in the wrong state
        └── NoSuchRunError           6  a name that no run has

A subclass exists only where the exit code differs or where it is caught.
Nothing here prints or exits: only ``cli`` turns errors into text.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, IntEnum
from pathlib import Path

from taorunner.values.value import Value


class ExitCode(IntEnum):
    """Exit codes of the command line. They are part of the interface, because scripts rely on them."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    USER_FILES = 3
    MACHINE = 4
    ENGINE_REFUSED = 5
    NO_SUCH_RUN = 6
    BUG = 70
    INTERRUPTED = 130


class Severity(str, Enum):
    """The severity of a finding. Only ``ERROR`` prevents an action."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    OK = "ok"


class Finding(Value):
    """One result of a check: a problem, a note or an "ok". Used by validation, dataset checks and the doctor.

    ``message`` says what is wrong with the offending value in quotes; ``hint`` is the next step.
    ``line`` and ``column`` are 1-based; None where there is none.
    ``code`` is a stable kebab-case name such as ``unknown-key``.
    ``typed``: the words of the command line are at fault, not a file; it is no part of the JSON shape.
    """

    severity: Severity
    code: str
    message: str
    hint: str | None = None
    file: Path | None = None
    line: int | None = None
    column: int | None = None
    typed: bool = False

    def __hash__(self) -> int:
        return hash(
            (self.code, self.message, str(self.file), self.line)
        )  # a path's own hash takes longer than all

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    @property
    def place(self) -> str:
        """``file:line:column`` as far as known, or an empty string."""
        if self.file is None:
            return ""
        parts = [str(self.file)]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts)

    def to_json(self) -> dict[str, str | int | None]:
        """The stable shape that ``--json`` prints."""
        return {
            "severity": self.severity.value,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "file": str(self.file) if self.file is not None else None,
            "line": self.line,
            "column": self.column,
        }


def has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.is_error for finding in findings)


class TaorunnerError(Exception):
    """Root of all errors that are shown to a user.

    ``message`` is one lower-case line without a full stop, ``hint`` the next step,
    ``findings`` all problems found, not only the first. ``code`` is the code of the error itself as a finding: that of
    its class, or one that says more.
    """

    exit_code: ExitCode = ExitCode.BUG
    code: str = "internal"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        findings: Iterable[Finding] = (),
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.message = message
        self.hint = hint
        self.findings: tuple[Finding, ...] = tuple(findings)

    @property
    def own_code(self) -> str | None:
        """The code where it says more than the class of the error."""
        return self.code if self.code != type(self).code else None

    def as_findings(self) -> tuple[Finding, ...]:
        """What ``--json`` prints of a refusal: the findings, and the error itself unless they explain it."""
        if has_errors(self.findings):
            return self.findings
        return (*self.findings, Finding(Severity.ERROR, self.code, self.message, self.hint))


class UsageError(TaorunnerError):
    exit_code = ExitCode.USAGE
    code = "usage"


class UserFilesError(TaorunnerError):
    exit_code = ExitCode.USER_FILES
    code = "user-files"


class UnknownNameError(UserFilesError):
    exit_code = ExitCode.USAGE
    code = "unknown-name"


class MachineError(TaorunnerError):
    exit_code = ExitCode.MACHINE
    code = "machine"


class EngineRefusedError(TaorunnerError):
    exit_code = ExitCode.ENGINE_REFUSED
    code = "engine-refused"


class RunStateError(TaorunnerError):
    exit_code = ExitCode.NO_SUCH_RUN
    code = "run-state"


class NoSuchRunError(RunStateError):
    """``name`` is the word that means no run."""

    def __init__(self, message: str, *, name: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.name = name
