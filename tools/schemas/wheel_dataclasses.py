"""What do the configuration dataclasses of one wheel say: nvidia-tao-core, -ds, -deploy or -pytorch? Printed as JSON.

Before 6.0 they lie beside the code, in an archive of NVIDIA/tao_pytorch_backend; the wheel of 5.1.0 is encrypted.
Runs as a process of its own, ``wheel_dataclasses.py WHEEL [WHEEL_OF_CORE]``: the wheel's modules are imported out of
the wheel, and whatever they import that is not in it is replaced by an empty stand-in, so none of its dependencies is
installed. Only names, types, defaults, limits and options are taken; texts for people stay where they are.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.abc
import importlib.machinery
import json
import sys
import types
import zipfile
from pathlib import Path
from typing import Any, ClassVar

from taorunner.specs.extract.dataclass_schemas import keys_of

PACKAGE = "nvidia_tao_core"
CODE = "nvidia_tao_pytorch"
DEPLOY = "nvidia_tao_deploy"
MISSING = "???"
CLASS_NAMES = (
    "ExperimentConfig", "CLIPExperimentConfig", "VLLMCaptionInferenceExpConfig", "OIExperimentConfig",
    "VideoCLIPExperimentConfig",
)  # fmt: skip
"""The class of a network's spec, best first. Source: tao/pytorch.md section 5."""

SUB_SCHEMAS = {
    "dino.convert": ("dino.dataset", "DINODatasetConvertConfig"),
    "deformable_detr.convert": ("deformable_detr.dataset", "DDDatasetConvertConfig"),
    "depth_net.convert": ("depth_net.dataset", "DNDatasetConvertConfig"),
    "annotations.merge": ("annotations.merge_config", "MergeConfig"),
    "annotations.slice": ("annotations.slice_config", "SliceConfig"),
    "bevfusion.dataset_convert": ("bevfusion.default_config", "BEVFusionDataConvertExpConfig"),
    "stylegan_xl.dataset_convert": ("stylegan_xl.dataset", "DataConvertExpConfig"),
}
"""Actions with a spec of another shape than their network's. Source: tao/pytorch.md section 5."""

OWN_SCHEMAS = {
    "nvidia_tao_ds": {
        "annotations": ("config.annotations.default_config", "ExperimentConfig"),
        "annotations.merge": ("config.annotations.merge_config", "MergeConfig"),
        "annotations.slice": ("config.annotations.slice_config", "SliceConfig"),
        "annotations.qa_to_llava_annotation": ("annotations.scripts.qa_to_llava_annotation", "QAToLLaVAConfig"),
        "annotations.sparse4d_prepare": ("config.annotations.sparse4d_prepare_config", "Sparse4DPrepareConfig"),
        "analytics": ("config.analytics.default_config", "ExperimentConfig"),
        "augmentation": ("config.augmentation.default_config", "ExperimentConfig"),
        "auto_label": ("config.auto_label.default_config", "ExperimentConfig"),
        "image": ("config.image.default_config", "ExperimentConfig"),
        "embedding.image_embeddings": ("config.mining.embedding.image_embeddings", "ImageEmbeddingsConfig"),
        "embedding.text_embeddings": ("config.mining.embedding.text_embeddings", "TextEmbeddingsConfig"),
        "tmm.nearest_neighbors": ("config.mining.tmm.nearest_neighbors", "NearestNeighborsConfig"),
        "tmm.unique_neighbor_matching": (
            "config.mining.tmm.unique_neighbor_matching", "UniqueNeighborMatchingConfig",
        ),
        "gap_analysis.vcn_aoi": ("config.rcca.gap_analysis.vcn_aoi", "GapAnalysisConfig"),
        "gap_analysis.vlm_bcq": ("config.rcca.gap_analysis.vlm_bcq", "GapAnalysisConfig"),
        "gap_analysis.object_detection": ("config.rcca.gap_analysis.object_detection", "ObjectDetectionGapConfig"),
    },
    CODE: {"radio": ("multimodal.radio.config.default_config", "ExperimentConfig")},
}  # fmt: skip
"""Schemas that a package reads from itself and not from nvidia-tao-core: module and class.

Source: the ``schema=`` of ``hydra_runner`` in the scripts of nvidia-tao-ds and nvidia-tao-pytorch 7.0.0 to 7.3.0.
"""

_NO_SPEC = ("common.quantization", "ssl_evaluation")
"""Folders of nvidia-tao-pytorch 7.2.0 whose classes are no spec of a command."""

CODE_FOLDERS = {"metric_learning_recognition": "ml_recog", "odise": None}
"""Folders that are not called like their network; None: no command of the image. Source: tao/pytorch.md section 1."""

CODE_SCHEMAS = {
    "classification_pyt": (("core.mmlab.mmclassification.classification_default_config",), CLASS_NAMES),
    "dino.convert": (
        ("cv.dino.config.dataset", "cv.dino.config.default_config"),
        ("DINODatasetConvertConfig",),
    ),
    "deformable_detr.convert": (
        ("cv.deformable_detr.config.dataset", "cv.deformable_detr.config.default_config"),
        ("DDDatasetConvertConfig",),
    ),
    "bevfusion.convert": (("cv.bevfusion.config.default_config",), ("BEVFusionDataConvertExpConfig",)),
}
"""Schemas that are not the ExperimentConfig of ``config/default_config.py``: modules, best first, and class.

Source: ``*/scripts`` of the code.
"""


class _StandIn(types.ModuleType):
    """A module of which any name can be imported. ``omegaconf.MISSING`` is the one that matters."""

    MISSING: ClassVar[str] = MISSING
    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Last in line: finds what no other finder finds, except in the wheel's own package."""

    def __init__(self, own: str) -> None:
        self._own = own

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.split(".")[0] == self._own:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: it is empty."""


def networks_in(wheel: Path, package: str = PACKAGE) -> list[str]:
    """The packages below ``config`` that hold a spec's schema, as ``dino`` or ``multimodal.clip``."""
    prefix, name = f"{package}/config/", "/default_config.py"
    return sorted(
        entry[len(prefix) : -len(name)].replace("/", ".")
        for entry in _entries(wheel)
        if entry.startswith(prefix) and entry.endswith(name)
    )


def _entries(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        return opened.namelist()


def _wanted(wheel: Path, package: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Schema name → module and the names that its class may have."""
    wanted = {
        name.rpartition(".")[2]: (f"{package}.config.{name}.default_config", CLASS_NAMES)
        for name in networks_in(wheel, package)
        if name not in _NO_SPEC
    }
    entries = set(_entries(wheel))
    return wanted | {
        name: (f"{package}.config.{module}", (cls,))
        for name, (module, cls) in SUB_SCHEMAS.items()
        if f"{package}/config/{module.replace('.', '/')}.py" in entries
    }


def _wanted_of_package(wheel: Path, package: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    entries = set(_entries(wheel))
    return {
        name: (f"{package}.{module}", (cls,))
        for name, (module, cls) in OWN_SCHEMAS.get(package, {}).items()
        if f"{package}/{module.replace('.', '/')}.py" in entries
    }


def _wanted_of_code(archive: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    entries = set(_entries(archive))
    for entry in entries:
        parts = entry.split("/")
        if parts[0] == CODE and parts[3:] == ["config", "default_config.py"]:
            name = CODE_FOLDERS.get(parts[2], parts[2])
            if name is not None:
                found[name] = (".".join(parts)[: -len(".py")], CLASS_NAMES)
    for name, (modules, classes) in CODE_SCHEMAS.items():
        there = [module for module in modules if f"{CODE}/{module.replace('.', '/')}.py" in entries]
        if there:
            found[name] = (f"{CODE}.{there[0]}", classes)
    return dict(sorted(found.items()))


class _Models(types.ModuleType):
    """A module of networks, which wants torch. Its tables of backbones are not read: what they allow is not known."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return {MISSING: None}


class _FolderFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """First in line for the code: its folders are packages with nothing in them, for their own modules want torch."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._folders = {str(Path(entry).parent) for entry in _entries(archive)}
        self._folders |= {str(folder) for known in set(self._folders) for folder in Path(known).parents}

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        folder = name.replace(".", "/")
        if name.split(".")[0] != CODE or (folder not in self._folders and ".model." not in name):
            return None
        spec = importlib.machinery.ModuleSpec(name, self, is_package=True)
        spec.submodule_search_locations = [f"{self._archive}/{folder}"]
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return _Models(spec.name) if ".model." in spec.name else None

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: it is empty."""


def _enter_code(archive: Path) -> None:
    """Python 3.11 refuses dataclasses as defaults of others, which 3.10 did not."""
    sys.meta_path.insert(0, _FolderFinder(archive))
    plain = dataclasses.dataclass

    def hashable(cls: Any = None, **options: Any) -> Any:
        return plain(cls, **{"unsafe_hash": True, **options})

    dataclasses.dataclass = hashable  # type: ignore[assignment]


def read_wheel(wheel: Path) -> dict[str, Any]:
    """Schema name → the tree of its keys; under ``failed`` those that could not be read, with the reason."""
    classes, failed = read_classes(wheel)
    schemas: dict[str, Any] = {}
    for name, cls in classes.items():
        try:
            schemas[name] = keys_of(cls)
        except (TypeError, ValueError, AttributeError, NameError) as error:
            failed[name] = f"{type(error).__name__}: {error}"
    return {"schemas": schemas, "failed": failed}


def read_classes(wheel: Path) -> tuple[dict[str, type], dict[str, str]]:
    """Schema name → its dataclass, and the reason for each one that could not be imported."""
    package = wheel.name.partition("-")[0]
    is_code = wheel.suffix == ".zip"
    sys.path.insert(0, str(wheel))
    sys.meta_path.append(_StandInFinder(package))
    if is_code:
        wanted = _wanted_of_code(wheel)
    else:
        wanted = _wanted(wheel, package) if package in (PACKAGE, CODE, DEPLOY) else {}
        wanted |= _wanted_of_package(wheel, package)
    if package == DEPLOY:
        wanted = {f"{name}.deploy": facts for name, facts in wanted.items() if name not in SUB_SCHEMAS}
    if is_code:
        _enter_code(wheel)
    found: dict[str, type] = {}
    failed: dict[str, str] = {}
    for name, (module, classes) in wanted.items():
        try:
            loaded = importlib.import_module(module)
        except ModuleNotFoundError as error:
            failed[name] = str(error)
            continue
        except (TypeError, ValueError, AttributeError, NameError, ImportError) as error:
            failed[name] = f"{type(error).__name__}: {error}"
            continue
        cls = next((vars(loaded)[one] for one in classes if one in vars(loaded)), None)
        if cls is None:
            short = module.removeprefix(f"{PACKAGE}.config.")
            failed[name] = f"none of {', '.join(classes)} is in {short}"
        else:
            found[name] = cls
    return found, failed


if __name__ == "__main__":
    sys.path[:0] = sys.argv[2:]
    json.dump(read_wheel(Path(sys.argv[1])), sys.stdout)
