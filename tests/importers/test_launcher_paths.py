"""Paths of launcher specs as variables: what is written again reads as it did, once the variables have their values."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.importers.launcher_paths import (
    PathUse,
    dataset_root,
    path_uses,
    results_folders,
    value_with_variables,
    with_variables,
)
from taorunner.importers.network_detection import SpecRead, read_spec
from taorunner.project.mounts import MountEntry, Mounts
from taorunner.specs.templates.template import parse_template, render

PATHS = {"/data": "$dataset_raw", "/data/old": "$results_dir", "/w/a_vb/f.pth": "$pretrained_model"}
MOUNTS = Mounts(
    tuple(MountEntry(Path("/host") / one, f"/{one}") for one in ("data", "results", "workspace/tao"))
)


def spec(name: str, text: str) -> SpecRead:
    found = read_spec(Path(name), text)
    assert found is not None
    return found


def rendered(text: str, spec_format: str) -> str:
    values = {variable.removeprefix("$"): path for path, variable in PATHS.items()}
    result = render(parse_template(text, spec_format), values)
    assert result.findings == ()
    return result.text


PIECES = st.lists(
    st.sampled_from(
        ["/data", "/data/old", "/data/older", "/data2", "/w/a_vb/f.pth", "/x", "a", "$", "$x", "*", ".", "-"]
    ),
    max_size=4,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=5), st.text(st.sampled_from("a$ /data{}"), max_size=12))
def test_protobuf_text_reads_as_before(values: list[str], comment: str) -> None:
    text = "".join(f'a{n}: "{value}"  # {comment}\n' for n, value in enumerate(values))
    written = with_variables(spec("a.txt", text), PATHS)
    assert rendered(written, "prototxt") == text


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=5), st.text(st.sampled_from("a$ /data{}"), max_size=12))
def test_yaml_reads_as_before(values: list[str], comment: str) -> None:
    text = "".join(
        f"a{n}: \"{value}\"  # {comment}\nb{n}: [c, '{value}']\n" for n, value in enumerate(values)
    )
    written = with_variables(spec("a.yaml", text), PATHS)
    assert rendered(written, "yaml") == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a: /data\n", "a: $dataset_raw\n"),
        ("a: /data/x.json  # /data\n", "a: $dataset_raw/x.json  # /data\n"),
        ("a: [/data, /data/old/x]\n", "a: [$dataset_raw, $results_dir/x]\n"),
        ("a: /database\nb: my/data\nc: s3:/data.zip\n", "a: /database\nb: my/data\nc: s3:/data.zip\n"),
        (
            "a: ${b.c}/data\nb: ${dataset}\nc: ${results_dir}/x\n",
            "a: ${b.c}/data\nb: $${dataset}\nc: ${results_dir}/x\n",
        ),
        ("a: |\n  cp /data $HOME\n", "a: |\n  cp $dataset_raw $$HOME\n"),
    ],
)
def test_what_is_a_path_and_what_is_not(text: str, written: str) -> None:
    assert with_variables(spec("a.yaml", text), PATHS) == written


@pytest.mark.parametrize(
    ("paths", "root"),
    [
        (["/data/train", "/data/annotations/a.json"], "/data"),
        (["/data/kitti/training/image_2"], "/data/kitti/training"),
        (["/data/records/kitti*", "/data/records/val/*"], "/data/records"),
        (["/workspace/tao/data/a", "/workspace/tao/data/b"], "/workspace/tao/data"),
        (["/nowhere/a"], "/nowhere/a"),
        (["/x.json"], None),
        ([], None),
    ],
)
def test_where_the_data_is(paths: list[str], root: str | None) -> None:
    uses = [PathUse(("dataset", f"image_dir_{n}"), path) for n, path in enumerate(paths)]
    assert dataset_root(uses, MOUNTS, []) == root


def test_a_mount_that_holds_more_than_data_gives_the_folder_below_it() -> None:
    uses = [
        PathUse(("dataset", "image_dir"), "/workspace/tao/data/train"),
        PathUse(("dataset", "label_dir"), "/workspace/tao/data/labels"),
        PathUse(("dataset", "annotation_file"), "/workspace/tao/specs/a.json"),
        PathUse(("model", "pretrained_path"), "/workspace/tao/weights/a.pth"),
    ]
    assert dataset_root(uses, MOUNTS, []) == "/workspace/tao/data"


def test_a_folder_with_data_in_it_is_no_results_folder() -> None:
    uses = list(path_uses(spec("a.yaml", "results_dir: /data/\ndataset: {image_dir: /data/x}\n")))
    assert results_folders(uses) == []
    uses = list(path_uses(spec("a.yaml", "results_dir: /results/\ndataset: {image_dir: /data/x}\n")))
    assert results_folders(uses) == ["/results"]


def test_the_folder_of_the_specs_is_no_dataset() -> None:
    uses = [
        PathUse(("dataset", "image_dir"), "/workspace/tao"),
        PathUse(("dataset", "tfrecords_path"), "/workspace/tao/data/records"),
        PathUse(("dataset", "label_dir"), "/workspace/tao/data/labels"),
    ]
    assert dataset_root(uses, MOUNTS, []) == "/workspace/tao"
    assert dataset_root(uses, MOUNTS, [], Path("/host/workspace/tao/specs")) == "/workspace/tao/data"
    assert dataset_root(uses, MOUNTS, [], Path("/elsewhere")) == "/workspace/tao"


def test_a_folder_that_commands_write_into_is_a_results_folder_unless_others_are_in_it() -> None:
    assert results_folders([], ["/r/a", "/r/b", "/r"]) == ["/r/a", "/r/b"]
    uses = list(path_uses(spec("a.yaml", "results_dir: /r\n")))
    assert results_folders(uses, ["/r/a"]) == ["/r", "/r/a"]


def test_values_of_overrides_get_the_same_variables() -> None:
    values = {"/data": "$dataset_raw", "/data/old": "$results_dir"}
    given = ["/data/x", "/data/old/y", "/database", 3, {"a": "/data"}]
    assert value_with_variables(given, values) == [
        "$dataset_raw/x", "$results_dir/y", "/database", 3, {"a": "/data"},
    ]  # fmt: skip
