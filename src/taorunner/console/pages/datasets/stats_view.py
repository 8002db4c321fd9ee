"""Shows the statistics of a dataset as a table."""

from __future__ import annotations

import os
import shlex
import sys

from rich.text import Text

from taorunner.console.base.cells import bar
from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console, symbols_of
from taorunner.console.base.typed_commands import near
from taorunner.datasets.report.stats import SIZES, Stats
from taorunner.text import amount

_BAR = 16


def print_stats(stats: Stats, *, json: bool) -> None:
    if json:
        write_json(stats.to_json(), sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    symbols = symbols_of(console)
    columns = [
        Column("class", shrinks_to=12), Column("boxes", right=True), Column("", drop=1),
        Column("images", right=True, drop=5),
        *(Column(size, right=True, drop=number) for number, size in enumerate(SIZES, 2)),
    ]  # fmt: skip
    most = max((one.boxes for one in stats.classes), default=0) or 1
    rows = [
        Row((
            Text(clean(one.name)), Text(f"{one.boxes:,}"), bar(one.boxes / most, _BAR, symbols),
            Text(f"{one.images:,}"), *(Text(f"{one.sizes[size]:,}") for size in SIZES),
        ))
        for one in stats.classes
    ]  # fmt: skip
    for line in laid_out(columns, rows, console.width, symbols):
        console.print(line, soft_wrap=True)
    subsets = [f"{clean(name)} {count:,}" for name, count in stats.subsets.items() if name]
    facts = [
        amount(stats.images, "image"),
        amount(stats.boxes, "box", "boxes"),
        *([f"{amount(stats.backgrounds, 'image')} without boxes"] if stats.backgrounds else []),
        *subsets,
    ]
    sizes = [f"{w}x{h} ({count:,})" for (w, h), count in stats.image_sizes.most_common(3)]
    more = len(stats.image_sizes) - len(sizes)
    console.print(Text("; ".join(facts)), soft_wrap=True)
    console.print(Text(f"sizes: {', '.join(sizes)}{f' and {more:,} more' if more else ''}"), soft_wrap=True)
    if stats.left_out:
        left = amount(stats.left_out, "image, label or line", "images, labels or lines")
        message = (
            f"{left} could not be read: taorunner dataset check {shlex.quote(near(stats.root))} lists them"
        )
        console.print(Text(message), soft_wrap=True)
