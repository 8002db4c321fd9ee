"""Tries an example of a finding: a workspace with a project of dino, one of detectnet_v2 and a KITTI dataset.

The example's file is written whole; of a spec, the right lines are replaced by the wrong ones.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from filled_in import fill_in
from PIL import Image

from taorunner.cli.app import run
from taorunner.manual.codes import Example

_LABEL = "car 0.00 0 0.00 10.00 10.00 90.00 60.00 0.00 0.00 0.00 0.00 0.00 0.00 0.00\n"


def make_workspace(root: Path) -> Path:
    """``root`` as a workspace; what the examples need is there, and right."""
    os.chdir(root)
    for name, head in (("demo", "dino"), ("old", "detectnet_v2")):
        assert run(["-q", "init-project", name, "--head", head, "--no-weights"]) == 0
        fill_in(root / "projects" / name)
    for name in ("images", "labels"):
        (root / "kitti" / name).mkdir(parents=True)
    for number in (1, 2):
        Image.new("RGB", (640, 480), (number, 0, 0)).save(root / "kitti/images" / f"{number:03}.png")
        (root / "kitti/labels" / f"{number:03}.txt").write_text(_LABEL)
    return root


def place_of(example: Example) -> str:
    """Where the example's file is in the workspace."""
    head = example.file.split("/")[0]
    if head == "specs":
        return f"projects/{'demo' if '/dino_01/' in example.file else 'old'}/{example.file}"
    return f"projects/demo/{example.file}" if example.file == "experiments.yml" else example.file


def codes_of(root: Path, example: Example, text: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The codes that ``validate``, or ``dataset check``, finds with that text of the example."""
    path = root / place_of(example)
    before = path.read_text(encoding="utf-8") if path.exists() else None
    is_part = example.file.startswith("specs/")
    if is_part:
        assert before is not None and before.count(example.right) == 1, (
            f"{example.right!r} is not in the spec once"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        before.replace(example.right, text) if is_part and before else f"{text}\n", encoding="utf-8"
    )
    os.chdir(root)
    capsys.readouterr()
    try:
        words = ["dataset", "check", "kitti"] if example.file.startswith("kitti/") else ["validate"]
        run([*words, "--json"])
        return {one["code"] for one in json.loads(capsys.readouterr().out)}
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")
