"""What ``validate`` prints: each finding once, files with the same findings joined, and what they mean for a start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from taorunner.console.base.findings_text import (
    count_text,
    finding_lines,
    infos_text,
    last_with_hint,
    place_order,
    place_text,
    print_lines,
    width_of,
    without_infos,
)
from taorunner.console.base.formatting import NO_PROBLEMS, NO_PROJECT, looked_at_lines
from taorunner.console.base.theme import symbols_of
from taorunner.console.base.typed_commands import Place, as_typed, below_data, hints_as_typed
from taorunner.errors import Finding, Severity
from taorunner.planning.model.forcing import stops
from taorunner.planning.model.looked_at import LookedAt
from taorunner.text import amount
from taorunner.values.value import Value

MOST_BLOCKS = 12
"""More of them fill several screens; ``-v`` prints all."""
_MOST_OF_A_KIND = 3
"""Where there are more blocks than are shown, so that no kind hides the others."""
_MOST_NAMES = 3


def print_validation(
    console: Console,
    findings: Sequence[Finding],
    projects: Sequence[LookedAt],
    *,
    workspace: Path | None = None,
    with_infos: bool,
    is_quiet: bool = False,
) -> None:
    """Prints the findings of ``projects`` in ``workspace``.

    Without ``with_infos``, infos are only counted and the first blocks of each kind are printed; what was looked at is
    printed with it, and where there is no problem. ``is_quiet`` drops that and the count of infos.
    """
    shown, hidden = without_infos(findings, with_infos=with_infos)
    shown = hints_as_typed(shown)
    names = [one.project for one in projects]
    command = f"taorunner validate {' '.join(names)}".strip() + " -v"
    command = as_typed(command, Place(workspace) if workspace is not None else None)
    lines: list[Text] = []
    if not is_quiet and (with_infos or not shown):
        lines += [Text(line) for line in looked_at_lines(projects)]
    blocks = list(_blocks(shown))
    places = range(len(blocks)) if with_infos else _first_of_each_kind(blocks)
    kept = [blocks[place] for place in places]
    hinted = last_with_hint(one for block in kept if not block.is_repeated for one in block.findings)
    for block in kept:
        lines += _lines(block, console, hinted)
    left = [one for place, block in enumerate(blocks) if place not in places for one in block.findings]
    if left:
        kinds = {one.severity.value for one in left}
        word = kinds.pop() if len(kinds) == 1 else "finding"
        lines.append(Text(f"and {amount(len(left), f'more {word}')}: {command}"))
    lines.append(Text(_last_line(shown, names, with_infos=with_infos)))
    if hidden and not is_quiet:
        lines.append(Text(infos_text(hidden, command), style="quiet"))
    print_lines(console, lines)


class _Block(Value):
    """One finding, or all of a file that has just those of a file before it."""

    findings: tuple[Finding, ...]
    is_repeated: bool = False


def _first_of_each_kind(blocks: Sequence[_Block]) -> Sequence[int]:
    """The places of ``MOST_BLOCKS`` of them, in their order: three of each kind, then others. Errors go before
    warnings."""
    if len(blocks) <= MOST_BLOCKS:
        return range(len(blocks))
    seen: Counter[tuple[Severity, str]] = Counter()
    order: list[tuple[bool, bool, int]] = []
    for at, block in enumerate(blocks):
        kind = (block.findings[0].severity, block.findings[0].code)
        seen[kind] += 1
        order.append((seen[kind] > _MOST_OF_A_KIND, kind[0] is not Severity.ERROR, at))
    return sorted(at for _, _, at in sorted(order)[:MOST_BLOCKS])


def _blocks(findings: Sequence[Finding]) -> Iterator[_Block]:
    by_file: dict[Path | None, list[Finding]] = {}
    for finding in sorted(dict.fromkeys(findings), key=lambda one: (_is_data(one.file), place_order(one))):
        by_file.setdefault(finding.file, []).append(finding)
    seen: set[tuple[tuple[str, str, str | None], ...]] = set()
    for of_file in by_file.values():
        said = tuple((one.code, one.message, one.hint) for one in of_file)
        if said in seen and all(one.line is not None for one in of_file):
            yield _Block(tuple(of_file), is_repeated=True)
        else:
            yield from (_Block((one,)) for one in of_file)
        seen.add(said)


def _is_data(file: Path | None) -> bool:
    """Whether it is in the ``data`` folder of a project: findings of datasets follow those of specs."""
    return below_data(file) is not None


def _lines(block: _Block, console: Console, hinted: Collection[Finding]) -> list[Text]:
    found = block.findings
    if not block.is_repeated:
        width = width_of(console)
        return finding_lines(found, symbols_of(console), here=Path.cwd(), width=width, hinted=hinted)
    first = found[0]
    place = place_text(first, Path.cwd()).rsplit(":", 2 if first.column is not None else 1)[0]
    numbers = ", ".join(str(line) for line in dict.fromkeys(one.line for one in found))
    severities = {one.severity for one in found}
    word = severities.pop().value if len(severities) == 1 else "finding"
    return [Text(f"{place}:{numbers}: the same {amount(len(found), word)}", style="place")]


def _last_line(findings: Sequence[Finding], projects: Sequence[str], *, with_infos: bool) -> str:
    """``5 errors in parts; a start would be refused (--force starts anyway)``; ``no problems``."""
    if not findings:
        return NO_PROBLEMS if projects else NO_PROJECT
    where = ", ".join(projects) if len(projects) <= _MOST_NAMES else f"{len(projects)} projects"
    counts = count_text(findings, with_infos=with_infos)
    text = f"{counts} in {where}" if where else counts
    if not any(one.severity is Severity.ERROR for one in findings):
        return text
    text += "; a start would be refused"
    return text if stops(findings, is_forced=True) else f"{text} (--force starts anyway)"
