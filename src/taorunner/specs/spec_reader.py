"""What may TAO's specs hold, according to TAO's own packages? Read from wheels and inside images, printed as JSON.

One file of Python 3.8 and the standard library, because its text is sent into an image and runs there, by whatever
Python that has. Configuration dataclasses are imported; whatever they import that is neither theirs nor the standard
library is replaced by an empty stand-in, so that nothing heavy is loaded and nothing has to be installed. Protobuf
modules are not imported: the descriptor stands in them as bytes. Only names, types, defaults, limits and options are
taken; texts for people stay where they are.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import importlib.abc
import importlib.machinery
import json
import math
import sys
import sysconfig
import types
import typing
from pathlib import Path

MARK = "TAORUNNER-SPECS "
"""Begins the one line that counts: an image's entry point prints what it likes before."""
MISSING = "???"
PACKAGES = ("nvidia_tao_pytorch", "nvidia_tao_tf2", "nvidia_tao_deploy", "nvidia_tao_ds", "nvidia_tao_core")
"""Where dataclasses are looked for; what two packages have is the first one's. Source: tao/pytorch.md section 5."""
PROTO_PACKAGES = ("nvidia_tao_tf1", "nvidia_tao_deploy")
CLASS_NAMES = ("ExperimentConfig", "CLIPExperimentConfig", "VLLMCaptionInferenceExpConfig")
"""The class of a network's spec, best first. Source: tao/pytorch.md section 5."""

SUB_SCHEMAS = {
    "dino.convert": ("dino", "dataset", "DINODatasetConvertConfig"),
    "deformable_detr.convert": ("deformable_detr", "dataset", "DDDatasetConvertConfig"),
    "depth_net.convert": ("depth_net", "dataset", "DNDatasetConvertConfig"),
    "annotations.merge": ("annotations", "merge_config", "MergeConfig"),
    "annotations.slice": ("annotations", "slice_config", "SliceConfig"),
    "bevfusion.convert": ("bevfusion", "dataset", "BEVFusionDataConvertExpConfig"),
    "stylegan_xl.dataset_convert": ("stylegan_xl", "dataset", "DataConvertExpConfig"),
}
"""Actions with a spec of another shape than their network's. Source: tao/pytorch.md section 5."""

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

OTHER_NAMES = {
    ("nvidia_tao_pytorch", "metric_learning_recognition"): "ml_recog",
    ("nvidia_tao_deploy", "metric_learning_recognition"): "ml_recog",
    ("nvidia_tao_tf2", "classification"): "classification_tf2",
    ("nvidia_tao_tf2", "efficientdet"): "efficientdet_tf2",
    ("nvidia_tao_tf1", "makenet"): "classification_tf1",
    ("nvidia_tao_tf1", "efficientdet"): "efficientdet_tf1",
}
"""(package, folder) → the network's name, where the folder has another. Source: the public repositories of TAO 5.0."""

_Facts = typing.Dict[str, typing.Any]  # noqa: UP006
_Names = typing.Dict[str, str]  # noqa: UP006

_KINDS = {int: "int", float: "float", bool: "bool", str: "str", bytes: "str"}
_FILE = "default_config.py"


class _StandIn(types.ModuleType):
    """A module of which any name can be imported. ``omegaconf.MISSING`` is the one that matters."""

    MISSING = MISSING
    __path__ = []  # noqa: RUF012

    def __getattr__(self, name: str) -> typing.Any:
        if name == "__version__":
            return "0"
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandInClass(name, (_Anything,), {})


class _StandInClass(type):
    """Its classes have any attribute: ``torch.jit.ignore``."""

    def __getattr__(cls, name: str) -> typing.Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandInClass(name, (_Anything,), {})


class _Anything(metaclass=_StandInClass):
    """A class, base class, decorator or function of a module that is not there."""

    is_stand_in = True

    def __init__(self, *_given: typing.Any, **_more: typing.Any) -> None:
        """Takes whatever the real one takes."""

    def __call__(self, *given: typing.Any, **_more: typing.Any) -> typing.Any:
        return given[0] if given else None


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stand-ins for all that is neither the standard library nor one of ``own``.

    ``bare``: a package of ours that is only on the way to a configuration is an empty module too. ``real``: only what
    is not installed is replaced.
    """

    def __init__(self, own: typing.Iterable[str]) -> None:
        self.own = frozenset(own)
        self._libraries = [sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib")]
        self._libraries += [str(Path(folder) / "lib-dynload") for folder in self._libraries]
        self._libraries += [
            path for path in sys.path if path.endswith(".zip") and "python3" in Path(path).name
        ]
        self.bare = self.real = False

    def find_spec(self, name: str, path: typing.Any, target: typing.Any = None) -> typing.Any:
        top = name.split(".")[0]
        if top in self.own:
            return self._empty_package(name, path) if self.bare else None
        if top in sys.builtin_module_names or (
            top in sys.modules and not isinstance(sys.modules[top], _StandIn)
        ):
            return None
        if importlib.machinery.PathFinder.find_spec(top, self._libraries) is not None:
            return None
        if self.real and importlib.machinery.PathFinder.find_spec(name, path) is not None:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def _empty_package(self, name: str, path: typing.Any) -> typing.Any:
        found = importlib.machinery.PathFinder.find_spec(name, path)
        is_on_the_way = (
            found is not None and found.submodule_search_locations and "config" not in name.split(".")
        )
        if found is None or not is_on_the_way:
            return found
        spec = importlib.machinery.ModuleSpec(name, self, is_package=True)
        spec.submodule_search_locations = list(found.submodule_search_locations or ())
        return spec

    def create_module(self, spec: typing.Any) -> types.ModuleType:
        if spec.name.split(".")[0] in self.own:
            return types.ModuleType(spec.name)
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: it is empty."""


def config_packages(package: str, paths: typing.Iterable[str]) -> _Names:
    """Network → the package with its ``default_config``, of the files of ``package`` (relative to it, with ``/``)."""
    found: _Names = {}
    for path in sorted(paths):
        folder, _, name = path.rpartition("/")
        if name != _FILE or not folder:
            continue
        parts = folder.split("/")
        owner = parts[-2] if parts[-1] in ("config", "hydra_config") and len(parts) > 1 else parts[-1]
        network = OTHER_NAMES.get((package, owner), owner)
        found.setdefault(network, ".".join([package] + parts))  # noqa: RUF005
    return found


def read_configs(packages: typing.Mapping[str, str]) -> _Facts:
    """Schema name → the tree of its keys; under ``failed`` those that could not be read, with the reason.

    ``packages`` is what ``config_packages`` gave; they can be imported from ``sys.path``.
    """
    finder = _Finder({name.split(".")[0] for name in packages.values()})
    sys.meta_path.insert(0, finder)
    wanted: dict[str, typing.Any] = {
        name: (package, "default_config", CLASS_NAMES) for name, package in packages.items()
    }
    for name, (network, module, cls) in SUB_SCHEMAS.items():
        if network in packages:
            wanted[name] = (packages[network], module, (cls,))
    schemas: _Facts = {}
    failed: _Facts = {}
    for name, (package, module, classes) in wanted.items():
        for finder.bare, finder.real in ((False, False), (True, False), (True, True), (False, True)):
            tree, problem = _read_config(package, module, classes)
            if tree is not None:
                schemas[name] = tree
                failed.pop(name, None)
                break
            if problem.startswith("none of") or name not in failed:
                failed[name] = problem
            _forget(
                lambda module: module.split(".")[0] in finder.own or isinstance(sys.modules[module], _StandIn)
            )
    sys.meta_path.remove(finder)
    return {"schemas": schemas, "failed": failed}


def _forget(is_ours: typing.Callable[[str], bool]) -> None:
    for name in [module for module in sys.modules if is_ours(module)]:
        del sys.modules[name]


def _read_config(package: str, module: str, classes: typing.Sequence[str]) -> typing.Tuple[typing.Any, str]:  # noqa: UP006
    try:
        loaded = importlib.import_module(package + "." + module)
        names = [one for one in classes if one in vars(loaded)]
        names += [one for one in vars(loaded) if one.endswith("ExperimentConfig") and classes == CLASS_NAMES]
        cls = vars(loaded)[names[0]] if names else None
        if cls is None:
            where = (package.partition(".config.")[2] or package) + "." + module
            return None, f"none of {', '.join(classes)} is in {where}"
        return _tree(cls), ""
    except ModuleNotFoundError as error:
        return None, str(error)
    except Exception as error:  # code of others, which does what it likes when it is imported
        return None, f"{type(error).__name__}: {error}"


def _tree(cls: type) -> _Facts:
    hints = typing.get_type_hints(cls)
    tree = {}
    for field in dataclasses.fields(cls):
        described = _type(hints[field.name])
        default = _default(field)
        if default is not _NONE_GIVEN:
            described["default"] = default
        if "keys" not in described:
            described.update(_limits(field.metadata, described))
        elif default == MISSING:
            described["default"] = MISSING
        else:
            described.pop("default", None)
        tree[field.name] = described
    return tree


def _type(hint: typing.Any) -> _Facts:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union or (origin is not None and origin is getattr(types, "UnionType", None)):
        others = [one for one in inner if one is not type(None)]
        described = _type(others[0]) if len(others) == 1 else {"any_of": [_type(one) for one in others]}
        return dict(described, optional=True) if len(others) < len(inner) else described
    if hint in _KINDS:
        return {"type": _KINDS[hint]}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return {"type": "section", "keys": _tree(hint)}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"type": "enum", "options": [member.name for member in hint]}
    if origin in (list, tuple) or hint in (list, tuple):
        of = _type(inner[0]) if inner and not isinstance(inner[0], typing.TypeVar) else {"type": "any"}
        return {"type": "list"} if of == {"type": "any"} else {"type": "list", "of": of}
    if origin is dict or hint is dict:
        known = len(inner) == 2 and not isinstance(inner[1], typing.TypeVar)
        of = _type(inner[1]) if known else {"type": "any"}
        return {"type": "map"} if of == {"type": "any"} else {"type": "map", "of": of}
    return {"type": "any"}


_NONE_GIVEN = object()


def _default(field: typing.Any) -> typing.Any:
    value = field.default
    if value is dataclasses.MISSING:
        if field.default_factory is dataclasses.MISSING:
            return MISSING  # OmegaConf takes a field without a default as one that has to be given
        value = field.default_factory()
    return _NONE_GIVEN if getattr(value, "is_stand_in", False) else _plain(value)


def _plain(value: typing.Any) -> typing.Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _limits(metadata: typing.Any, described: _Facts) -> _Facts:
    """What the metadata says beyond the type. What is not plainly a number or a list of words is left out."""
    found: _Facts = {}
    numeric = described.get("type") in ("int", "float")
    for name, key in (("valid_min", "min"), ("valid_max", "max")):
        limit = metadata.get(name)
        is_number = isinstance(limit, (int, float)) and not isinstance(limit, bool)
        if numeric and is_number and math.isfinite(limit):
            found[key] = limit
    options = metadata.get("valid_options")
    if isinstance(options, str) and options:
        options = options.split(",")
    if isinstance(options, (list, tuple)) and options and described.get("type") in ("str", "int", "float"):
        words = [str(option).strip() for option in options]
        found["options"] = list(dict.fromkeys(words))
    return found


def read_messages(package: str, sources: typing.Iterable[bytes]) -> _Facts:
    """As ``read_configs``, of the texts of all ``*_pb2.py`` of a package. Needs ``protobuf`` where there are any."""
    serialized = [data for data in map(_descriptor, sources) if data is not None]
    schemas: _Facts = {}
    failed: _Facts = {}
    if not serialized:
        return {
            "schemas": schemas,
            "failed": {name: path + " is not there" for name, (path, _) in MESSAGES.items()},
        }
    from google.protobuf import descriptor_pb2  # type: ignore[import-untyped,unused-ignore]

    files = {file.name: file for file in map(descriptor_pb2.FileDescriptorProto.FromString, serialized)}
    folders = {name: folder for (owner, folder), name in OTHER_NAMES.items() if owner == package}
    for name, (path, message) in MESSAGES.items():
        folder, _, rest = path.partition("/")
        full = "{}/cv/{}/{}".format(package, folders.get(folder, folder), rest)  # noqa: UP032
        if full in files:
            schemas[name] = _MessageReader(files, full).tree(message)
        else:
            failed[name] = path + " is not in the wheel"
    return {"schemas": schemas, "failed": failed}


def _descriptor(source: bytes) -> typing.Optional[bytes]:  # noqa: UP045
    """The bytes of the file's descriptor, as newer and as older compilers write them into the module."""
    for node in ast.walk(ast.parse(source)):
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
        self._messages: _Facts = {}
        self._enums: _Facts = {}
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

    def tree(self, message: str) -> _Facts:
        return self._tree(self._messages["." + message])

    def _tree(self, message: typing.Any) -> _Facts:
        return {field.name: self._key(field) for field in message.field}

    def _key(self, field: typing.Any) -> _Facts:
        described: _Facts = {"many": True} if field.label == field.LABEL_REPEATED else {}
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


def read_installed() -> _Facts:
    """All that TAO's packages on ``sys.path`` say: ``yaml`` and ``prototxt`` schemas, ``failed``, and the versions."""
    versions: _Facts = {}
    packages: _Facts = {}
    protos: _Facts = {"schemas": {}, "failed": {}}
    for package in dict.fromkeys([*PACKAGES, *PROTO_PACKAGES]):
        root = next((Path(path) / package for path in sys.path if (Path(path) / package).is_dir()), None)
        if root is None:
            continue
        versions[package] = _version(package)
        files = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
        if package in PACKAGES:
            packages = dict(config_packages(package, files), **packages)
        if package in PROTO_PACKAGES and not protos["schemas"]:
            sources = [path.read_bytes() for name, path in files.items() if name.endswith("_pb2.py")]
            found = read_messages(package, sources)
            protos = found if found["schemas"] else protos
    configs = read_configs(packages) if packages else {"schemas": {}, "failed": {}}
    failed = dict(protos["failed"], **configs["failed"])
    return {"yaml": configs["schemas"], "prototxt": protos["schemas"], "failed": failed, "packages": versions}


def _version(package: str) -> typing.Optional[str]:  # noqa: UP045
    try:
        from importlib.metadata import PackageNotFoundError, version
    except ImportError:
        return None
    for name in (package.replace("_", "-"), package):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


if __name__ == "__main__":
    sys.stdout.write("\n" + MARK + json.dumps(read_installed(), separators=(",", ":")) + "\n")
    sys.stdout.flush()
