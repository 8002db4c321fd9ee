"""Do public spec files agree with the schemas, and is one mistake made in each of them found on its line?

    git clone https://github.com/NVIDIA/tao_tutorials
    git clone https://github.com/NVIDIA/tao_tensorflow1_backend
    python tools/check_public_specs.py tao_tutorials@v5.1.0 tao_tutorials@release/6.25.11 tao_tutorials@main=7.0.1 \\
        tao_tensorflow1_backend@main=5.0.0

Each word is a folder or a git repository, behind ``@`` a branch or tag of it, behind ``=`` the release of TAO that the
files are for, where the name of the branch does not tell it. A file's network follows from the folders above its
name, its action as ``init-project --from-launcher`` finds it. A text that occurs in several places of one release is
looked at once. Prints every file that fails with its reasons, and every mistake that was not found.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path, PurePosixPath

from spec_mutations import mutations

from taorunner.contracts import Contract
from taorunner.errors import Finding, UserFilesError
from taorunner.importers.network_detection import action_of, read_spec
from taorunner.planning.inputs.variables import VARIABLES
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.schema_choice import code_version, schema_for
from taorunner.specs.schema.protobuf_check import refused_by_library
from taorunner.specs.schema.walk import Against, walk_prototxt
from taorunner.specs.spec_file import SpecFile, check_loaded
from taorunner.specs.syntax.prototxt_parser import parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError

NAMES = {
    "action_recognition_net": "action_recognition", "metric_learning_recognition": "ml_recog",
    "pose_classification_net": "pose_classification", "re_identification_net": "re_identification",
    "retail_object_detection": "dino", "retail_object_recognition": "ml_recog", "makenet": "classification_tf1",
    "efficientdet": "efficientdet_tf1", "facenet": "detectnet_v2", "yolov3": "yolo_v3", "yolov4": "yolo_v4",
}  # fmt: skip
"""Folders that are not called like their network. Source: tao/pytorch.md section 5, names in the repositories."""

BY_NAME = {
    "analytics": "analytics",
    "augment": "augmentation",
    "autolabel": "auto_label",
    "convert": "annotations",
}
"""Files of data services, whose folders are called like their data."""

FOREIGN = ("classmap", "coco_labels", "val.txt", "us_lp_characters", "labels.txt")
"""Files in spec folders that are none."""

_SUFFIXES = (".yaml", ".yml", ".txt", ".prototxt", ".cfg")
_VERSION = re.compile(r"(\d+\.\d+\.\d+)")
_VALUES = {name: 1 if name.startswith("num_") else f"/{name}" for name in VARIABLES}
_NOT_OURS = ("placeholder", "host-path", "unknown-variable")
"""Said of every example: its paths are to be replaced."""


@dataclass(frozen=True, slots=True)
class _PublicFile:
    """``name`` is its path in the repository."""

    origin: str
    release: str | None
    name: PurePosixPath
    content: bytes


@dataclass(slots=True)
class _Report:
    checked: int = 0
    failing: int = 0
    warned: int = 0
    same: int = 0
    texts: int = 0
    agreed: int = 0
    without: Counter[str] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)


def main() -> int:
    parser = argparse.ArgumentParser(description="hold public spec files against the schemas")
    parser.add_argument("sources", nargs="+", metavar="FOLDER[@REF][=RELEASE]")
    parser.add_argument("--seed", default="", help="another word, other mistakes")
    options = parser.parse_args()
    networks = Networks()
    report = _Report()
    seen: set[tuple[bytes, str, str]] = set()
    for source in options.sources:
        for file in _files(source):
            _check(file, networks, report, seen, options.seed)
    print(
        f"{report.checked - report.failing} of {report.checked} pass ({report.warned} of these with a warning);"
    )
    print(f"{report.same} more are the same text for the same network and release")
    print(f"the protobuf library agrees on {report.agreed} of {report.texts} protobuf texts")
    print(f"no schema is known for: {dict(report.without.most_common())}")
    for kind, made in report.made.items():
        print(f"{kind}: {report.found[kind]} of {made} found on the line")
    return 0


def _check(
    file: _PublicFile, networks: Networks, report: _Report, seen: set[tuple[bytes, str, str]], seed: str
) -> None:
    contract = _contract(file, networks)
    if contract is None:
        report.without[f"{file.name.parent.parent.name} {file.release or ''}".strip()] += 1
        return
    held = schema_for(contract)
    if held is None:
        report.without[f"{contract.network} {code_version(contract)}"] += 1
        return
    mark = (file.content, f"{contract.network} {contract.action}", code_version(contract))
    if mark in seen:
        report.same += 1
        return
    seen.add(mark)
    text = file.content.decode("utf-8", "replace")
    findings = _findings(text, replace(held, action=None))
    report.checked += 1
    errors = [finding for finding in findings if finding.is_error]
    if held.schema.format == "prototxt":
        report.texts += 1
        agrees = (refused_by_library(text, held.schema) is not None) == _we_refuse(text, held)
        report.agreed += agrees
        if not agrees:
            print(f"{file.origin}:{file.name}: the protobuf library is of another mind")
    report.failing += bool(errors)
    report.warned += bool(findings) and not errors
    for finding in findings:
        place = f"{file.origin}:{file.name}:{finding.line}:{finding.column}"
        print(f"{place}: {finding.severity.value} {finding.code}: {finding.message}")
    if findings:
        return
    alone = replace(held, given=frozenset())
    for one in mutations(text, alone, f"{seed}{file.name}"):
        report.made[one.kind] += 1
        against = alone if one.kind == "missing" else replace(alone, action=None)
        if any(finding.line == one.line for finding in _findings(one.text, against)):
            report.found[one.kind] += 1
        else:
            print(f"not found: {one.kind} in {file.origin}:{file.name}:{one.line}: {one.what}")


def _files(source: str) -> Iterator[_PublicFile]:
    place, _, release = source.partition("=")
    folder, _, ref = place.partition("@")
    version = release or (match[1] if (match := _VERSION.search(ref)) is not None else None)
    origin = f"{Path(folder).name}@{ref}" if ref else Path(folder).name
    if ref:
        command = ["git", "-C", folder, "archive", "--format=tar", ref]
        archive = subprocess.run(command, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            for member in sorted(tar.getmembers(), key=lambda one: one.name):
                if member.isfile() and _is_spec(PurePosixPath(member.name)):
                    content = tar.extractfile(member)
                    yield _PublicFile(
                        origin, version, PurePosixPath(member.name), content.read() if content else b""
                    )
        return
    for path in sorted(Path(folder).rglob("*")):
        name = PurePosixPath(path.relative_to(folder).as_posix())
        if path.is_file() and _is_spec(name):
            yield _PublicFile(origin, version, name, path.read_bytes())


def _is_spec(name: PurePosixPath) -> bool:
    return (
        name.suffix in _SUFFIXES
        and any("spec" in part for part in name.parts[-3:-1])
        and not any(foreign in name.name for foreign in FOREIGN)
    )


def _contract(file: _PublicFile, networks: Networks) -> Contract | None:
    """Of the nearest folder that is called like a network, in the release of the file or the newest one before it."""
    spec = read_spec(Path(file.name), file.content.decode("utf-8", "replace"))
    head = next(
        (NAMES.get(one, one) for one in reversed(file.name.parts) if NAMES.get(one, one) in networks.names),
        None,
    )
    if head is None and "tao_data_services" in file.name.parts:
        head = BY_NAME.get(file.name.stem)
    if spec is None or head is None:
        return None
    network = networks.load(head)
    if "convert" in spec.tokens and not {"convert", "dataset_convert"} & set(network.actions(None)):
        network = networks.load("annotations")  # "tao dataset annotations convert", whatever the folder
    wanted = _numbers(file.release or network.default_release)
    for release in sorted(network.releases, key=_numbers, reverse=True):
        try:
            contracts = network.contracts(release)
        except UserFilesError:
            continue
        if contracts and _numbers(release) <= wanted:
            return contracts.get(action_of(spec, contracts.values()) or "train")
    return None


def _we_refuse(text: str, held: Against) -> bool:
    """What our own reader says, without the library that ``validate`` asks too."""
    try:
        return bool(walk_prototxt(parse_prototxt(text), held).problems)
    except SpecProblemError:
        return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _findings(text: str, held: Against) -> list[Finding]:
    file = SpecFile(Path("public.spec"), text)
    found = check_loaded(file, held.schema.format, _VALUES, held, _VALUES)
    return [finding for finding in found if finding.code not in _NOT_OURS]


if __name__ == "__main__":
    sys.exit(main())
