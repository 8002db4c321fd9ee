"""Reads KITTI datasets as TAO's converter does, and writes label lines of inference.

Source: tao/tensorflow.md section 7, column "converter": exactly 15 columns, or the conversion stops; class
names are lower-cased; a missing label file is an error, an empty one is not; empty and inverted boxes are skipped and
reported; only names that end with ``image_extension`` (case-sensitive) are images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .failures import RunFailedError

_COLUMNS = 15


@dataclass(frozen=True, slots=True)
class KittiObject:
    """One line. ``box`` is ``(x_min, y_min, x_max, y_max)`` in pixels; ``rest`` the seven columns of the 3D box."""

    name: str
    truncation: float
    occlusion: int
    angle: float
    box: tuple[float, float, float, float]
    rest: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class KittiImage:
    """``skipped``: the lines with an empty or inverted box, unchanged."""

    identifier: str
    image: Path
    objects: tuple[KittiObject, ...]
    skipped: tuple[str, ...]


def read_kitti(
    root: Path, image_dir_name: str, label_dir_name: str, image_extension: str
) -> list[KittiImage]:
    """All images, sorted by name. Raises: RunFailedError at the first error, with file and line."""
    image_dir, label_dir = root / image_dir_name, root / label_dir_name
    for folder in (image_dir, label_dir):
        if not folder.is_dir():
            raise RunFailedError("File system error", f'there is no folder "{folder}"')
    images = sorted(
        path for path in image_dir.iterdir() if path.name.endswith(image_extension) and path.is_file()
    )
    if not images:
        raise RunFailedError(
            "File system error",
            f'no image in "{image_dir}" ends with "{image_extension}" (image_extension, case matters)',
        )
    return [
        _read_image(image, f"{image_dir_name}/{image.stem}", label_dir / f"{image.stem}.txt")
        for image in images
    ]


def parse_label_line(line: str) -> KittiObject:
    """Raises: ValueError with the reason."""
    words = line.split()
    if len(words) != _COLUMNS:
        more = "; a 16th column is a detector's score" if len(words) == _COLUMNS + 1 else ""
        raise ValueError(f"{len(words)} columns, KITTI labels have {_COLUMNS}{more}")
    numbers: list[float] = []
    for word in words[1:]:
        try:
            numbers.append(float(word))
        except ValueError:
            raise ValueError(f'"{word}" is not a number') from None
        if not abs(numbers[-1]) < 1e9:
            raise ValueError(f'"{word}" is out of range')
    truncation, occlusion, angle, x_min, y_min, x_max, y_max, *rest = numbers
    return KittiObject(
        words[0].lower(), truncation, int(occlusion), angle, (x_min, y_min, x_max, y_max), tuple(rest)
    )


def label_line(name: str, box: tuple[float, float, float, float], score: float) -> str:
    """16 columns, as in TAO's inference: KITTI's 15, with zeros for the 3-D fields, then the score.

    With more digits than KITTI's, so that what is measured from the labels equals what the network measures.
    """
    return f"{name} 0.00 0 0.00 " + " ".join(f"{edge:.4f}" for edge in box) + " 0.00" * 7 + f" {score:.7f}"


def _read_image(image: Path, identifier: str, label: Path) -> KittiImage:
    try:
        lines = label.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise RunFailedError(
            "File system error", f'"{image}" has no label file "{label}" (an empty file means: nothing in it)'
        ) from None
    except UnicodeDecodeError:
        raise RunFailedError("Parameter validation error", f'"{label}" is not UTF-8 text') from None
    objects: list[KittiObject] = []
    skipped: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = parse_label_line(line)
        except ValueError as error:
            raise RunFailedError("Parameter validation error", f"{label}:{number}: {error}") from None
        x_min, y_min, x_max, y_max = found.box
        if x_min < x_max and y_min < y_max:
            objects.append(found)
        else:
            skipped.append(line)
    return KittiImage(identifier, image, tuple(objects), tuple(skipped))
