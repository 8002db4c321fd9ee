"""Scores masks of classes, as semantic segmentation writes them, against the masks of a dataset.

A gray value or the index of a palette is a class; in colours with three different channels, the colour is. A mask in
another size than that of the truth is stretched to it, each pixel from the nearest one: networks write masks in their
input size.
Source: NVIDIA-TAO/tao-pytorch cv/segformer/model/segformer_pl_model.py (colours of the palette, gray as three equal
channels); NVIDIA-TAO/tao-deploy cv/segformer/scripts/inference.py, cv/unet/inferencer.py and
NVIDIA/tao_tensorflow1_backend cv/unet/scripts/inference.py (gray values in ``mask_labels*``).
"""

from __future__ import annotations

import os
import stat
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taorunner.contained_files import open_file, opened_folders
from taorunner.datasets.files.pixels import open_image
from taorunner.datasets.model.annotations import ImageEntry
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.evaluation.measures import PIXELS
from taorunner.evaluation.predictions import MOST_FILES, Written, of_other_runs
from taorunner.evaluation.result import ClassScore, Confusion, Data, Evaluation, Protocol, WorstImage
from taorunner.text import amount, printable
from taorunner.values.value import Value
from taorunner.version import __version__

if TYPE_CHECKING:
    from PIL import Image

_FOLDERS = ("mask_labels", "mask_labels_tlt", "mask_labels_trt")
_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
_LOSSY = (".jpg", ".jpeg")
_MOST_WORST, _MOST_CLASSES = 24, 1000
_HINT = "give the masks that the inference wrote: …/mask_labels, or the folder of the inference"


class Masks(Value):
    """``files``: the mask of each image, by stem. ``root``: no link below it is followed."""

    root: Path
    files: Mapping[str, Path]
    findings: tuple[Finding, ...]


def find_masks(place: Path, written: Written) -> Masks:
    """The masks of a folder, or of the one that an inference makes in it.

    Raises UserFilesError for a folder without any, for two masks of one name, and for JPEG, which changes values.
    """
    root = written.root or place
    inner = (place / name for name in _FOLDERS)
    folder = next((one for one in inner if one.is_dir() and not one.is_symlink()), place)
    files: dict[str, Path] = {}
    lossy: list[Path] = []
    outside = Counter[str]()
    for path, modified_s in _mask_files(root, folder):
        if not written.since_s <= modified_s <= written.until_s:
            outside["earlier" if modified_s < written.since_s else "later"] += 1
        elif path.suffix.lower() in _LOSSY:
            lossy.append(path)
        elif path.stem in files:
            raise UserFilesError(
                f'"{printable(path.name)}" and "{printable(files[path.stem].name)}" are masks of one name',
                hint="give images of one name different names",
            )
        else:
            files[path.stem] = path
    if lossy and not files:
        raise UserFilesError(
            f'"{printable(lossy[0].name)}" is a JPEG file, which does not keep the values of a mask',
            hint="infer PNG images: the network gives its masks the names of the images",
        )
    if not files:
        raise UserFilesError(f'there is no mask in "{printable(str(folder))}"', hint=_HINT)
    return Masks(root, files, tuple(of_other_runs(outside, folder)))


def _mask_files(root: Path, folder: Path) -> list[tuple[Path, float]]:
    """The images of a folder, with the time at which they were written; no links."""
    found: list[tuple[Path, float]] = []
    for place, opened, folders, names in opened_folders(root, folder):
        folders.clear()
        images = [name for name in names if name[-5:].lower().endswith((*_SUFFIXES, *_LOSSY))]
        if len(images) > MOST_FILES:
            raise UserFilesError(
                f'more than {MOST_FILES:,} masks are in "{printable(str(folder))}"', hint=_HINT
            )
        for name in images:
            with suppress(OSError):
                status = os.lstat(name, dir_fd=opened)
                if stat.S_ISREG(status.st_mode):
                    found.append((place / name, status.st_mtime))
    return sorted(found)


def score_pixels(
    images: Sequence[ImageEntry], truths: Mapping[Path, Path], masks: Masks, names: Sequence[str], data: Data
) -> Evaluation:
    """The evaluation of all images that have a mask in the truth. ``names`` are those of gray values, as far as known.

    Raises UserFilesError where two images share a name, and where none has a mask in both.
    """
    counted = _Counted()
    findings: list[Finding] = list(masks.findings)
    for image, stem in _by_stem(images, truths):
        counted.add(image, truths[image.path], masks, stem)
    findings += counted.findings()
    if not counted.shares:
        raise UserFilesError("no image has a mask in both", findings=findings, hint=_HINT)
    values = sorted({truth for truth, _ in counted.pairs})
    if len(values) > _MOST_CLASSES:
        raise UserFilesError(
            f"the masks of the truth have {len(values):,} values: they are no classes",
            hint="give masks in which each value is a class",
        )
    matrix = _matrix(values, counted.pairs)
    classes = [_name(value, names) for value in values]
    per_class = tuple(_class_score(name, place, matrix) for place, name in enumerate(classes))
    total = sum(map(sum, matrix))
    means = {
        name: sum(one.figures[name] or 0.0 for one in per_class) / len(per_class)
        for name in ("IoU", "F1", "precision", "recall")
    }
    worst = sorted(counted.shares, key=lambda one: (one[1], str(one[0].path)))
    return Evaluation(
        task=PIXELS,
        protocol=Protocol("pixels", "pixels: IoU of each class over all images", "taorunner", __version__, {}),
        data=data,
        overall={
            "mIoU": means.pop("IoU"), "accuracy": sum(matrix[i][i] for i in range(len(values))) / total, **means,
        },
        per_class=per_class,
        confusion=Confusion((*classes,), tuple(map(tuple, matrix)), unit="pixels"),
        worst=tuple(
            WorstImage(_below(image, Path(data.folder or "/")), image.width, image.height, share=round(share, 6))
            for image, share in worst[:_MOST_WORST] if share < 1
        ),
        missing=len(counted.missing),
        findings=tuple(findings),
    )  # fmt: skip


class _Counted:
    """``pairs``: pixels by their value in the truth and the predicted one. ``shares``: the part of each image that is
    right."""

    def __init__(self) -> None:
        self.pairs: Counter[tuple[int, int]] = Counter()
        self.shares: list[tuple[ImageEntry, float]] = []
        self.missing: list[ImageEntry] = []
        self._faults: defaultdict[str, list[Path]] = defaultdict(list)

    def add(self, image: ImageEntry, truth: Path, masks: Masks, stem: str) -> None:
        import numpy as np

        path = masks.files.get(stem)
        if path is None:
            self.missing.append(image)
            return
        wanted, found = read_values(truth.parent, truth), read_values(masks.root, path)
        if wanted is None or found is None:
            self._faults["unreadable"].append(truth if wanted is None else path)
            return
        if wanted.shape != found.shape:
            self._faults["size"].append(path)
            found = _stretched(found, *wanted.shape)
        joined, counts = np.unique(wanted.astype(np.int64) << 32 | found, return_counts=True)
        if len(self.pairs) + len(joined) > _MOST_CLASSES**2:
            raise UserFilesError(
                f"the masks have more than a million pairs of values, in {printable(str(path))}: they are no classes",
                hint="give masks in which each value is a class",
            )
        right = 0
        for key, count in zip(joined.tolist(), counts.tolist(), strict=True):
            self.pairs[key >> 32, key & 0xFFFFFFFF] += count
            right += count if key >> 32 == key & 0xFFFFFFFF else 0
        self.shares.append((image, right / wanted.size))

    def findings(self) -> Iterator[Finding]:
        said = {
            "unreadable": (
                Severity.WARNING,
                "left out: it cannot be decoded, or has more than 89 million pixels",
                "write it again",
            ),
            "size": (Severity.INFO, "in another size than the truth: stretched to it", None),
        }
        for code, paths in self._faults.items():
            severity, text, hint = said[code]
            yield Finding(severity, f"mask-{code}", f"{amount(len(paths), 'mask')} {text}", hint, paths[0])
        if self.missing:
            names = ", ".join(printable(image.path.name) for image in self.missing[:3])
            message = f"{amount(len(self.missing), 'image')} without a mask left out, such as {names}"
            yield Finding(
                Severity.WARNING,
                "prediction-missing",
                message,
                "infer all of them, or name the subset: --split val",
            )


def _by_stem(images: Sequence[ImageEntry], truths: Mapping[Path, Path]) -> Iterator[tuple[ImageEntry, str]]:
    seen: dict[str, ImageEntry] = {}
    for image in images:
        if image.path not in truths:
            continue
        other = seen.setdefault(image.path.stem, image)
        if other is not image:
            raise UserFilesError(
                f'"{printable(str(other.path))}" and "{printable(str(image.path))}" share the mask '
                f'"{printable(image.path.stem)}"',
                hint="give images of one name different names, or evaluate one subset: --split val",
            )
        yield image, image.path.stem


def read_values(root: Path, path: Path) -> Any:
    """The class of each pixel as a number: a gray value or palette index, or a colour; None for what cannot be read."""
    from PIL import Image

    descriptor = open_file(root, path)
    if descriptor is None:
        return None
    try:
        with os.fdopen(descriptor, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_image(file) as opened:
                return _classes_of(opened)
    except (
        OSError,
        ValueError,
        SyntaxError,
        MemoryError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ):
        return None


def _classes_of(opened: Image.Image) -> Any:
    import numpy as np

    if opened.mode in ("RGB", "RGBA", "CMYK", "YCbCr"):
        red, green, blue = (np.asarray(one, dtype=np.int64) for one in opened.convert("RGB").split())
        colour = (red << 16 | green << 8 | blue) + _COLOUR
        return np.where((red == green) & (green == blue), red, colour)
    pixels = np.asarray(opened if opened.mode in ("P", "I;16", "I", "1") else opened.convert("L"))
    return pixels.astype(np.int64) & _LARGEST


_COLOUR = 1 << 24
"""Added to the number of a colour, which tells it from a gray value."""
_LARGEST = 2**31 - 1
"""Two values share a number of 64 bits where pairs are counted."""


def _stretched(pixels: Any, height: int, width: int) -> Any:
    import numpy as np

    rows = ((np.arange(height) + 0.5) * pixels.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * pixels.shape[1] / width).astype(int)
    return pixels[np.ix_(rows, columns)]


def _matrix(values: Sequence[int], pairs: Mapping[tuple[int, int], int]) -> list[list[int]]:
    """The last column holds pixels with a predicted value that the truth does not have; the last row is empty."""
    place_of = {value: place for place, value in enumerate(values)}
    matrix = [[0] * (len(values) + 1) for _ in range(len(values) + 1)]
    for (truth, found), count in pairs.items():
        matrix[place_of[truth]][place_of.get(found, len(values))] += count
    return matrix


def _class_score(name: str, place: int, matrix: Sequence[Sequence[int]]) -> ClassScore:
    right, truths = matrix[place][place], sum(matrix[place])
    taken = sum(row[place] for row in matrix)
    return ClassScore(name, truths, {
        "IoU": right / (taken + truths - right), "F1": 2 * right / (taken + truths),
        "precision": right / taken if taken else 0.0, "recall": right / truths,
    })  # fmt: skip


def _name(value: int, names: Sequence[str]) -> str:
    if value >= _COLOUR:
        return f"#{value - _COLOUR:06x}"
    return names[value] if value < len(names) else str(value)


def _below(image: ImageEntry, root: Path) -> str:
    return image.path.relative_to(root).as_posix() if image.path.is_relative_to(root) else str(image.path)
