"""Renders findings as text: ``file:line:column: error: message [code]``, the source line, a caret, the hint.

Editors and CI parse the first line. Source lines are read again when they are shown, and left out when the file is
gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from taorunner.console.base.cells import fit
from taorunner.console.base.formatting import clean
from taorunner.console.base.theme import Symbols, symbols_of
from taorunner.errors import Finding, Severity, TaorunnerError
from taorunner.text import amount, masked_line

SOURCE_WIDTH = 100
"""Cells of a source line. Of a longer line the part around the column is shown."""
_VALUE = re.compile(r"""(?<=")[^"]+|(?<=')[^']+|"[^"]*"|'[^']*'|[^\s,#\[\]{}:"']+(?::[^\s,#\[\]{}]+)*""")
_FILE_LIMIT_BYTES = 4_000_000
_SECRET_IN_JSON = ("value",)
"""The key that holds the values of variables in the launcher's mounts file; they may be secrets."""
_ORDER = (Severity.ERROR, Severity.WARNING, Severity.INFO, Severity.OK)


def print_error(console: Console, error: TaorunnerError, *, here: Path | None = None) -> None:
    """Prints the findings of ``error``, then its message and hint. Paths below ``here`` are relative."""
    if error.findings:
        print_findings(console, error.findings, here=here, counts=False)
    line = Text.assemble(("error", "severity.error"), ": ", clean(error.message))
    print_lines(console, [line, *_hint(error.hint, "")])


def print_findings(
    console: Console, findings: Iterable[Finding], *, here: Path | None = None, counts: bool = True
) -> None:
    """Prints findings sorted by file and place, with the counts at the end."""
    listed = list(findings)
    print_lines(console, finding_lines(listed, symbols_of(console), here=here or Path.cwd()))
    if counts:
        print_lines(console, [Text(count_text(listed))])


def without_infos(findings: Sequence[Finding], *, with_infos: bool) -> tuple[list[Finding], int]:
    """The findings to show, and how many different infos were left out."""
    if with_infos:
        return list(findings), 0
    infos = {finding for finding in findings if finding.severity is Severity.INFO}
    return [finding for finding in findings if finding.severity is not Severity.INFO], len(infos)


def notes_text(count: int, command: str) -> str:
    """``2 notes: taorunner doctor -v``."""
    return f"{amount(count, 'note')}: taorunner {command} -v"


def finding_lines(findings: Iterable[Finding], symbols: Symbols, *, here: Path) -> list[Text]:
    """The lines of all findings, each different finding once."""
    sources: dict[Path, list[str]] = {}
    lines: list[Text] = []
    for finding in sorted(dict.fromkeys(findings), key=place_order):
        place = place_text(finding, here)
        severity = finding.severity
        head = Text(f"{place}: " if place else "", style="place")
        head.append(severity.value, style=f"severity.{severity.value}")
        head.append(f": {clean(finding.message)}")
        if finding.code:
            head.append(f" [{clean(finding.code)}]", style="quiet")
        lines.append(head)
        if severity in (Severity.ERROR, Severity.WARNING):
            lines += _source(finding, sources, symbols)
        lines += _hint(finding.hint, "  ")
    return lines


def count_text(findings: Sequence[Finding]) -> str:
    """``3 errors, 1 warning``; ``no problems`` when there is neither."""
    counts = {severity: sum(f.severity is severity for f in set(findings)) for severity in _ORDER[:2]}
    texts = [f"{n} {s.value}{'s' if n != 1 else ''}" for s, n in counts.items() if n]
    return ", ".join(texts) or "no problems"


def findings_json(findings: Iterable[Finding]) -> list[dict[str, str | int | None]]:
    """The stable list that ``--json`` prints, in the order of the text output."""
    return [finding.to_json() for finding in sorted(dict.fromkeys(findings), key=place_order)]


def place_order(finding: Finding) -> tuple[bool, str, int, int, int]:
    return (
        finding.file is not None,
        str(finding.file or ""),
        finding.line or 0,
        finding.column or 0,
        _ORDER.index(finding.severity),
    )


def place_text(finding: Finding, here: Path) -> str:
    if finding.file is None:
        return ""
    path = finding.file
    if path.is_absolute() and path.is_relative_to(here):
        path = path.relative_to(here)
    return clean(str(path) + finding.place[len(str(finding.file)) :])


def _source(finding: Finding, sources: dict[Path, list[str]], symbols: Symbols) -> list[Text]:
    """The source line and a caret below the column; empty when the line cannot be read."""
    if finding.file is None or finding.line is None:
        return []
    if finding.file not in sources:
        sources[finding.file] = _read_lines(finding.file)
    lines = sources[finding.file]
    if not 1 <= finding.line <= len(lines):
        return []
    line = masked_line(lines[finding.line - 1], _SECRET_IN_JSON if finding.file.suffix == ".json" else ())
    column = finding.column or 0
    start, mark = 0, ""
    if column - 1 > SOURCE_WIDTH * 2 // 3:
        start, mark = column - 1 - SOURCE_WIDTH // 2, symbols.ellipsis
    shown = fit(mark + line[start : start + SOURCE_WIDTH * 4], SOURCE_WIDTH, symbols)
    if not shown.strip():
        return []
    gutter = f"  {finding.line:>4} {symbols.side} "
    text = [Text.assemble((gutter, "quiet"), shown)]
    if 1 <= column <= len(line) + 1:
        width = min(_width_of_value(line, column - 1), max(1, SOURCE_WIDTH - (column - 1 - start)))
        carets = "^" * width
        before = symbols.shown(clean(mark + line[start : column - 1] + "."))
        blank = " " * (len(gutter) - 2) + symbols.side + " " + " " * (cell_len(before) - 1)
        text.append(
            Text.assemble((blank[: len(gutter)], "quiet"), blank[len(gutter) :], (carets, "severity.error"))
        )
    return text


def _width_of_value(line: str, start: int) -> int:
    """Cells of the value, or the word, that begins at ``start``: of a text in quotes, without them."""
    value = _VALUE.match(line, start)
    return max(1, cell_len(clean(value[0]))) if value is not None else 1


def _read_lines(path: Path) -> list[str]:
    """The lines as an editor counts them; empty when the file is unreadable or too large."""
    try:
        if not path.is_file() or path.stat().st_size > _FILE_LIMIT_BYTES:
            return []
        return path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    except (OSError, ValueError):
        return []


def _hint(hint: str | None, indent: str) -> list[Text]:
    if not hint:
        return []
    first, *more = [clean(line) for line in hint.splitlines()] or [""]
    lines = [Text.assemble(indent, ("hint", "hint"), f": {first}")]
    return lines + [Text(f"{indent}      {line}") for line in more]


def print_lines(console: Console, lines: Iterable[Text]) -> None:
    for line in lines:
        # Soft wrap: the terminal wraps, so a copied line has no added breaks and a pipe gets one line.
        console.print(line, soft_wrap=True)
