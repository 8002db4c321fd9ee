"""Class folders and images with masks, laid out as TAO reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from taorunner.datasets.transform.folder_datasets import lay_out
from taorunner.errors import UserFilesError


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two images of each class; the third of "bus" is no image."""
    root = tmp_path / "classes"
    for name in ("bus", "car"):
        (root / name).mkdir(parents=True)
        for number in range(2):
            Image.effect_noise((32, 24), 40 + number).convert("RGB").save(root / name / f"{name}{number}.png")
    (root / "bus/bus2.png").write_bytes(b"no image")
    return root


def test_what_cannot_be_read_stops_or_is_left_out(classes: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(UserFilesError, match=r"^nothing was written, because something is wrong") as caught:
        lay_out(classes, made, to="classification")
    assert caught.value.hint == "correct the errors above, or leave the bad parts out with --skip-bad"
    assert [finding.file for finding in caught.value.findings if finding.is_error] == [
        classes / "bus/bus2.png"
    ]
    assert not made.exists()
    done = lay_out(classes, made, to="classification", skip_bad=True)
    assert [finding.code for finding in done.findings] == ["picture-unreadable"]
    assert sorted(path.name for path in made.rglob("*.png")) == [
        "bus0.png",
        "bus1.png",
        "car0.png",
        "car1.png",
    ]
    assert (made / "classes.txt").read_text() == "bus\ncar\n"


def test_a_folder_without_images_is_refused_also_with_skip_bad(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserFilesError, match=r"^no images for classification here in"):
        lay_out(tmp_path / "empty", tmp_path / "made", to="classification", skip_bad=True)
