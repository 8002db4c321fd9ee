"""Where the labels of a dataset lie: where the specs say, else where the layout of the network says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from taorunner.catalog.layouts import DataLayout
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.derived.facts import Collected, DataFacts
from taorunner.planning.derived.folder_facts import add_class_folders, add_masks, add_texts
from taorunner.planning.derived.label_files import add_coco, add_kitti, add_odvg
from taorunner.planning.derived.spec_texts import spec_format
from taorunner.planning.inputs.dataset_place import meant_dataset, meant_hint
from taorunner.specs.memory import SpecMemory
from taorunner.specs.outline import outline_of
from taorunner.text import printable

OnHost = Callable[[str], Path | None]
_SUBSETS = ("train", "val")
_FILES = {"coco": "annotations.json", "panoptic": "panoptic.json", "odvg": "annotations.jsonl"}
_ROOTS = ("kitti_config.root_directory_path", "dataset_convert.root_directory_path")


class Specs:
    """Reads paths of spec files as host paths; the dataset's own variables are known."""

    def __init__(
        self, dataset: Path, specs: Mapping[str, str], variables: Mapping[str, object], on_host: OnHost | None
    ) -> None:
        self._dataset = dataset
        self._on_host = on_host
        plain = {name: value for name, value in variables.items() if "$" not in str(value)}
        self._variables: dict[str, object] = {**plain, "dataset_raw": str(dataset), "dataset": str(dataset)}
        self._variables |= {
            name: os.path.normpath(
                str(value).replace("$dataset_raw", str(dataset)).replace("$dataset", str(dataset))
            )
            for name, value in variables.items()
            if str(value).startswith("$dataset")
        }
        memory = SpecMemory()
        outlines = (outline_of(text, spec_format(file), memory) for file, text in specs.items())
        self._outlines = [one for one in outlines if one is not None]

    def texts(self, key: str) -> tuple[str, ...]:
        for outline in self._outlines:
            found = [one for one in outline.values(key, self._variables) if isinstance(one, str) and one]
            if found:
                return tuple(found)
        return ()

    def paths(self, key: str) -> tuple[Path, ...]:
        """Those that are known on this host."""
        return tuple(path for text in self.texts(key) if (path := self._path(text)) is not None)

    def _path(self, text: str) -> Path | None:
        own = str(self._dataset)
        if text == own or text.startswith(f"{own}/"):
            return Path(os.path.normpath(text))
        return self._on_host(text) if self._on_host is not None else None


def collect(layout: DataLayout, dataset: Path, specs: Specs) -> DataFacts:
    """Raises UserFilesError with the findings where the labels of the training cannot be read."""
    if not dataset.is_dir():
        message = f'there is no folder "{printable(str(dataset))}"'
        finding = Finding(Severity.ERROR, "missing-dataset", message, "put the dataset there", dataset)
        raise UserFilesError(message, findings=(finding,))
    to = Collected()
    add = _KINDS.get(_kind(layout))
    if add is not None:
        try:
            add(to, layout, dataset, specs)
        except UserFilesError as error:
            meant = meant_dataset(layout, dataset)
            if meant is None:
                raise
            found = tuple(replace(one, hint=meant_hint(meant)) for one in error.findings)
            raise UserFilesError(error.message, findings=found) from None
    return to.whole()


def _kind(layout: DataLayout) -> str:
    if layout.form is None and any(one.value is not None for one in layout.computed):
        return "texts"
    return layout.form or ""


def _found(layout: DataLayout, dataset: Path, specs: Specs, usual: str) -> Iterator[tuple[str, Path]]:
    """Subset and path: those that the specs name, else the usual one below the dataset."""
    for subset in _SUBSETS:
        key = layout.reads.get(subset)
        named = specs.paths(key) if key is not None else ()
        for path in named or (dataset / usual.replace("<subset>", subset),):
            yield subset, path


def _add_annotations(to: Collected, layout: DataLayout, dataset: Path, specs: Specs) -> None:
    usual = f"<subset>/{_FILES[layout.form or 'coco']}"
    for subset, path in _found(layout, dataset, specs, usual):
        if subset == "val" and layout.form == "odvg":
            coco = path if path.suffix == ".json" else path.with_name(_FILES["coco"])
            if coco.is_file():
                _add_odvg_val(to, coco)
        elif subset == "train" or path.is_file():
            (add_odvg if path.suffix == ".jsonl" else add_coco)(to, subset, path)


def _add_odvg_val(to: Collected, file: Path) -> None:
    """A COCO file with the ids of the lines that train."""
    add_coco(to, "val", file)


def _add_kitti(to: Collected, layout: DataLayout, dataset: Path, specs: Specs) -> None:
    """Classes count in ``train`` alone: records are made of nothing else."""
    names = [
        next(iter(specs.texts(f"{section}.{name}")), default)
        for name, default in (("image_dir_name", "images"), ("label_dir_name", "labels"))
        for section in [
            next((one for one in ("kitti_config", "dataset_convert") if specs.texts(f"{one}.{name}")), "-")
        ]
    ]
    image_dir, label_dir = names
    root = next((path for key in _ROOTS for path in specs.paths(key)), dataset)
    raw = specs.paths("dataset_config.data_sources.label_directory_path")
    images = specs.paths("dataset_config.data_sources.image_directory_path")
    if raw and images:
        add_kitti(to, "train", raw[0], images[0], is_trained=True)
    else:
        add_kitti(to, "train", root / label_dir, root / image_dir, is_trained=True)
    val = root.parent / "val"
    own = specs.paths("dataset_config.validation_data_sources.label_directory_path")
    own_images = specs.paths("dataset_config.validation_data_sources.image_directory_path")
    if own and own_images:
        add_kitti(to, "val", own[0], own_images[0], is_trained=False)
    elif val != root and (val / label_dir).is_dir():
        add_kitti(to, "val", val / label_dir, val / image_dir, is_trained=False)


def _add_folders(to: Collected, layout: DataLayout, dataset: Path, specs: Specs) -> None:
    counts_classes = layout.network != "nvdinov2"
    for subset, path in _found(layout, dataset, specs, "<subset>"):
        if subset == "train" or path.is_dir():
            add_class_folders(to, subset, path, is_trained=subset == "train" and counts_classes)


def _add_mask_folders(to: Collected, layout: DataLayout, dataset: Path, specs: Specs) -> None:
    for subset in _SUBSETS:
        key = layout.reads.get(subset, layout.reads.get("train", ""))
        named = specs.paths(key)
        masks = named[0] if named else dataset
        if subset not in layout.reads or masks == dataset or not key.endswith("masks_path"):
            masks = masks / "masks" / subset  # the key names the folder around images and masks
        images = Path(str(masks.parent).removesuffix("masks") + "images") / masks.name
        if subset == "train" or masks.is_dir():
            add_masks(to, subset, masks, images)


def _add_texts(to: Collected, layout: DataLayout, dataset: Path, specs: Specs) -> None:
    for subset in _SUBSETS:
        key = layout.reads.get(subset)
        for path in specs.paths(key) if key is not None else ():
            if subset == "train" or path.exists():
                add_texts(to, subset, path)


_KINDS: Mapping[str, Callable[[Collected, DataLayout, Path, Specs], None]] = {
    "coco": _add_annotations, "panoptic": _add_annotations, "odvg": _add_annotations, "kitti": _add_kitti,
    "classification": _add_folders, "segmentation": _add_mask_folders, "texts": _add_texts,
    "ocrnet": _add_texts, "ocdnet": _add_texts,
}  # fmt: skip
