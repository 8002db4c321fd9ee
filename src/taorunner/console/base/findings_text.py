"""Renders findings as text: ``file:line:column: error: message [code]``, the source line, a caret, the hint.

Editors and CI parse the first line. Source lines are read again when they are shown, and left out when the file is
gone.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from taorunner.console.base.cells import fit
from taorunner.console.base.formatting import clean, shown_path, shown_paths
from taorunner.console.base.theme import Symbols, make_console, symbols_of
from taorunner.console.base.typed_commands import Place, as_typed, hints_as_typed
from taorunner.errors import Finding, Severity, TaorunnerError
from taorunner.text import amount, is_secret_name, masked_line

SOURCE_WIDTH = 100
"""Cells of a source line. Of a longer line the part around the column is shown."""
_VALUE = re.compile(r"""(?<=")[^"]+|(?<=')[^']+|"[^"]*"|'[^']*'|[^\s,#\[\]{}:"']+(?::[^\s,#\[\]{}]+)*""")
_YAML_START = re.compile(r"\s*(?:- +)*(?:[^\s#:][^:#]*: +)?\Z")
"""What stands before a key or a value of a line of YAML."""
_YAML_VALUE = re.compile(r"\[[^][{}#]*\]|\{[^][{}#]*\}|[^][\s#\"'{}&*!|>,](?:(?!\s+#|\s*:(?:\s|\Z)|\s*\Z).)*")
_FILE_LIMIT_BYTES = 4_000_000
MOST_OF_A_KIND = 12
"""Findings with the same severity and code; ``-v`` prints all."""
_GUTTER = "  1234 | "
_NARROWEST = 40
_BEHIND_COMMANDS = (
    "and or to then first again with for which where until as it the a adds brings checks chooses computes continues "
    "converts corrects does ends fetches finds fills gives goes keeps knows lists locks looks makes moves names pulls "
    "prints puts reads removes repairs replaces reports restores rotates runs says sets shows splits starts stops "
    "takes tells trains tries updates uses writes"
)
"""Words of sentences that no command has behind its name."""
_COMMAND = re.compile(
    r"\b(?:taorunner(?: (?:-p|--project|--workspace) \S+)* [a-z]\S*|sudo \S+|docker [a-z]+)"
    rf"(?: (?!(?:{_BEHIND_COMMANDS.replace(' ', '|')})(?![^\s:;,)]))[^\s;,)]+)*"
)
"""A command in a sentence, up to the verb that says what it does."""
_CONSEQUENCE = "nothing was started"
"""A message that begins so counts the findings before it; it is no error of its own."""
_YAML_OR_JSON = (".yaml", ".yml", ".json")
"""In the maps of a protobuf spec ``key`` is the name of a class."""
_ORDER = (Severity.ERROR, Severity.WARNING, Severity.INFO, Severity.OK)


def print_error(
    console: Console,
    error: TaorunnerError,
    *,
    here: Path | None = None,
    with_infos: bool = False,
    place: Place | None = None,
) -> None:
    """Prints the findings of ``error``, then its message and hint. Paths below ``here`` are relative. ``with_infos``
    prints infos too, and every finding of a kind. ``place``: the project that the command was about."""
    here = here or Path.cwd()
    shown, _ = without_infos(error.findings, with_infos=with_infos)
    if shown:
        most = None if with_infos else MOST_OF_A_KIND
        print_findings(console, shown, here=here, counts=False, most=most, place=place)
    line = Text(clean(shown_paths(error.message, here)))
    if not (shown and line.plain.startswith(_CONSEQUENCE)):
        code = f" [{error.own_code}]" if error.own_code is not None else ""
        line = Text.assemble(("error", "severity.error"), ": ", line, (code, "quiet"))
    hint = as_typed(error.hint, place) if error.hint else None
    print_lines(console, [line, *_hint(hint, "", here)])


def print_findings(
    console: Console,
    findings: Iterable[Finding],
    *,
    here: Path | None = None,
    counts: bool = True,
    most: int | None = MOST_OF_A_KIND,
    see_all: str = " (-v before the command shows them)",
    by_kind: bool = False,
    place: Place | None = None,
) -> int:
    """Prints findings sorted by file and place, ``most`` of each kind, with the counts at the end. ``by_kind`` sorts
    them by severity and code before that. ``see_all`` follows the number of those that are left out. ``place``: the
    project that the hints of findings without a file are about. Returns how many are left out."""
    listed = list(dict.fromkeys(findings))
    shown, left = first_of_each_kind(sorted(listed, key=kind_order if by_kind else place_order), most)
    lines = finding_lines(
        hints_as_typed(shown, place),
        symbols_of(console),
        here=here or Path.cwd(),
        width=width_of(console),
        left=left,
        see_all=see_all,
    )
    print_lines(console, lines)
    if counts:
        print_lines(console, [Text(count_text(listed))])
    return left.total()


def first_of_each_kind(
    findings: Iterable[Finding], most: int | None
) -> tuple[list[Finding], Counter[tuple[Severity, str]]]:
    """The first ``most`` findings of each severity and code, all of them with None; and how many of each are left."""
    shown: list[Finding] = []
    seen: Counter[tuple[Severity, str]] = Counter()
    for finding in findings:
        kind = (finding.severity, finding.code)
        seen[kind] += 1
        if most is None or seen[kind] <= most:
            shown.append(finding)
    if most is None:
        return shown, Counter()
    return shown, Counter({kind: count - most for kind, count in seen.items() if count > most})


def without_infos(findings: Sequence[Finding], *, with_infos: bool) -> tuple[list[Finding], int]:
    """The findings to show, and how many different infos were left out."""
    if with_infos:
        return list(findings), 0
    infos = {finding for finding in findings if finding.severity is Severity.INFO}
    return [finding for finding in findings if finding.severity is not Severity.INFO], len(infos)


def infos_text(count: int, command: str) -> str:
    """``2 infos: taorunner doctor -v``."""
    return f"{amount(count, 'info')}: {command}"


def last_with_hint(findings: Iterable[Finding]) -> set[Finding]:
    """Of the findings with equal hints, the last one: only there the hint is printed."""
    return set({finding.hint: finding for finding in findings if finding.hint}.values())


def finding_lines(
    findings: Sequence[Finding],
    symbols: Symbols,
    *,
    here: Path,
    width: int | None = None,
    hinted: Collection[Finding] | None = None,
    left: Mapping[tuple[Severity, str], int] | None = None,
    see_all: str = "",
) -> list[Text]:
    """The lines of findings in the given order, each different finding once.

    ``width`` is the terminal's, in cells; None where nothing limits it. ``hinted`` are those whose hint is printed, by
    default the last one of each hint. ``left`` is how many of a kind are not among them; ``see_all`` says how to see
    those.
    """
    listed = list(dict.fromkeys(findings))
    hinted = last_with_hint(listed) if hinted is None else hinted
    last = {(finding.severity, finding.code): finding for finding in listed}
    sources: dict[Path, list[str]] = {}
    lines: list[Text] = []
    for finding in listed:
        kind = (finding.severity, finding.code)
        lines.append(_head(finding, here))
        if finding.severity in (Severity.ERROR, Severity.WARNING):
            lines += _source(finding, sources, symbols, width)
        if left and kind in left and last[kind] is finding:
            lines.append(
                Text(f"  {symbols.ellipsis} and {left[kind]:,} more [{clean(finding.code)}]{see_all}")
            )
        if finding in hinted:
            lines += _hint(finding.hint, "  ", here)
    return lines


def _head(finding: Finding, here: Path) -> Text:
    place = place_text(finding, here)
    head = Text(f"{place}: " if place else "", style="place")
    head.append(finding.severity.value, style=f"severity.{finding.severity.value}")
    head.append(f": {clean(shown_paths(finding.message, here))}")
    if finding.code:
        head.append(f" [{clean(finding.code)}]", style="quiet")
    return head


def count_text(findings: Sequence[Finding], *, with_infos: bool = False) -> str:
    """``3 errors, 1 warning``; ``no problems`` when there is neither. Infos are counted only ``with_infos``."""
    kinds = _ORDER[: 3 if with_infos else 2]
    counts = {severity: sum(f.severity is severity for f in set(findings)) for severity in kinds}
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


def kind_order(finding: Finding) -> tuple[int, str, tuple[bool, str, int, int, int]]:
    return _ORDER.index(finding.severity), finding.code, place_order(finding)


def place_text(finding: Finding, here: Path) -> str:
    if finding.file is None:
        return ""
    return clean(shown_path(finding.file, here) + finding.place[len(str(finding.file)) :])


def _source(
    finding: Finding, sources: dict[Path, list[str]], symbols: Symbols, width: int | None
) -> list[Text]:
    """The source line and a caret below the column; empty when the line cannot be read."""
    if finding.file is None or finding.line is None:
        return []
    if finding.file not in sources:
        sources[finding.file] = _read_lines(finding.file)
    lines = sources[finding.file]
    if not 1 <= finding.line <= len(lines):
        return []
    more = _secret_keys(finding.file, lines, finding.line - 1)
    line = masked_line(
        lines[finding.line - 1], more, () if finding.file.suffix in _YAML_OR_JSON else ("key",)
    )
    room = SOURCE_WIDTH if width is None else min(SOURCE_WIDTH, width - len(_GUTTER))
    column = finding.column or 0
    start, mark = 0, ""
    if column - 1 > room * 2 // 3:
        start, mark = column - 1 - room // 2, symbols.ellipsis
    shown = fit(mark + line[start : start + room * 4], room, symbols)
    if not shown.strip():
        return []
    gutter = f"  {finding.line:>4} {symbols.side} "
    text = [Text.assemble((gutter, "quiet"), shown, no_wrap=True)]
    if 1 <= column <= len(line) + 1:
        marked = min(_width_of_value(line, column - 1, finding.file), max(1, room - (column - 1 - start)))
        carets = "^" * marked
        before = symbols.shown(clean(mark + line[start : column - 1] + "."))
        blank = " " * (len(gutter) - 2) + symbols.side + " " + " " * (cell_len(before) - 1)
        text.append(
            Text.assemble(
                (blank[: len(gutter)], "quiet"),
                blank[len(gutter) :],
                (carets, "severity.error"),
                no_wrap=True,
            )
        )
    return text


def _width_of_value(line: str, start: int, file: Path) -> int:
    """Cells of the value, or the word, that begins at ``start``: of a text in quotes, without them. A value of YAML may
    have blanks, and a list in it is marked as a whole."""
    is_yaml = file.suffix in (".yaml", ".yml") and _YAML_START.match(line[:start]) is not None
    value = (_YAML_VALUE.match(line, start) if is_yaml else None) or _VALUE.match(line, start)
    return max(1, cell_len(clean(value[0]))) if value is not None else 1


def _read_lines(path: Path) -> list[str]:
    """The lines as an editor counts them; empty when the file is unreadable or too large."""
    try:
        if not path.is_file() or path.stat().st_size > _FILE_LIMIT_BYTES:
            return []
        return path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    except (OSError, ValueError):
        return []


def _secret_keys(file: Path, lines: Sequence[str], at: int) -> tuple[str, ...]:
    """``value``, if line ``at`` of a mounts file of the launcher holds a variable whose name is not one of a plain
    setting. The name may be in the line before or after it."""
    if file.suffix != ".json" or not any('"Envs"' in line for line in lines):
        return ()
    for near in (lines[at], *lines[at + 1 : at + 2], *lines[max(0, at - 1) : at]):
        name = re.search(r'"variable"\s*:\s*"([^"]*)"', near)
        if name is not None:
            return ("value",) if is_secret_name(name[1]) else ()
    return ("value",)


def _hint(hint: str | None, indent: str, here: Path) -> list[Text]:
    if not hint:
        return []
    first, *more = [clean(shown_paths(line, here, home=False)) for line in hint.splitlines()] or [""]
    return [
        Text.assemble(indent, ("hint", "hint"), f": {first}"),
        *(Text(f"{indent}      {line}") for line in more),
    ]


def width_of(console: Console) -> int | None:
    """Cells of a line on a terminal, 40 to 100; None elsewhere."""
    return max(_NARROWEST, min(console.width, SOURCE_WIDTH)) if console.is_terminal else None


def print_lines(console: Console, lines: Iterable[Text]) -> None:
    """Long lines are folded between words on a terminal; elsewhere they are one line each."""
    width = width_of(console)
    for line in lines:
        for part in [line] if width is None or line.no_wrap else folded(line, width):
            console.print(part, soft_wrap=True)


def print_text(stream: TextIO, text: str) -> None:
    """Plain lines; on a terminal long ones are folded between words."""
    if not stream.isatty():
        stream.write(f"{text}\n")
        stream.flush()
        return
    print_lines(make_console(stream, os.environ), map(Text, text.split("\n")))


def folded(line: Text, width: int) -> list[Text]:
    """Lines of at most ``width`` cells, broken at blanks, the later ones indented by 2 more than the first. A word that
    is longer stays whole, and so does a command: it can be copied."""
    plain = line.plain
    commands = [call.span() for call in _COMMAND.finditer(plain)]
    indent = " " * (len(plain) - len(plain.lstrip(" ")) + 2)
    parts: list[Text] = []
    start = 0
    while cell_len(plain[start:]) > (room := width - (len(indent) if parts else 0)):
        first = len(plain) - len(plain[start:].lstrip(" "))
        breaks = [
            at
            for at in range(first + 1, len(plain))
            if plain[at] == " " and not any(begin < at < end for begin, end in commands)
        ]
        fitting = [at for at in breaks if cell_len(plain[start:at]) <= room]
        if not breaks:
            break
        end = fitting[-1] if fitting else breaks[0]
        parts.append(Text.assemble(indent if parts else "", line[start:end]))
        start = end + 1
    return [*parts, Text.assemble(indent if parts else "", line[start:])]
