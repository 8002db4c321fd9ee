"""Shows the checks of ``doctor``: sections as they finish, one line per result, problems with their repair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from taorunner.console.base.findings_text import infos_text, place_text, without_infos
from taorunner.console.base.formatting import clean, shown_paths
from taorunner.console.base.theme import can_draw, symbols_of
from taorunner.errors import Finding, Severity

_INDENT = "    "
_NARROWEST = 40


class DoctorView:
    """Prints each result at once. Without ``with_infos``, infos are only counted."""

    def __init__(self, console: Console, *, with_infos: bool = True) -> None:
        self._console = console
        self._symbols = symbols_of(console)
        self._section = ""
        self._with_infos, self._hidden = with_infos, 0
        self._counts: Counter[Severity] = Counter()

    def waiting(self, *, is_quiet: bool = False) -> AbstractContextManager[Any]:
        """A spinner, on a terminal only."""
        if is_quiet or not can_draw(self._console):
            return nullcontext()
        spinner = "dots" if self._symbols.is_unicode else "line"
        return self._console.status(Text("checking", style="quiet"), spinner=spinner)

    def show(self, section: str, findings: Sequence[Finding]) -> None:
        findings, hidden = without_infos(findings, with_infos=self._with_infos)
        self._hidden += hidden
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

    def verdict(self, *, is_quiet: bool = False) -> None:
        """Prints the last line: whether the machine is fit. ``is_quiet`` drops the number of hidden infos."""
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
        if self._hidden and not is_quiet:
            self._print(Text(infos_text(self._hidden, "taorunner doctor -v"), style="quiet"))

    def _show(self, finding: Finding) -> None:
        severity, style = finding.severity, f"severity.{finding.severity.value}"
        line = Text.assemble("  ", (self._symbols.severities[severity], style), " ")
        if severity in (Severity.ERROR, Severity.WARNING):
            line.append(f"{severity.value}: ", style=style)
        if finding.file is not None:
            line.append(f"{place_text(finding, Path.cwd())}: ", style="place")
        line.append(clean(shown_paths(finding.message, Path.cwd())))
        if severity in (Severity.ERROR, Severity.WARNING):
            line.append(f" [{clean(finding.code)}]", style="quiet")
        self._print_folded(line)
        for number, command in enumerate((finding.hint or "").splitlines()):
            arrow = (f"    {self._arrow} " if number == 0 else "      ", "quiet")
            self._print(Text.assemble(arrow, (clean(command), "hint")))

    @property
    def _arrow(self) -> str:
        return "→" if self._symbols.is_unicode else ">"

    def _print_folded(self, line: Text) -> None:
        """Wraps between words on a terminal, indented below the message. Elsewhere it is one line."""
        width = self._console.width - len(_INDENT)
        if not self._console.is_terminal or width < _NARROWEST:
            self._print(line)
            return
        head, rest = line[: len(_INDENT)], line[len(_INDENT) :]
        for number, part in enumerate(rest.wrap(self._console, width)):
            part.rstrip()
            self._print(Text.assemble(head if number == 0 else _INDENT, part))

    def _print(self, line: Text) -> None:
        # Soft wrap: the terminal wraps, so a copied command has no added breaks.
        self._console.print(line, soft_wrap=True)
