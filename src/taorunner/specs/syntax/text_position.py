"""Positions in a text: converts offsets to lines and columns, and defines the one error with a position."""

from __future__ import annotations

from bisect import bisect_right

from taorunner.errors import Finding, Severity


class SpecProblemError(Exception):
    """A text that cannot be read, or an edit that cannot be made. Outside ``specs`` it is a finding.

    ``offset`` counts characters from the start of the text, None where no place is to blame.
    """

    def __init__(
        self, code: str, message: str, *, offset: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset = offset
        self.hint = hint

    def to_finding(self, lines: Lines | None = None) -> Finding:
        line, column = (None, None)
        if lines is not None and self.offset is not None:
            line, column = lines.place(self.offset)
        return Finding(Severity.ERROR, self.code, self.message, self.hint, line=line, column=column)


class Lines:
    """Turns offsets of one text into 1-based lines and columns, each in logarithmic time."""

    def __init__(self, text: str) -> None:
        starts = [0]
        position = text.find("\n")
        while position >= 0:
            starts.append(position + 1)
            position = text.find("\n", position + 1)
        self._starts = starts

    def place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, max(0, offset))
        return line, max(0, offset) - self._starts[line - 1] + 1

    def offset(self, line: int, column: int) -> int:
        """The offset of a 1-based place; a place beyond the text gives the start of its last line."""
        index = min(max(1, line), len(self._starts)) - 1
        return self._starts[index] + max(0, column - 1)
