"""Images that TAO's networks do not read are saved as PNG by a conversion, with a count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from taorunner.datasets.files.image_header import read_header
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.transform import convert as convert_module
from taorunner.datasets.transform import readable_images
from taorunner.datasets.transform.convert import convert
from taorunner.errors import UserFilesError


def coco(root: Path, *names: str) -> Path:
    """One box on each image; the images lie there already."""
    images = [{"id": n, "file_name": name, "width": 40, "height": 30} for n, name in enumerate(names)]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1, "area": 9, "bbox": [1, 2, 9, 9]} for n in range(len(names))
    ]
    document = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "car"}]}
    (root / "r.json").write_text(json.dumps(document))
    return root


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    root = tmp_path / "d"
    root.mkdir()
    Image.new("RGB", (40, 30), "red").save(root / "a.webp")
    Image.new("L", (40, 30), 9).save(root / "b.tif")
    Image.new("I;16", (40, 30), 0x8012).save(root / "c.png")
    Image.new("RGB", (40, 30), "blue").save(root / "d.jfif", "JPEG")
    Image.new("RGB", (40, 30), "blue").save(root / "e.bmp")
    return coco(root, "a.webp", "b.tif", "c.png", "d.jfif", "e.bmp")


@pytest.mark.parametrize("to", ["kitti", "coco", "odvg"])
def test_they_become_png_for_tao(to: str, mixed: Path, tmp_path: Path) -> None:
    done = convert(mixed, tmp_path / "made", to=to)
    assert (done.images_after, done.after, dict(done.placed)) == (
        5,
        {"car": 5},
        {"converted": 3, "hard links": 2},
    )
    (finding,) = [one for one in done.findings if one.code == "images-converted"]
    assert finding.message == (
        "3 images saved as PNG, as TAO's networks do not read 1 TIFF, 1 WEBP, 1 with 16 bits per channel"
    )
    made = {path.name: read_header(path) for path in (tmp_path / "made/images").iterdir()}
    assert {name: (one.format, one.bits) for name, one in made.items()} == {
        "a.png": ("png", 8), "b.png": ("png", 8), "c.png": ("png", 8), "d.jpg": ("jpeg", 8), "e.bmp": ("bmp", 8)}  # fmt: skip
    with Image.open(tmp_path / "made/images/c.png") as opened:
        assert opened.getpixel((3, 3)) == 0x80
    assert len(read_dataset(tmp_path / "made").images) == 5


def test_a_tool_keeps_its_images(mixed: Path, tmp_path: Path) -> None:
    done = convert(mixed, tmp_path / "made", to="voc")
    assert dict(done.placed) == {"hard links": 5}
    assert "images-converted" not in [one.code for one in done.findings]


def test_a_rotated_image_is_saved_as_its_boxes_are(tmp_path: Path) -> None:
    root = tmp_path / "d"
    root.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 40), "red").save(root / "a.tif", exif=exif)
    convert(coco(root, "a.tif"), tmp_path / "made", to="coco")
    header = read_header(tmp_path / "made/images/a.png")
    assert (header.width, header.height, header.orientation) == (40, 30, 1)


def test_an_image_that_cannot_be_decoded_stops(tmp_path: Path) -> None:
    root = tmp_path / "d"
    root.mkdir()
    Image.new("RGB", (40, 30), "red").save(root / "a.webp")
    (root / "a.webp").write_bytes((root / "a.webp").read_bytes()[:40])
    with pytest.raises(UserFilesError, match="cannot be decoded") as caught:
        convert(coco(root, "a.webp"), tmp_path / "made", to="coco")
    assert [one.code for one in caught.value.findings] == ["image-undecodable"]
    assert not (tmp_path / "made").exists()


def test_without_pillow_they_are_refused_by_name(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (readable_images, convert_module):
        monkeypatch.setattr(module, "has_pillow", lambda: False)
    with pytest.raises(UserFilesError) as caught:
        convert(mixed, tmp_path / "made", to="coco")
    (finding,) = [one for one in caught.value.findings if one.is_error]
    assert (finding.code, "pip install" in (finding.hint or "")) == ("extension-unread", True)
    done = convert(mixed, tmp_path / "made", to="coco", skip_bad=True)
    assert dict(done.placed) == {"hard links": 5}
