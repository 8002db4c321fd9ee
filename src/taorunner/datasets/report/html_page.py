"""Dataset statistics as one HTML file: histograms, and sample images with their boxes.

The file is self-contained (no scripts, no external addresses), all text from the dataset is escaped, and images are
thumbnails, so the page stays below a few megabytes for any dataset.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from taorunner.atomic_files import write_bytes
from taorunner.datasets.files.pixels import needs_pillow
from taorunner.datasets.model.annotations import ImageEntry
from taorunner.datasets.report.stats import SIZES, Stats
from taorunner.datasets.report.thumbnails import thumbnail
from taorunner.errors import UsageError
from taorunner.page_frame.frame import page, text
from taorunner.text import printable

THUMBNAIL_PIXELS = 360
MAX_BYTES = 6_000_000
"""Size at which no further sample is added."""
_MAX_BOXES = 200
_MAX_ROWS = 60
_COLOURS = (
    "#4e9af1",
    "#f28e2b",
    "#3fb568",
    "#e15759",
    "#b07aa1",
    "#c9a227",
    "#17becf",
    "#ff7fb2",
    "#9c755f",
    "#8a8f98",
)
_STYLE = """
td.bar { width: 45%; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 0 2.5rem; }
figcaption span { color: var(--quiet); }
figcaption b { font-weight: 400; white-space: nowrap; }
i { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; }
"""


def write_page(
    path: Path,
    stats: Stats,
    samples: Sequence[ImageEntry],
    *,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> int:
    """Writes the file atomically; returns its size in bytes.

    Raises UserFilesError without Pillow, UsageError when ``path`` already exists.
    """
    needs_pillow("the page")
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f'"{printable(str(path))}" already exists', hint="replace it with --overwrite")
    colours = {one.name: _COLOURS[i % len(_COLOURS)] for i, one in enumerate(stats.classes)}
    body = "".join(_head(stats)) + "".join(_tables(stats, colours))
    figures: list[str] = []
    size = len(body)
    for done, image in enumerate(samples, 1):
        figure = _figure(image, stats.root, colours)
        if size + len(figure) > MAX_BYTES:
            break
        size += len(figure)
        figures.append(figure)
        progress("drawn", done, len(samples))
    sheet = f'<h2>Samples</h2>\n<div class="sheet">\n{"".join(figures)}</div>\n' if figures else ""
    html = page(f"{stats.root.name} - dataset", body + sheet, _STYLE).encode("utf-8", "replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, html)
    return len(html)


def _head(stats: Stats) -> Iterable[str]:
    share = 100 * stats.backgrounds / stats.images if stats.images else 0
    subsets = ", ".join(f"{name} {count:,}" for name, count in stats.subsets.items() if name)
    facts = [f"{stats.images:,} images", f"{stats.boxes:,} boxes", f"{len(stats.classes):,} classes",
             f"{stats.backgrounds:,} background ({share:.0f} %)", *([subsets] if subsets else []),
             *([f"{stats.left_out:,} not readable"] if stats.left_out else [])]  # fmt: skip
    yield f"<h1>{text(stats.root.name)}</h1>\n"
    yield f'<p class="about">{text(" · ".join(facts))}<br>{text(str(stats.root))} ({text(stats.format)})</p>\n'


def _tables(stats: Stats, colours: dict[str, str]) -> Iterable[str]:
    yield "<h2>Classes</h2>\n<table>\n<tr><th>class</th><th class=n>boxes</th><th class=n>images</th>"
    yield "".join(f"<th class=n>{size}</th>" for size in SIZES) + "<th></th></tr>\n"
    most = max((one.boxes for one in stats.classes), default=0)
    for one in stats.classes[:_MAX_ROWS]:
        yield f"<tr><td class=name>{text(one.name)}</td><td class=n>{one.boxes:,}</td><td class=n>{one.images:,}</td>"
        yield "".join(f"<td class=n>{one.sizes[size]:,}</td>" for size in SIZES)
        yield f"{_bar(one.boxes, most, colours[one.name])}</tr>\n"
    yield "</table>\n"
    if len(stats.classes) > _MAX_ROWS:
        yield f'<p class="about">and {len(stats.classes) - _MAX_ROWS:,} more</p>\n'
    yield '<p class="about">small: below 32x32 pixels; medium: below 96x96</p>\n<div class="two">\n'
    yield _histogram("Boxes per image", _steps(stats.boxes_per_image))
    sizes = [(f"{w}x{h}", count) for (w, h), count in stats.image_sizes.most_common(12)]
    rest = len(stats.image_sizes) - len(sizes)
    if rest:
        sizes.append((f"{rest:,} other sizes", stats.images - sum(count for _, count in sizes)))
    yield _histogram("Sizes of images", sizes)
    yield "</div>\n"


def _steps(counts: Counter[int]) -> list[tuple[str, int]]:
    """Bins for a histogram: single values if they are few, else ranges of equal width."""
    highest = max(counts, default=0)
    if highest <= 12:
        return [(str(n), counts[n]) for n in range(highest + 1)]
    width = -(-highest // 12)
    rows = [("0", counts[0])]
    for low in range(1, highest + 1, width):
        high = low + width - 1
        rows.append((f"{low} to {high}", sum(counts[n] for n in range(low, high + 1))))
    return rows


def _histogram(title: str, rows: Sequence[tuple[str, int]]) -> str:
    most = max((count for _, count in rows), default=0)
    lines = "".join(
        f"<tr><td class=name>{text(name)}</td><td class=n>{count:,}</td>{_bar(count, most)}</tr>\n"
        for name, count in rows
    )
    return f"<section><h2>{text(title)}</h2>\n<table>\n{lines}</table></section>\n"


def _bar(count: int, most: int, colour: str | None = None) -> str:
    if not count:
        return "<td class=bar></td>"
    style = f"width:{100 * count / most:.1f}%" + (f";background:{colour}" if colour else "")
    return f'<td class=bar><div style="{style}"></div></td>'


def _figure(image: ImageEntry, root: Path, colours: dict[str, str]) -> str:
    width, height = image.width, image.height
    stroke = max(width, height) / 180
    drawn = "".join(
        f'<rect x="{box.x_min:.1f}" y="{box.y_min:.1f}" width="{max(0.0, box.width):.1f}" '
        f'height="{max(0.0, box.height):.1f}" fill="none" stroke="{colours[box.name]}" '
        f'stroke-width="{stroke:.2f}"><title>{text(box.name)}</title></rect>'
        for box in image.boxes[:_MAX_BOXES]
    )
    small = thumbnail(image.path, THUMBNAIL_PIXELS)
    image_tag = (
        f'<image href="data:image/jpeg;base64,{small}" width="{width}" height="{height}"/>' if small else ""
    )
    counts = Counter(box.name for box in image.boxes)
    legend = ", ".join(
        f'<b><i style="background:{colours[name]}"></i> {text(name[:60])}{f" {count}" if count > 1 else ""}</b>'
        for name, count in counts.most_common(8)
    )
    shown = image.path.relative_to(root).as_posix() if image.path.is_relative_to(root) else image.path.name
    note = "" if small else " (cannot be decoded)"
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" role="img">{image_tag}{drawn}</svg>'
        f"<figcaption>{legend or 'background'}<br><span>{text(shown)}{note}</span></figcaption></figure>\n"
    )
