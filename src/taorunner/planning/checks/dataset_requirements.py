"""How an experiment reads its dataset, as far as the check of the dataset has to know: which folder the names in a
COCO file count from, what the values in masks mean, the input size.

Specs are read with the paths of this host. What a spec says against the data, such as its number of classes, is
compared in ``dataset_rules``, not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from taorunner.catalog.layouts import DataLayout
from taorunner.datasets.checks.classes import ClassNeeds
from taorunner.datasets.files.mask_reading import MaskReading
from taorunner.planning.checks.mask_requirements import mask_keys, mask_reading
from taorunner.planning.checks.spec_view import SpecReader
from taorunner.planning.checks.training_facts import NUM_CLASSES
from taorunner.planning.inputs.variables import STAND_INS, own_values
from taorunner.project.experiments import Experiment
from taorunner.specs.outline import Shape
from taorunner.specs.spec_file import prepare_spec
from taorunner.values.value import Value, replace

_SIZES = (
    ("augmentation_config.output_width", "augmentation_config.output_height"),
    ("augmentation_config.preprocessing.output_image_width", "augmentation_config.preprocessing.output_image_height"),
    ("model.input_width", "model.input_height"),
)  # fmt: skip
_PICTURES_OF = {
    "json_file": "image_dir", "instance_json": "img_dir", "panoptic_json": "img_dir", "annotations": "images",
    "train_ann_path": "train_img_dir", "val_ann_path": "val_img_dir", "ann_path": "img_dir",
    "annotations_file": "image_dir",
}  # fmt: skip
"""Key of a COCO file, and beside it the key of the folder that its file names count from. Source: tao/layouts.md."""
_VALIDATED = "dataset_config.validation_data_sources.label_directory_path"
READ_BY = ("train", "dataset_convert", "convert")
"""Actions before which the dataset is checked."""


class Reading(Value):
    """``dataset`` is its name in experiments.yml, ``folder`` its place on this host. ``is_own_layout``: the network
    reads files of a layout of its own, which is none of the formats of datasets."""

    dataset: str
    folder: Path
    needs: ClassNeeds
    network: str
    is_own_layout: bool


class ReadingFinder:
    """Finds how experiments read their datasets. What follows from one text is found once for all who share it."""

    def __init__(self) -> None:
        self._pairs: dict[Shape, tuple[tuple[str, str], ...]] = {}
        self._folders: dict[str, Path] = {}
        self._beside: dict[tuple[str, str], tuple[Reading, ...]] = {}

    def reading(
        self, experiment: Experiment, readers: Mapping[str, SpecReader], layout: DataLayout | None
    ) -> Reading | None:
        """That of the specs in ``readers``, by action; None where none of them is for an action of ``READ_BY``."""
        specs = [readers[action] for action in READ_BY if action in readers]
        if not specs:
            return None
        named = str(specs[0].variables["dataset_raw"])
        if named not in self._folders:
            self._folders[named] = Path(named)
        folder = self._folders[named]
        image_folders: dict[Path, Path] = {}
        for spec in specs:
            image_folders.update(self._image_folders(spec, folder))
        is_split = layout is not None and layout.class_folders is not None
        needs = ClassNeeds(
            specs[0].file.path,
            num_classes=next((int(count) for spec in specs if (count := spec.number(NUM_CLASSES))), None),
            input_size=next((size for spec in specs if (size := _size(spec)) is not None), None),
            image_folders=image_folders,
            masks=next((found for spec in specs if (found := _masks(spec, experiment)) is not None), None),
            has_class_folders=is_split if "train" in readers else None,
        )
        is_own_layout = layout is not None and layout.form is None
        return Reading(experiment.dataset, folder, needs, experiment.head, is_own_layout)

    def beside(self, reading: Reading, train: SpecReader | None) -> tuple[Reading, ...]:
        """The subset that validates, where the training reads its labels as they are and the dataset is another
        subset. It is the same object for all experiments of a dataset."""
        named = train.path(_VALIDATED) if train is not None and _VALIDATED in train else None
        if named is None:
            return ()
        known = self._beside.get((named, reading.dataset))
        if known is None:
            folder = Path(named).parent
            above = reading.dataset.rpartition("/")[0]
            dataset = f"{above}/{folder.name}" if above else folder.name
            needs = ClassNeeds(reading.needs.spec)
            is_other = folder != reading.folder and folder.parent == reading.folder.parent
            found = Reading(dataset, folder, needs, reading.network, reading.is_own_layout)
            known = self._beside[named, reading.dataset] = (found,) if is_other else ()
        return known

    def _image_folders(self, spec: SpecReader, dataset: Path) -> Iterator[tuple[Path, Path]]:
        """Each COCO file that the spec names below ``dataset``, and the folder of its images."""
        shape = spec.outline.shape
        if shape not in self._pairs:
            self._pairs[shape] = tuple(_pairs(shape)) if spec.format == "yaml" else ()
        for key, beside in self._pairs[shape]:
            files, folders = spec.paths(key) or (), spec.paths(beside) or ()
            if len(files) == len(folders):
                for file, folder in zip(files, folders, strict=True):
                    found = Path(file), Path(folder)
                    if all(path.is_relative_to(dataset) for path in found):
                        yield found


def placed_below(reading: Reading, wanted: Path) -> Reading | None:
    """``reading`` with the paths of the folder that a user named; None where that is another dataset."""
    named, own = wanted.resolve(), reading.folder.resolve()
    if not (own.is_relative_to(named) or named.is_relative_to(own)):
        return None
    place = wanted / own.relative_to(named) if own.is_relative_to(named) else own
    moved = {
        place / file.relative_to(reading.folder): place / folder.relative_to(reading.folder)
        for file, folder in reading.needs.image_folders.items()
    }
    return replace(reading, folder=place, needs=replace(reading.needs, image_folders=moved))


def _pairs(shape: Shape) -> Iterator[tuple[str, str]]:
    for key in (*shape.fixed, *shape.open):
        above, dot, last = key.rpartition(".")
        beside = _PICTURES_OF.get(last)
        if beside is not None and (
            f"{above}{dot}{beside}" in shape.fixed or f"{above}{dot}{beside}" in shape.open
        ):
            yield key, f"{above}{dot}{beside}"


def _size(spec: SpecReader) -> tuple[int, int] | None:
    for keys in _SIZES:
        if keys[0] not in spec:
            continue
        width, height = (spec.number(key) for key in keys)
        if width is not None and height is not None and width > 0 and height > 0:
            return int(width), int(height)
    return None


def _masks(spec: SpecReader, experiment: Experiment) -> MaskReading | None:
    if not any(key in spec for key in mask_keys(spec.format)):
        return None
    values = {**STAND_INS, **own_values(experiment.vars, STAND_INS)}
    return mask_reading(prepare_spec(spec.file.path, spec.format, values, experiment.overrides))
