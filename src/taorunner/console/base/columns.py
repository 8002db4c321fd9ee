"""Tables without rules: aligned columns that shrink or are dropped in a given order until they fit.

Columns are two blanks apart. A row is always one line, so ``grep`` works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from taorunner.console.base.theme import Symbols

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from rich.text import Text

_GAP = "  "


class Column:
    """``drop`` is the order in which columns are dropped to save room, 1 first; None keeps the column.

    A column with ``shrinks_to`` shrinks to that width before any column is dropped; what does not fit loses its end,
    or its ``middle``. No dataclass: making one takes time at each ``ps``.
    """

    __slots__ = ("drop", "middle", "right", "shrinks_to", "title")

    def __init__(
        self,
        title: str,
        drop: int | None = None,
        right: bool = False,
        shrinks_to: int | None = None,
        middle: bool = False,
    ) -> None:
        self.title, self.drop, self.right = title, drop, right
        self.shrinks_to, self.middle = shrinks_to, middle


class Row:
    """One cell per column; a cell is one cleaned line."""

    __slots__ = ("cells",)

    def __init__(self, cells: tuple[Text, ...]) -> None:
        self.cells = cells


def laid_out(columns: Sequence[Column], rows: Sequence[Row], width: int, symbols: Symbols) -> list[Text]:
    """Heads and rows, none wider than ``width``. Columns without any value are left out."""
    from rich.text import Text

    lengths = [[cell.cell_len for cell in row.cells] for row in rows]
    shown, widths = _fitted(columns, lengths, width)
    title = Row(tuple(Text(column.title, style="label") for column in columns))
    with_title = [title, *rows] if any(columns[i].title for i in shown) else list(rows)
    return [_line(columns, row, shown, widths, width, symbols) for row in with_title]


def laid_out_plainly(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, symbols: Symbols
) -> list[str]:
    """The same lines without styles, for text whose characters are all one cell wide."""
    shown, widths = _fitted(columns, [[len(cell) for cell in row] for row in rows], width)
    title = [column.title for column in columns]
    with_title = [title, *rows] if any(columns[i].title for i in shown) else list(rows)
    return [_plain_line(columns, row, shown, widths, width, symbols) for row in with_title]


def cut(
    text: str, width: int, mark: str, measure: Callable[[str], int] = len, *, middle: bool = False
) -> str:
    """``text`` in at most ``width`` cells, with ``mark`` where something was cut: at the end, or in the ``middle``.

    ``measure`` gives the cells of a text.

    >>> cut("dino_fan_swin_tiny_large_v2", 19, "…", middle=True), cut("CUDA out of memory", 10, "…")
    ('dino_fan…y_large_v2', 'CUDA out …')
    """
    if measure(text) <= width:
        return text
    room = width - measure(mark)
    if room < 1:
        return _start(text, max(0, width), measure)
    if not middle:
        return _start(text, room, measure) + mark
    head = _start(text, room * 4 // 9, measure)  # names differ at their ends
    return head + mark + _start(text[::-1], room - measure(head), measure)[::-1]


def _start(text: str, width: int, measure: Callable[[str], int]) -> str:
    end = min(len(text), width)
    while measure(text[:end]) > width:
        end -= 1
    return text[:end]


def _fitted(
    columns: Sequence[Column], lengths: Sequence[Sequence[int]], width: int
) -> tuple[list[int], dict[int, int]]:
    """The columns that are shown, with their widths."""
    shown = [i for i, column in enumerate(columns) if not column.title or any(row[i] for row in lengths)]
    while True:
        widths = {i: max([len(columns[i].title), *(row[i] for row in lengths)]) for i in shown}
        _shrink(columns, widths, width)
        leaving = [i for i in shown if columns[i].drop is not None]
        if _total(widths) <= width or not leaving:
            return shown, widths
        shown.remove(min(leaving, key=lambda i: columns[i].drop or 0))


def _shrink(columns: Sequence[Column], widths: dict[int, int], width: int) -> None:
    excess = _total(widths) - width
    while excess > 0:
        able = [i for i in widths if widths[i] > (columns[i].shrinks_to or widths[i])]
        if not able:
            return
        widths[max(able, key=lambda i: widths[i])] -= 1
        excess -= 1


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _line(
    columns: Sequence[Column],
    row: Row,
    shown: Sequence[int],
    widths: dict[int, int],
    width: int,
    symbols: Symbols,
) -> Text:
    from rich.cells import cell_len
    from rich.text import Text

    line = Text()
    for i in shown:
        cell = row.cells[i].copy()
        if cell.cell_len > widths[i]:
            cell.plain = cut(cell.plain, widths[i], symbols.ellipsis, cell_len, middle=columns[i].middle)
        blanks = " " * (widths[i] - cell.cell_len)
        if line.plain or i != shown[0]:
            line.append(_GAP)
        line.append_text(Text.assemble(blanks, cell) if columns[i].right else Text.assemble(cell, blanks))
    line.rstrip()
    line.truncate(width)
    return line


def _plain_line(
    columns: Sequence[Column],
    row: Sequence[str],
    shown: Sequence[int],
    widths: dict[int, int],
    width: int,
    symbols: Symbols,
) -> str:
    cells = []
    for i in shown:
        cell = cut(row[i], widths[i], symbols.ellipsis, middle=columns[i].middle)
        cells.append(cell.rjust(widths[i]) if columns[i].right else cell.ljust(widths[i]))
    return _GAP.join(cells).rstrip()[:width]
