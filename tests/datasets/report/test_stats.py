"""Counts are right; the page holds itself, says nothing unescaped, stays small, and is whole or not there."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from taorunner.datasets.report import html_page
from taorunner.datasets.report.stats import choose_samples, read_stats
from taorunner.errors import UsageError

EVIL = "<script>alert('x')</script>"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "d"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    boxes = {
        "a": "car 0 0 0 10 10 20 20 0 0 0 0 0 0 0\ncar 0 0 0 0 0 64 64 0 0 0 0 0 0 0\n",
        "b": f"{EVIL} 0 0 0 0 0 120 100 0 0 0 0 0 0 0\n", "c": "",
    }  # fmt: skip
    for number, (stem, text) in enumerate(boxes.items()):
        exif = Image.Exif()
        if stem == "b":
            exif[0x0112] = 6
        size = (100, 200) if stem == "b" else (200, 100)
        Image.new("RGB", size, (number * 90, 80, 30)).save(root / "images" / f"{stem}.jpg", exif=exif)
        (root / "labels" / f"{stem}.txt").write_text(text)
    return root


def test_counts(dataset: Path) -> None:
    stats, _ = read_stats(dataset)
    value = stats.to_json()
    assert value == {
        "source": str(dataset), "format": "kitti", "images": 3, "backgrounds": 1, "boxes": 3, "subsets": {"": 3},
        "classes": [
            {"name": "car", "boxes": 2, "images": 1, "sizes": {"small": 1, "medium": 1, "large": 0}, "subsets": {"": 2}},
            {"name": EVIL, "boxes": 1, "images": 1, "sizes": {"small": 0, "medium": 0, "large": 1}, "subsets": {"": 1}},
        ],
        "boxes_per_image": {"0": 1, "1": 1, "2": 1},
        "picture_sizes": [{"width": 200, "height": 100, "images": 3}],
        "left_out": 0,
    }  # fmt: skip


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_holds_itself_and_escapes(dataset: Path, tmp_path: Path) -> None:
    stats, read = read_stats(dataset)
    path = tmp_path / "made/page.html"
    size = html_page.write_page(path, stats, choose_samples(read.images, 24))
    text = path.read_text("utf-8")
    assert (size, [one.name for one in path.parent.iterdir()]) == (len(text.encode()), ["page.html"])
    tags = Tags()
    tags.feed(text)
    names = [tag for tag, _ in tags.tags]
    assert ("script" in names, names.count("figure"), names.count("rect")) == (False, 3, 3)
    assert EVIL in tags.text
    hrefs = [attributes["href"] or "" for tag, attributes in tags.tags if tag == "image"]
    assert all(href.startswith("data:image/jpeg;base64,") for href in hrefs)
    assert not re.search(r"https?://|\burl\(|\bsrc=", text)
    turned = Image.open(io.BytesIO(base64.b64decode(hrefs[1].partition(",")[2])))
    assert turned.size == (200, 100)
    views = [attributes["viewbox"] for tag, attributes in tags.tags if tag == "svg"]
    assert views == ["0 0 200 100"] * 3


def test_the_page_is_bounded_and_does_not_replace(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stats, read = read_stats(dataset)
    path = tmp_path / "page.html"
    whole = html_page.write_page(path, stats, choose_samples(read.images, 24))
    with pytest.raises(UsageError, match="already exists"):
        html_page.write_page(path, stats, ())
    monkeypatch.setattr(html_page, "MAX_BYTES", 4000)
    assert html_page.write_page(path, stats, choose_samples(read.images, 24), overwrite=True) < whole
    assert path.read_text().count("<figure>") < 3


def test_samples_show_each_class_first(dataset: Path) -> None:
    _, read = read_stats(dataset)
    assert [image.path.stem for image in choose_samples(read.images, 2)] == ["a", "b"]
    assert len(choose_samples(read.images, 2, seed=9)) == 2
