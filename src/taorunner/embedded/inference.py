"""``inference``: writes KITTI label files with a score as 16th column, and images with the boxes drawn in.

``results/labels/NAME.txt`` and ``results/images_annotated/NAME.EXT`` for every image of ``inference.image_dir``;
boxes are in pixels of the original image, clipped to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .checkpoint import load_network
from .console import Progress
from .failures import RunFailedError
from .kitti import label_line
from .metrics import Detections, select
from .network import Network, Normalisation, decode, normalise
from .pictures import SUFFIXES, open_image, to_input
from .run import Run
from .spec import Spec, normalisation_of, required
from .status_log import RUNNING

_COLOURS = ((255, 64, 64), (64, 224, 64), (80, 128, 255), (255, 208, 0), (255, 96, 255), (0, 224, 224))


def infer(spec: Spec, run: Run) -> None:
    checkpoint = Path(required(spec.inference.checkpoint, "inference.checkpoint"))
    image_dir = Path(required(spec.inference.image_dir, "inference.image_dir"))
    if not image_dir.is_dir():
        raise RunFailedError("File system error", f'there is no folder "{image_dir}"')
    images = (path for path in image_dir.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    paths = sorted(images, key=lambda path: (path.stem, path.suffix))
    if not paths:
        raise RunFailedError("File system error", f'no image in "{image_dir}" ({", ".join(SUFFIXES)})')
    for one, other in pairwise(paths):
        if one.stem == other.stem:
            raise RunFailedError(
                "Parameter validation error",
                f'"{one.name}" and "{other.name}" would share the label file "{one.stem}.txt"',
            )
    run.status.write(RUNNING, f"Loading checkpoint: {checkpoint}")
    network, normalisation = load_network(checkpoint), normalisation_of(spec.dataset)
    labels, annotated = run.folder / "labels", run.folder / "images_annotated"
    labels.mkdir(parents=True, exist_ok=True)
    annotated.mkdir(parents=True, exist_ok=True)
    size = spec.inference.batch_size
    progress = Progress(run.console, "Predicting DataLoader 0", len(range(0, len(paths), size)))
    total = 0
    for start in range(0, len(paths), size):
        run.stop_if_asked()
        batch = paths[start : start + size]
        pictures = [open_image(path) for path in batch]
        found_by_image = detect(network, pictures, normalisation, spec.inference.threshold)
        for path, picture, found in zip(batch, pictures, found_by_image, strict=True):
            lines = [
                label_line(
                    network.architecture.class_names[number], (x_min, y_min, x_max, y_max), float(score)
                )
                for (x_min, y_min, x_max, y_max), score, number in zip(
                    found.boxes.tolist(), found.scores, found.classes.tolist(), strict=True
                )
            ]
            (labels / f"{path.stem}.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
            draw(picture, found, network.architecture.class_names)
            picture.save(annotated / path.name)
            total += len(lines)
        progress.advance()
    run.console.line(f'{total} objects in {len(paths)} images: "{labels}", "{annotated}"')


def detect(
    network: Network, pictures: Sequence[Image.Image], normalisation: Normalisation, threshold: float
) -> list[Detections]:
    """The detections in each image, with boxes in its own pixels."""
    size = network.architecture
    inputs = np.stack([to_input(picture, size.input_width, size.input_height) for picture in pictures])
    boxes, scores = decode(network.forward(normalise(inputs, normalisation)), size.rows, size.columns)
    found: list[Detections] = []
    for picture, some_boxes, some_scores in zip(pictures, boxes, scores, strict=True):
        chosen = select(some_boxes, some_scores, threshold)
        border = np.array([picture.width, picture.height] * 2, np.float32)
        scale = border / np.array([size.input_width, size.input_height] * 2, np.float32)
        found.append(Detections(np.clip(chosen.boxes * scale, 0, border), chosen.scores, chosen.classes))
    return found


def draw(picture: Image.Image, found: Detections, class_names: Sequence[str]) -> None:
    """Draws boxes with class and score into ``picture``, in place."""
    pen = ImageDraw.Draw(picture)
    for box, score, number in zip(found.boxes.tolist(), found.scores, found.classes.tolist(), strict=True):
        colour = _COLOURS[number % len(_COLOURS)]
        pen.rectangle(tuple(box), outline=colour)
        pen.text((box[0] + 2, box[1] + 1), f"{class_names[number]} {score:.2f}", fill=colour)
