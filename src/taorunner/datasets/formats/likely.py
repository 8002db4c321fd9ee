"""Guesses what an unrecognised folder is (archive, unsupported format, YOLO without names), with a hint."""

from __future__ import annotations

import re

from taorunner.datasets.files.yolo_rows import is_yolo_text
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.yolo.description import NAMES_HINT
from taorunner.text import amount, printable

_MOST_READ = 20
_TOOLS = (
    ("LabelMe", "labelme", ("shapes", "imagePath")),
    ("the VGG annotator", "via", ("regions", "shape_attributes")),
    ("CreateML", "create-ml", ("annotations", "coordinates")),
)
"""Name of the tool, name of its format here, and keys of its JSON."""
_BOXES = re.compile(r"\ufeff?filename,width,height,class,xmin,ymin,xmax,ymax")
_ARCHIVE = re.compile(r"\.(zip|7z|rar|tar|tgz|tar\.(gz|bz2|xz|zst))\Z", re.IGNORECASE)


def likely_kind(folder: Folder) -> tuple[str, str] | None:
    """What the folder seems to hold, as the end of a sentence about it, and a hint."""
    return _archive(folder) or _yolo_without_names(folder) or _of_another_tool(folder)


def _archive(folder: Folder) -> tuple[str, str] | None:
    found = [path for path in folder.files if _ARCHIVE.search(path)]
    if not found or folder.image_files:
        return None
    first = printable(found[0])
    command = "unzip" if first.lower().endswith(".zip") else "tar -xf"
    return (
        f'has no images, but {amount(len(found), "archive")}, such as "{first}"',
        f"unpack it, then give the unpacked folder: {command} {first}",
    )


def _yolo_without_names(folder: Folder) -> tuple[str, str] | None:
    rows = [path for path in folder.with_suffix(".txt") if is_yolo_text(folder.peek(path) or "")]
    if not rows:
        return None
    return (
        f'has {amount(len(rows), "label file")} of YOLO, such as "{printable(rows[0])}", but no class names',
        NAMES_HINT,
    )


def _of_another_tool(folder: Folder) -> tuple[str, str] | None:
    tables = [
        path for path in folder.with_suffix(".csv")[:_MOST_READ] if _BOXES.match(folder.peek(path) or "")
    ]
    if tables:
        return (
            f'has boxes in a table, such as "{printable(tables[0])}"',
            "convert them first: taorunner dataset convert --from tfod",
        )
    for path in folder.with_suffix(".json")[:_MOST_READ]:
        text = folder.peek(path) or ""
        for tool, format_name, words in _TOOLS:
            if all(f'"{word}"' in text for word in words):
                return (
                    f'has annotations of {tool}, such as "{printable(path)}"',
                    f"convert them first: taorunner dataset convert --from {format_name}",
                )
    return None
