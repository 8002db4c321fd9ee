"""Generates a KITTI dataset of circles, squares and triangles on noise, to try all actions without own data.

The task is not trivial: sizes from 12 to 40 pixels in images of 96, any colour, rotated shapes, low contrast,
overlaps, blur, noise, and crosses, lines and rings that must not be detected. The same arguments give the same
images, each drawn from its own random stream.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .failures import RunFailedError
from .run import StopRequest

CLASSES = ("circle", "square", "triangle")
SUPERSAMPLING = 3
_MAXIMAL_OVERLAP = 0.25

Box = tuple[float, float, float, float]
Points = list[tuple[float, float]]


def write_sample_dataset(
    directory: Path, images: int, held_out: int, size: int, seed: int, stop_request: StopRequest
) -> None:
    """Writes ``directory/{image_2,label_2}``, or with ``held_out`` test images ``directory/{train,test}/...``.

    The folder appears complete or not at all. Raises: RunFailedError when it already has files,
    RunInterruptedError.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RunFailedError(
            "File system error", f'"{directory}" exists and is not an empty folder; choose a new one'
        )
    unfinished = directory.with_name(directory.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for number in range(images):
            stop_request.stop_if_asked()
            part = "" if not held_out else "test" if number >= images - held_out else "train"
            images_dir, labels_dir = unfinished / part / "image_2", unfinished / part / "label_2"
            images_dir.mkdir(parents=True, exist_ok=True)
            labels_dir.mkdir(parents=True, exist_ok=True)
            picture, labels = draw_sample(seed, number, size)
            picture.save(images_dir / f"{number:06d}.png", compress_level=1)
            (labels_dir / f"{number:06d}.txt").write_text("".join(label + "\n" for label in labels))
        if directory.exists():
            directory.rmdir()
        unfinished.rename(directory)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def draw_sample(seed: int, number: int, size: int) -> tuple[Image.Image, list[str]]:
    """One image and its label lines (15 columns)."""
    random = np.random.default_rng([seed, number])
    large = size * SUPERSAMPLING
    picture = _ground(random, large)
    draw = ImageDraw.Draw(picture)
    for _ in range(int(random.integers(1, 4))):
        _draw_distractor(draw, random, large)
    labels: list[str] = []
    taken: list[Box] = []
    for _ in range(int(random.integers(1, 6))):
        name = CLASSES[int(random.integers(len(CLASSES)))]
        placed = _place(random, name, size, taken)
        if placed is None:
            continue
        box, points = placed
        taken.append(box)
        colour = _contrasting_colour(random, picture, box)
        scaled = [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in points]
        draw.polygon(scaled, fill=colour)
        labels.append(f"{name} 0.00 0 0.00 " + " ".join(f"{edge:.2f}" for edge in box) + " 0.00" * 7)
    picture = picture.resize((size, size), Image.Resampling.BOX)
    picture = picture.filter(ImageFilter.GaussianBlur(float(random.uniform(0, 0.8))))
    noise = random.normal(0, random.uniform(4, 14), (size, size, 3))
    noisy = np.clip(np.asarray(picture, np.float64) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(noisy), labels


def _ground(random: np.random.Generator, size: int) -> Image.Image:
    """Soft clouds between two colours."""
    first, second = random.uniform(30, 225, (2, 3))
    coarse = random.uniform(0, 1, (5, 5, 1))
    colours = first * coarse + second * (1 - coarse)
    small = Image.fromarray(colours.astype(np.uint8))
    return small.resize((size, size), Image.Resampling.BICUBIC)


def _outline(random: np.random.Generator, name: str, radius: float) -> Points:
    """The shape around the origin, rotated by a random angle; ``radius`` is half its longest extent."""
    turn = float(random.uniform(0, 2 * math.pi))
    if name == "circle":
        angles, squash = np.linspace(0, 2 * math.pi, 40, endpoint=False), float(random.uniform(0.8, 1.0))
        return [
            _turned(radius * math.cos(angle), radius * squash * math.sin(angle), turn) for angle in angles
        ]
    corners, jitter = (4, 0.06) if name == "square" else (3, 0.12)
    steps = [
        2 * math.pi * (corner + float(random.uniform(-jitter, jitter))) / corners for corner in range(corners)
    ]
    return [_turned(radius * math.cos(step), radius * math.sin(step), turn) for step in steps]


def _turned(x: float, y: float, angle: float) -> tuple[float, float]:
    return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)


def _place(random: np.random.Generator, name: str, size: int, taken: list[Box]) -> tuple[Box, Points] | None:
    """A box inside the image that covers earlier ones only partly; None when there is no room."""
    for _ in range(12):
        outline = _outline(random, name, size * float(random.uniform(0.075, 0.22)))
        xs, ys = [x for x, _ in outline], [y for _, y in outline]
        x_shift = float(random.uniform(1 - min(xs), size - 1 - max(xs)))
        y_shift = float(random.uniform(1 - min(ys), size - 1 - max(ys)))
        box = (min(xs) + x_shift, min(ys) + y_shift, max(xs) + x_shift, max(ys) + y_shift)
        if all(_shared(box, other) <= _MAXIMAL_OVERLAP for other in taken):
            return box, [(x + x_shift, y + y_shift) for x, y in outline]
    return None


def _shared(box: Box, other: Box) -> float:
    """The shared area as a fraction of the smaller box."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    smaller = min((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    return max(0.0, width) * max(0.0, height) / smaller


def _contrasting_colour(random: np.random.Generator, picture: Image.Image, box: Box) -> tuple[int, int, int]:
    """A random colour that differs visibly from the background of the box."""
    left, upper, right, lower = (int(edge * SUPERSAMPLING) for edge in box)
    below = np.asarray(picture.crop((left, upper, right, lower))).reshape(-1, 3).mean(axis=0)
    while True:
        colour = random.integers(0, 256, 3)
        if np.abs(colour - below).sum() > 110:
            return int(colour[0]), int(colour[1]), int(colour[2])


def _draw_distractor(draw: ImageDraw.ImageDraw, random: np.random.Generator, size: int) -> None:
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    colour = (red, green, blue)
    x, y = (float(value) for value in random.uniform(0.1, 0.9, 2) * size)
    radius = float(random.uniform(0.05, 0.15)) * size
    width = int(random.integers(2, 3 * SUPERSAMPLING))
    kind = int(random.integers(3))
    if kind == 0:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=width)
    elif kind == 1:
        draw.line((x - radius, y, x + radius, y), fill=colour, width=width)
        draw.line((x, y - radius, x, y + radius), fill=colour, width=width)
    else:
        far_x, far_y = (float(value) for value in random.uniform(0, size, 2))
        draw.line((x, y, far_x, far_y), fill=colour, width=width)
