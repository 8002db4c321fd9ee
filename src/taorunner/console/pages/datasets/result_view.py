"""Shows the results of dataset commands as tables or JSON, and their progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.findings_text import findings_json, print_findings
from taorunner.console.base.formatting import clean, shown_path
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console, symbols_of
from taorunner.errors import Finding
from taorunner.text import amount, duration

if TYPE_CHECKING:
    from taorunner.datasets.transform.convert import Conversion
    from taorunner.datasets.transform.for_network import LaidOut
    from taorunner.datasets.transform.resize import Resize


_PLACED = {"hard links": "linked", "symbolic links": "linked", "reflinks": "copied", "copies": "copied"}
_COUNTED = ("coco", "kitti", "odvg", "panoptic", "segmentation")
"""Forms in which classes count objects, not images."""


class Progress:
    """A line on stderr, rewritten in place and erased at the end. Only on a terminal, never with ``is_quiet``."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._shows = not is_quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Progress:
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._shows:
            sys.stderr.write(f"\r{what} {done}/{total} images\x1b[K")
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._shows:
            sys.stderr.write("\r\x1b[K")


class Written(Protocol):
    """What a command that wrote a dataset gives back."""

    @property
    def findings(self) -> Sequence[Finding]: ...

    def to_json(self) -> dict[str, Any]: ...


def print_opening(done: Written, *, json: bool) -> Console | None:
    """Prints the findings on stderr. Gives the console of stdout, or None with ``json``, which prints everything."""
    if json:
        write_json(done.to_json(), sys.stdout.buffer)
        return None
    if done.findings:
        print_findings(make_console(sys.stderr, os.environ), done.findings)
    return make_console(sys.stdout, os.environ)


def print_conversion(done: Conversion, *, json: bool) -> None:
    """Findings to stderr, the counts before and after to stdout."""
    console = print_opening(done, json=json)
    if console is None:
        return
    columns = [Column("class"), Column("written as"), Column("before", right=True), Column("left out", right=True),
               Column("after", right=True)]  # fmt: skip
    rows = [
        _row("(images)", "", done.images_before, done.images_before - done.images_after, done.images_after),
        *(
            _row(
                c.name, c.written if c.written != c.name else "", c.before, c.left_out, done.after[c.written]
            )
            for c in done.classes
        ),
    ]
    for line in laid_out(columns, rows, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)
    subsets = ", ".join(f"{name} {count:,}" for name, count in done.subsets.items() if name)
    empty = f"{amount(done.backgrounds, 'image')} without boxes" if done.backgrounds else ""
    facts = [fact for fact in (placed_text(done.placed), empty, subsets) if fact]
    if done.renamed:
        facts.append(f"{amount(len(done.renamed), 'image')} renamed (--json lists them)")
    console.print(Text("; ".join(facts)), soft_wrap=True)
    console.print(
        Text(f"wrote {shown_path(done.output, Path.cwd())} ({done.format} to {done.target})"), soft_wrap=True
    )


def placed_text(placed: Mapping[str, int]) -> str:
    """``7 images linked, 1 copied``"""
    texts = [f"{count:,} {_PLACED.get(way, way)}" for way, count in placed.items()]
    first = amount(next(iter(placed.values())), "image") if placed else ""
    return ", ".join([first + texts[0][texts[0].index(" ") :], *texts[1:]]) if texts else ""


def print_laid_out(
    done: LaidOut, source: Path, output: Path, form: str, head: str, *, seconds: float, json: bool
) -> None:
    """``wrote data/parts_kitti: 2,412 images (linked), 2,412 labels, 9,867 boxes, train 1,930, val 482, 4.1s``."""
    images = sum(done.subsets.values())
    if json:
        write_json({
            "source": str(source), "from": done.format, "to": form, "for": head, "output": str(output),
            "images": images, "classes": dict(done.classes), "subsets": dict(done.subsets),
            "placed": dict(done.placed), "findings": findings_json(done.findings),
        }, sys.stdout.buffer)  # fmt: skip
        return
    if done.findings:
        print_findings(make_console(sys.stderr, os.environ), done.findings, counts=False)
    ways = " and ".join(_PLACED.get(way, way) for way in done.placed)
    facts = [f"{amount(images, 'image')} ({ways})" if ways else amount(images, "image")]
    if form == "kitti":
        facts.append(amount(images, "label"))
    if form in _COUNTED and done.classes:
        objects = sum(done.classes.values())
        facts.append(amount(objects, "outline") if done.outlined else amount(objects, "box", "boxes"))
    facts += [f"{name} {count:,}" for name, count in done.subsets.items()]
    facts.append(f"{seconds:.1f}s" if seconds < 10 else duration(seconds))
    console = make_console(sys.stdout, os.environ)
    console.print(Text(f"wrote {shown_path(output, Path.cwd())}: {', '.join(facts)}"), soft_wrap=True)


def print_resize(done: Resize, *, json: bool) -> None:
    console = print_opening(done, json=json)
    if console is None:
        return
    boxes = amount(done.boxes, "box", "boxes")
    facts = f"{amount(done.resized, 'image')} resized, {done.linked:,} linked (size already right); {boxes}"
    console.print(Text(facts), soft_wrap=True)
    print_made(console, done.output, done.format, done.target, done.lost_outlines)


def print_made(
    console: Console, output: Path, source: str, target: str, lost_outlines: int, facts: str = ""
) -> None:
    """Prints the new folder with ``facts``, whether its format differs from the source's, and which data was lost."""
    more = f": {facts}" if facts else ""
    console.print(Text(f"wrote {shown_path(output, Path.cwd())} ({target}){more}"), soft_wrap=True)
    if source != target:
        console.print(Text(f"{source} cannot be written, so {target} was written"), soft_wrap=True)
    if lost_outlines:
        lost = f"{target} cannot hold outlines: {amount(lost_outlines, 'object')} kept only the box"
        console.print(Text(lost), soft_wrap=True)


def _row(name: str, written: str, before: int, left_out: int, after: int) -> Row:
    numbers = (f"{before:,}", f"{left_out:,}" if left_out else "", f"{after:,}")
    return Row((Text(clean(name)), Text(clean(written)), *(Text(text) for text in numbers)))
