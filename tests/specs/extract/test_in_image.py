"""What the reader finds in packages of TAO's shape, run as it runs inside an image."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from tao_packages import CONVERT_TREE, CORE, DINO_TREE, PYTORCH

from taorunner.specs.extract.in_image import MARK, reader_command
from taorunner.specs.extract.protobuf_schemas import MESSAGES


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def read(folder: Path) -> Any:
    done = subprocess.run(
        [sys.executable, *reader_command()[1:]],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    _before, mark, line = done.stdout.rpartition(f"\n{MARK}")
    assert mark
    return json.loads(line)


def test_a_package_of_configurations(tmp_path: Path) -> None:
    write(tmp_path, CORE)
    assert read(tmp_path) == {
        "yaml": {"dino": DINO_TREE, "dino.convert": CONVERT_TREE},
        "prototxt": {},
        "failed": {
            "broken": "RuntimeError: no licence",
            "empty": "none of ExperimentConfig, CLIPExperimentConfig, VLLMCaptionInferenceExpConfig is in "
            "empty.default_config",
        },
        "packages": {"nvidia_tao_core": "9.9.1"},
    }


def test_configurations_beside_code_that_cannot_be_loaded(tmp_path: Path) -> None:
    write(tmp_path, PYTORCH)
    found = read(tmp_path)
    assert found["yaml"] == {"dino": DINO_TREE, "ml_recog": CONVERT_TREE}
    assert set(found["failed"]) == {"dino.convert"}


def test_what_is_installed_in_a_folder_with_a_name_like_pythons_is_not_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "python3-packages"
    write(folder, {**CORE, "torch/__init__.py": "raise OSError('libcuda.so.1')\n"})
    assert read(folder)["yaml"] == {"dino": DINO_TREE, "dino.convert": CONVERT_TREE}


def test_the_images_own_package_counts_before_the_common_one(tmp_path: Path) -> None:
    own = CORE["nvidia_tao_core/config/dino/dataset.py"].replace(
        "DINODatasetConvertConfig", "ExperimentConfig"
    )
    write(tmp_path, {**CORE, "nvidia_tao_deploy/cv/dino/hydra_config/default_config.py": own})
    assert read(tmp_path)["yaml"]["dino"] == CONVERT_TREE


def test_without_any_package_there_is_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) == {"yaml": {}, "prototxt": {}, "failed": {}, "packages": {}}


Field = descriptor_pb2.FieldDescriptorProto


def descriptor(package: str, folder: str) -> bytes:
    """``experiment.proto`` of one network, with a message, an enum and repeated fields."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}/cv/{folder}/proto/experiment.proto")
    inner = file.message_type.add(name="Source")
    inner.field.add(name="path", number=1, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
    message = file.message_type.add(name="Experiment")
    kind = message.enum_type.add(name="Kind")
    kind.value.add(name="L1", number=0)
    kind.value.add(name="L2", number=1)
    optional, repeated = Field.LABEL_OPTIONAL, Field.LABEL_REPEATED
    message.field.add(name="seed", number=1, type=Field.TYPE_UINT32, label=optional)
    message.field.add(
        name="kind", number=2, type=Field.TYPE_ENUM, type_name=".Experiment.Kind", label=optional
    )
    message.field.add(name="sources", number=3, type=Field.TYPE_MESSAGE, type_name=".Source", label=repeated)
    message.field.add(name="rates", number=4, type=Field.TYPE_FLOAT, label=repeated)
    return file.SerializeToString()


PROTO_TREE = {
    "seed": {"type": "int", "min": 0, "max": 2**32 - 1},
    "kind": {"type": "enum", "options": ["L1", "L2"]},
    "sources": {"type": "section", "keys": {"path": {"type": "str"}}, "many": True},
    "rates": {"type": "float", "many": True},
}


@pytest.mark.parametrize(
    ("package", "folder", "network", "module"),
    [
        ("nvidia_tao_deploy", "ssd", "ssd", "DESCRIPTOR = _pool.Default().AddSerializedFile({data!r})\n"),
        (
            "nvidia_tao_tf1", "makenet", "classification_tf1",
            "DESCRIPTOR = _descriptor.FileDescriptor(name='x', serialized_pb=_b({text!r}))\n",
        ),
    ],
)  # fmt: skip
def test_messages_as_new_and_old_compilers_write_them(
    tmp_path: Path, package: str, folder: str, network: str, module: str
) -> None:
    data = descriptor(package, folder)
    text = module.format(data=data, text=data.decode("latin1"))
    write(tmp_path, {f"{package}/cv/{folder}/proto/experiment_pb2.py": f"import nothing\n{text}"})
    found = read(tmp_path)
    assert found["prototxt"] == {network: PROTO_TREE}
    assert network not in found["failed"]
    assert set(found["failed"]) == set(MESSAGES) - {network}


def test_every_scalar_of_protobuf_has_its_kind_and_its_limits(tmp_path: Path) -> None:
    signed, unsigned = (
        {32: (-(2**31), 2**31 - 1), 64: (-(2**63), 2**63 - 1)},
        {32: (0, 2**32 - 1), 64: (0, 2**64 - 1)},
    )
    integers = {"int": signed, "sint": signed, "sfixed": signed, "uint": unsigned, "fixed": unsigned}
    expected: dict[str, dict[str, Any]] = {
        f"{kind}{bits}": {"type": "int", "min": limits[bits][0], "max": limits[bits][1]}
        for kind, limits in integers.items()
        for bits in (32, 64)
    }
    others = {"double": "float", "float": "float", "bool": "bool", "string": "str", "bytes": "str"}
    expected |= {kind: {"type": read} for kind, read in others.items()}
    file = descriptor_pb2.FileDescriptorProto(name="nvidia_tao_tf1/cv/ssd/proto/experiment.proto")
    message = file.message_type.add(name="Experiment")
    for number, name in enumerate(expected, start=1):
        kind = Field.Type.Value(f"TYPE_{name.upper()}")
        message.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
    text = f"DESCRIPTOR = _pool.Default().AddSerializedFile({file.SerializeToString()!r})\n"
    write(tmp_path, {"nvidia_tao_tf1/cv/ssd/proto/experiment_pb2.py": text})
    assert read(tmp_path)["prototxt"] == {"ssd": expected}


def test_messages_without_their_library_and_broken_files_are_reported(tmp_path: Path) -> None:
    data = descriptor("nvidia_tao_tf1", "ssd")
    text = f"DESCRIPTOR = _pool.Default().AddSerializedFile({data!r})\n"
    write(tmp_path, {"nvidia_tao_tf1/cv/ssd/proto/experiment_pb2.py": text, "google/__init__.py": ""})
    write(tmp_path, {"nvidia_tao_tf1/cv/ssd/proto/closed_pb2.py": "not python"})
    found = read(tmp_path)
    assert found["prototxt"] == {}
    assert found["failed"] == {"messages of nvidia_tao_tf1": "No module named 'google.protobuf'"}


def test_the_reader_is_python_of_tao_5_0() -> None:
    """Its TF1 image has Python 3.8, and each text travels as one word of a command line."""
    _python, _option, start, *words = reader_command()
    for text in (start, *words[1::2]):
        ast.parse(text, feature_version=(3, 8))
        assert len(text.encode()) < 100_000
