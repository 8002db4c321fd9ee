"""The inputs of the consistency rules: the training spec, the spec that makes its records, and the dataset.

A fact that is uncertain is None; a rule reports nothing about an unknown fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from taorunner.catalog.layouts import DataLayout
from taorunner.contracts import Contract
from taorunner.errors import Severity
from taorunner.planning.checks.dataset_facts import DatasetFacts, Labels
from taorunner.planning.checks.spec_view import SpecReader
from taorunner.values.value import Value, replace

SOURCES = "dataset_config.data_sources"
NUM_CLASSES = "dataset.num_classes"
TRAINED_EXTENSION = "dataset_config.image_extension"
CONVERTED_EXTENSION = "kitti_config.image_extension"
_EXAMPLES = {
    "efficientdet_tf1": "training_config.num_examples_per_epoch",
    "efficientdet_tf2": "train.num_examples_per_epoch",
    "mask_rcnn": "num_examples_per_epoch",
}
"""Networks whose spec gives the number of images. Source: tao/tensorflow.md section 4.1."""
_RECORDS = ("dataset_tfrecord", "tfrecords")
_COCO_PICTURES = "dataset.train_data_sources.image_dir"


class Fault(Value):
    """A contradiction. It is reported at ``key``; ``index`` selects one of its values, ``path`` is the path there."""

    severity: Severity
    code: str
    message: str
    hint: str
    key: str
    index: int = 0
    path: str = ""


class Conversion(Value):
    """The spec that makes records of a KITTI dataset. Source: tao/tensorflow.md section 7."""

    __eq__, __hash__ = object.__eq__, object.__hash__

    spec: SpecReader
    data: DatasetFacts

    @cached_property
    def pictures(self) -> str | None:
        return self._below_root("image_dir_name")

    @cached_property
    def labels(self) -> str | None:
        return self._below_root("label_dir_name")

    @cached_property
    def extension(self) -> str:
        """The required suffix of image names, with its dot."""
        return self.spec.text(CONVERTED_EXTENSION) or ".png"

    @cached_property
    def percent_for_validation(self) -> int | float | None:
        return self.spec.number("kitti_config.val_split")

    @cached_property
    def taken(self) -> int | None:
        """The number of images that become records."""
        if self.pictures is None:
            return None
        counts = self.data.pictures(self.pictures)
        return sum(count for suffix, count in counts.items() if suffix.endswith(self.extension))

    @cached_property
    def set_aside(self) -> int | None:
        """The number of images that become fold 0, which validates; known to be 0 also without the images."""
        percent = self.percent_for_validation
        if percent is None or (self.taken is None and percent != 0):
            return None
        return int((self.taken or 0) * percent / 100)

    def _below_root(self, name: str) -> str | None:
        root = self.spec.path("kitti_config.root_directory_path")
        below = self.spec.text(f"kitti_config.{name}")
        return f"{root}/{below}" if root is not None and below is not None else None


class ClassMap(Value):
    """Which key names the file of class names, and which category id its first line is for."""

    key: str
    first_id: int


class Training(Value):
    """``convert`` is the experiment's own conversion, ``classmap`` the way inference reads the class names, ``layout``
    what the network reads; None where there is none.
    """

    __eq__, __hash__ = object.__eq__, object.__hash__

    network: str
    contract: Contract
    spec: SpecReader
    convert: Conversion | None
    gpus: int
    data: DatasetFacts
    classmap: ClassMap | None = None
    layout: DataLayout | None = None

    def afresh(self) -> Training:
        """A copy without the properties that a rule has computed."""
        return replace(self)

    def refreshed(self, key: str, otherwise: str) -> str:
        """The command that computes the value at ``key`` again, as a hint; ``otherwise`` where there is none."""
        rows = self.layout.computed if self.layout is not None else ()
        is_computed = any(one.value is not None and key in one.keys for one in rows)
        if not is_computed or key in self.spec.overlay:
            return otherwise
        return f"taorunner specs refresh {self.spec.variables['experiment']}"

    @cached_property
    def epochs(self) -> int | float | None:
        """How many epochs are trained; None when the spec does not say, and for less than one, which is reported."""
        epochs = self.spec.number(self.role("epochs"))
        return epochs if epochs is not None and epochs >= 1 else None

    def role(self, name: str) -> str:
        """The dotted key of a role; a key that no spec has where the network has none."""
        spec = self.contract.spec
        return spec.keys.get(name, "-") if spec is not None else "-"

    @cached_property
    def made_by(self) -> Conversion | None:
        """The conversion that made the training records; None unless all of them are the experiment's own."""
        key = f"{SOURCES}.tfrecords_path"
        if self.convert is None or self.spec.is_below(key, _RECORDS):
            return self.convert
        own = str(self.spec.variables["tfrecords"])
        return self.convert if all(p.startswith(own) for p in self.spec.paths(key) or ("",)) else None

    @cached_property
    def reads_labels(self) -> bool:
        """True when KITTI labels are read directly, without records."""
        return f"{SOURCES}.label_directory_path" in self.spec

    @cached_property
    def samples(self) -> int | None:
        """The maximum number of training images."""
        spec, data = self.spec, self.data
        if self.network in _EXAMPLES:
            number = spec.number(_EXAMPLES[self.network])
            return int(number) if number is not None else None
        if self.layout is not None and self.layout.class_folders is not None:
            root = spec.path(self.layout.class_folders)
            return None if root is None else sum(data.count(f"{root}/{name}") for name in data.folders(root))
        if self.reads_labels:
            return self._count(spec.paths(f"{SOURCES}.image_directory_path"))
        if f"{SOURCES}.tfrecords_path" in spec:
            return self._converted()
        if "dataset_config.train_images_path" in spec:
            return self._count(spec.paths("dataset_config.train_images_path"))
        if "dataset.segment.root_dir" in spec:
            root = spec.path("dataset.segment.root_dir")
            split = spec.text("dataset.segment.train_split") or "train"
            return self._count((f"{root}/images/{split}",)) if root is not None else None
        return self._count(spec.paths(_COCO_PICTURES))

    @cached_property
    def labels(self) -> Labels | None:
        """The classes in the labels that are trained on."""
        if self.reads_labels:
            folders = self.spec.paths(f"{SOURCES}.label_directory_path") or ()
        else:
            folders = (self.made_by.labels,) if self.made_by is not None and self.made_by.labels else ()
        found = [self.data.labels(folder) for folder in folders]
        read = [one for one in found if one is not None]
        if not read or len(read) < len(found):
            return None
        return Labels(
            frozenset().union(*(one.classes for one in read)),
            sum(one.files for one in read),
            all(one.is_all for one in read),
        )

    def _converted(self) -> int | None:
        """The images in the records, without those set aside for validation."""
        made_by = self.made_by
        if made_by is None or made_by.taken is None:
            return None
        has_fold = "dataset_config.validation_fold" in self.spec
        percent = made_by.percent_for_validation if has_fold else 0
        return None if percent is None else made_by.taken - int(made_by.taken * percent / 100)

    def _count(self, folders: tuple[str, ...] | None) -> int | None:
        """None for folders with subfolders, which may contain more images."""
        if folders is None or any(self.data.folders(folder) for folder in folders):
            return None
        return sum(self.data.count(folder) for folder in folders) or None


Rule = Callable[[Training], Iterator[Fault]]


def together(*rules: Rule) -> Rule:
    """One rule of several that read the same values: what they find is looked up once for all of them."""

    def find(training: Training) -> Iterator[Fault]:
        for rule in rules:
            yield from rule(training)

    return find
