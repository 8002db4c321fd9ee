"""Shows a project that was made from a dataset: what was found and chosen, one fact for each label."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from taorunner.console.base.findings_text import print_findings
from taorunner.console.base.formatting import clean, made_lines, shown_path
from taorunner.console.base.theme import make_console
from taorunner.datasets.files.output_folders import Way
from taorunner.errors import Finding, Severity
from taorunner.planning.derived.derive import Change
from taorunner.planning.project_from_dataset import FromDataset, ReadyProject
from taorunner.text import amount

_LABEL, _WIDEST = 10, 100
_SHOWN_CLASSES = 8
_SHOWN_VALUES = 8
_FORMATS = {
    "coco": "COCO", "coco-text": "COCO-Text", "cvat": "CVAT", "datumaro": "Datumaro", "dota": "DOTA",
    "folders": "folders", "icdar": "ICDAR", "kitti": "KITTI", "label-studio": "Label Studio", "labelme": "LabelMe",
    "odvg": "ODVG", "paddleocr": "PaddleOCR", "via": "VGG annotator", "voc": "Pascal VOC", "vott": "VoTT",
    "wider-face": "WIDER FACE", "word-list": "list of words", "yolo": "YOLO",
}  # fmt: skip
_PLACED = {
    Way.LINK: "linked; --copy copies",
    Way.COPY: "copied",
    Way.REFER: "symbolic links; the images stay where they are",
}


def print_ready_project(made: ReadyProject, wanted: FromDataset, here: Path, *, is_quiet: bool) -> None:
    """The facts on stdout, unless ``is_quiet``; findings on stderr."""
    console = make_console(sys.stdout, os.environ)
    if not is_quiet:
        for label, text in _facts(made, wanted, here):
            _print_fact(console, label, text)
    to_show = [*map(_left_out, made.laid_out.findings), *made.findings]
    shown = [one for one in to_show if one.severity in (Severity.ERROR, Severity.WARNING)]
    if shown:
        print_findings(make_console(sys.stderr, os.environ), shown)
    if not is_quiet:
        verdict = _verdict(made.findings, lacks_weights=made.is_without_weights)
        console.print(Text(f"validated: {verdict}"), soft_wrap=True)


def _left_out(finding: Finding) -> Finding:
    """An error of the dataset is what ``--skip-bad`` left out: the project was made without it."""
    if not finding.is_error:
        return finding
    return replace(finding, severity=Severity.WARNING, message=f"left out: {finding.message}", hint=None)


def _facts(made: ReadyProject, wanted: FromDataset, here: Path) -> Iterator[tuple[str, str]]:
    laid_out = made.laid_out
    images = sum(laid_out.subsets.values())
    objects = sum(laid_out.classes.values())
    name = _FORMATS.get(laid_out.format, laid_out.format)
    holds = [amount(images, "image")]
    if laid_out.format == "folders":
        name = "class folders" if laid_out.classes else "images with masks"
    elif laid_out.classes:
        holds.append(amount(objects, "outline") if laid_out.outlined else amount(objects, "box", "boxes"))
    yield "found", f"{name}: {', '.join(holds)}{', no split' if laid_out.is_split else ''}"
    if laid_out.classes:
        yield "classes", _classes(laid_out.classes.items())
    subsets = ", ".join(f"{subset} {count:,}" for subset, count in laid_out.subsets.items())
    yield "split", f"{subsets}, {_how_split(made)}"
    if made.percent_of_train is not None:
        share = f"the first {made.percent_of_train} % of train by file name"
        yield "", f"(the training validates on {share}, not on val: val_split in the spec of convert)"
    yield "data", f"{shown_path(made.data, here)} ({_PLACED[wanted.way]})"
    if made.mounts is not None:
        yield "mounts", f"{shown_path(made.mounts, here)}: {wanted.source} added, read-only"
    yield "weights", made.weights
    if made.weights_hint is not None:
        yield "", f"({made.weights_hint})"
    specs = sorted(made.paths.spec_dir(made.experiment).iterdir())
    for number, line in enumerate(made_lines(specs, here)):
        yield "" if number else "spec", line.removeprefix("made ")
    if made.changes:
        yield "", _values(made.changes)


def _classes(classes: Iterable[tuple[str, int]]) -> str:
    every = sorted(classes, key=lambda one: -one[1])
    shown = [f"{clean(name)} {count:,}" for name, count in every[:_SHOWN_CLASSES]]
    more = [f"and {len(every) - _SHOWN_CLASSES:,} more"] if len(every) > _SHOWN_CLASSES else []
    return f"{len(every):,}: {', '.join([*shown, *more])}"


def _how_split(made: ReadyProject) -> str:
    if not made.laid_out.is_split:
        return "as the dataset has it"
    copies = made.laid_out.copies
    together = f"; {amount(copies, 'group')} of near-identical images kept together" if copies else ""
    return f"by class{together}"


def _values(changes: Sequence[Change]) -> str:
    """The values that followed from the data, each once; those of one reason together."""
    seen: dict[str, str] = {}
    for change in changes:
        key = change.key.rpartition(".")[2].lstrip("$")
        is_plain = isinstance(change.new, (int, float, str)) and len(str(change.new)) <= 20
        seen.setdefault(f"{key} {change.new}" if is_plain else key, change.reason)
    of_reason: dict[str, list[str]] = {}
    for what, reason in list(seen.items())[:_SHOWN_VALUES]:
        of_reason.setdefault(clean(reason), []).append(clean(what))
    shown = [f"{_joined(names)} ({reason})" for reason, names in of_reason.items()]
    more = len(seen) - _SHOWN_VALUES
    return ", ".join([*shown, *([f"and {more} more"] if more > 0 else [])])


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _verdict(findings: Sequence[Finding], *, lacks_weights: bool) -> str:
    """What ``validate`` counts, where missing weights are an error too."""
    errors = sum(one.is_error for one in findings) + lacks_weights
    warnings = sum(one.severity is Severity.WARNING for one in findings)
    said = [amount(errors, "error") if errors else "no errors"]
    if lacks_weights:
        said[0] += " (the weights are missing)"
    if warnings:
        said.append(amount(warnings, "warning"))
    return ", ".join(said)


def _print_fact(console: Console, label: str, text: str) -> None:
    width = min(max(console.width, 40), _WIDEST)
    lines = textwrap.wrap(text, width - _LABEL, break_long_words=False, break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        console.print(Text(f"{label if number == 0 else '':<{_LABEL}}{line}"), soft_wrap=True)
