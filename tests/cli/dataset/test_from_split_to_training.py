"""From a folder of images and labels to a trained network, with the folders as the commands name them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from command_line import Cli
from PIL import Image, ImageDraw

COLOURS = {"bus": (220, 30, 30), "van": (30, 30, 220)}


def drawn(root: Path, rng: random.Random) -> Path:
    """60 images with one square each, and its KITTI label."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number in range(60):
        name = ("bus", "van")[number % 2]
        x, y = rng.randint(2, 50), rng.randint(2, 50)
        image = Image.new("RGB", (96, 96), (30, 30, number))
        ImageDraw.Draw(image).rectangle((x, y, x + 30, y + 30), fill=COLOURS[name])
        image.save(root / "images" / f"{number:03}.png")
        (root / "labels" / f"{number:03}.txt").write_text(
            f"{name} 0.0 0 0.0 {x} {y} {x + 30} {y + 30} 0 0 0 0 0 0 0\n"
        )
    return root


@pytest.mark.parametrize("form", ["kitti", "coco"])
def test_a_split_is_what_the_embedded_network_trains_on(
    form: str, cli: Cli, tmp_path: Path, seed: int
) -> None:
    source = drawn(tmp_path / "drawn", random.Random(seed))
    root = tmp_path / "ws"
    made = cli(
        "init-project",
        "p",
        "--head",
        "tinydet",
        "--experiment",
        "e",
        "--dataset",
        "set/train",
        "--workspace",
        root,
    )
    assert made.code == 0, made.err
    assert "[empty-dataset]" in cli("validate", cwd=root).out
    if form == "coco":  # and back again
        assert cli("dataset", "convert", source, "--to", "coco", "-o", tmp_path / "coco").code == 0
        assert (
            cli("dataset", "convert", tmp_path / "coco", "--to", "kitti", "-o", tmp_path / "kitti").code == 0
        )
        source = tmp_path / "kitti"
    data = root / "projects/p/data/set"
    assert cli("dataset", "split", source, "-o", data).code == 0
    assert cli("validate", "--strict", cwd=root).out.splitlines()[:2] == [
        "p: 1 experiment, 2 specs, 1 dataset (48 images, all checked)", "no problems",
    ]  # fmt: skip
    assert cli("convert", "e", cwd=root).code == 0
    few = ("train.num_epochs=2", "train.checkpoint_interval=1", "train.validation_interval=1")
    trained = cli("train", "e", *(word for one in few for word in ("--set", one)), cwd=root)
    assert trained.code == 0, trained.out
    assert list((root / "projects/p/models/e/train").glob("model_epoch_001_step_*.npz"))
    assert cli("evaluate", "e", cwd=root).code == 0
