"""What the networks of texts do not read: outlines without area or outside of the image, words with blanks, characters
that are missing.

Source: tao-pytorch 7.0.1 cv/ocdnet/data_loader/dataset.py (order of the corners, area, -50), cv/ocrnet/dataloader/
ocr_dataset.py (a line is two words at white space), utils (a character that the list lacks is a KeyError).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from taorunner.datasets.checks.image_facts import read_image_facts
from taorunner.datasets.checks.image_files import EqualFiles, deep_findings, file_findings
from taorunner.datasets.checks.report import CheckReport, Progress, SubsetReport
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.texts.recognise import read_texts
from taorunner.datasets.model.texts import WORDS, Corners, Text, TextDataset, TextImage, counts_of, name_of
from taorunner.errors import Finding, Severity
from taorunner.text import amount, printable

LONGEST = 25
"""``dataset.max_label_length`` of a new project and of the network's schema."""


@dataclass(slots=True)
class UsableTexts:
    """``left_out``: by the names of ``counts_of``. ``findings``: warnings are counted, each error has its place."""

    images: list[TextImage] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def usable_texts(dataset: TextDataset) -> UsableTexts:
    """What ``convert`` writes. An image of a word is left out with its text."""
    made = UsableTexts()
    counted: dict[str, list[tuple[TextImage, Text]]] = {}
    for image in dataset.images:
        kept = []
        is_bad = False
        for text in image.texts:
            if dataset.kind == WORDS:
                code, usable = _word_fault(text.text), None
            else:
                code, usable = _outline_fault(image, text)
            if code is None or usable is not None:
                kept.append(usable or text)
            else:
                made.left_out[name_of(text, dataset.kind)] += 1
            if code in _ERRORS:
                is_bad = True
                shown = f'"{printable(text.text)[:40]}" on "{printable(image.path.name)}": {_ERRORS[code][0]}'
                place = image.source or image.path
                made.findings.append(Finding(Severity.ERROR, code, shown, _ERRORS[code][1], place, text.line))
            elif code is not None:
                counted.setdefault(code, []).append((image, text))
        if is_bad and dataset.kind != WORDS:  # without one of its texts it must not be trained on
            made.left_out.update(name_of(text, dataset.kind) for text in kept)
        elif kept or dataset.kind != WORDS:
            made.images.append(replace(image, texts=tuple(kept)))
    for code, found in counted.items():
        image, text = found[0]
        message, hint = _WARNINGS[code]
        such = f'such as "{printable(text.text)[:40]}" on "{printable(image.path.name)}"'
        count = message.format(amount(len(found), "text"))
        place = image.source or image.path
        made.findings.append(Finding(Severity.WARNING, code, f"{count}, {such}", hint, place, text.line))
    made.findings += character_findings(dataset, made.images) if dataset.kind == WORDS else []
    return made


_LEAVE = "dataset convert --skip-bad leaves it out"
_ERRORS = {
    "outline-outside": ("the outline is outside of the image", f"correct it; {_LEAVE}, with its image"),
    "text-empty": ("there is no text", f"add it; {_LEAVE}"),
    "text-blank": ("OCRNet reads no text with blanks", f"crop one word for each image; {_LEAVE}"),
}
_WARNINGS = {
    "outline-empty": ("{} without area: left out", "OCDNet leaves such outlines out, too"),
    "outline-beyond-edge": ("{} partly outside of the image: clipped", None),
    "text-illegible": ("{} that cannot be read: left out, with the image", "OCRNet would learn to read ###"),
}


def _word_fault(text: str) -> str | None:
    if text == "###":
        return "text-illegible"
    if not text:
        return "text-empty"
    return "text-blank" if any(character.isspace() for character in text) else None


def _outline_fault(image: TextImage, text: Text) -> tuple[str | None, Text | None]:
    """The fault of an outline, and the text with an outline that can be used nevertheless."""
    xs, ys = text.corners[::2], text.corners[1::2]
    if max(xs) <= 0 or max(ys) <= 0 or min(xs) >= image.width or min(ys) >= image.height:
        return "outline-outside", None
    if not _area(text.corners):
        return "outline-empty", None
    if min(xs) >= 0 and min(ys) >= 0 and max(xs) <= image.width and max(ys) <= image.height:
        return None, None
    clipped = tuple(
        min(max(value, 0.0), float(image.width if place % 2 == 0 else image.height))
        for place, value in enumerate(text.corners)
    )
    return (
        ("outline-beyond-edge", replace(text, corners=clipped))
        if _area(clipped)
        else ("outline-outside", None)
    )


def _area(corners: Corners) -> float:
    """In the order into which OCDNet brings the corners: by the sum and the difference of x and y."""
    points = list(zip(corners[::2], corners[1::2], strict=True))
    first, third = min(points, key=sum), max(points, key=sum)
    second, fourth = min(points, key=lambda p: p[1] - p[0]), max(points, key=lambda p: p[1] - p[0])
    ordered = [first, second, third, fourth]
    ahead = [*ordered[1:], first]
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(ordered, ahead, strict=True))) / 2


def characters_of(dataset: TextDataset, images: Sequence[TextImage]) -> list[str]:
    """The list for OCRNet: the source's own, then what it lacks, by code point."""
    used = {character for image in images for text in image.texts for character in text.text}
    return [*dataset.characters, *sorted(used - set(dataset.characters))]


def character_findings(dataset: TextDataset, images: Sequence[TextImage]) -> Iterator[Finding]:
    """Characters that the source's list lacks, those that no training sees, and long texts."""
    where: dict[str, TextImage] = {}
    trained: set[str] = set()
    longest: tuple[int, TextImage | None] = (0, None)
    for image in images:
        for text in image.texts:
            for character in text.text:
                where.setdefault(character, image)
            if image.subset not in ("val", "test"):
                trained.update(text.text)
            if len(text.text) > longest[0]:
                longest = (len(text.text), image)
    lacking = sorted(set(where) - set(dataset.characters)) if dataset.characters else []
    if lacking:
        first = where[lacking[0]]
        message = f"the list of characters lacks {len(lacking)} of the texts: {_listed(lacking)}"
        hint = "dataset convert --to ocrnet adds them at its end; OCRNet stops at a character that it lacks"
        yield Finding(
            Severity.WARNING, "characters-lacking", message, hint, first.source, first.texts[0].line
        )
    unseen = sorted(set(where) - trained) if trained else []
    if unseen:
        first = where[unseen[0]]
        message = f"{amount(len(unseen), 'character')} in val or test, but not in train: {_listed(unseen)}"
        hint = "add texts with them to train, or split again with --merge"
        yield Finding(
            Severity.WARNING, "characters-untrained", message, hint, first.source, first.texts[0].line
        )
    count, one = longest
    if count > LONGEST and one is not None:
        message = f'the longest text has {count} characters: "{printable(one.texts[0].text)[:60]}"'
        hint = f"set dataset.max_label_length of the spec to {count}; a new project has {LONGEST}"
        yield Finding(Severity.WARNING, "text-long", message, hint, one.source, one.texts[0].line)


def _listed(characters: Sequence[str]) -> str:
    shown = " ".join(printable(one) for one in characters[:20])
    return shown + (" ..." if len(characters) > 20 else "")


def check_texts(folder: Folder, format_name: str, *, deep: bool, progress: Progress) -> CheckReport:
    """Raises UserFilesError when nothing can be read."""
    dataset = read_texts(folder, format_name)
    report = CheckReport(dataset.format, list(dataset.findings))
    report.findings += usable_texts(dataset).findings
    equal = EqualFiles()
    for image in dataset.images:
        facts = read_image_facts(image.path)
        report.findings += file_findings(image.path, facts)
        equal.add(facts.ends, image.subset, image.path)
    report.findings += equal.findings()
    for subset in dataset.subsets:
        members = [image for image in dataset.images if image.subset == subset]
        sizes = Counter((image.width, image.height) for image in members)
        empty = sum(not image.texts for image in members)
        report.subsets.append(
            SubsetReport(subset, len(members), empty, +counts_of(members, dataset.kind), sizes)
        )
    if dataset.kind != WORDS and not any(image.texts for image in dataset.images):
        message = f"none of the {amount(len(dataset.images), 'image')} has a text"
        hint = "add outlines: OCDNet trains on no image without a text"
        report.findings.append(Finding(Severity.WARNING, "no-texts", message, hint, folder.root))
    if deep:
        report.findings += deep_findings([(image.subset, image.path) for image in dataset.images], progress)
    return report
