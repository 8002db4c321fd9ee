"""Reads spec schemas from the configuration dataclasses of TAO's packages.

Python 3.8 and the standard library only, because this text is also sent into images and runs there, on the image's own
Python (``in_image``). The dataclasses are imported. Every other import of theirs outside the standard library is
replaced by an empty placeholder, so nothing heavy is loaded and nothing has to be installed. Only names, types,
defaults, limits and options are read; descriptions are not.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import importlib.abc
import importlib.machinery
import math
import sys
import sysconfig
import types
import typing
from pathlib import Path

MISSING = "???"
CLASS_NAMES = ("ExperimentConfig", "CLIPExperimentConfig", "VLLMCaptionInferenceExpConfig")
"""The class of a network's spec, best first. Source: tao/pytorch.md section 5."""

SUB_SCHEMAS = {
    "dino.convert": ("dino", "dataset", "DINODatasetConvertConfig"),
    "deformable_detr.convert": ("deformable_detr", "dataset", "DDDatasetConvertConfig"),
    "depth_net.convert": ("depth_net", "dataset", "DNDatasetConvertConfig"),
    "annotations.merge": ("annotations", "merge_config", "MergeConfig"),
    "annotations.slice": ("annotations", "slice_config", "SliceConfig"),
    "bevfusion.dataset_convert": ("bevfusion", "default_config", "BEVFusionDataConvertExpConfig"),
    "stylegan_xl.dataset_convert": ("stylegan_xl", "dataset", "DataConvertExpConfig"),
}
"""Actions with a spec of another shape than their network's. Source: tao/pytorch.md section 5."""

OTHER_NAMES = {
    ("nvidia_tao_pytorch", "metric_learning_recognition"): "ml_recog",
    ("nvidia_tao_deploy", "metric_learning_recognition"): "ml_recog",
    ("nvidia_tao_tf2", "classification"): "classification_tf2",
    ("nvidia_tao_tf2", "efficientdet"): "efficientdet_tf2",
}
"""(package, folder) → the network's name, where the folder has another. Source: TAO's public repositories, 5.x."""

Facts = typing.Dict[str, typing.Any]  # noqa: UP006
Names = typing.Dict[str, str]  # noqa: UP006

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
        """Accepts any arguments."""

    def __call__(self, *given: typing.Any, **_more: typing.Any) -> typing.Any:
        return given[0] if given else None


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Placeholders for every module that is neither in the standard library nor in ``own``.

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


def config_packages(package: str, paths: typing.Iterable[str]) -> Names:
    """Network → the package with its ``default_config``, of the files of ``package`` (relative to it, with ``/``)."""
    found: Names = {}
    for path in sorted(paths):
        folder, _, name = path.rpartition("/")
        if name != _FILE or not folder:
            continue
        parts = folder.split("/")
        owner = parts[-2] if parts[-1] in ("config", "hydra_config") and len(parts) > 1 else parts[-1]
        network = OTHER_NAMES.get((package, owner), owner)
        found.setdefault(network, ".".join([package] + parts))  # noqa: RUF005
    return found


def read_configs(packages: typing.Mapping[str, str]) -> Facts:
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
    schemas: Facts = {}
    failed: Facts = {}
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
        return keys_of(cls), ""
    except ModuleNotFoundError as error:
        return None, str(error)
    except Exception as error:  # third-party code; an import may raise anything
        return None, f"{type(error).__name__}: {error}"


def keys_of(cls: type, given: typing.Any = None) -> Facts:
    """The tree of the keys of a dataclass: type, default and limits of each.

    ``given`` is the object that is the default; without one the defaults are those of the class.
    """
    hints = typing.get_type_hints(cls)
    tree = {}
    for field in dataclasses.fields(cls):
        value = _default(field) if given is None else getattr(given, field.name)
        described = type_of(_hint_with_class(hints[field.name], value), _reader(value))
        if not _is_stand_in(value):
            described["default"] = _converted(plain_value(value), described)
        if "keys" not in described:
            described.update(limits_of(field.metadata, described))
        elif value is not None and value != MISSING:
            described.pop("default", None)
        tree[field.name] = described
    return tree


def _converted(value: typing.Any, described: Facts) -> typing.Any:
    """A default as OmegaConf converts it: ``fixed_padding: bool = "TRUE"`` is true."""
    kind, of = described.get("type"), described.get("of")
    if isinstance(value, dict) and kind == "map" and of is not None:
        return {name: _converted(item, of) for name, item in value.items()}
    if isinstance(value, list) and kind == "list" and of is not None:
        return [_converted(item, of) for item in value]
    if value == MISSING or isinstance(value, (list, dict)) or value is None:
        return value
    if kind == "bool" and isinstance(value, str):
        return value.lower() in ("true", "yes", "on", "y", "1")
    return str(value) if kind == "str" else value


def _default(field: typing.Any) -> typing.Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is dataclasses.MISSING:
        return MISSING  # OmegaConf takes a field without a default as one that has to be given
    return field.default_factory()


def _is_stand_in(value: typing.Any) -> bool:
    """An object of a class that is not in the package; its text would hold its address."""
    has_no_text = repr(value) == object.__repr__(value) and not dataclasses.is_dataclass(value)
    return has_no_text or getattr(value, "is_stand_in", False)


def _hint_with_class(hint: typing.Any, value: typing.Any) -> typing.Any:
    """The annotation, with the class of the default in place of the section that is declared.

    Source: OmegaConf takes the keys of the object that it is given: visual_changenet declares ``export: ExportConfig``
    and gives an ``ExportExpConfig``, whose ``serialize_nvdsinfer`` it accepts.
    """
    given = type(value)
    if not dataclasses.is_dataclass(given):
        return hint
    if typing.get_origin(hint) is typing.Union:
        others = [one for one in typing.get_args(hint) if one is not type(None)]
        return typing.Optional[given] if len(others) == 1 else hint  # noqa: UP045
    return given


def _reader(value: typing.Any) -> typing.Callable[[typing.Any], Facts]:
    """Reads the keys of a section, with the defaults of ``value`` where it is one of that class."""
    return lambda cls: keys_of(cls, value if type(value) is cls else None)


def type_of(hint: typing.Any, tree: typing.Callable[[typing.Any], Facts]) -> Facts:
    """The type from a field's annotation; ``tree`` reads the keys of a dataclass among it."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union or (origin is not None and origin is getattr(types, "UnionType", None)):
        others = [one for one in inner if one is not type(None)]
        described = (
            type_of(others[0], tree)
            if len(others) == 1
            else {"any_of": [type_of(one, tree) for one in others]}
        )
        return dict(described, optional=True) if len(others) < len(inner) else described
    if hint in _KINDS:
        return {"type": _KINDS[hint]}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return {"type": "section", "keys": tree(hint)}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"type": "enum", "options": [member.name for member in hint]}
    if origin in (list, tuple) or hint in (list, tuple):
        of = (
            type_of(inner[0], tree) if inner and not isinstance(inner[0], typing.TypeVar) else {"type": "any"}
        )
        return {"type": "list"} if of == {"type": "any"} else {"type": "list", "of": of}
    if origin is dict or hint is dict:
        known = len(inner) == 2 and not isinstance(inner[1], typing.TypeVar)
        described = {"type": "map"}
        of = type_of(inner[1], tree) if known else {"type": "any"}
        if known and inner[0] in _KINDS:
            described["names"] = _KINDS[inner[0]]
        return described if of == {"type": "any"} else dict(described, of=of)
    return {"type": "any"}


def plain_value(value: typing.Any) -> typing.Any:
    """A default as JSON can hold it: an enum by its name, what is not finite and what is of another class as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain_value(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def limits_of(metadata: typing.Any, described: Facts) -> Facts:
    """The limits from the metadata. Anything but a plain number or a list of words is left out."""
    found: Facts = {}
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
        if MISSING not in words:
            found["options"] = list(dict.fromkeys(words))
    return found
