"""The gallery of worst images draws what was wrong, harmlessly."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from taorunner.errors import UsageError
from taorunner.evaluation import gallery
from taorunner.evaluation.run import evaluate_predictions
from taorunner.values.value import replace

HOSTILE = '<script>alert(1)</script>"&\u202e\x1b[31m'


def test_wrong_missed_and_right_boxes_are_drawn_in_small_copies(made: Any, tmp_path: Path) -> None:
    root = made(3)
    done = evaluate_predictions(root / "predicted", root)
    path = tmp_path / "new/worst.html"
    assert gallery.write_gallery(path, done, root) == len(done.worst) > 2
    text = path.read_text()
    drawn = [one.kind for image in done.worst for one in image.boxes]
    figures = text[text.index('<div class="sheet">') :]
    assert {kind: figures.count(f'<rect class="{kind}"') for kind in ("wrong", "missed", "right")} == {
        kind: drawn.count(kind) for kind in ("wrong", "missed", "right")
    }
    first = done.worst[0]
    assert first.counts is not None
    assert first.counts["fp"] + first.counts["fn"] == sum(one.kind != "right" for one in first.boxes)
    assert text.count("data:image/jpeg;base64,") == len(done.worst)
    assert unescape(done.protocol.text) in text and first.image in text
    with pytest.raises(UsageError):
        gallery.write_gallery(path, done, root)
    assert gallery.write_gallery(path, replace(done, worst=()), root, overwrite=True) == 0
    assert "No image has a mistake." in path.read_text()


def test_names_are_shown_as_text_and_nothing_is_fetched(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = made(3, classes=("bolt", "Nut"))
    done = evaluate_predictions(root / "predicted", root)
    boxes = tuple(replace(one, name=HOSTILE) for one in done.worst[0].boxes)
    worst = (replace(done.worst[0], image=f"{HOSTILE}.jpg", boxes=boxes), *done.worst[1:])
    hostile = replace(done, worst=worst, data=replace(done.data, name=HOSTILE))
    path = tmp_path / "worst.html"
    gallery.write_gallery(path, hostile, root)
    text = path.read_text()
    assert "<script" not in text and "\x1b" not in text and "\u202e" not in text
    assert "default-src &#39;none&#39;" in text and not re.search(r"(?:src|href)=\"(?!data:)", text)
    assert "(cannot be decoded)" in text
    monkeypatch.setattr(gallery, "MAX_BYTES", 40_000)
    assert gallery.write_gallery(path, done, root, overwrite=True) < len(done.worst)
