"""Finds the extent of a mask that Label Studio's brush drew, from its run lengths.

Source: label-studio-sdk ``converter/brush.py`` (decode_rle): bits, most significant first: 32 for the number of values,
5 for the bits of a value, four times 4 for the bits of a run length, then runs. Values are RGBA; alpha is the mask.
"""

from __future__ import annotations

from collections.abc import Sequence

_MOST_PIXELS = 1 << 26


def brush_extent(packed: Sequence[int], width: int, height: int) -> tuple[int, int, int, int]:
    """``(x_min, y_min, x_max, y_max)`` in pixels around all marked pixels. Raises ValueError for anything else."""
    if not 0 < width * height <= _MOST_PIXELS:
        raise ValueError(f"the mask has {width}x{height} pixels")
    values = _unpacked(packed, 4 * width * height)
    alpha = values[3::4]
    rows = [alpha[at : at + width] for at in range(0, len(alpha), width)]
    marked = [number for number, row in enumerate(rows) if any(row)]
    if not marked:
        raise ValueError("the mask is empty")
    left = min(width - len(rows[number].lstrip(b"\0")) for number in marked)
    right = max(len(rows[number].rstrip(b"\0")) for number in marked)
    return left, marked[0], right, marked[-1] + 1


def _unpacked(packed: Sequence[int], wanted: int) -> bytes:
    try:
        bits = "".join(f"{value:08b}" for value in bytes(packed))
    except (TypeError, ValueError):
        raise ValueError("the run lengths are not bytes") from None
    at = 0

    def read(count: int) -> int:
        nonlocal at
        at += count
        if at > len(bits):
            raise ValueError("the run lengths end early")
        return int(bits[at - count : at], 2)

    if read(32) != wanted:
        raise ValueError("the run lengths are of another size")
    value_bits = read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    if value_bits != 8:
        raise ValueError("the run lengths are not of bytes")
    made = bytearray()
    while len(made) < wanted:
        is_run = read(1)
        count = 1 + read(lengths[read(2)])
        made += bytes([read(8)]) * count if is_run else bytes(read(8) for _ in range(count))
    return bytes(made[:wanted])
