"""Writes what ``$FILL_IN`` asks for into the files of a new project: three classes, or two kinds of pixels.

A test that needs a project that can run calls ``fill_in`` after ``new_project``; ``filled`` gives one text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from taorunner.catalog.load import load_network
from taorunner.project.scaffold import scaffold_heads

EXAMPLE = """\
tao_config:
  gpus: 1
  gpu_indices: [1]            # host ids as in nvidia-smi, or "auto"
experiments:
  dssd_resnet18_01:
    head: dssd                # a network of the catalog
    backbone: resnet18
    repository: pretrained_object_detection
    model_key: secret_key     # or env:NAME, or file:path
    dataset: kitti_detection/train
    export_model: dssd_resnet18_epoch_080
    export_type: fp16         # fp32, fp16, int8
"""
"""The experiments.yml of the original tool's README, as the interface page shows it: it is read unchanged."""

CLASSES = ("car", "cyclist", "pedestrian")
PIXELS = ("background", "foreground")
_COLOURS = ("green", "orange", "blue")
_MASK_HEADS = ("segformer", "visual_changenet")
_ANCHORS = {
    "Car": ("3.9, 1.6, 1.56", "-1.78"), "Pedestrian": ("0.8, 0.6, 1.73", "-0.6"), "Cyclist": ("1.76, 0.6, 1.73", "-0.6"),
}  # fmt: skip
_YAML = {
    "color_map": "{" + ", ".join(f"{n}: {c}" for n, c in zip(CLASSES, _COLOURS, strict=True)) + "}",
    "captions": f"[{', '.join(CLASSES)}]",
    "classes": f"[{', '.join(CLASSES)}]",
    "category": "bike",
    "label_map": "{" + ", ".join(f"{name}: {number}" for number, name in enumerate(CLASSES)) + "}",
    "palette": "[" + ", ".join(
        f"{{seg_class: {name}, mapping_class: {name}, label_id: {number}, rgb: [{number}]}}"
        for number, name in enumerate(PIXELS)
    ) + "]",
    "class_names": f"[{', '.join(_ANCHORS)}]",
    "filter_by_min_points": "[" + ", ".join(f'"{name}:5"' for name in _ANCHORS) + "]",
    "text_encoder": "/workspace/projects/mobileclip_blt.pt",
    "sample_groups": "[" + ", ".join(f'"{name}:15"' for name in _ANCHORS) + "]",
}  # fmt: skip


def heads_with_images() -> list[str]:
    """The networks with a scaffold that start without naming an image: theirs is public, or they need none."""
    trained = {head: load_network(head).contract("train") for head in scaffold_heads()}
    return [head for head, one in trained.items() if one.image is not None or one.group == "embedded"]


def fill_in(project: Path) -> None:
    """Fills the marks in experiments.yml and all spec files of the project."""
    experiments = project / "experiments.yml"
    head = re.findall(r"^ +head: (\S+)", experiments.read_text(), re.MULTILINE)[0]
    for file in (experiments, *sorted((project / "specs").glob("*/*"))):
        file.write_text(filled(file, head))


def filled(file: Path, head: str) -> str:
    """The text of a spec file or of experiments.yml without a mark."""
    text = file.read_text(encoding="utf-8")
    text = _prototxt(text) if file.suffix == ".txt" else _yaml(text, head)
    assert not re.search(r"^[^#\n]*\$FILL_IN", text, re.MULTILINE), file
    return text


def _yaml(text: str, head: str) -> str:
    block = re.search(r"^ +- class_name: \$FILL_IN.*\n(?:^ {8}.*\n)+", text, re.MULTILINE)
    if block is not None:
        text = text[: block.start()] + "".join(_anchors(block[0])) + text[block.end() :]

    def value(match: re.Match[str]) -> str:
        if match["key"] != "num_classes":
            return match["start"] + _YAML[match["key"]]
        by_id = "category_id" in match["rest"]
        return match["start"] + ("4" if by_id else "2" if head in _MASK_HEADS else "3")

    pattern = r"(?m)^(?P<start>[^#\n]*?(?P<key>\w+): )\$FILL_IN(?=(?P<rest>.*))"
    return re.sub(pattern, value, text)


def _anchors(block: str) -> list[str]:
    return [
        block.replace("class_name: $FILL_IN", f"class_name: {name}")
        .replace("anchor_sizes: $FILL_IN", f"anchor_sizes: [[{sizes}]]")
        .replace("anchor_bottom_heights: $FILL_IN", f"anchor_bottom_heights: [{bottom}]")
        for name, (sizes, bottom) in _ANCHORS.items()
    ]


def _prototxt(text: str) -> str:
    number = re.compile(r"^( *num_classes: )\$FILL_IN", re.MULTILINE)
    text = number.sub(r"\g<1>4", text)
    lines = text.splitlines(keepends=True)
    out: list[str] = []
    while lines:
        block = _next_block(lines)
        del lines[: len(block)]
        if not any("$FILL_IN" in line.partition("#")[0] for line in block):
            out += block
            continue
        names = PIXELS if "label_id" in block[0] else CLASSES
        for index, name in enumerate(names):
            for line in block:
                line = line.replace("label_id: $FILL_IN", f"label_id: {index}")
                out.append(re.sub(r'"\$FILL_IN"(  # .*)?', f'"{name}"', line))
    return "".join(out)


def _next_block(lines: Sequence[str]) -> list[str]:
    """The first line; the whole block where its first entry is marked."""
    opening = re.match(r"( *)\w+ \{\n", lines[0])
    if opening is None or len(lines) < 2 or not re.match(r' *(?:key|name): "\$FILL_IN"', lines[1]):
        return [lines[0]]
    end = next(i for i, line in enumerate(lines) if line == f"{opening[1]}}}\n")
    return list(lines[: end + 1])
