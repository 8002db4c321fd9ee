"""Resizes all images and their boxes to one size, stretched or with a border (letterbox).

TF networks need one size for the whole dataset. Pixels are rotated by EXIF and written without the orientation tag,
so that loaders that ignore EXIF see the same image. Several processes decode and encode.

Source: tao/tensorflow.md section 7 (one size, multiples of 16).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from taorunner.datasets.files.output_folders import Placer, new_folder, refuse_taken
from taorunner.datasets.files.pixels import needs_pillow, open_image
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model import segmentation
from taorunner.datasets.model.annotations import Box, DetectionDataset, ImageEntry
from taorunner.datasets.model.boxes import BoxTable
from taorunner.datasets.model.class_names import image_names
from taorunner.datasets.model.extra_fields import holds_extra, lost_fields, lost_message, moved_box, unmovable
from taorunner.datasets.transform.convert import refuse_overlap
from taorunner.datasets.transform.usable_boxes import box_findings
from taorunner.datasets.writers.tao_formats import (
    lost_outlines,
    target_of,
    write_description,
    write_labels,
    written_names,
)
from taorunner.errors import Finding, Severity, UsageError, UserFilesError, has_errors
from taorunner.text import printable, whole_number

QUALITY = 95
"""JPEG quality. At 95, compressing again causes hardly any visible loss."""
_BORDER = 114
_CHUNK = 16


@dataclass(frozen=True, slots=True)
class Placement:
    """Maps ``x`` of the old image to ``x * scale_x + left`` in the new one; ``y`` likewise with ``top``."""

    scale_x: float
    scale_y: float
    left: int
    top: int
    width: int
    height: int
    """Size of the scaled image without the border."""
    sheet: tuple[int, int]
    """Size with the border."""

    def of_box(self, box: Box) -> Box:
        return replace(
            box,
            x_min=box.x_min * self.scale_x + self.left,
            y_min=box.y_min * self.scale_y + self.top,
            x_max=box.x_max * self.scale_x + self.left,
            y_max=box.y_max * self.scale_y + self.top,
            segmentation=self._of_outline(box.segmentation) if box.segmentation else None,
            extra=moved_box(box, self._of_point),
        )

    def _of_point(self, x: float, y: float) -> tuple[float, float]:
        return x * self.scale_x + self.left, y * self.scale_y + self.top

    def _of_outline(self, outline: Any) -> Any:
        scale, size = (self.scale_x, self.scale_y), (self.width, self.height)
        return segmentation.scaled(outline, scale, size, (self.left, self.top), self.sheet)


@dataclass(frozen=True, slots=True)
class Resize:
    """The result of a resize. ``linked``: images that already had the size and were not encoded again."""

    output: Path
    format: str
    target: str
    images: int
    resized: int
    linked: int
    boxes: int
    lost_outlines: int
    """Number of objects of which the written format keeps only the box."""
    findings: tuple[Finding, ...] = ()
    """Other data left out, and warnings."""

    def to_json(self) -> dict[str, Any]:
        """The stable shape that ``--json`` prints."""
        return {
            "output": str(self.output), "from": self.format, "to": self.target, "images": self.images,
            "resized": self.resized, "linked": self.linked, "boxes": self.boxes, "lost_outlines": self.lost_outlines,
            "findings": [finding.to_json() for finding in self.findings],
        }  # fmt: skip


def resize_dataset(
    source: Path,
    output: Path,
    *,
    size: tuple[int, int],
    from_: str | None = None,
    letterbox: bool = False,
    processes: int | None = None,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Resize:
    """Keeps the subsets and the format (KITTI for formats that are not written here). ``size``: width and height.
    ``from_`` names the format instead of its recognition.

    Raises UserFilesError with all findings when something cannot be read or decoded; nothing is written then.
    """
    needs_pillow("dataset resize")
    refuse_overlap(source, output)
    refuse_taken(output, overwrite=overwrite)
    if not all(0 < side <= 16384 for side in size):
        raise UsageError(f"images cannot be {size[0]}x{size[1]}", hint="sides are 1 to 16384 pixels")
    dataset = read_dataset(source, from_, progress)
    findings = [*dataset.findings, *box_findings(dataset)]
    if has_errors(findings):
        raise UserFilesError(
            "nothing was resized, because the dataset has errors",
            hint=f"see all of them with taorunner dataset check {source}",
            findings=findings,
        )
    to = target_of(dataset.format)
    classes = written_names(to, dataset.boxes_per_class())
    _refuse_bad_outlines(dataset)
    if holds_extra(to, dataset):
        _refuse_unmovable(dataset)
    placer = Placer()
    jobs: list[_Job] = []
    lost = 0
    with new_folder(output, overwrite=overwrite) as partial:
        for subset in dataset.subsets:
            members = [image for image in dataset.images if image.subset == subset]
            folder = partial / subset
            (folder / "images").mkdir(parents=True)
            named = _place_all(
                zip(image_names(members, source), members, strict=True), folder, size, placer, jobs,
                letterbox=letterbox,
            )  # fmt: skip
            write_labels(to, folder, named, classes, dataset.metadata, keeps_ids=True)
            lost += lost_outlines(to, members)
        write_description(to, partial, dataset.subsets, classes, dataset.metadata)
        _run(jobs, processes or os.cpu_count() or 1, progress)
    boxes_after = sum(len(image.boxes) for image in dataset.images)
    findings += _lost_findings(to, dataset)
    return Resize(
        output, dataset.format, to, len(dataset.images), len(jobs), placer.counts.total(), boxes_after, lost,
        tuple(findings),
    )  # fmt: skip


def _place_all(
    named_images: Iterable[tuple[str, ImageEntry]],
    folder: Path,
    size: tuple[int, int],
    placer: Placer,
    jobs: list[_Job],
    *,
    letterbox: bool,
) -> list[tuple[str, ImageEntry]]:
    """Places the images of one subset that have the size already, and adds the others to ``jobs``.

    Returns each image's name with its boxes in pixels of the new size.
    """
    named: list[tuple[str, ImageEntry]] = []
    table = BoxTable()
    for name, image in named_images:
        place = placement((image.width, image.height), size, letterbox=letterbox)
        target = folder / "images" / name
        if (image.width, image.height) == size and not _is_turned(image.path):
            placer.place(image.path, target)
            named.append((name, image))
        else:
            jobs.append((image.path, target, size, place))
            boxes = table.add(place.of_box(box) for box in image.boxes)
            named.append((name, replace(image, width=size[0], height=size[1], boxes=boxes)))
    return named


def _lost_findings(to: str, dataset: DetectionDataset) -> Iterator[Finding]:
    if fields := lost_fields(to, dataset, dataset.images):
        yield Finding(Severity.WARNING, "fields-lost", lost_message(to, fields), None, dataset.root)


def _refuse_unmovable(dataset: DetectionDataset) -> None:
    """Raises UserFilesError when annotations have coordinates in fields that are not understood."""
    counts = Counter(key for image in dataset.images for box in image.boxes for key in unmovable(box))
    if counts:
        shown = ", ".join(f'"{printable(key)[:40]}" ({count:,})' for key, count in counts.items())
        raise UserFilesError(
            f"nothing was resized, because annotations have coordinates in unknown fields: {shown}",
            hint="remove them from the annotations, or resize with the tool that wrote them",
        )


def _refuse_bad_outlines(dataset: DetectionDataset) -> None:
    """Raises UserFilesError with all outlines that cannot be read, and so cannot be scaled."""
    findings = []
    for image in dataset.images:
        for box in image.boxes:
            try:
                if box.segmentation:
                    segmentation.area(box.segmentation)
            except ValueError as error:
                what = f'"{printable(box.name)}" on {printable(image.path.name)}'
                message = f"the outline of {what} cannot be read: {error}"
                hint = "correct its segmentation, or remove it"
                place = image.source or image.path
                findings.append(Finding(Severity.ERROR, "outline-unreadable", message, hint, place, box.line))
    if findings:
        raise UserFilesError(
            "nothing was resized, because outlines cannot be read",
            hint="correct those first",
            findings=findings,
        )


def placement(old: tuple[int, int], new: tuple[int, int], *, letterbox: bool) -> Placement:
    """Stretched to ``new``, or with ``letterbox`` scaled to fit and centred."""
    if not letterbox:
        return Placement(new[0] / old[0], new[1] / old[1], 0, 0, *new, new)
    scale = min(new[0] / old[0], new[1] / old[1])
    width, height = max(1, round(old[0] * scale)), max(1, round(old[1] * scale))
    left, top = (new[0] - width) // 2, (new[1] - height) // 2
    return Placement(width / old[0], height / old[1], left, top, width, height, new)


_Job = tuple[Path, Path, tuple[int, int], Placement]


def _run(jobs: Sequence[_Job], processes: int, progress: Callable[[str, int, int], None]) -> None:
    """Raises UserFilesError with every image that cannot be decoded."""
    findings: list[Finding] = []
    for done, (path, problem) in enumerate(_results(jobs, processes), 1):
        if problem is not None:
            message = f"the image cannot be decoded: {printable(problem)[:200]}"
            hint = "replace it, or delete it and its label"
            findings.append(Finding(Severity.ERROR, "image-undecodable", message, hint, path))
        if done % 20 == 0:
            progress("resized", done, len(jobs))
    if findings:
        raise UserFilesError(
            "nothing was resized, because images cannot be decoded",
            hint="correct those first",
            findings=findings,
        )


def _results(jobs: Sequence[_Job], processes: int) -> Iterator[tuple[Path, str | None]]:
    if processes == 1 or len(jobs) < 2 * _CHUNK:
        yield from map(_resize, jobs)
        return
    # spawn: a fork of a process with threads may hang
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_follow_first)
    try:
        yield from pool.map(_resize, jobs, chunksize=_CHUNK)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _follow_first() -> None:
    """Ignores Ctrl-C in worker processes, which the parent handles, and ends them when the parent is gone."""
    import signal
    import threading
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    first = parent_process()

    def follow() -> None:
        if first is not None:
            wait([first.sentinel])
            os._exit(1)  # a killed parent closes no pipe, so this worker would wait for ever

    threading.Thread(target=follow, daemon=True).start()


def _resize(job: _Job) -> tuple[Path, str | None]:
    from PIL import Image, ImageOps

    path, target, size, place = job
    try:
        with open_image(path) as opened:
            if opened.format == "JPEG" and opened.mode in ("RGB", "L"):
                opened.draft(opened.mode, _at_least(opened.size, place))
            turned = ImageOps.exif_transpose(opened)
            profile = turned.info.get("icc_profile")
            kind = opened.format
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return path, str(error)
    palette = turned.mode in ("P", "1")
    mode = "RGBA" if turned.info.get("transparency") is not None else "RGB"
    converted = turned.convert(mode) if palette else turned
    if kind == "JPEG" and converted.mode == "CMYK":
        converted, profile = converted.convert("RGB"), None
    made = converted.resize((place.width, place.height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    if (place.width, place.height) != size:
        bands = len(made.getbands())
        border = _BORDER if bands == 1 else (_BORDER,) * min(3, bands) + (255,) * (bands - 3)
        sheet = Image.new(made.mode, size, border)
        sheet.paste(made, (place.left, place.top))
        made = sheet
    _save(made, target, profile)
    return path, None


def _at_least(size: tuple[int, int], place: Placement) -> tuple[int, int]:
    """The smallest size a JPEG may be decoded at: not below the result. The stored pixels may be rotated."""
    if (size[0] > size[1]) == (place.width > place.height):
        return place.width, place.height
    return place.height, place.width


def _save(converted: Any, target: Path, profile: bytes | None) -> None:
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    if target.suffix == ".jpg":
        converted.save(target, "JPEG", quality=QUALITY, **options)
    elif target.suffix == ".png":
        converted.save(target, "PNG", compress_level=4, **options)
    else:
        converted.save(target)


def _is_turned(path: Path) -> bool:
    from taorunner.datasets.files.image_header import read_header

    with suppress(OSError, ValueError):
        return read_header(path).orientation != 1
    return True


def parse_size(text: str) -> tuple[int, int]:
    """``960x544``. Raises UsageError."""
    width, cross, height = text.lower().partition("x")
    sizes = whole_number(width), whole_number(height)
    if not cross or sizes[0] is None or sizes[1] is None:
        raise UsageError(
            f'--size takes WIDTHxHEIGHT, not "{printable(text)}"', hint="for example --size 960x544"
        )
    return sizes[0], sizes[1]
