"""The images of a run in memory: read from TFRecord files or a KITTI folder, resized, with numbered classes."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .arrays import Floats, Images
from .conversion import example_of
from .example_proto import Value, decode_example
from .failures import RunFailedError
from .kitti import read_kitti
from .loss import Objects
from .network import Architecture
from .pictures import open_image, to_input
from .run import Run
from .tfrecord import read_records

_LABEL_PAIRS = (("image_2", "label_2"), ("images", "labels"))


@dataclass(frozen=True, slots=True)
class Dataset:
    """``objects`` and their boxes are in pixels of the network's input, ``scales`` ``(image, 2)`` convert back:
    original x = x * scale. ``ignored`` counts objects of classes that the spec does not list."""

    pictures: Images
    objects: tuple[Objects, ...]
    scales: Floats
    ignored: dict[str, int]

    def __len__(self) -> int:
        return len(self.objects)


def load_tfrecords(pattern: str, architecture: Architecture, run: Run) -> Dataset:
    """Raises: RunFailedError when no file matches, or one is broken."""
    return _load(_payloads(pattern), architecture, run, f'"{pattern}"')


def class_names_in(pattern: str) -> tuple[str, ...]:
    """The classes in the records, sorted, without DontCare: what TAO's KITTI networks call no class.

    Raises: RunFailedError when no file matches, or one is broken.
    """
    names: set[str] = set()
    for where, payload in _payloads(pattern):
        names.update(_example(where, payload)[1])
    return tuple(sorted(names - {"dontcare"}))


def load_kitti(root: Path, image_extension: str, architecture: Architecture, run: Run) -> Dataset:
    """Reads the images directly, from ``image_2`` and ``label_2`` or from ``images`` and ``labels``.

    Raises: RunFailedError.
    """
    images, labels = next((pair for pair in _LABEL_PAIRS if (root / pair[0]).is_dir()), _LABEL_PAIRS[0])
    pictures = read_kitti(root, images, labels, image_extension)
    payloads = ((f'"{picture.image}"', example_of(picture)) for picture in pictures)
    return _load(payloads, architecture, run, f'"{root}"')


def describe(dataset: Dataset, architecture: Architecture) -> str:
    """``216 images, 668 objects (circle 220, square 221, triangle 227; ignored: dontcare 3)``."""
    numbers = np.concatenate([objects.classes for objects in dataset.objects])
    counts = [
        f"{name} {int((numbers == index).sum())}" for index, name in enumerate(architecture.class_names)
    ]
    ignored = ", ".join(f"{name} {count}" for name, count in sorted(dataset.ignored.items()))
    return (
        f"{len(dataset)} images, {len(numbers)} objects ({', '.join(counts)}"
        + (f"; ignored: {ignored}" if ignored else "")
        + ")"
    )


def _payloads(pattern: str) -> Iterator[tuple[str, bytes]]:
    paths = [Path(path) for path in sorted(glob.glob(pattern)) if Path(path).is_file()]  # noqa: PTH207 (an absolute pattern)
    if not paths:
        raise RunFailedError(
            "File system error", f'no tfrecord file matches "{pattern}"; run dataset_convert first'
        )
    for path in paths:
        for number, payload in enumerate(read_records(path)):
            yield f'record {number} of "{path}"', payload


def _example(where: str, payload: bytes) -> tuple[bytes, list[str], Floats]:
    """The encoded image, and the name and box of each object."""
    try:
        example = decode_example(payload)
        names, boxes = _objects_of(example)
        return next(_texts(example, "frame/encoded")), names, boxes
    except (ValueError, StopIteration) as error:
        raise RunFailedError(
            "Parameter validation error", f"{where} is not an example of this network: {error}"
        ) from error


def _load(
    payloads: Iterable[tuple[str, bytes]], architecture: Architecture, run: Run, source: str
) -> Dataset:
    numbers = {name.lower(): number for number, name in enumerate(architecture.class_names)}
    pictures: list[Images] = []
    objects: list[Objects] = []
    scales: list[tuple[float, float]] = []
    ignored: dict[str, int] = {}
    for where, payload in payloads:
        run.stop_if_asked()
        encoded, names, boxes = _example(where, payload)
        picture = open_image(encoded, where)
        scale = picture.width / architecture.input_width, picture.height / architecture.input_height
        kept = [index for index, name in enumerate(names) if name in numbers]
        for name in names:
            if name not in numbers:
                ignored[name] = ignored.get(name, 0) + 1
        fitted = (boxes[kept] / np.array(scale * 2, np.float32)).astype(np.float32)
        objects.append(Objects(fitted, np.array([numbers[names[i]] for i in kept], np.int64)))
        pictures.append(to_input(picture, architecture.input_width, architecture.input_height))
        scales.append(scale)
    if not pictures:
        raise RunFailedError("Parameter validation error", f"there is no image in {source}")
    return Dataset(np.stack(pictures), tuple(objects), np.array(scales, np.float32), ignored)


def _objects_of(example: dict[str, Value]) -> tuple[list[str], Floats]:
    names = [text.decode().lower() for text in _texts(example, "target/object_class")]
    edges = [list(_numbers(example, f"target/coordinates_{edge}")) for edge in ("x1", "y1", "x2", "y2")]
    if any(len(edge) != len(names) for edge in edges):
        raise ValueError("the numbers of classes and boxes differ")
    return names, np.array(edges, np.float32).reshape(4, -1).T


def _numbers(example: dict[str, Value], name: str) -> Iterator[float]:
    for value in example.get(name, []):
        if isinstance(value, bytes):
            raise ValueError(f'"{name}" is not a number')
        yield float(value)


def _texts(example: dict[str, Value], name: str) -> Iterator[bytes]:
    for value in example.get(name, []):
        if not isinstance(value, bytes):
            raise ValueError(f'"{name}" is not text')
        yield value
