"""The worst images of an evaluation as one HTML file: what was wrong, missed and right is drawn in small copies.

The file has no script and asks no other address. All text from the dataset and the predictions is escaped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from taorunner.atomic_files import write_bytes
from taorunner.datasets.files.pixels import needs_pillow
from taorunner.datasets.report.thumbnails import thumbnail
from taorunner.errors import UsageError
from taorunner.evaluation.result import Drawn, Evaluation, WorstImage
from taorunner.page_frame.frame import page, text
from taorunner.text import amount, printable

PIXELS = 480
MAX_BYTES = 6_000_000
"""Size at which no further image is added."""
_KINDS = {"wrong": "wrong", "missed": "missed: in the labels alone", "right": "right"}
_LONGEST_NAME = 60
_STYLE = """
body { max-width: 80rem; }
.sheet { grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
figcaption { font-size: .85rem; }
rect { fill: none; vector-effect: non-scaling-stroke; stroke-width: 2px; }
.wrong { stroke: #e5484d; } .missed { stroke: #f5a524; stroke-dasharray: 6 3; }
.right { stroke: #30a46c; stroke-width: 1.2px; }
svg.key { width: 1.6rem; height: .8rem; vertical-align: middle; margin: 0 .3rem 0 .8rem; }
"""


def write_gallery(
    path: Path,
    done: Evaluation,
    folder: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> int:
    """Writes the file whole or not at all; returns the number of images in it. ``folder`` is that of the dataset.

    Raises UserFilesError without Pillow, UsageError when ``path`` already exists.
    """
    needs_pillow("the gallery")
    check_free(path, overwrite=overwrite)
    figures: list[str] = []
    size = 0
    for number, image in enumerate(done.worst, 1):
        figure = _figure(image, folder)
        if size + len(figure) > MAX_BYTES:
            break
        size += len(figure)
        figures.append(figure)
        progress("drawn", number, len(done.worst))
    html = page(f"{done.data.name} - worst images", _body(done, figures), _STYLE)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, html.encode("utf-8", "replace"))
    return len(figures)


def check_free(path: Path, *, overwrite: bool) -> None:
    """Raises UsageError when ``path`` already exists and may not be replaced."""
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f'"{printable(str(path))}" already exists', hint="replace it with --overwrite")


def _body(done: Evaluation, figures: list[str]) -> str:
    at = f", at score {done.confusion.score:.2f}" if done.confusion.score is not None else ""
    subset = f"{done.data.split}, " if done.data.split else ""
    about = f"{done.protocol.text}; {subset}{amount(done.data.images, 'image')}{at}"
    keys = "".join(
        f'<svg class="key" viewBox="0 0 32 16"><rect class="{kind}" x="2" y="2" width="28" height="12"/></svg>{said}'
        for kind, said in _KINDS.items()
    )
    nothing = '<p class="about">No image has a mistake.</p>\n'
    sheet = f'<div class="sheet">\n{"".join(figures)}</div>\n' if figures else nothing
    key = f'<p class="about">{keys}</p>\n' if figures and done.worst[0].counts is not None else ""
    head = f'<h1>Worst images of {text(done.data.name)}</h1>\n<p class="about">{text(about)}</p>\n'
    return f"{head}{key}{sheet}"


def _figure(image: WorstImage, folder: Path) -> str:
    drawn = "".join(map(_rect, reversed(image.boxes)))  # the wrong ones on top
    small = thumbnail(folder / image.image, PIXELS)
    picture = (
        f'<image href="data:image/jpeg;base64,{small}" width="{image.width}" height="{image.height}"/>'
        if small
        else ""
    )
    note = "" if small else " (cannot be decoded)"
    return (
        f'<figure><svg viewBox="0 0 {image.width} {image.height}" role="img">{picture}{drawn}</svg>'
        f"<figcaption>{text(image.said)}<br>{text(image.image)}{note}</figcaption></figure>\n"
    )


def _rect(one: Drawn) -> str:
    x_min, y_min, x_max, y_max = one.box
    score = f" {one.score:.2f}" if one.score is not None else ""
    return (
        f'<rect class="{one.kind}" x="{x_min:.1f}" y="{y_min:.1f}" width="{x_max - x_min:.1f}" '
        f'height="{y_max - y_min:.1f}"><title>{text(one.name[:_LONGEST_NAME])}{score}, {one.kind}</title></rect>'
    )
