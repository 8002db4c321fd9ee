"""Reads spec schemas from the protobuf messages of TAO's packages. The specs of TF1 are these messages.

Python 3.8, as ``dataclass_schemas``. The modules with the messages are not imported. Each contains its descriptor as
bytes, which the protobuf library parses; it is needed only where there are messages.
"""

from __future__ import annotations

import ast
import typing

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
"""Schema → file below ``cv/`` and message of its spec. Source: tao/tensorflow.md section 4.1."""

OTHER_FOLDERS = {
    ("nvidia_tao_tf1", "classification_tf1"): "makenet",
    ("nvidia_tao_tf1", "efficientdet_tf1"): "efficientdet",
}
"""(package, folder in ``MESSAGES``) → what it is called there. Source: TAO's public TF1 repository."""

Facts = typing.Dict[str, typing.Any]  # noqa: UP006


def read_messages(package: str, sources: typing.Iterable[bytes]) -> Facts:
    """As ``read_configs``, of the texts of all ``*_pb2.py`` of a package. Needs ``protobuf`` where there are any."""
    serialized = serialized_files(sources)
    schemas: Facts = {}
    failed: Facts = {}
    if not serialized:
        return {"schemas": schemas, "failed": failed}
    from google.protobuf import descriptor_pb2

    files = {file.name: file for file in map(descriptor_pb2.FileDescriptorProto.FromString, serialized)}
    for name, (path, message) in MESSAGES.items():
        folder, _, rest = path.partition("/")
        full = "{}/cv/{}/{}".format(package, OTHER_FOLDERS.get((package, folder), folder), rest)  # noqa: UP032
        if full in files:
            schemas[name] = _MessageReader(files, full).tree(message)
        else:
            failed[name] = path + " is not in the wheel"
    return {"schemas": schemas, "failed": failed}


def serialized_files(sources: typing.Iterable[bytes]) -> typing.List[bytes]:  # noqa: UP006
    """The descriptors of files in the texts of ``*_pb2.py``, as bytes."""
    return [data for data in map(_descriptor, sources) if data is not None]


def _descriptor(source: bytes) -> typing.Optional[bytes]:  # noqa: UP045
    """The bytes of the file's descriptor, as newer and as older compilers write them into the module."""
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr == "AddSerializedFile":
            given: typing.Any = node.args[0]
        else:
            given = next((word.value for word in node.keywords if word.arg == "serialized_pb"), None)
            if isinstance(given, ast.Call) and given.args:  # _b('…'), which is latin-1
                given = given.args[0]
        if isinstance(given, ast.Constant) and isinstance(given.value, (bytes, str)):
            return given.value if isinstance(given.value, bytes) else given.value.encode("latin1")
    return None


class _MessageReader:
    """Message names are the same in many packages, so each file sees what it imports and nothing else."""

    def __init__(self, files: typing.Mapping[str, typing.Any], path: str) -> None:
        self._messages: Facts = {}
        self._enums: Facts = {}
        pending, seen = [path], set()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            file = files[name]
            scope = "." + file.package if file.package else ""
            self._enums.update({scope + "." + one.name: one for one in file.enum_type})
            for message in file.message_type:
                self._add(scope, message)
            pending += file.dependency

    def _add(self, scope: str, message: typing.Any) -> None:
        name = scope + "." + message.name
        self._messages[name] = message
        self._enums.update({name + "." + one.name: one for one in message.enum_type})
        for nested in message.nested_type:
            self._add(name, nested)

    def tree(self, message: str) -> Facts:
        return self._tree(self._messages["." + message])

    def _tree(self, message: typing.Any) -> Facts:
        return {field.name: self._key(field) for field in message.field}

    def _key(self, field: typing.Any) -> Facts:
        described: Facts = {"many": True} if field.label == field.LABEL_REPEATED else {}
        if field.type in (field.TYPE_MESSAGE, field.TYPE_GROUP):
            return dict({"type": "section", "keys": self._tree(self._messages[field.type_name])}, **described)
        if field.type == field.TYPE_ENUM:
            options = [value.name for value in self._enums[field.type_name].value]
            return dict({"type": "enum", "options": options}, **described)
        kind = next(
            name[len("TYPE_") :].lower()
            for name in ("TYPE_DOUBLE", "TYPE_FLOAT", "TYPE_BOOL", "TYPE_STRING", "TYPE_BYTES", *_INTEGERS)
            if field.type == getattr(field, name)
        )
        limits = _INTEGERS.get("TYPE_" + kind.upper())
        if limits is not None:
            return dict({"type": "int", "min": limits[0], "max": limits[1]}, **described)
        known = {"double": "float", "float": "float", "bool": "bool", "string": "str", "bytes": "str"}
        return dict({"type": known[kind]}, **described)


_SIGNED_32, _SIGNED_64 = (-(2**31), 2**31 - 1), (-(2**63), 2**63 - 1)
_INTEGERS = {
    "TYPE_INT32": _SIGNED_32, "TYPE_SINT32": _SIGNED_32, "TYPE_SFIXED32": _SIGNED_32,
    "TYPE_INT64": _SIGNED_64, "TYPE_SINT64": _SIGNED_64, "TYPE_SFIXED64": _SIGNED_64,
    "TYPE_UINT32": (0, 2**32 - 1), "TYPE_FIXED32": (0, 2**32 - 1),
    "TYPE_UINT64": (0, 2**64 - 1), "TYPE_FIXED64": (0, 2**64 - 1),
}  # fmt: skip
