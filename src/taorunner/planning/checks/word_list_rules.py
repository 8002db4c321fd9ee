"""Checks that OCRNet can read the word list that its spec names. A line that it cannot read ends the action.

Source: tao-pytorch 7.0.1 cv/ocrnet/scripts/dataset_convert.py (splits a line at tabs, into two) and
dataloader/ocr_dataset.py (at any blanks, into two).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from taorunner.errors import Severity
from taorunner.planning.checks.spec_view import SpecReader
from taorunner.planning.checks.training_facts import Fault
from taorunner.text import printable

_LISTS = {
    "dataset_convert": (("dataset_convert.gt_file", "\t"),),
    "train": (("dataset.train_gt_file", None), ("dataset.val_gt_file", None)),
}
_MOST_BYTES = 1 << 20


def word_lists(network: str, action: str, spec: SpecReader, *, is_certain: bool) -> Iterator[Fault]:
    """One finding for each list, with the first line that is not a name and a text. Long lists are read in part.

    It is an error where it ``is_certain`` that the action is wanted: a list for training needs no conversion.
    """
    severity = Severity.ERROR if is_certain else Severity.WARNING
    for key, separator in _LISTS.get(action, ()) if network == "ocrnet" else ():
        file = spec.path(key)
        for number, line in enumerate(_lines(file), 1):
            if len(line.split(separator)) != 2:
                between = "a tab" if separator else "a tab or a blank"
                message = (
                    f"line {number} of {printable(file or '')} is not a file name and a text with "
                    f'{between} between them: "{printable(line)[:60]}"'
                )
                hint = (
                    "write the name, a tab and the text; a text has no blanks"
                    if not separator
                    else ("write the name, a tab and the text")
                )
                yield Fault(severity, "word-list-line", message, hint, key)
                break


def _lines(file: str | None) -> list[str]:
    """Whole lines of the beginning; none of what is no file here."""
    if file is None or not Path(file).is_file():
        return []
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(_MOST_BYTES)
            is_cut = bool(stream.read(1))
    except OSError:
        return []
    lines = data.decode("utf-8", "replace").split("\n")
    return lines[:-1] if is_cut or not lines[-1] else lines
