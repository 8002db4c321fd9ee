"""Reads formats through the program panlabel (extra ``formats``): CreateML, Labelbox, Supervisely, …

panlabel converts the boxes to COCO, which is then read as any other COCO file. It does not touch images, and files
for TAO are written by taorunner.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from taorunner.datasets.files.names import subset_of
from taorunner.datasets.formats import coco
from taorunner.datasets.formats.exports.backgrounds import background
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import DetectionDataset, ImageEntry
from taorunner.errors import UserFilesError
from taorunner.text import amount, printable

NAMES = (
    "automl-vision", "bdd100k", "cityscapes", "create-ml", "edge-impulse", "hf", "ibm-cloud-annotations",
    "kaggle-wheat", "labelbox", "marmot", "oidv4", "openlabel", "retinanet", "sagemaker",
    "scale-ai", "superannotate", "supervisely", "tfrecord", "udacity", "unity-perception", "v7-darwin",
    "via-csv",
)  # fmt: skip
"""panlabel's names of formats, without those that taorunner reads itself."""

_PROGRAM = "panlabel"
_WARNS = f"{_PROGRAM}: warning:"
_SUFFIXES = (
    ".json", ".jsonl", ".ndjson", ".csv", ".txt", ".xml", ".manifest", ".labels", ".tfrecord", ".parquet",
)  # fmt: skip
_NO_IMAGES = re.compile(r'"images"\s*:\s*\[\s*\]')
_FIRST_CHARACTERS = 4_000
_MOST_FILES = 50
"""More files mean one file per image, which the program reads by folder."""


def read(folder: Folder, format_name: str) -> DetectionDataset:
    """Reads the whole folder if the format has one file per image, else each annotation file in it.

    Raises UserFilesError when the program is not installed, or when it reads nothing.
    """
    program = _program(format_name)
    results = [_converted(program, folder, format_name, folder.root)]
    candidates = folder.with_suffix(*_SUFFIXES)
    if not _is_document(results[0][1]) and len(candidates) <= _MOST_FILES:
        results += [_converted(program, folder, format_name, folder.root / path) for path in candidates]
    images: list[ImageEntry] = []
    classes: dict[str, None] = {}
    documents = [(place, text) for place, text in results if _is_document(text)]
    for place, text in documents:
        path = place.relative_to(folder.root).as_posix()
        laid = folder.add_text(f"{path}/as COCO" if place == folder.root else f"{path} as COCO", text)
        part = coco.Document(folder, laid, subset_of(path), place)
        images += part.entries()
        classes.update(dict.fromkeys(part.classes))
    kinds = {place.suffix for place, _ in documents}
    for place, text in results[1:]:
        if place.suffix in kinds and not _is_document(text) and not text.lstrip().startswith("{"):
            folder.error("annotations-unreadable", f"{_PROGRAM} cannot read it: {text}", place)
    if not documents:
        said = results[-1][1] if not results[-1][1].lstrip().startswith("{") else "it finds no image"
        raise UserFilesError(
            f'{_PROGRAM} reads no {format_name} in "{printable(str(folder.root))}": {said}',
            hint="if it is another format, give that with --from",
        )
    images += _unnamed(folder, {image.path for image in images})
    return DetectionDataset(format_name, folder.root, tuple(images), tuple(classes), tuple(folder.findings))


def _unnamed(folder: Folder, named: set[Path]) -> list[ImageEntry]:
    """Images that the program does not name: background images, unless annotation files lie beside them."""
    found = []
    files = set(folder.files)
    for path in folder.image_files:
        image_file, stem = folder.root / path, path.rpartition(".")[0]
        if image_file in named:
            continue
        beside = next((stem + suffix for suffix in _SUFFIXES if stem + suffix in files), None)
        if beside is not None:
            folder.error(
                "annotations-unreadable", f"{_PROGRAM} leaves it out without a reason", folder.root / beside
            )
            continue
        entry = background(folder, path)
        if entry is not None:
            found.append(entry)
    return found


def _program(format_name: str) -> str:
    beside = Path(sys.executable).parent / _PROGRAM  # an environment may not be on PATH
    found = str(beside) if beside.is_file() else shutil.which(_PROGRAM)
    if found is None:
        raise UserFilesError(
            f"{format_name} is read through {_PROGRAM}, which is not installed",
            hint="pip install 'taorunner[formats]'",
        )
    return found


def _converted(program: str, folder: Folder, format_name: str, place: Path) -> tuple[Path, str]:
    """The COCO document, or the program's error message."""
    folder.progress("running panlabel", 0, len(folder.image_files))
    with tempfile.TemporaryDirectory(prefix="taorunner-") as temporary:
        made = Path(temporary) / "coco.json"
        words = [program, "convert", "--from", format_name, "--to", "coco", "--allow-lossy", "--no-validate"]
        words += ["-i", str(place), "-o", str(made)]  # boxes are judged here, as those of every format
        done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        if done.returncode == 0 and made.is_file():
            _report_left_out(folder, place, lines)
            return place, made.read_text(encoding="utf-8")
    message = next(
        (line for line in lines if line.startswith("Error:")), lines[-1] if lines else "no message"
    )
    return place, printable(message.removeprefix("Error:").strip())[:300]


def _report_left_out(folder: Folder, place: Path, lines: Sequence[str]) -> None:
    """Reports what the program says that it leaves out: one error for all lines about one file."""
    said = [line.partition(_WARNS)[2].strip() for line in lines if _WARNS in line]
    if said:
        count = amount(len(said), "object or image", "objects or images")
        message = f"{_PROGRAM} leaves {count} out, such as: {printable(said[0])[:200]}"
        hint = "export it as COCO, Pascal VOC or YOLO instead; dataset convert --skip-bad takes the rest"
        folder.error("annotations-left-out", message, place, hint=hint)


def _is_document(text: str) -> bool:
    """False for a message, and for an answer without images: the program found nothing that it reads."""
    return text.lstrip().startswith("{") and not _NO_IMAGES.search(text[:_FIRST_CHARACTERS])
