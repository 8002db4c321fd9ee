"""What an import made of each line of its source: taken, and as what, or left out, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

_SHOWN_RANGES = 5


class Outcome(str, Enum):
    TAKEN = "taken"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class SourceLine:
    """``what`` is the thing that was found, without values that could be secrets; ``note`` is what it became, or the
    reason why it was left out. ``line`` is None for a whole file."""

    file: Path
    line: int | None
    what: str
    outcome: Outcome
    note: str

    def to_json(self) -> dict[str, Any]:
        return {
            "file": str(self.file), "line": self.line, "what": self.what, "outcome": self.outcome.value,
            "note": self.note,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceLines:
    """Lines of one file with one outcome for one reason."""

    file: Path
    places: str
    what: str
    outcome: Outcome
    note: str


def in_order(lines: Iterable[SourceLine]) -> list[SourceLine]:
    """By file and line, each once."""
    return sorted(
        dict.fromkeys(lines), key=lambda one: (str(one.file), one.line or 0, one.outcome.value, one.what)
    )


def together(lines: Iterable[SourceLine]) -> list[SourceLines]:
    """For people: lines of a file with one outcome for one reason are one entry, at the place of the first."""
    groups: dict[tuple[Path, Outcome, str], list[SourceLine]] = {}
    for one in in_order(lines):
        groups.setdefault((one.file, one.outcome, one.note), []).append(one)
    return [
        SourceLines(
            ones[0].file, _places([one.line for one in ones if one.line is not None]), _names(ones),
            ones[0].outcome, ones[0].note,
        )
        for ones in groups.values()
    ]  # fmt: skip


def _names(lines: list[SourceLine]) -> str:
    names = list(dict.fromkeys(one.what for one in lines))
    return ", ".join(names[:6]) + (f" and {len(names) - 6} others" if len(names) > 6 else "")


def _places(numbers: list[int]) -> str:
    """``3,7-9``; of many places the first ones, and how many there are besides."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    shown = ranges if len(ranges) <= _SHOWN_RANGES else ranges[: _SHOWN_RANGES - 1]
    text = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in shown)
    return text + (f" and {len(ranges) - len(shown)} more" if len(ranges) > len(shown) else "")
