"""The common base of the line parsers of all framework families, and the lines that every family prints.

A parser gets only lines that contain one of its needles, cleaned and at most 4 KiB long, and appends hints. It keeps
the state that it needs from earlier lines (the epoch of a bar). Every repetition in a pattern is bounded or starts at a
fixed place, so every line takes linear time.
Source: tao/tensorflow.md section 6, tao/pytorch.md section 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from taorunner.progress.hints import Hint, MetricHint, ProgressHint
from taorunner.progress.parsing import NUMBER, read_float

Follower = Callable[[str, list[Hint]], bool]
"""Reads the next line of a table; False at its end."""


def line_pattern(pattern: str) -> re.Pattern[str]:
    """``NUM`` stands for one number."""
    return re.compile(pattern.replace("NUM", f"(?:{NUMBER})"), re.ASCII)


_COCO = line_pattern(
    r"Average (Precision|Recall) {1,10}\(A[PR]\) {0,4}@\[ {0,2}IoU=([\d.:]{1,12}) {0,12}\|"
    r" {0,4}area= {0,12}(\w{1,12})"
    r" {0,4}\| {0,4}maxDets= {0,12}(\d{1,5}) {0,4}\] {0,4}= {0,4}(NUM)"
)
_PRUNING = line_pattern(r"Pruning ratio \(pruned model / original model\): (NUM)")


class Plain:
    """Reads evaluation summaries, which every family prints."""

    needles: tuple[bytes, ...] = (
        b"Average Precision ",
        b"Average Recall ",
        b"Pruning ratio",
        b"annotation type",
    )
    """Only lines with one of these are read."""

    reads_coco = True

    def __init__(self, trains: bool) -> None:
        self.trains = trains
        self.current_epoch: int | None = None
        self.metric_epoch: int | None = None
        """The epoch of the metrics, if it is not the current one."""
        self.reads_masks = False

    def read(self, text: str, found: list[Hint]) -> Follower | None:
        """Appends the hints of the line; returns a follower when the next lines are a table."""
        return self.read_metric(text, found)

    def read_metric(self, text: str, found: list[Hint]) -> Follower | None:
        """``read`` for lines with results rather than progress."""
        if self.reads_coco and (match := _COCO.search(text)):
            self._coco(match, found)
        elif "annotation type" in text:
            # pycocotools prints first whether the summary is for boxes or masks.
            self.reads_masks = "segm" in text
        elif match := _PRUNING.search(text):
            self.add_metric("pruning_ratio", match.group(1), found)
        return None

    def _coco(self, match: re.Match[str], found: list[Hint]) -> None:
        kind, iou, area, most, value = match.groups()
        if kind == "Precision":
            name = {"0.50:0.95": "mAP", "0.50": "mAP50", "0.75": "mAP75"}.get(iou, f"mAP@{iou}")
        else:
            name = f"AR{most}"
        if area != "all":
            name = f"{name}_{area}"
        number = read_float(value)
        if number is not None and number >= 0:  # -1: no objects of that size
            found.append(MetricHint(f"mask_{name}" if self.reads_masks else name, number, self.current_epoch))

    def add_metric(
        self, name: str, text: str, found: list[Hint], scale: float = 1.0, running: bool = False
    ) -> None:
        value = read_float(text)
        if value is not None:
            scaled = value if scale == 1.0 else round(value * scale, 9)
            found.append(MetricHint(name, scaled, self.metric_epoch or self.current_epoch, running))

    def add_progress(self, found: list[Hint], hint: ProgressHint) -> None:
        """Adds a hint; an epoch beyond the last (``E+1/E``) is clamped."""
        epoch = min(hint.epoch, hint.epochs) if hint.epochs else hint.epoch
        self.current_epoch = max(1, epoch)
        found.append(hint)
