"""What do the protobuf descriptors of one nvidia-tao-deploy wheel say? The specs of TF1 are these messages.

The modules are read, not imported: the descriptor is the one argument of a call in each of them. Needs ``protobuf``.
"""

from __future__ import annotations

import ast
import zipfile
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2

Field = descriptor_pb2.FieldDescriptorProto

MESSAGES = {
    "classification_tf1": ("classification_tf1/proto/experiment.proto", "Experiment"),
    "detectnet_v2": ("detectnet_v2/proto/experiment.proto", "Experiment"),
    "detectnet_v2.inference": ("detectnet_v2/proto/inference.proto", "Inference"),
    "detectnet_v2.dataset_convert": ("detectnet_v2/proto/dataset_export_config.proto", "DatasetExportConfig"),
    "efficientdet_tf1": ("efficientdet_tf1/proto/experiment.proto", "Experiment"),
    "faster_rcnn": ("faster_rcnn/proto/experiment.proto", "Experiment"),
    "lprnet": ("lprnet/proto/experiment.proto", "Experiment"),
    "mask_rcnn": ("mask_rcnn/proto/experiment.proto", "Experiment"),
    "multitask_classification": ("multitask_classification/proto/experiment.proto", "Experiment"),
    "retinanet": ("retinanet/proto/experiment.proto", "Experiment"),
    "ssd": ("ssd/proto/experiment.proto", "Experiment"),
    "unet": ("unet/proto/experiment.proto", "Experiment"),
    "yolo_v3": ("yolo_v3/proto/experiment.proto", "Experiment"),
    "yolo_v4": ("yolo_v4/proto/experiment.proto", "Experiment"),
}
"""Schema → file and message of its spec. Source: tao/tensorflow.md section 4.1."""

_PREFIX = "nvidia_tao_deploy/cv/"
_KINDS = {
    Field.TYPE_DOUBLE: "float", Field.TYPE_FLOAT: "float", Field.TYPE_BOOL: "bool",
    Field.TYPE_STRING: "str", Field.TYPE_BYTES: "str",
}  # fmt: skip
_INTEGERS = {
    Field.TYPE_INT32: (-(2**31), 2**31 - 1), Field.TYPE_SINT32: (-(2**31), 2**31 - 1),
    Field.TYPE_SFIXED32: (-(2**31), 2**31 - 1), Field.TYPE_UINT32: (0, 2**32 - 1),
    Field.TYPE_FIXED32: (0, 2**32 - 1), Field.TYPE_INT64: (-(2**63), 2**63 - 1),
    Field.TYPE_SINT64: (-(2**63), 2**63 - 1), Field.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    Field.TYPE_UINT64: (0, 2**64 - 1), Field.TYPE_FIXED64: (0, 2**64 - 1),
}  # fmt: skip


def read_wheel(wheel: Path) -> dict[str, Any]:
    """Schema name → the tree of its keys."""
    files = _descriptors(wheel)
    schemas: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name, (path, message) in MESSAGES.items():
        if _PREFIX + path in files:
            schemas[name] = _Reader(files, _PREFIX + path).tree(message)
        else:
            failed[name] = f"{path} is not in the wheel"
    return {"schemas": schemas, "failed": failed}


def _descriptors(wheel: Path) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            data = _serialized(archive.read(entry)) if entry.endswith("_pb2.py") else None
            if data is not None:
                descriptor = descriptor_pb2.FileDescriptorProto.FromString(data)
                found[descriptor.name] = descriptor
    return found


def _serialized(source: bytes) -> bytes | None:
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "AddSerializedFile"
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, bytes)
        ):
            return node.args[0].value
    return None


class _Reader:
    """Message names are the same in many packages, so each file sees what it imports and nothing else."""

    def __init__(self, files: dict[str, descriptor_pb2.FileDescriptorProto], path: str) -> None:
        self._messages: dict[str, descriptor_pb2.DescriptorProto] = {}
        self._enums: dict[str, descriptor_pb2.EnumDescriptorProto] = {}
        pending, seen = [path], set()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            file = files[name]
            scope = f".{file.package}" if file.package else ""
            self._enums |= {f"{scope}.{enum.name}": enum for enum in file.enum_type}
            for message in file.message_type:
                self._add(scope, message)
            pending += file.dependency

    def _add(self, scope: str, message: descriptor_pb2.DescriptorProto) -> None:
        name = f"{scope}.{message.name}"
        self._messages[name] = message
        self._enums |= {f"{name}.{enum.name}": enum for enum in message.enum_type}
        for nested in message.nested_type:
            self._add(name, nested)

    def tree(self, message: str) -> dict[str, Any]:
        return self._tree(self._messages[f".{message}"])

    def _tree(self, message: descriptor_pb2.DescriptorProto) -> dict[str, Any]:
        return {field.name: self._key(field) for field in message.field}

    def _key(self, field: Field) -> dict[str, Any]:
        described: dict[str, Any] = {"many": True} if field.label == Field.LABEL_REPEATED else {}
        if field.type in (Field.TYPE_MESSAGE, Field.TYPE_GROUP):
            return {"type": "section", "keys": self._tree(self._messages[field.type_name]), **described}
        if field.type == Field.TYPE_ENUM:
            options = [value.name for value in self._enums[field.type_name].value]
            return {"type": "enum", "options": options, **described}
        if field.type in _INTEGERS:
            least, most = _INTEGERS[field.type]
            return {"type": "int", "min": least, "max": most, **described}
        return {"type": _KINDS[field.type], **described}
