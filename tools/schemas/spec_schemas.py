"""Writes ``src/taorunner/specs/schemas``: what the specs of TAO may hold, release by release.

    pip download --no-deps -d wheels nvidia-tao-core==7.3.0      # each release that is wanted
    pip download --no-deps -d wheels nvidia-tao-deploy==7.3.0
    pip download --no-deps -d wheels nvidia-tao-ds==7.3.0
    pip download --no-deps -d wheels --python-version 3.12 --only-binary=:all: nvidia-tao-pytorch==7.3.0
    git archive --format=zip -o wheels/nvidia_tao_pytorch-5.5.0.zip dc07b02 nvidia_tao_pytorch  # tao_pytorch_backend
    python tools/schemas/spec_schemas.py wheels

Reads every archive of NVIDIA/tao_pytorch_backend (PyTorch before 6.0: v5.0.0, v5.1.0, v5.2.0, 9c2d94c is 5.3.0, dc07b02
is 5.5.0), every nvidia-tao-core wheel (dataclasses: PyTorch, TF2, data services, deploy), every wheel of nvidia-tao-ds,
nvidia-tao-pytorch and nvidia-tao-deploy since 7.0 (their scripts read dataclasses of their own, and not those of core;
those of deploy are written where they differ from the network's) and every nvidia-tao-deploy wheel (protobuf
descriptors: TF1) of the folder, in the order of their versions, and writes one JSON file for each
schema and ``index.json``. The same wheels give the same bytes. Sections that are alike in several releases are written
once. Nothing of a wheel is kept but names, types, defaults, limits and options. Needs ``protobuf`` besides Python.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from embedded_schema import NAME, embedded_schema

from taorunner.specs.schema.storage import SchemaFile, write_schemas

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "src" / "taorunner" / "specs" / "schemas"

TF1_VERSION = "5.0.0"
"""The TF1 code has been the same since 5.0.0, and so have its messages in every deploy wheel.

Source: tao/catalog_tf.json "images"; a deploy wheel that differs from the first one is refused below.
"""

CORRECTED_OPTIONS = {
    ("oneformer", "train", "precision"): (
        "16-mixed", "16-true", "16", "bf16-mixed", "bf16-true", "bf16", "32-true", "32", "64-true", "64",
    ),
    ("classification_tf2", "model", "backbone"): (),
    ("codetr", "model", "backbone"): (
        "swin_large_224_22k", "swin_large_384_22k", "swin_large_patch4_window7_224", "swin_large_patch4_window12_384",
        "swin_base_224_22k", "swin_base_384_22k", "swin_tiny_224_1k", "fan_tiny", "fan_small", "fan_base", "fan_large",
        "vit_large_nvdinov2", "vit_large_dinov2", "resnet_34", "resnet_50", "efficientvit_b0", "efficientvit_b1",
        "efficientvit_b2", "efficientvit_b3", "vit_large_codetr",
    ),
}  # fmt: skip
"""Where TAO names other options than its code takes. Source: tao-pytorch 7.0.1 cv/oneformer/scripts/train.py hands the
word to Lightning's Trainer, which knows neither "fp16" nor the default, "fp32". Without options, any word is accepted:
resnet_10 trains, which TAO's list lacks (tao/real_runs.md, part TensorFlow, S4). tao-pytorch 7.0.0
cv/backbone_v2/vit_codetr.py registers vit_large_codetr, which cv/codetr/experiment_specs/train.yaml names.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="write the spec schemas out of TAO's wheels")
    parser.add_argument(
        "wheels", type=Path, help="folder with nvidia_tao_core-*.whl and nvidia_tao_deploy-*.whl"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    schemas: dict[str, SchemaFile] = {}
    sources: list[dict[str, Any]] = []
    for name, releases in _yaml_trees(options.wheels, sources).items():
        schemas[name] = SchemaFile("yaml")
        for release, tree in releases.items():
            schemas[name].add(release, _corrected(name, tree))
    protos = _protos(options.wheels, sources)
    for name, tree in protos.items():
        schemas[name] = SchemaFile("prototxt")
        schemas[name].add(TF1_VERSION, tree)
    if not schemas:
        print(f"no wheels in {options.wheels}", file=sys.stderr)
        return 2
    schemas[NAME] = embedded_schema()
    options.out.mkdir(parents=True, exist_ok=True)
    for old in options.out.glob("*.json"):
        old.unlink()
    write_schemas(options.out, schemas, {"sources": sources})
    size = sum(file.stat().st_size for file in options.out.glob("*.json"))
    print(f"{len(schemas)} schemas, {size // 1024} KiB, from {len(sources)} wheels")
    return 0


_WITH_DATACLASSES = (
    "nvidia_tao_pytorch-*.zip", "nvidia_tao_core-*.whl", "nvidia_tao_ds-*.whl", "nvidia_tao_pytorch-*.whl",
    "nvidia_tao_deploy-*.whl",
)  # fmt: skip
"""Archives with dataclasses. Those of one release that come later replace what earlier ones say."""


def _yaml_trees(folder: Path, sources: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Schema name → release → the tree of its keys."""
    trees: dict[str, dict[str, Any]] = {}
    for pattern in _WITH_DATACLASSES:
        for wheel in sorted(folder.glob(pattern), key=_version):
            found, release = _dataclasses(wheel), _name(wheel)[1]
            for name, tree in found["schemas"].items():
                network = trees.get(name.removesuffix(".deploy"), {})
                if not name.endswith(".deploy") or network.get(release) != tree:
                    trees.setdefault(name, {})[release] = tree
            if (
                found["schemas"] and "deploy" not in pattern
            ):  # deploy is a source of messages too, and listed there
                sources.append(_source(wheel, found["failed"]))
    return trees


def _dataclasses(wheel: Path) -> dict[str, Any]:
    core = wheel.parent.glob(f"nvidia_tao_core-{_name(wheel)[1]}-*.whl")
    read = [sys.executable, str(HERE / "wheel_dataclasses.py"), str(wheel), *map(str, core)]
    done = subprocess.run(read, capture_output=True, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _corrected(schema: str, tree: dict[str, Any]) -> dict[str, Any]:
    for (name, *above, key), options in CORRECTED_OPTIONS.items():
        section: dict[str, Any] = tree if name == schema else {}
        for step in above:
            section = section.get(step, {}).get("keys", {})
        if key in section:
            section[key] |= {"options": list(options), "is_corrected": True}
    return tree


def _protos(folder: Path, sources: list[dict[str, Any]]) -> dict[str, Any]:
    from wheel_protos import read_wheel

    first: dict[str, Any] = {}
    for wheel in sorted(folder.glob("nvidia_tao_deploy-*.whl"), key=_version):
        found = read_wheel(wheel)
        if not found["schemas"]:
            continue  # the modules of 4.0 are encrypted
        if first and found["schemas"] != first:
            differing = sorted(name for name in first if found["schemas"].get(name) != first[name])
            raise SystemExit(
                f"{wheel.name} has other messages ({', '.join(differing)}): TF1_VERSION no longer holds"
            )
        first = found["schemas"]
        sources.append(_source(wheel, found["failed"]))
    return first


def _source(wheel: Path, failed: dict[str, str]) -> dict[str, Any]:
    name, version = _name(wheel)
    digest = hashlib.sha256(
        wheel.read_bytes() if wheel.suffix == ".whl" else _configuration(wheel)
    ).hexdigest()
    return {"package": name, "version": version, "sha256": digest, "without": failed}


def _configuration(archive: Path) -> bytes:
    """What of the code is read, however it was packed."""
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".py") and "config" in name)
        return b"\0".join(part for name in names for part in (name.encode(), opened.read(name)))


def _name(wheel: Path) -> tuple[str, str]:
    name, version = wheel.name.removesuffix(".zip").split("-")[:2]
    return name.replace("_", "-"), version


def _version(wheel: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in _name(wheel)[1].split("."))


if __name__ == "__main__":
    sys.exit(main())
