"""How a network's spec maps mask values to classes, and which values a mask holds.

Values are tuples: one number for grayscale and palette masks, three for coloured ones. Reading them needs Pillow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taorunner.datasets.files.image_header import ImageHeader
from taorunner.datasets.files.pixels import open_image
from taorunner.values.value import Value

_NORM = 255
_MOST_COLOURS = 4096


class MaskReading(Value):
    """``classes``: pairs of mask value and class number; every other value silently becomes class 0.

    ``is_normed``: values are divided by 255 (integer division) before the lookup. ``key`` is the spec key that lists
    the values; ``norm_key`` and ``norm_word`` are the key and value to set for masks of 0 and 255.

    Source: tao-pytorch 7.0.1 cv/segformer/dataloader/dataset.py and utils.py (the first colour decides whether masks
    are converted to RGB); tao_tensorflow1_backend cv/unet/utils/data_loader.py.
    """

    key: str
    classes: tuple[tuple[tuple[int, ...], int], ...]
    is_normed: bool = False
    norm_key: str = ""
    norm_word: str = ""

    @property
    def is_coloured(self) -> bool:
        return bool(self.classes) and len(self.classes[0][0]) == 3

    def class_of(self, value: tuple[int, ...]) -> int | None:
        """None for a value that is not listed. If a value is listed twice, the last entry counts."""
        looked_up = tuple(part // _NORM for part in value) if self.is_normed else value
        found = None
        for known, number in self.classes:
            if known == looked_up or (len(known) == 1 and known * len(looked_up) == looked_up):
                found = number
        return found

    def takes(self, header: ImageHeader) -> bool:
        """True when a mask of this format can be read: coloured masks in a lossless format, others with one channel."""
        if self.is_coloured:
            return header.format != "jpeg" and header.bits <= 8
        return header.format == "png" and header.channels == 1 and header.bits <= 8


def values_in(path: Path, *, coloured: bool) -> frozenset[tuple[int, ...]]:
    """The pixel values of a mask, as TAO's loaders get them from Pillow.

    Raises OSError, ValueError or SyntaxError when it cannot be decoded.
    """

    with open_image(path) as opened:
        mask = opened.convert("RGB") if coloured else opened
        counted = mask.getcolors(_MOST_COLOURS)
        is_bits = mask.mode == "1"
    if counted is None:
        raise ValueError(f"it has more than {_MOST_COLOURS} colours, so it is not a mask")
    values = [value if isinstance(value, tuple) else (int(value),) for _, value in counted]
    return frozenset((part[0] // 255,) if is_bits else tuple(map(int, part)) for part in values)


def spread(names: Sequence[str], most: int) -> list[str]:
    """At most ``most`` of the names, evenly spread over the list."""
    step = -(-len(names) // most) if names else 1
    return list(names[::step])
