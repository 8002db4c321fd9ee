"""Whose fault keeps an action from starting: the words of the command line, the user's files, or this machine.

The exit code follows from it. What has to be typed again comes first, whatever else is wrong; a machine that lacks
something is named only where nothing else is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from taorunner.errors import Finding, MachineError, TaorunnerError, UnknownNameError, UserFilesError

_OF_WORDS = frozenset({"chain", "unknown-action", "unknown-release", "volume"})
"""Codes that are about the command line where they have no place in a file."""
_OF_MACHINE = frozenset({"driver-old", "gpus-unknown", "too-few-gpus"})
UNKNOWN_EXPERIMENT = "unknown-experiment"


def refusal(stopping: Sequence[Finding], *, names_are_known: bool = True) -> type[TaorunnerError]:
    """The class of the error for findings that stop an action: exit code 2, 3 or 4.

    Without ``names_are_known`` experiments.yml could not be read, and a name that it lacks may be right.
    """
    if any(map(_is_of_words, stopping)):
        return UnknownNameError
    unknown = [one.code == UNKNOWN_EXPERIMENT for one in stopping]
    if any(unknown) and (names_are_known or all(unknown)):
        return UnknownNameError
    is_of_machine = bool(stopping) and all(one.code in _OF_MACHINE for one in stopping)
    return MachineError if is_of_machine else UserFilesError


def _is_of_words(finding: Finding) -> bool:
    return finding.typed or (finding.file is None and finding.code in _OF_WORDS)
