"""``DataLayout``: what a network reads of a dataset, one file of ``data/layouts`` for each network.

Which keys of a spec name files, where these files belong, what of a spec is computed from the data, and which weights a
training starts from. ``data/README.md`` describes the files. Networks of a workspace have the layout of the network
that they are ``like``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cached_property
from typing import Any

from taorunner.catalog.backbones import Backbones, backbones_from
from taorunner.values.value import Value, field, replace

_OF_OTHERS = frozenset({"evaluate", "inference", "export", "gen_trt_engine", "prune"})
"""Sections of a spec that no training reads."""
_SIZE = re.compile(r"(?:^|\.)(?!min_)(?:\w*_)?(?:size|width|height)\Z")
"""Not of the smallest box that is taken, which may be 0."""


class InputKind(str, Enum):
    """What lies at a path that a spec names. ``RECORDS`` are files that a conversion makes, given as a pattern;
    ``MADE`` is a result of an earlier action; ``ANY`` is a file or a folder."""

    FOLDER = "folder"
    FILE = "file"
    ANY = "any"
    RECORDS = "records"
    MADE = "made"


class Input(Value):
    """A path that actions open. ``key`` is a dotted key of the spec without numbers, or an option (``--image_dir``).

    ``needed_by`` are the actions that stop without it, ``used_by`` those that read it only when it is given. Actions
    are named as in the catalog (``deploy.evaluate``).
    """

    key: str
    kind: InputKind
    holds: str
    needed_by: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()
    note: str | None = None

    def is_read_by(self, action: str) -> bool:
        return action in self.needed_by or action in self.used_by


class Counts(str, Enum):
    """What of the data a value is held against.

    ``HIGHEST_ID``: the largest category id and 1. ``CATEGORIES``: the number of categories. ``CLASS_FOLDERS``: the
    number of folders. ``CLASS_NAMES``: the keys of a mapping are the names of the categories.
    """

    HIGHEST_ID = "highest_id"
    CATEGORIES = "categories"
    CLASS_FOLDERS = "class_folders"
    CLASS_NAMES = "class_names"


class ComputedValue(str, Enum):
    """How a value is computed from the data. ``planning/derived`` has a function for each.

    Numbers: ``CLASS_COUNT`` (as ``counts`` says), ``CLASS_NAMES_COUNT``, ``LABEL_COUNT`` (of a palette),
    ``TRAIN_IMAGES``, ``VAL_IMAGES``, ``SAMPLES`` (images that train, without those set aside), ``STEPS`` of an epoch,
    ``TOTAL_STEPS``,
    ``MOST_BOXES`` in an image, ``SMALLEST_BOX`` after resizing, ``SMALL_OBJECTS``, ``LONGEST_TEXT``, ``TEXT_WIDTH``,
    ``CHANNELS``, ``NUMBER_AT`` (another key), ``OUTLINES`` (whether all annotations to validate with have one),
    ``VAL_PERCENT`` (so much of the images that it is one at least).

    Others: ``CLASS_NAMES``, ``CLASS_IDS``, ``CLASS_COLORS``, ``CLASS_MAPPING`` and ``CLASS_BLOCKS`` (repeated blocks),
    ``MASK_BLOCKS``, ``PALETTE``, ``IMAGE_TYPE``, ``EXTENSION``, ``SIZE`` (pairs of keys, width and
    height), ``ANCHORS`` (three for each key, the largest first), ``STEPS_IN_EPOCHS``, ``TOP``.
    """

    CLASS_COUNT = "class_count"
    CLASS_NAMES_COUNT = "class_names_count"
    LABEL_COUNT = "label_count"
    TRAIN_IMAGES = "train_images"
    VAL_IMAGES = "val_images"
    SAMPLES = "samples"
    STEPS = "steps"
    TOTAL_STEPS = "total_steps"
    MOST_BOXES = "most_boxes"
    SMALLEST_BOX = "smallest_box"
    SMALL_OBJECTS = "small_objects"
    LONGEST_TEXT = "longest_text"
    TEXT_WIDTH = "text_width"
    CHANNELS = "channels"
    NUMBER_AT = "number_at"
    OUTLINES = "outlines"
    VAL_PERCENT = "val_percent"
    CLASS_NAMES = "class_names"
    CLASS_IDS = "class_ids"
    CLASS_COLORS = "class_colors"
    CLASS_MAPPING = "class_mapping"
    CLASS_BLOCKS = "class_blocks"
    MASK_BLOCKS = "mask_blocks"
    PALETTE = "palette"
    IMAGE_TYPE = "image_type"
    EXTENSION = "extension"
    SIZE = "size"
    ANCHORS = "anchors"
    STEPS_IN_EPOCHS = "steps_in_epochs"
    TOP = "top"


class Limit(str, Enum):
    """When a number in a spec is replaced by the computed one: where it differs, is less, is more, or does not divide
    it."""

    EXACT = "exact"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    DIVIDES = "divides"


class Computed(Value):
    """Keys whose values follow from the data, and how.

    ``counts`` says it for ``validate``, and ``of`` are the keys of the files or folders that are counted. ``value``
    says it for new projects and ``specs refresh``, with ``using`` for its parameters; None where ``by_hand`` says why
    nothing sets it. A key that begins with ``$`` is a variable of the experiment. Each value is to be a multiple of
    ``multiple_of``; ``is_refused``: the network stops where it is none.
    """

    keys: tuple[str, ...]
    source: str
    rule: str
    counts: Counts | None = None
    of: tuple[str, ...] = ()
    value: ComputedValue | None = None
    limit: Limit = Limit.EXACT
    using: Mapping[str, Any] = field(default_factory=dict)
    multiple_of: int | None = None
    is_refused: bool = False
    by_hand: str | None = None


class StartWeights(Value):
    """``model`` is a name of NGC or Hugging Face, ``key`` the spec key or the option that takes its file.

    ``backbone`` is the one that it fits, a name of ``Backbones``. ``versions`` are other versions of the same model,
    each for the backbone of its name. ``sets`` are other keys of the spec that go with it. ``only`` says for what
    alone it fits: such weights are never taken unasked.
    """

    model: str
    key: str
    covers: str | None = None
    note: str | None = None
    backbone: str | None = None
    versions: tuple[str, ...] = ()
    sets: Mapping[str, Any] = field(default_factory=dict)
    only: str | None = None

    def of_backbone(self, name: str) -> StartWeights | None:
        """These weights, or the version of the same model, for the backbone of that name."""
        if name == self.backbone:
            return self
        if name not in self.versions:
            return None
        return replace(self, model=f"{self.model.rpartition(':')[0]}:{name}", backbone=name, versions=())


class DataLayout(Value):
    """What ``network`` reads.

    ``form`` is the form that ``dataset convert`` and ``split`` write for it, None where they write none. ``put`` maps
    patterns of paths to what belongs there; they count from the experiment's dataset, or from the folder around it
    where the dataset is one subset (``dataset`` names it, as in ``dataset: cars/train``). ``reads`` are the keys of the
    labels of ``train`` and ``val``; labels that no spec names lie where ``put`` says. ``lists`` are blocks
    of the spec with two lists in place of two folders, for networks that pair these in the order of the disk.
    ``facts`` has the other keys of
    the file unchanged.
    """

    network: str
    form: str | None
    dataset: str | None
    put: Mapping[str, str]
    inputs: tuple[Input, ...]
    arguments: tuple[Input, ...]
    computed: tuple[Computed, ...]
    weights: tuple[StartWeights, ...]
    start: Mapping[str, Any]
    lists: Mapping[str, Mapping[str, str]]
    reads: Mapping[str, str] = field(default_factory=dict)
    backbones: Backbones | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def counted(self, counts: Counts) -> Computed | None:
        """The first value that is held against that of the data."""
        return next((one for one in self.computed if one.counts is counts), None)

    @property
    def class_folders(self) -> str | None:
        """The key of the folder that has one folder for each class; None where classes are no folders."""
        found = self.counted(Counts.CLASS_FOLDERS)
        return found.of[0] if found is not None else None

    @property
    def trains_on_records(self) -> bool:
        """Whether a conversion has to come before the training."""
        return any(one.kind is InputKind.RECORDS for one in self.inputs_of("train"))

    def inputs_of(self, action: str, group: str = "model") -> tuple[Input, ...]:
        """The spec keys whose paths ``action`` of that group of the network opens."""
        return self._inputs_by_action.get(f"{group}.{action}") or self._inputs_by_action.get(action, ())

    @cached_property
    def _inputs_by_action(self) -> Mapping[str, tuple[Input, ...]]:
        actions = {action for one in self.inputs for action in (*one.needed_by, *one.used_by)}
        return {action: tuple(one for one in self.inputs if one.is_read_by(action)) for action in actions}

    @cached_property
    def trained_sizes(self) -> tuple[str, ...]:
        """The computed keys that are sizes of what the training reads, each above 0."""
        keys = (
            key
            for row in self.computed
            for key in row.keys
            if row.value is ComputedValue.SIZE
            or row.multiple_of is not None
            or row.source == "sizes"
            or _SIZE.search(key)
        )
        return tuple(key for key in keys if key.partition(".")[0] not in _OF_OTHERS)


FACTS = (
    "labels", "fields", "ids", "background", "images", "pairing", "order", "inference", "left_out", "stops",
    "conversion", "without_weights", "not_verified", "source",
)  # fmt: skip
"""Keys of a layout that are text for people."""


def layout_from(body: Mapping[str, Any], network: str) -> DataLayout:
    """A layout from the content of its file, after ``like`` was followed. The content is not checked: see
    ``tests/catalog``."""
    return DataLayout(
        network=network,
        form=body.get("form"),
        dataset=body.get("dataset"),
        put=_given(body, "put"),
        inputs=tuple(_input(key, row) for key, row in _given(body, "inputs").items()),
        arguments=tuple(_input(key, row) for key, row in _given(body, "arguments").items()),
        computed=tuple(_computed(row) for row in body.get("computed") or ()),
        weights=tuple(
            StartWeights(
                model,
                row["key"],
                row.get("covers"),
                row.get("note"),
                row.get("backbone"),
                tuple(row.get("versions") or ()),
                row.get("sets") or {},
                row.get("only"),
            )
            for model, row in _given(body, "weights").items()
        ),
        start=_given(body, "start"),
        lists=_given(body, "lists"),
        reads=_given(body, "reads"),
        backbones=backbones_from(body["backbones"]) if body.get("backbones") else None,
        facts={key: body[key] for key in FACTS if body.get(key) is not None},
    )


def _given(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A mapping without the entries that a layout removes from that of the network it is like."""
    return {name: value for name, value in (body.get(key) or {}).items() if value is not None}


def _computed(row: Mapping[str, Any]) -> Computed:
    counts = row.get("counts")
    return Computed(
        tuple(row["keys"]),
        row["from"],
        row["rule"],
        Counts(counts) if counts else None,
        tuple(row.get("of") or ()),
        ComputedValue(row["value"]) if "value" in row else None,
        Limit(row.get("limit", "exact")),
        row.get("using") or {},
        row.get("multiple_of"),
        bool(row.get("refused")),
        row.get("by_hand"),
    )


def _input(key: str, row: Mapping[str, Any]) -> Input:
    return Input(
        key, InputKind(row["kind"]), row["holds"], tuple(row.get("needed_by") or ()), tuple(row.get("used_by") or ()),
        row.get("note"),
    )  # fmt: skip
