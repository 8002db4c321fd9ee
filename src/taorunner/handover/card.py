"""``model_card.md`` of a bundle: what the model is, what it was made from, how good it is, how it was checked. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from taorunner.handover.check import Checked
from taorunner.handover.model import Contents, Use
from taorunner.handover.onnx_header import Tensor
from taorunner.runs.inputs.run_lock import RunLock
from taorunner.text import printable

_FEW = 100
_MOST_CLASSES = 200


def model_card(
    contents: Contents,
    use: Use,
    export: RunLock | None,
    training: RunLock | None,
    evaluation: bytes | None,
    checked: Checked,
) -> str:
    parts = [
        [f"# {_cell(contents.name)}"], _origin(contents, export, training), _tensors(contents), _input(contents, use),
        _scores(json.loads(evaluation) if evaluation is not None else None), _check(checked),
    ]  # fmt: skip
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _origin(contents: Contents, export: RunLock | None, training: RunLock | None) -> list[str]:
    lines = ["## What it is", "", f"- network: {contents.network}"]
    if export is not None:
        lines += [f"- exported with TAO {_cell(export.release)}, image {_cell(export.image or 'none')}"]
        lines += [
            f"- from {_cell(one.path.rpartition('/')[2])}, SHA-256 {one.sha256 or 'not computed'}"
            for one in export.weights
        ]
    for data in training.data if training is not None else ():
        lines.append(
            f"- trained on {_cell(data.name)}: {data.images} images in {data.files} files, "
            f"fingerprint {data.fingerprint}"
        )
    if training is not None and training.seed is not None:
        lines.append(f"- seed {_cell(training.seed)}")
    return [*lines, "- everything else: run.lock"]


def _tensors(contents: Contents) -> list[str]:
    rows = [("input", one) for one in contents.header.inputs] + [
        ("output", one) for one in contents.header.outputs
    ]
    return [
        "## Inputs and outputs",
        "",
        *(f"- {kind} `{_cell(one.name)}`: {_shape(one)}" for kind, one in rows),
    ]


def _input(contents: Contents, use: Use) -> list[str]:
    scaling = contents.preprocessing
    lines = ["## Images", ""]
    if scaling is None:
        return [*lines, f"How an image becomes the input of {contents.network} is not known to taorunner."]
    size = contents.size
    if size is not None:
        lines.append(f"- stretched to {size[0]} x {size[1]} pixels, bilinear")
    lines.append(f"- {'RGB' if scaling.is_rgb else 'BGR'}, 0 to 255, then (x - mean) / std")
    lines.append(
        f"- mean {_three(scaling.mean)}, std {_three(scaling.std)} (red, green, blue; {scaling.where})"
    )
    if use is Use.DEEPSTREAM and len(set(scaling.std)) > 1:
        lines.append(
            f"- DeepStream has one factor for three colours: {scaling.factor:.10g}, that of their mean"
        )
    if contents.labels:
        lines.append(f"- classes, in the order of labels.txt: {len(contents.labels)}")
    return lines


def _scores(body: Any) -> list[str]:
    if not isinstance(body, Mapping):
        return [
            "## Scores",
            "",
            "Not scored on this machine: `taorunner evaluate EXPERIMENT --on-host` does it.",
        ]
    protocol, data = body.get("protocol"), body.get("data")
    text = protocol.get("text") if isinstance(protocol, Mapping) else None
    name = data.get("name") if isinstance(data, Mapping) else None
    images = data.get("images") if isinstance(data, Mapping) else None
    lines = [
        "## Scores",
        "",
        f"{_cell(text or 'measured here')}; {_cell(name or 'data')}, {_cell(images)} images",
        "",
    ]
    return [*lines, *_table(body.get("per_class"))]


def _table(rows: object) -> Iterator[str]:
    classes = (
        [row for row in rows if isinstance(row, Mapping)][:_MOST_CLASSES] if isinstance(rows, list) else []
    )
    names = [
        name
        for name in ("truths", "AP", "AP50", "IoU", "F1", "best_f1", "at_score")
        if any(name in row for row in classes)
    ]
    if not classes:
        return
    yield f"| class | {' | '.join(names)} |"
    yield f"|{'---|' * (len(names) + 1)}"
    for row in classes:
        yield f"| {_cell(row.get('name'))} | {' | '.join(_figure(row.get(name)) for name in names)} |"
    few = [row for row in classes if isinstance(row.get("truths"), int) and row["truths"] < _FEW]
    if few:
        yield ""
        yield f"Fewer than {_FEW} objects to measure on: {', '.join(_cell(row.get('name')) for row in few)}."


def _check(checked: Checked) -> list[str]:
    if checked.state != "passed":
        return ["## Check", "", f"Not checked: {_cell(checked.reason)}."]
    return [
        "## Check", "",
        f"onnxruntime {_cell(checked.onnxruntime)} with this preprocessing gave the boxes that TAO's inference wrote: "
        f"{checked.agree} of {checked.boxes} on {checked.images} images, at most {checked.farthest_px:.2f} pixels and "
        f"{checked.score_off:.4f} of score apart.",
    ]  # fmt: skip


def _shape(one: Tensor) -> str:
    return " x ".join("any" if size is None else str(size) for size in one.shape) or "a number"


def _three(values: tuple[float, float, float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else "-"


def _cell(text: object) -> str:
    """A text of others in a line of Markdown, without marks that change it."""
    plain = " ".join(printable(str(text)).split())
    return "".join(f"\\{one}" if one in "\\`*_[]<>|#" else one for one in plain)
