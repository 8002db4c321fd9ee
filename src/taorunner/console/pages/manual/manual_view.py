"""Prints pages of the manual and sections of codes: Markdown as text of a terminal, or JSON.

Only what the manual uses is known: headings, paragraphs, lists, tables, fenced blocks, links, and words in backquotes.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console
from taorunner.manual.codes import Explanation
from taorunner.manual.pages import Page

_WIDEST = 100
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_LIST = re.compile(r"(\s*)([-*]|\d+\.) +")
_ESCAPED = re.compile(r"\\([|*_\\])")


def print_pages(every: Sequence[Page], *, json: bool) -> None:
    """The topics with their titles."""
    if json:
        write_json([{"topic": page.topic, "title": page.title()} for page in every], sys.stdout.buffer)
        return
    width = max((len(page.topic) for page in every), default=0)
    _print(Text.assemble((f"{page.topic:<{width}}", "name"), f"  {page.title()}") for page in every)


def print_page(page: Page, *, json: bool) -> None:
    if json:
        write_json([{"topic": page.topic, "title": page.title(), "text": page.text()}], sys.stdout.buffer)
        return
    _print(manual_lines(page.text(), _width()))


def print_codes(every: Sequence[Explanation], *, json: bool) -> None:
    """Every code with the first thing that is said with it."""
    if json:
        write_json([one.to_json() for one in every], sys.stdout.buffer)
        return
    width = max((len(one.code) for one in every), default=0)
    for one in every:
        said = one.about or one.says[0][0]
        _print([Text.assemble((f"{one.code:<{width}}", "name"), f"  {said}")])


def print_explanations(found: Sequence[Explanation], *, json: bool) -> None:
    if json:
        write_json([one.to_json() for one in found], sys.stdout.buffer)
        return
    text = "\n".join(f"# {one.code}\n\n{one.markdown()}" for one in found)
    _print(manual_lines(text, _width()))


def manual_lines(markdown: str, width: int) -> Iterator[Text]:
    """The lines of a page. Lines of fenced blocks are kept as they are."""
    paragraph: list[str] = []
    is_code = False
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("```"):
            yield from _paragraph(paragraph, width)
            is_code = not is_code
        elif is_code:
            yield Text(f"    {line}", style="name" if line.strip() else "")
        elif line.startswith("|"):
            yield from _paragraph(paragraph, width)
            yield from _row(line, width)
        elif line.startswith("#"):
            yield from _paragraph(paragraph, width)
            yield Text(line.lstrip("# "), style="bold")
        elif not line.strip():
            yield from _paragraph(paragraph, width)
            yield Text("")
        else:
            if _LIST.match(line):
                yield from _paragraph(paragraph, width)
            paragraph.append(line)


def _paragraph(lines: list[str], width: int) -> Iterator[Text]:
    """The lines so far as one paragraph or entry of a list; empties them."""
    if lines:
        marker = _LIST.match(lines[0])
        indent = " " * len(marker[0]) if marker else ""
        text = " ".join(_plain(line).strip() for line in lines)
        yield from map(
            Text,
            textwrap.wrap(text, width, initial_indent=marker[1] if marker else "", subsequent_indent=indent),
        )
        lines.clear()


def _row(line: str, width: int) -> Iterator[Text]:
    """A row of a table: its first cell, and the others below it."""
    cells = [_plain(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    if not cells or all(set(cell) <= set("-: ") for cell in cells):
        return
    for start in textwrap.wrap(cells[0], width, initial_indent="  ", subsequent_indent="  "):
        yield Text(start, style="name")
    for cell in cells[1:]:
        yield from map(Text, textwrap.wrap(cell, width, initial_indent=" " * 6, subsequent_indent=" " * 6))


def _plain(text: str) -> str:
    text = _LINK.sub(r"\1", text).replace("`", "").replace("**", "").replace("&lt;", "<")
    text = re.sub(r"^\*(.+)\*$", r"\1", text)
    return _ESCAPED.sub(r"\1", text)


def _width() -> int:
    return min(make_console(sys.stdout, os.environ).width, _WIDEST)


def _print(lines: Iterable[Text]) -> None:
    console = make_console(sys.stdout, os.environ)
    for line in lines:
        console.print(line, soft_wrap=True)
