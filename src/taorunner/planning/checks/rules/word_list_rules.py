"""Checks that OCRNet can read the word list that its spec names. A line that it cannot read ends the action.

Source: tao-pytorch 7.0.1 cv/ocrnet/scripts/dataset_convert.py (splits a line at tabs, into two) and
dataloader/ocr_dataset.py (at any blanks, into two), utils/utils.py (a character that the list lacks is a KeyError, a
text longer than max_label_length does not fit its row).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from taorunner.errors import Severity
from taorunner.planning.checks.spec_view import SpecReader
from taorunner.planning.checks.training_facts import Fault
from taorunner.text import amount, printable

_LISTS = {
    "dataset_convert": (("dataset_convert.gt_file", "dataset_convert.input_img_dir", "\t"),),
    "train": (
        ("dataset.train_gt_file", "dataset.train_dataset_dir", None),
        ("dataset.val_gt_file", "dataset.val_dataset_dir", None),
    ),
}
"""By action: the key of a list, that of the folder its names are in, and what is between name and text."""
_CHARACTERS, _LENGTH = "dataset.character_list_file", "dataset.max_label_length"
_LONGEST = 25
"""The network's own value."""
_MOST_BYTES = 1 << 20
_MOST_NAMES = 5000


def word_lists(network: str, action: str, spec: SpecReader, *, is_certain: bool) -> Iterator[Fault]:
    """One finding for each list, with the first line that is not a name and a text. Long lists are read in part.

    It is an error where it ``is_certain`` that the action is wanted: a list for training needs no conversion.
    """
    severity = Severity.ERROR if is_certain else Severity.WARNING
    for key, folder, separator in _LISTS.get(action, ()) if network == "ocrnet" else ():
        file = spec.path(key)
        if separator is None:
            yield from _texts_that_do_not_fit(file, key, spec)
        yield from _marked(file, key, severity)
        yield from _names_of_no_image(file, key, folder, separator, spec)
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


def _marked(file: str | None, key: str, severity: Severity) -> Iterator[Fault]:
    """Source: tao/layouts.md: the first name of a list with a byte order mark is not found."""
    if next(iter(_lines(file)), "").startswith("\ufeff"):
        message = f"{printable(file or '')} begins with a byte order mark, which TAO takes for a part of the first name"
        hint = "save it as UTF-8 without a mark; dataset convert --to ocrnet writes it so"
        yield Fault(severity, "word-list-line", message, hint, key)


def _names_of_no_image(
    file: str | None, key: str, folder_key: str, separator: str | None, spec: SpecReader
) -> Iterator[Fault]:
    """Names that lead to no image: TAO trains on a black one in its place, or leaves it out of the records.

    Single names without an image are found by the check of the dataset, which looks for them in any folder.
    """
    folder = next(iter(spec.paths(folder_key) or ()), None)
    names = [row[0] for line in _lines(file)[:_MOST_NAMES] if len(row := line.split(separator)) == 2]
    if folder is None or not Path(folder).is_dir():
        return
    lost = [name for name in names if not Path(folder, name).exists()]
    moved = [name for name in lost if Path(folder, name).name in os.listdir(folder)] if lost else []
    if moved or (lost and len(lost) == len(names)):
        where, example = printable(spec.variables.shown(folder)), printable((moved or lost)[0])
        message = (
            f"{printable(file or '')} names {amount(len(lost), 'image')} of {len(names)} that {where} does not have, "
            f'such as "{example}": TAO reads a black image instead'
        )
        hint = f'write names as they are below that folder, or correct "{folder_key}"'
        yield Fault(Severity.ERROR, "word-list-line", message, hint, key)


def _texts_that_do_not_fit(file: str | None, key: str, spec: SpecReader) -> Iterator[Fault]:
    """Texts with a character that the list of characters lacks, and the longest text of those that are too long."""
    rows = [line.split() for line in _lines(file)]
    texts = [row[1] for row in rows if len(row) == 2]
    listed = _lines(spec.path(_CHARACTERS))
    known = {line.strip() for line in listed}
    lacking = sorted({character for text in texts for character in text} - known) if listed else []
    if lacking:
        shown = " ".join(printable(one) for one in lacking[:20]) + (" ..." if len(lacking) > 20 else "")
        message = f"{printable(file or '')} has {len(lacking)} characters that the list lacks: {shown}"
        hint = f'add them to the file of "{_CHARACTERS}"; dataset convert --to ocrnet writes it whole'
        yield Fault(Severity.ERROR, "character-unlisted", message, hint, _CHARACTERS)
    most = spec.number(_LENGTH)
    longest = max(texts, key=len, default="")
    if len(longest) > (_LONGEST if most is None else most):
        message = (
            f'{printable(file or "")} has a text of {len(longest)} characters: "{printable(longest)[:60]}"'
        )
        hint = f'set "{_LENGTH}" to {len(longest)} or more'
        yield Fault(Severity.ERROR, "text-too-long", message, hint, key if most is None else _LENGTH)


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
