"""Exceptions that end a run early. ``entrypoint`` turns them into a message, status.json and an exit code."""

from __future__ import annotations


class SpecError(Exception):
    """The command line or the spec file is faulty. Raised before status.json is opened, as Hydra's errors are.

    Source: tao/pytorch.md section 3: Hydra and schema errors leave no status.json, only the console and exit 1.
    """


class RunFailedError(Exception):
    """The run cannot continue. ``kind`` is the start of the FAILURE message in status.json.

    Source: tao/pytorch.md section 3: "Parameter validation error:", "File system error:", ...
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class RunInterruptedError(Exception):
    """A signal asked the run to stop."""

    def __init__(self, signal_number: int, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_number = signal_number
