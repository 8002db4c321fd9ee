"""Lists of images and masks, line by line, for networks that pair the files of two folders in the order of the disk.

Source: tao/layouts.md, UNet: lists are the safe form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from taorunner.catalog.layouts import DataLayout
from taorunner.datasets.files.layout import files_in

FOLDER = "lists"


def with_lists(layout: DataLayout, dataset: Path, inside: str, specs: Mapping[str, str]) -> dict[str, str]:
    """Writes the lists into ``dataset``, which a container sees at ``inside``, and names them in the specs, in place of
    the folders. Other texts stay as they are."""
    texts = dict(specs)
    for block, row in layout.lists.items():
        images, masks = (files_in(dataset / kind / row["subset"]) for kind in ("images", "masks"))
        listed = {"image_path": ("images", images), "masks_path": ("masks", masks)}
        entries = []
        for key, (kind, names) in listed.items():
            file = dataset / FOLDER / f"{row['subset']}_{kind}.txt"
            file.parent.mkdir(exist_ok=True)
            lines = (f"{inside}/{kind}/{row['subset']}/{name}\n" for name in names)
            file.write_text("".join(lines), encoding="utf-8")
            entries.append(f'{key}: "$dataset_raw/{FOLDER}/{file.name}"')
        name = block.rpartition(".")[2]
        source = f"{name} {{ data_source {{ {' '.join(entries)} }} }}"
        for file_name, text in texts.items():
            texts[file_name] = _replaced(text, row, source)
    return texts


def _replaced(text: str, row: Mapping[str, str], source: str) -> str:
    """The line of the images becomes ``source``, that of the masks goes."""
    images = re.compile(rf"(?m)^([ \t]*){row['images']}:.*$")
    masks = re.compile(rf"(?m)^[ \t]*{row['masks']}:.*\n")
    if not images.search(text) or not masks.search(text):
        return text
    return masks.sub("", images.sub(lambda match: f"{match[1]}{source}", text))
