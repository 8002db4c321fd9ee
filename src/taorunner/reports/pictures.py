"""Small copies of the worst images, as addresses that hold the data itself; bounded in number and size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from taorunner.reports.scored import Scored, WorstImage
from taorunner.reports.sections.scores import Picture, image_path

MOST_BYTES = 4_000_000
"""Of all images of a page; afterwards they are left out."""
PIXELS = 320


def small_pictures(data_dir_of: Callable[[str], Path]) -> Picture:
    """``data_dir_of``: the folder of all datasets of a project. Without Pillow there are no pictures."""
    left = [MOST_BYTES]

    def picture(one: Scored, image: WorstImage) -> str:
        path = _path(one, image, data_dir_of)
        if path is None or left[0] <= 0:
            return ""
        from taorunner.datasets.report.thumbnails import thumbnail

        try:
            data = thumbnail(path, PIXELS)
        except ImportError:
            return ""
        left[0] -= len(data)
        return f"data:image/jpeg;base64,{data}" if data and left[0] > 0 else ""

    return picture


def _path(one: Scored, image: WorstImage, data_dir_of: Callable[[str], Path]) -> Path | None:
    if one.folder is not None:
        root: Path | None = Path(one.folder)
    else:
        root = image_path(data_dir_of(one.record.project), one.dataset or "")
    found = image_path(root, image.image) if root is not None else None
    return found if found is not None and found.is_file() else None
