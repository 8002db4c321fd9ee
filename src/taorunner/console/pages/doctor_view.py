"""How is a machine's examination told? Sections as they come, an all-clear in a line, a problem with its repair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from taorunner.console.base.formatting import clean
from taorunner.console.base.theme import can_draw, symbols_of
from taorunner.errors import Finding, Severity

_INDENT = "    "
_NARROWEST = 40


class DoctorView:
    """Prints what it is given at once. ``waiting`` shows on a terminal that somebody is still looking."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._symbols = symbols_of(console)
        self._section = ""
        self._counts: Counter[Severity] = Counter()

    def waiting(self) -> AbstractContextManager[Any]:
        if not can_draw(self._console):
            return nullcontext()
        spinner = "dots" if self._symbols.ellipsis == "…" else "line"
        return self._console.status(Text("looking", style="quiet"), spinner=spinner)

    def show(self, section: str, findings: Sequence[Finding]) -> None:
        if not findings:
            return
        if section != self._section:
            if self._section:
                self._print(Text())
            self._section = section
            self._print(Text(section, style="title"))
        for finding in findings:
            self._counts[finding.severity] += 1
            self._show(finding)

    def verdict(self) -> None:
        """The last line: whether the machine is fit."""
        errors, warnings = self._counts[Severity.ERROR], self._counts[Severity.WARNING]
        counts = ", ".join(
            f"{count} {word}{'s' if count != 1 else ''}"
            for count, word in ((errors, "error"), (warnings, "warning"))
            if count
        )
        if errors:
            text = Text.assemble(("not fit", "severity.error"), f": {counts}")
        elif warnings:
            text = Text.assemble(("fit", "severity.warning"), f", with {counts}")
        else:
            text = Text.assemble(("fit", "severity.ok"))
        if self._section:
            self._print(Text())
        self._print(text)

    def _show(self, finding: Finding) -> None:
        severity, style = finding.severity, f"severity.{finding.severity.value}"
        line = Text.assemble("  ", (self._symbols.severities[severity], style), " ")
        if severity in (Severity.ERROR, Severity.WARNING):
            line.append(f"{severity.value}: ", style=style)
        if finding.file is not None:
            line.append(f"{clean(_place(finding))}: ", style="place")
        line.append(clean(finding.message))
        if severity in (Severity.ERROR, Severity.WARNING):
            line.append(f" [{clean(finding.code)}]", style="quiet")
        self._print_folded(line)
        for number, command in enumerate((finding.hint or "").splitlines()):
            arrow = (f"    {self._arrow} " if number == 0 else "      ", "quiet")
            self._print(Text.assemble(arrow, (clean(command), "hint")))

    @property
    def _arrow(self) -> str:
        return "→" if self._symbols.ellipsis == "…" else ">"

    def _print_folded(self, line: Text) -> None:
        """Between words on a terminal, the rest below the message; one line everywhere else."""
        width = self._console.width - len(_INDENT)
        if not self._console.is_terminal or width < _NARROWEST:
            self._print(line)
            return
        head, rest = line[: len(_INDENT)], line[len(_INDENT) :]
        for number, part in enumerate(rest.wrap(self._console, width)):
            part.rstrip()
            self._print(Text.assemble(head if number == 0 else _INDENT, part))

    def _print(self, line: Text) -> None:
        # Soft wrap: the terminal folds, so that a command that is copied is whole.
        self._console.print(line, soft_wrap=True)


def _place(finding: Finding) -> str:
    path, here = finding.file, Path.cwd()
    if path is not None and path.is_absolute() and path.is_relative_to(here):
        return str(path.relative_to(here)) + finding.place[len(str(path)) :]
    return finding.place
