"""Checks a bundle: its model, run by onnxruntime with the bundle's preprocessing, gives the boxes that TAO wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from taorunner.catalog.handover import Agreement
from taorunner.errors import UserFilesError
from taorunner.handover.model import Contents, Preprocessing
from taorunner.text import amount, printable
from taorunner.values.value import Value

_PROGRAM = "taorunner.handover.model_process"
_NEEDED = ("onnxruntime", "numpy", "PIL")
_TIME_S = 600.0
_MOST_ANSWER_BYTES = 64 * 1024**2
_MARGIN = 0.02
"""A box this near to the lowest score may be on one side of it here, on the other there."""


class Box(Value):
    """In pixels of the image. ``name`` is the class."""

    name: str
    corners: tuple[float, float, float, float]
    score: float


class Checked(Value):
    """``state``: passed, or not-checked for ``reason``. ``agree`` of ``boxes`` on ``images`` are the same on both
    sides; ``farthest_px`` and ``score_off`` are the largest differences among them."""

    state: str
    reason: str = ""
    images: int = 0
    boxes: int = 0
    agree: int = 0
    farthest_px: float = 0.0
    score_off: float = 0.0
    onnxruntime: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "state": self.state, "reason": self.reason, "images": self.images, "boxes": self.boxes, "agree": self.agree,
            "farthest_px": round(self.farthest_px, 3), "score_off": round(self.score_off, 5),
            "onnxruntime": self.onnxruntime,
        }  # fmt: skip


def not_checked(reason: str) -> Checked:
    return Checked("not-checked", reason)


def missing_packages() -> str | None:
    """Why no model can be run here; None where it can."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    return f"{', '.join(missing)} is not installed" if missing else None


def check_model(
    model: Path,
    contents: Contents,
    scaling: Preprocessing,
    truth: Mapping[Path, Sequence[Box]],
    lowest: float,
) -> Checked:
    """``truth``: for each image the boxes that TAO's inference wrote, with scores of ``lowest`` at least. The network's
    facts say how boxes are read, and the input has a fixed size.

    Raises UserFilesError where the model does not give these boxes, or cannot be run.
    """
    facts, size = contents.facts, contents.size
    assert facts is not None and facts.reads is not None and facts.agreement is not None and size is not None
    answer = _answer(
        {
            "model": str(model),
            "input": contents.picture.name,
            "width": size[0],
            "height": size[1],
            "mean": scaling.mean,
            "std": scaling.std,
            "rgb": scaling.is_rgb,
            "reads": facts.reads,
            "lowest": lowest,
            "images": [str(path) for path in truth],
        }
    )
    found = Checked("passed", images=len(truth), onnxruntime=str(answer["onnxruntime"]))
    from_ = max(facts.agreement.lowest, lowest)
    for boxes, image in zip(truth.values(), answer["images"], strict=True):
        scale = (image["width"], image["height"]) * 2
        here = [
            Box(_name(contents, row[5]), _scaled(row[:4], scale), row[4])
            for row in image["boxes"]
        ]  # fmt: skip
        found = _added(found, boxes, here, facts.agreement, from_, is_cut=from_ == lowest)
    if found.boxes == 0:
        return not_checked(f"TAO's inference wrote no box with a score from {from_:g} on")
    if found.agree < facts.agreement.share * found.boxes:
        raise UserFilesError(
            f"the model does not give the boxes that TAO's inference wrote: {found.agree} of {found.boxes} agree, "
            f"on {amount(len(truth), 'image')}",
            hint=f"look at the normalisation ({scaling.where}), the classes, and which checkpoint was exported; then "
            "export and infer again",
        )
    return found


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", _PROGRAM]
    try:
        done = subprocess.run(
            command, input=json.dumps(request).encode(), capture_output=True, timeout=_TIME_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise _failed(f"it did not end in {_TIME_S:g} s") from None
    if done.returncode != 0 or len(done.stdout) > _MOST_ANSWER_BYTES:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _failed(said[-1][:500] if said else f"it ended with {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _failed(reason: str) -> UserFilesError:
    return UserFilesError(
        f"onnxruntime cannot run the model: {printable(reason)}",
        hint="export it again, or write the bundle unchecked: --no-check",
    )


def _name(contents: Contents, number: float) -> str:
    place = int(number)
    return contents.labels[place] if 0 <= place < len(contents.labels) else str(place)


def _scaled(corners: Sequence[float], scale: Sequence[float]) -> tuple[float, float, float, float]:
    x_min, y_min, x_max, y_max = (value * factor for value, factor in zip(corners, scale, strict=True))
    return x_min, y_min, x_max, y_max


def _added(
    so_far: Checked, there: Sequence[Box], here: Sequence[Box], rule: Agreement, from_: float, *, is_cut: bool
) -> Checked:
    """With the boxes of one more image. Each box of either side should have its like on the other, and both count as
    one; a box whose score is so near to ``from_`` that the other side may lack it counts only where it has its like."""
    free = list(here)
    boxes = agree = 0
    farthest, score_off = so_far.farthest_px, so_far.score_off
    for box in sorted(there, key=lambda one: -one.score):
        if box.score < from_:
            continue
        like = max(
            (one for one in free if one.name.lower() == box.name.lower() and abs(one.score - box.score) <= rule.score),
            key=lambda one: _overlap(one.corners, box.corners), default=None,
        )  # fmt: skip
        if like is not None and _overlap(like.corners, box.corners) >= rule.iou:
            free.remove(like)
            boxes, agree = boxes + 1, agree + 1
            farthest = max(farthest, *(abs(a - b) for a, b in zip(like.corners, box.corners, strict=True)))
            score_off = max(score_off, abs(like.score - box.score))
        elif not (is_cut and box.score < from_ + _MARGIN):
            boxes += 1
    near = _MARGIN if is_cut else rule.score
    boxes += sum(one.score >= from_ + near for one in free)
    return Checked(
        "passed",
        "",
        so_far.images,
        so_far.boxes + boxes,
        so_far.agree + agree,
        farthest,
        score_off,
        so_far.onnxruntime,
    )


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared) if areas > shared else float(list(one) == list(other))
