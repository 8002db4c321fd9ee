"""Every value of a spec that a network's loaders derive from the data: set by a new project, or the catalog says why not.

``rules.yml`` lists the rules, from a reading of the loaders. The data here is described, not made, so that every number
is known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.layouts import Computed, ComputedValue, Counts, DataLayout, Limit
from taorunner.catalog.load import DATA, Catalog, load_network
from taorunner.planning.derived.class_rules import CLASSES
from taorunner.planning.derived.derive import DataFacts, WithData, with_data
from taorunner.planning.derived.facts import SubsetFacts
from taorunner.planning.derived.numbers import NUMBERS
from taorunner.planning.derived.spec_texts import SpecTexts
from taorunner.planning.experiment_variables import variables_of
from taorunner.planning.new_project import new_project
from taorunner.project.workspace import Workspace
from taorunner.specs.editing import prototxt_edit, yaml_edit
from taorunner.yaml_reader import read_yaml

RULES: Mapping[str, list[list[str]]] = read_yaml(
    Path(__file__).with_name("rules.yml").read_text(encoding="utf-8")
).value
HEADS = sorted(path.stem for path in (DATA / "layouts").iterdir() if path.stem != "radio")
OPTIONAL = {
    ("mask_rcnn", "total_steps"),  # the scaffold counts in epochs, which TAO turns into steps
    ("rtdetr", "dataset.eval_class_ids"),  # without it TAO evaluates every class
}
"""Keys that are set where a spec has them, and that new projects leave out."""
IMAGES, VAL_IMAGES, MOST_BOXES, LONGEST, NAMES = 103, 31, 173, 23, ("bolt", "nut", "clip", "hook", "ring")


def facts_of(head: str) -> DataFacts:
    """103 images to train on and 31 to validate with, of 5 classes; 173 boxes in one image, the smallest 3x2 pixels.

    Each class has 700 boxes. Masks have the values 0 and 255.
    """
    boxes = Counter(dict.fromkeys(NAMES, 700))
    return DataFacts(
        SubsetFacts(IMAGES, boxes, MOST_BOXES), SubsetFacts(VAL_IMAGES, boxes, 9, without_outline=1), NAMES,
        dict(enumerate(NAMES, start=1)), Counter({(640, 480): 134}), Counter({".png": 134}),
        tuple((3 * n / 640, 2 * n / 480) for n in range(1, 200)), ((0,), (255,)), {}, 1, LONGEST,
    )  # fmt: skip


class Made:
    """The files and variables of a new project of a head."""

    def __init__(self, root: Path, head: str) -> None:
        layout = Catalog().layout(head)
        assert layout is not None
        self.layout: DataLayout = layout
        made = new_project(root, root, "new", head=head, backbone=None, experiment=None, dataset="set")
        paths = Workspace(root).project("new")
        self.variables: Mapping[str, object] = variables_of(paths.experiments_file, made.experiment)
        folder = paths.spec_dir(made.experiment)
        self.texts = {one.name: one.read_text() for one in sorted(folder.iterdir())}
        self.train = load_network(head).contracts(None).get("train")
        self.facts = facts_of(head)

    def computed(
        self, texts: Mapping[str, str], variables: Mapping[str, object], *, is_new: bool
    ) -> WithData:
        return with_data(self.layout, self.facts, texts, variables, is_new=is_new, train=self.train)


def seen(texts: Mapping[str, str], variables: Mapping[str, object], key: str) -> Any:
    return SpecTexts(dict(texts), dict(variables), is_new=False).value(key)


def has(made: Made, key: str) -> bool:
    return SpecTexts(dict(made.texts), dict(made.variables), is_new=True).has(key)


@pytest.mark.parametrize("head", RULES)
def test_every_rule_is_in_the_catalog_with_a_value_or_a_reason(head: str) -> None:
    layout = Catalog().layout(head)
    assert layout is not None
    for keys in RULES[head]:
        for key in keys:
            rows = [one for one in layout.computed if key in one.keys]
            assert rows, key
            assert all((one.value is None) != (one.by_hand is None) for one in rows), key


@pytest.mark.parametrize("head", HEADS)
def test_a_new_project_has_every_key_that_is_set(head: str, tmp_path: Path) -> None:
    made = Made(tmp_path, head)
    result = made.computed(made.texts, made.variables, is_new=True)
    for row in made.layout.computed:
        if row.value is None:
            continue
        keys = [key for key in row.keys if has(made, key)]
        assert keys or (head, row.keys[0]) in OPTIONAL, row.keys
        if row.value in CLASSES:
            open_keys = {key for key in keys if seen(made.texts, made.variables, key) is None}
            assert not open_keys or open_keys & {one.key for one in result.changes}, open_keys


def expected(
    made: Made, texts: Mapping[str, str], variables: Mapping[str, object], row: Computed
) -> float | None:
    """From the facts above, by the words of the rule alone; None for what the other tests of this folder compute."""

    def at(name: str) -> float:
        return float(seen(texts, variables, str(row.using[name])))

    if row.value is ComputedValue.CLASS_COUNT:
        return 6 if row.counts is Counts.HIGHEST_ID else 5

    def steps() -> int:
        return ceil(IMAGES / at("batch"))

    simple: dict[ComputedValue, Any] = {
        ComputedValue.CLASS_NAMES_COUNT: lambda: 5, ComputedValue.TRAIN_IMAGES: lambda: IMAGES, ComputedValue.VAL_IMAGES: lambda: VAL_IMAGES,
        ComputedValue.MOST_BOXES: lambda: MOST_BOXES + int(row.using.get("plus", 0)), ComputedValue.LONGEST_TEXT: lambda: LONGEST,
        ComputedValue.NUMBER_AT: lambda: at("of"), ComputedValue.STEPS: steps, ComputedValue.TEXT_WIDTH: lambda: (2 * at("of") + 1) * 4,
        ComputedValue.TOTAL_STEPS: lambda: int(steps() * at("epochs") * float(row.using.get("share", 1))),
    }  # fmt: skip
    found = simple.get(row.value) if row.value is not None else None
    return None if found is None else found()


def with_value(texts: Mapping[str, str], file: str, key: str, value: int) -> dict[str, str]:
    """``texts`` with another number at ``key``."""
    text = texts[file]
    if file.endswith(".txt"):
        text = re.sub(r"(?<=[:\s\[,])\$([A-Za-z_][A-Za-z0-9_]*)", "1", text)
        return {**texts, file: prototxt_edit.set_value(text, key, value)}
    return {**texts, file: yaml_edit.set_value(text, key, value)}


_WRONG = {Limit.EXACT: 777_777, Limit.AT_MOST: 777_777, Limit.AT_LEAST: 1, Limit.DIVIDES: 777_777}


@pytest.mark.parametrize("head", HEADS)
def test_every_number_that_contradicts_the_data_is_replaced(head: str, tmp_path: Path) -> None:
    made = Made(tmp_path, head)
    first = made.computed(made.texts, made.variables, is_new=True)
    for row in made.layout.computed:
        if row.value not in NUMBERS or expected(made, first.specs, first.variables, row) is None:
            continue
        for key in row.keys:
            wanted = expected(made, first.specs, first.variables, row)
            assert wanted is not None
            wrong = _WRONG[row.limit]
            texts: Mapping[str, str] = first.specs
            variables: Mapping[str, object] = first.variables
            placed = SpecTexts(dict(texts), dict(variables), is_new=False).placed(key)
            if key.startswith("$") or (placed and placed[0][1].variable is not None):
                name = key.removeprefix("$") if key.startswith("$") else str(placed[0][1].variable)
                variables = {**variables, name: wrong}
            elif placed:
                texts = with_value(texts, placed[0][0], key, wrong)
            else:
                continue
            assert seen(texts, variables, key) == wrong, key
            again = made.computed(texts, variables, is_new=False)
            found = seen(again.specs, again.variables, key)
            fits = {
                Limit.EXACT: found == wanted, Limit.AT_MOST: found <= wanted, Limit.AT_LEAST: found >= wanted,
                Limit.DIVIDES: found > 0 and wanted % found == 0,
            }  # fmt: skip
            assert fits[row.limit], (key, found, wanted)
            assert key in {one.key for one in again.changes} or any(
                one.key.startswith("$") for one in again.changes
            )


@pytest.mark.parametrize(("without", "wanted"), [(0, True), (1, False)])
def test_mal_loads_masks_only_where_all_annotations_have_one(
    tmp_path: Path, without: int, wanted: bool
) -> None:
    made = Made(tmp_path, "mal")
    made.facts = replace(made.facts, val=replace(made.facts.val, without_outline=without))
    result = made.computed(made.texts, made.variables, is_new=True)
    assert seen(result.specs, result.variables, "dataset.load_mask") is wanted
    off = {
        **made.texts,
        "train.yaml": made.texts["train.yaml"].replace("load_mask: true", "load_mask: false"),
    }
    kept = made.computed(off, made.variables, is_new=False)
    assert seen(kept.specs, kept.variables, "dataset.load_mask") is False


@pytest.mark.parametrize(("images", "percent"), [(2, 50), (3, 34), (4, 25), (5, 20), (103, 20)])
def test_one_image_at_least_is_set_aside_for_validation(tmp_path: Path, images: int, percent: int) -> None:
    made = Made(tmp_path, "detectnet_v2")
    made.facts = replace(made.facts, train=replace(made.facts.train, images=images))
    result = made.computed(made.texts, made.variables, is_new=True)
    assert seen(result.specs, result.variables, "kitti_config.val_split") == percent
    assert int(images * percent / 100) >= 1
