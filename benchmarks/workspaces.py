"""Workspaces to measure in: small ones that train, and big ones that are only validated."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

TAORUNNER = [sys.executable, "-m", "taorunner"]
PROJECT = "bench"
CLASSES = ("car", "cyclist", "pedestrian")
_WEIGHTS = "repositories/pretrained_object_detection/pretrained_object_detection_vresnet18/resnet_18.hdf5"
_RECORD = bytes.fromhex("020000000000000078270b347b7dcf3dd743")
"""A frame of a TFRecord with two bytes."""


def small(root: Path, *, image: str) -> Path:
    """One project with one dssd experiment, ``noop``, that runs in ``image`` without a GPU."""
    made = [*TAORUNNER, "init-project", PROJECT, "--head", "dssd", "--backbone", "resnet18"]
    root.mkdir(parents=True)
    (root / "projects").mkdir()
    subprocess.run(
        [*made, "--experiment", "noop", "--dataset", "kitti/train"], cwd=root, check=True, capture_output=True
    )
    _name_classes(root / "projects" / PROJECT / "specs/noop")
    _put_data(root / "projects" / PROJECT / "data/kitti")
    (root / _WEIGHTS).parent.mkdir(parents=True)
    (root / _WEIGHTS).write_bytes(b"weights")
    records = (
        root / "projects" / PROJECT / "data/tfrecords_noop/tfrecord-fold-000-of-002-shard-00000-of-00010"
    )
    records.parent.mkdir()
    records.write_bytes(_RECORD)
    file = root / "projects" / PROJECT / "experiments.yml"
    text = file.read_text(encoding="utf-8")
    text = text.replace("gpus: 1  ", f"image: {image}\n  # ulimits are the engine's\n  gpus: 0  ", 1)
    file.write_text(text, encoding="utf-8")
    return root


def record_failed_run(workspace: Path) -> None:
    """Trains ``noop`` with a program that fails at once; no engine is needed."""
    programs = workspace / "bin"
    programs.mkdir()
    (programs / "dssd").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (programs / "dssd").chmod(0o755)
    subprocess.run(
        [*TAORUNNER, "-p", PROJECT, "train", "noop", "--backend", "local"], cwd=workspace, check=False,
        capture_output=True, env={"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(workspace)},
    )  # fmt: skip


def _name_classes(folder: Path) -> None:
    """Writes a line for each class in place of the marked one."""
    for file in folder.iterdir():
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        marked = ('"$FILL_IN"' in line for line in lines)
        each = [
            [line.replace("$FILL_IN", name) for name in CLASSES] if is_marked else [line]
            for line, is_marked in zip(lines, marked, strict=True)
        ]
        file.write_text("".join(line for group in each for line in group), encoding="utf-8")


def _put_data(folder: Path) -> None:
    """64 images for each subset, and labels of the classes that the spec files of a new project have."""
    for number in range(128):
        part = folder / ("train" if number < 64 else "val")
        name = CLASSES[number % 3]
        for kind, suffix, content in (
            ("images", "png", _picture(number)),
            ("labels", "txt", f"{name} 0 0 0 1 1 29 29 0 0 0 0 0 0 0\n".encode()),
        ):
            (part / kind).mkdir(parents=True, exist_ok=True)
            (part / kind / f"{number:03}.{suffix}").write_bytes(content)


def _picture(number: int) -> bytes:
    """A PNG of 32x32 pixels of one colour."""
    rows = b"".join(b"\0" + bytes((number, 255 - number, 90)) * 32 for _ in range(32))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def many(root: Path, count: int, kind: str) -> Path:
    """One project with ``count`` dssd experiments of ten keys each. Returns its experiments.yml.

    ``kind`` says what their spec files are. ``same``: a folder for each, with the same texts. ``different``: a sweep,
    each with numbers and a comment of its own. ``unlike``: each with another text besides. ``extends``: only the first
    one has a folder, and all others extend it.
    """
    small(root, image="taorunner-test/none:1")
    project = root / "projects" / PROJECT
    first = project / "specs" / "noop"
    lines = ["tao_config:", "  gpus: 1", "experiments:"]
    for number in range(count):
        name = f"dssd_resnet18_{number:04}"
        lines += [f"  {name}:"]
        if kind == "extends" and number:
            lines += ["    extends: dssd_resnet18_0000"]
        else:
            lines += [
                "    head: dssd",
                "    backbone: resnet18",
                "    repository: pretrained_object_detection",
                "    dataset: kitti/train",
            ]
            folder = project / "specs" / name
            shutil.copytree(first, folder)
            if kind in ("different", "unlike"):
                for file in folder.iterdir():
                    changed = file.read_text(encoding="utf-8").replace("80", str(10 * (number + 1)))
                    changed = f"# variation {number}\n{changed}"
                    if kind == "unlike":
                        own = f'target_class_mapping {{ key: "{name}" value: "car" }}'  # a line that no other has
                        changed = changed.replace("dataset_config {", f"dataset_config {{\n  {own}", 1)
                    file.write_text(changed, encoding="utf-8")
        lines += [
            "    model_key: env:TAO_MODEL_KEY",
            f"    export_model: {name}_epoch_080",
            "    export_type: fp16",
            "    gpu_indices: [0]",
            f"    description: variation {number} of the first one",
            "    tags: [sweep, resnet18]",
        ]
        if kind in ("same", "extends"):
            lines += ["    vars:", f"      batch_size: {number % 32 + 1}"]
    shutil.rmtree(first)
    file = project / "experiments.yml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
