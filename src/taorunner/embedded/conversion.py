"""``dataset_convert``: converts a KITTI folder to TFRecord files with images, boxes and classes.

Source: tao/tensorflow.md section 7. Fold 0 (validation) is the first ``val_split`` per cent of the sorted names,
fold 1 the rest; only the order inside a fold is shuffled, with seed 42. With ``val_split`` 0 the training data are
written as fold 0, as TAO does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from .example_proto import Value, encode_example
from .failures import RunFailedError
from .kitti import KittiImage, KittiObject, read_kitti
from .pictures import open_image
from .run import Run
from .spec import Spec, required
from .tfrecord import write_records

_SHUFFLE_SEED = 42
_WORLD = ("h", "w", "l", "x", "y", "z", "rot_y")


def convert(spec: Spec, run: Run) -> None:
    wanted = spec.dataset_convert
    root = Path(required(wanted.root_directory_path, "dataset_convert.root_directory_path"))
    prefix = Path(required(wanted.output_filename, "dataset_convert.output_filename"))
    pictures = read_kitti(root, wanted.image_dir_name, wanted.label_dir_name, wanted.image_extension)
    folds = split(pictures, wanted.val_split)
    if len(folds) == 1:
        run.console.line("val_split is 0: as in TAO, the training data are written as fold-000")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    written: set[Path] = set()
    for fold, members in enumerate(folds):
        for path, part in shards(prefix, fold, members, wanted.num_shards):
            write_records(path, _examples(part, run))
            written.add(path)
        run.console.line(
            f"fold {fold}: {len(members)} images, {sum(len(p.objects) for p in members)} objects"
        )
    for path in _records_of(prefix):
        if path not in written:
            path.unlink()
            run.console.line(f'removed "{path}", left by an earlier conversion with other shards')
    _report_skipped(prefix, pictures, run)
    counts: dict[str, int] = {}
    for name in sorted(found.name for picture in pictures for found in picture.objects):
        counts[name] = counts.get(name, 0) + 1
    run.console.line("classes: " + (", ".join(f"{name} {count}" for name, count in counts.items()) or "none"))
    run.console.line(f"{len(written)} files: {prefix}-fold-*")


def split(pictures: Sequence[KittiImage], val_split: float) -> list[list[KittiImage]]:
    """``[validation, training]``, or ``[training]`` when nothing is held out."""
    held_back = int(len(pictures) * val_split / 100)
    folds = [list(pictures[:held_back]), list(pictures[held_back:])]
    folds = [fold for fold in folds if fold]
    for fold in folds:
        Random(_SHUFFLE_SEED).shuffle(fold)
    return folds


def shards(
    prefix: Path, fold: int, members: Sequence[KittiImage], num_shards: int
) -> Iterator[tuple[Path, Sequence[KittiImage]]]:
    """The files of a fold and their images; the remainder goes into the last file."""
    name = f"{prefix.name}-fold-{fold:03d}-of-002"
    if num_shards == 0:
        yield prefix.with_name(name), members
        return
    size = len(members) // num_shards
    for shard in range(num_shards):
        end = (shard + 1) * size if shard < num_shards - 1 else len(members)
        path = prefix.with_name(f"{name}-shard-{shard:05d}-of-{num_shards:05d}")
        yield path, members[shard * size : end]


def example_of(picture: KittiImage) -> bytes:
    """One record, with the feature names of TAO's converter and the encoded image file."""
    width, height = open_image(picture.image).size
    objects = picture.objects
    features: dict[str, Value] = {
        "frame/id": [picture.identifier.encode()],
        "frame/width": [width],
        "frame/height": [height],
        "frame/encoded": [picture.image.read_bytes()],
        "target/object_class": [found.name.encode() for found in objects],
        "target/truncation": [found.truncation for found in objects],
        "target/occlusion": [found.occlusion for found in objects],
        "target/observation_angle": [found.angle for found in objects],
    }
    for index, edge in enumerate(("x1", "y1", "x2", "y2")):
        features[f"target/coordinates_{edge}"] = [_clamped(found, index, width, height) for found in objects]
    for index, part in enumerate(_WORLD):
        features[f"target/world_bbox_{part}"] = [found.rest[index] for found in objects]
    return encode_example(features)


def _clamped(found: KittiObject, index: int, width: int, height: int) -> float:
    return min(max(found.box[index], 0.0), float((width, height)[index % 2]))


def _examples(members: Sequence[KittiImage], run: Run) -> Iterator[bytes]:
    for picture in members:
        run.stop_if_asked()
        yield example_of(picture)


def _records_of(prefix: Path) -> list[Path]:
    pattern = re.compile(re.escape(prefix.name) + r"-fold-\d{3}-of-\d{3}(-shard-\d{5}-of-\d{5})?\Z")
    return sorted(path for path in prefix.parent.iterdir() if pattern.match(path.name))


def _report_skipped(prefix: Path, pictures: Sequence[KittiImage], run: Run) -> None:
    path = prefix.with_name(prefix.name + "_warning.json")
    skipped = {picture.identifier: list(picture.skipped) for picture in pictures if picture.skipped}
    if not skipped:
        path.unlink(missing_ok=True)
        return
    try:
        path.write_text(json.dumps(skipped, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunFailedError("File system error", f'cannot write "{path}": {error.strerror}') from error
    count = sum(len(lines) for lines in skipped.values())
    run.console.line(f'skipped {count} empty or inverted boxes, noted in "{path}"')
