"""Do public spec files agree with the schemas, and is one mistake made in each of them found on its line?

    python tools/check_public_specs.py FOLDER --version 6.26.3

FOLDER holds files as NVIDIA publishes them (a checkout of tao_tutorials or tao_tensorflow1_backend). A file's network
follows from the folders above its name. Prints each finding, and how many mutations of each kind were found.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from taorunner.errors import Finding
from taorunner.specs.check import check_template
from taorunner.specs.schema import find_schema
from taorunner.specs.schema_check import Against

NAMES = {
    "action_recognition_net": "action_recognition", "metric_learning_recognition": "ml_recog",
    "pose_classification_net": "pose_classification", "re_identification_net": "re_identification",
    "retail_object_detection": "dino", "retail_object_recognition": "ml_recog", "makenet": "classification_tf1",
    "efficientdet": "efficientdet_tf1",
}  # fmt: skip
"""Folders that are not called like their network. Source: tao/pytorch.md section 5."""

FOREIGN = ("classmap", "coco_labels", "val.txt")
"""Files in spec folders that are none."""

_KEY = re.compile(r"^(\s*)([a-z][a-z_0-9]{4,})(\s*:\s*)(-?[0-9][0-9.eE+-]*)(\s*(?:#.*)?)$")


def main() -> int:
    parser = argparse.ArgumentParser(description="hold public spec files against the schemas")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", default="6.26.3")
    options = parser.parse_args()
    files = failing = warned = 0
    without: Counter[str] = Counter()
    mutated: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    for path in sorted(options.folder.rglob("*")):
        if not _is_spec(path):
            continue
        held = _against(path.relative_to(options.folder), options.version)
        if held is None:
            without[path.parent.parent.name] += 1
            continue
        files += 1
        findings = _findings(path.read_text(encoding="utf-8", errors="replace"), held)
        failing += any(finding.is_error for finding in findings)
        warned += bool(findings) and not any(finding.is_error for finding in findings)
        for finding in findings:
            place = f"{path.relative_to(options.folder)}:{finding.line}:{finding.column}"
            print(f"{place}: {finding.severity.value} {finding.code}: {finding.message}")
        if not findings:
            for kind, line, text in _mutations(path.read_text(encoding="utf-8")):
                told = _findings(text, held)
                mutated[kind] += 1
                hit[kind] += any(finding.line == line for finding in told)
                if not any(finding.line == line for finding in told):
                    print(f"not found: {kind} in {path.relative_to(options.folder)}:{line}")
    print(
        f"{files - failing} of {files} have no error ({warned} of these a warning); no schema for {dict(without)}"
    )
    print("mutations found on their line:", {kind: f"{hit[kind]} of {mutated[kind]}" for kind in mutated})
    return 0


def _is_spec(path: Path) -> bool:
    return (
        path.suffix in (".yaml", ".yml", ".txt", ".prototxt", ".cfg")
        and "spec" in path.parent.name
        and not any(name in path.name for name in FOREIGN)
    )


def _against(path: Path, version: str) -> Against | None:
    action = "train"
    if "inferencer" in path.name:
        action = "inference"
    if path.parent.name == "dataset_specs" or ("detectnet_v2" in path.parts and "tfrecords" in path.name):
        action = "dataset_convert"
    if path.stem == "convert":
        return None  # of "dataset annotations convert", whatever the folder
    for folder in reversed(path.parts[:-1]):
        schema = find_schema(NAMES.get(folder, folder), action, version)
        if schema is not None:
            is_yaml = path.suffix in (".yaml", ".yml")
            return Against(schema) if (schema.format == "yaml") == is_yaml else None
    return None


def _findings(text: str, held: Against) -> list[Finding]:
    with tempfile.NamedTemporaryFile("w", suffix=".spec", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        found = check_template(Path(file.name), held.schema.format, [], held, {})
    return [
        finding for finding in found if finding.code not in ("placeholder", "host-path", "unknown-variable")
    ]


def _mutations(text: str) -> list[tuple[str, int, str]]:
    """The first plain number of the file: its key misspelt, another type, far out of range."""
    lines = text.split("\n")
    for index, line in enumerate(lines):
        match = _KEY.match(line.rstrip("\r"))
        if match is None:
            continue
        before, key, colon, _, after = match.groups()
        made = {
            "misspelt": f"{before}{key[:-2]}{key[-1]}{key[-2]}x{colon}1{after}",
            "wrong type": f"{before}{key}{colon}[wrong, {{a: b}}]{after}",
        }
        return [
            (kind, index + 1, "\n".join([*lines[:index], new, *lines[index + 1 :]]))
            for kind, new in made.items()
        ]
    return []


if __name__ == "__main__":
    sys.exit(main())
