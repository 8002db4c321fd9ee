"""What every code of a finding, a notice or a failed run means: ``codes.json``, which ``tools/reference`` writes.

``taorunner explain`` and the pages ``reference/findings.md`` and ``troubleshooting.md`` show the same text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taorunner.errors import UnknownNameError
from taorunner.text import did_you_mean
from taorunner.values.value import Value

_FILE = Path(__file__).with_name("codes.json")
_KINDS = {"finding": "reference/findings.md", "failure": "troubleshooting.md"}


class Example(Value):
    """What gives the finding, and what does not. ``edits`` say where: a file and its old and new text."""

    text: str
    file: str
    wrong: str
    right: str


class Explanation(Value):
    """``says`` are the messages with their next steps; words in capitals stand for names and numbers of the moment.

    ``kind`` is ``finding`` for what is said of files, machines and runs, ``failure`` for why a run failed.
    """

    code: str
    kind: str
    area: str
    severities: tuple[str, ...]
    about: str | None
    says: tuple[tuple[str, str], ...]
    example: Example | None = None

    @property
    def page(self) -> str:
        """The page of the manual with its place."""
        return f"{_KINDS[self.kind]}#{self.code}"

    def to_json(self) -> dict[str, Any]:
        """The stable shape that ``--json`` prints."""
        example = self.example
        return {
            "code": self.code,
            "kind": self.kind,
            "area": self.area,
            "severities": list(self.severities),
            "about": self.about,
            "says": [{"message": message, "hint": hint or None} for message, hint in self.says],
            "example": None
            if example is None
            else {"file": example.file, "wrong": example.wrong, "right": example.right},
            "page": self.page,
        }

    def markdown(self) -> str:
        """The section of the manual, without its heading."""
        return "\n".join(self._lines()).strip() + "\n"

    def _lines(self) -> Iterator[str]:
        severities = ", ".join(self.severities)
        yield f"*{self.area}{f': {severities}' if severities else ''}*"
        if self.about:
            yield from ("", self.about)
        for message, hint in self.says:
            yield from ("", "```text", message, "```")
            if hint:
                yield from ("", f"Next: {hint}")
        if self.example is not None:
            yield from ("", f"For example, in {self.example.text}:")
            yield from ("", f"```{_language(self.example.file)}", *self.example.wrong.splitlines(), "```")
            yield from ("", "Right:", "", f"```{_language(self.example.file)}")
            yield from (*self.example.right.splitlines(), "```")


def _language(file: str) -> str:
    return {"yml": "yaml", "yaml": "yaml", "json": "json", "sh": "sh"}.get(file.rpartition(".")[2], "text")


def from_json(entry: Mapping[str, Any]) -> Explanation:
    """The explanation of an entry of the file."""
    example = entry["example"]
    return Explanation(
        entry["code"],
        entry["kind"],
        entry["area"],
        tuple(entry["severities"]),
        entry["about"],
        tuple((one[0], one[1]) for one in entry["says"]),
        None if example is None else Example(**example),
    )


def explanations() -> tuple[Explanation, ...]:
    """All of them, findings first, by area and code."""
    return tuple(map(from_json, json.loads(_FILE.read_bytes())))


def explained(code: str) -> tuple[Explanation, ...]:
    """The explanations of a code: of the finding, of the failure, or of both. Case and ``[ ]`` around it do not matter.

    Raises UnknownNameError with the nearest code.
    """
    word = code.strip().strip("[]").lower()
    every = explanations()
    found = tuple(one for one in every if one.code == word)
    if not found:
        raise UnknownNameError(
            f'no code "{code}"',
            hint=did_you_mean(word, [one.code for one in every]) or "taorunner explain: lists all codes",
        )
    return found
