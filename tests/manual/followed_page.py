"""Follows a page of the manual: types its commands, writes and compares its files, compares its output.

A block of ``sh`` is typed line by line in a folder of its own; the ``text`` block after it is what it prints. ``…`` in a
text stands for anything. A block with a title is a file: it is compared, or written where ``<!-- write -->`` stands before
it. ``<!-- not run: REASON -->`` passes over a block.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from people import Cli

_BLOCK = re.compile(
    r'(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```',
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """``mark`` is the comment before it."""

    mark: str
    language: str
    title: str
    text: str

    @property
    def is_passed_over(self) -> bool:
        return self.mark.startswith("not run: ")


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page in their order."""
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(found["mark"] or "", found["language"], found["title"] or "", found["text"])


class Follower:
    """``home`` is the reader's home folder, and where the page begins."""

    def __init__(self, cli: Cli, home: Path) -> None:
        self._cli, self._home, self._here = cli, home, home
        self._printed = ""

    def follow(self, page: Path) -> int:
        """Returns how many command lines were typed. Raises AssertionError for what is not as the page says."""
        typed = 0
        for block in blocks(page):
            if block.is_passed_over:
                continue
            if block.title:
                self._file(block)
            elif block.language == "sh":
                self._printed = ""
                for line in block.text.splitlines():
                    typed += 1
                    self._type(line)
            elif block.language == "text":
                assert matches(block.text, self._printed), (
                    f"{page.name} shows\n{block.text}\nand it is\n{self._printed}"
                )
        return typed

    def _file(self, block: Block) -> None:
        path = self._home / block.title
        if block.mark == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        else:
            assert block.text in path.read_text(encoding="utf-8"), block.title

    def _type(self, line: str) -> None:
        for part in line.split(" && "):
            words = [
                word.replace("~", str(self._home), 1) if word.startswith("~") else word
                for word in shlex.split(part)
            ]
            if words[0] == "cd":
                self._here = (self._here / words[1]).resolve()
            elif words[0] == "taorunner":
                env = {"HOME": str(self._home), "XDG_CONFIG_HOME": str(self._home / ".config")}
                done = self._cli(*words[1:], cwd=self._here, env=env, timeout_s=240)
                assert done.code == 0, f"{line}\n{done.out}{done.err}"
                self._printed += done.out + done.err
            else:
                other = subprocess.run(words, cwd=self._here, capture_output=True, text=True, check=True)
                self._printed += other.stdout


def matches(shown: str, printed: str) -> bool:
    """Whether a shown text is what was printed: a line of … stands for any lines, … in a line for anything."""
    pattern = "".join(
        r"(?:[^\n]*\n)*?"
        if line.strip() == "…"
        else ".*?".join(map(re.escape, line.rstrip().split("…"))) + r"[ ]*\n"
        for line in shown.splitlines()
    )
    return re.fullmatch(pattern, printed if printed.endswith("\n") else f"{printed}\n") is not None
