"""Copies are found whatever was done to their file; flat images and other frames of one camera are no copies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFilter

from taorunner.datasets.checks.run import check_dataset


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Soft shapes and some noise, as a camera has them."""
    image = Image.new("RGB", size, (90 + seed % 40, 110, 120))
    draw = ImageDraw.Draw(image)
    for number in range(9):
        x, y = (seed * 37 + number * 71) % size[0], (seed * 53 + number * 91) % size[1]
        colour = ((seed * 11 + number * 43) % 256, (seed * 5 + number * 29) % 256, (number * 60) % 256)
        draw.ellipse((x - 40, y - 30, x + 40, y + 30), fill=colour)
    noise = Image.effect_noise(size, 12).convert("RGB")
    return Image.blend(image.filter(ImageFilter.GaussianBlur(3)), noise, 0.08)


def dataset(root: Path, train: dict[str, Image.Image], val: dict[str, Callable[[Path], None]]) -> Path:
    for name, image in train.items():
        path = root / "train/images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=92)
    for name, save in val.items():
        path = root / "val/images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path)
    for subset, names in (("train", train), ("val", val)):
        (root / subset / "labels").mkdir()
        for name in names:
            (root / subset / "labels" / f"{Path(name).stem}.txt").touch()
    return root


def findings_of(root: Path) -> list[tuple[str, str]]:
    found = check_dataset(root, deep=True).findings
    return [(f.file.name if f.file else "", f.message) for f in found if f.code == "similar-image-in-subsets"]


def turned(path: Path, image: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def test_copies_in_another_size_or_quality_are_found(tmp_path: Path) -> None:
    train = {f"{seed}.jpg": scene(seed) for seed in range(6)}
    root = dataset(tmp_path, train, {
        "quality.jpg": lambda path: train["0.jpg"].save(path, quality=40),
        "half.jpg": lambda path: train["1.jpg"].resize((160, 120)).save(path),
        "stretched.jpg": lambda path: train["2.jpg"].resize((480, 480)).save(path),
        "other.png": lambda path: train["3.jpg"].save(path),
        "turned.jpg": lambda path: turned(path, train["4.jpg"]),
        "new.jpg": lambda path: scene(100).save(path),
    })  # fmt: skip
    assert findings_of(root) == [
        (name, f'nearly the same image is in "train" ({number}.jpg) and in "val"')
        for name, number in (("half.jpg", 1), ("other.png", 3), ("quality.jpg", 0), ("stretched.jpg", 2), ("turned.jpg", 4))
    ]  # fmt: skip


def test_flat_images_are_no_copies(tmp_path: Path) -> None:
    def flat(level: int) -> Image.Image:
        return Image.blend(
            Image.new("RGB", (320, 240), (level,) * 3), Image.effect_noise((320, 240), 9).convert("RGB"), 0.05
        )

    train = {f"{level}.jpg": flat(level) for level in (0, 120, 121, 255)}
    assert (
        findings_of(dataset(tmp_path, train, {f"v{n}.jpg": flat(n).save for n in (0, 120, 121, 255)})) == []
    )


def test_another_frame_of_one_camera_is_no_copy(tmp_path: Path) -> None:
    """The same street, and a car elsewhere."""

    def frame(x: int) -> Image.Image:
        image = scene(7)
        ImageDraw.Draw(image).rectangle((x, 100, x + 60, 140), fill=(230, 30, 30))
        return image

    assert (
        findings_of(
            dataset(tmp_path, {"a.jpg": frame(20)}, {"b.jpg": frame(200).save, "c.jpg": frame(40).save})
        )
        == []
    )


def test_equal_files_are_reported_once(tmp_path: Path) -> None:
    image = scene(3)
    root = dataset(tmp_path, {"a.jpg": image}, {"b.jpg": lambda path: image.save(path, quality=92)})
    codes = [f.code for f in check_dataset(root, deep=True).findings if f.is_error]
    assert (codes, findings_of(root)) == (["same-image-in-subsets"], [])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA", "I;16"])
def test_every_kind_of_image_has_a_look(mode: str, tmp_path: Path) -> None:
    name = "a.jpg" if mode == "CMYK" else "a.png"
    image = Image.new("I;16", (64, 48), 9) if mode == "I;16" else scene(2).convert(mode)
    root = dataset(tmp_path, {"t.jpg": scene(5)}, {name: image.save})
    assert findings_of(root) == []
