"""Small datasets in the layout that the catalog gives for a network, for tests that look at specs and paths."""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path

from PIL import Image

from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.load import Catalog
from taorunner.project.scaffold import VARS_FILE, spec_files

CLASSES = ("car", "cyclist", "pedestrian")
_WORDS = {
    "subset": ("train", "val"), "class": CLASSES, "scene": ("scene_01",), "id": ("1",),
    "board": ("b",), "part": ("p",), "light": ("l",),
}  # fmt: skip
_MANY = re.compile(r"\*|<stem>|<video>")


def put_data(head: str, dataset: Path, images: int = 64) -> None:
    """A file at each place of the layout, ``images`` of them where it has a pattern of names.

    Also the files that ``vars`` of a new experiment names. Folders that have files are left as they are. ``dataset`` is
    the folder that experiments.yml names.
    """
    layout = Catalog().layout(head)
    assert layout is not None
    root = dataset.parent if layout.dataset else dataset
    places = [place for place in layout.put if not _has_classes(root, place)]
    subsets = (dataset.name, "val") if layout.dataset else _WORDS["subset"]
    for name, words in {**_WORDS, "subset": subsets}.items():
        places = [place.replace(f"<{name}>", word) for place in places for word in words]
    taken = {
        folder for place in places if (folder := (root / place).parent).is_dir() and any(folder.iterdir())
    }
    for place in places:
        if (root / place).parent in taken and _MANY.search(place):
            continue
        for number in range(images if _MANY.search(place) else 1):
            name = f"{number:03}"
            named = place.replace("<video>/rgb/*", f"{name}/rgb/1") if "<video>" in place else place
            file = root / named.replace("*", name).replace("<stem>", name)
            file = file.with_name(f"{file.name}.png") if not file.suffix else file
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(_content(layout, file.relative_to(root), number))
    for name in re.findall(r"(?m)^\w+: \$dataset_raw/(\S+\.\w+)", spec_files(head).get(VARS_FILE, "")):
        if (dataset / name).parent.is_dir() and not (
            dataset / name
        ).exists():  # the command line of an action names it
            (dataset / name).write_bytes(_content(layout, Path(name), 0))


def _has_classes(root: Path, place: str) -> bool:
    """Whether there are class folders of other names already."""
    above, is_class, _ = place.partition("<class>")
    folders = [root / above.replace("<subset>", subset) for subset in _WORDS["subset"]]
    return bool(is_class) and any(folder.is_dir() and any(folder.iterdir()) for folder in folders)


def _content(layout: DataLayout, file: Path, number: int) -> bytes:
    if file.suffix in (".png", ".jpg"):
        written = io.BytesIO()
        _image(file).save(written, "PNG" if file.suffix == ".png" else "JPEG")
        return written.getvalue()
    if layout.form == "kitti" or file.parent.name == "label_2":
        return b"%s 0.0 0 0.0 1 1 20 20 0 0 0 0 0 0 0\n" % CLASSES[number % 3].encode()
    if file.name == "classes.txt":
        return "".join(f"{name}\n" for name in CLASSES).encode()
    if file.name == "characters.txt":
        return b"o\nn\ne\n"
    line = b"%03d.png\tone\n" if layout.form == "ocrnet" else b"%03d\n"
    return b"".join(line % number for number in range(64))


def _image(file: Path) -> Image.Image:
    """A mask with two values, or an image of a colour that no other file has."""
    if file.parts[-3:-2] == ("masks",):
        mask = Image.new("L", (64, 64), 0)
        mask.paste(1, (0, 0, 32, 32))
        return mask
    colour = zlib.crc32(str(file).encode())
    return Image.new("RGB", (64, 64), (colour & 255, colour >> 8 & 255, colour >> 16 & 255))
