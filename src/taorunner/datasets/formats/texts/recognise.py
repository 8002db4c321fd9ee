"""Recognises and reads datasets of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.texts import coco_text, icdar, paddle, word_lists
from taorunner.datasets.model.texts import OUTLINES, WORDS, TextDataset
from taorunner.errors import UserFilesError
from taorunner.text import printable
from taorunner.values.value import replace

_MODULES: Mapping[str, Any] = {
    "paddleocr": paddle, "icdar": icdar, "coco-text": coco_text, "word-list": word_lists,
}  # fmt: skip
KINDS = {"paddleocr": OUTLINES, "icdar": OUTLINES, "coco-text": OUTLINES, "word-list": WORDS}
"""What each format holds."""
FORMATS = tuple(sorted(_MODULES))
TARGET_OF = {OUTLINES: "ocdnet", WORDS: "ocrnet"}
"""The network that reads each kind, which is the name of its layout for ``--to``."""


def known_text_formats(folder: Folder) -> list[str]:
    return [name for name, module in _MODULES.items() if module.recognise(folder)]


def text_format(folder: Folder, kind: str | None = None) -> str | None:
    """The format of the texts in a folder; None when it has none. ``kind``: only formats of that kind, which
    someone has asked for.

    Raises UserFilesError when several fit.
    """
    known = [name for name in known_text_formats(folder) if kind in (None, KINDS[name])]
    if not known and kind == WORDS and word_lists.recognise(folder, is_named=True):
        known = ["word-list"]
    if len(known) < 2:
        return known[0] if known else None
    raise UserFilesError(
        f'"{printable(str(folder.root))}" has texts of several formats: {", ".join(known)}',
        hint=f"give the folder of one of them, or name one with --from {known[0]}",
    )


def read_texts(folder: Folder, format_name: str) -> TextDataset:
    """Everything that could be read; the rest is in ``findings``. Raises UserFilesError when that is nothing."""
    dataset: TextDataset = _MODULES[format_name].read(folder)
    folder.report_turned()
    dataset = replace(dataset, findings=tuple(folder.findings))
    if not dataset.images:
        raise UserFilesError(
            f'no image could be read from "{printable(str(folder.root))}" as {format_name}',
            hint="correct the errors above"
            if dataset.findings
            else f"known formats of texts: {', '.join(FORMATS)}",
            findings=dataset.findings,
        )
    return dataset


def next_step(folder: Folder, format_name: str) -> str:
    """The command that arranges it for the network that reads it."""
    return f"taorunner dataset convert {printable(str(folder.root))} --to {TARGET_OF[KINDS[format_name]]}"
