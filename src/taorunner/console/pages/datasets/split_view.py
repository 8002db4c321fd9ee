"""Shows a split: images and boxes of every class per part, with their share."""

from __future__ import annotations

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean
from taorunner.console.base.theme import symbols_of
from taorunner.console.pages.datasets.result_view import placed_text, print_made, print_opening
from taorunner.datasets.transform.split import LIST_FILE, Split
from taorunner.text import amount


def print_split(split: Split, *, json: bool) -> None:
    console = print_opening(split, json=json)
    if console is None:
        return
    columns = [Column("class", shrinks_to=12)]
    for part in split.parts:
        columns += [Column(part.name, right=True), Column("", right=True)]
    rows = [_row("(images)", [len(part.images) for part in split.parts])]
    for name in sorted({name for part in split.parts for name in part.classes}):
        rows.append(_row(name, [part.classes[name] for part in split.parts]))
    for line in laid_out(columns, rows, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)
    console.print(Text(f"{placed_text(split.placed)}; {amount(split.groups, 'group')}"), soft_wrap=True)
    counts = ", ".join(f"{part.name} {len(part.images):,}" for part in split.parts)
    facts = f"{counts}; seed {split.seed}, kept in {LIST_FILE}"
    print_made(console, split.output, split.format, split.target, split.lost_outlines, facts)


def _row(name: str, counts: list[int]) -> Row:
    total = sum(counts) or 1
    cells = [Text(clean(name))]
    for count in counts:
        cells += [Text(f"{count:,}"), Text(f"{100 * count / total:.1f} %", style="quiet")]
    return Row(tuple(cells))
