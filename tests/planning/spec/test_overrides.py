"""Overrides of experiments.yml and --set: what they do to a spec, and where a fault is reported."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from taorunner.errors import Finding, TaorunnerError, UsageError
from taorunner.planning.inspect.resolved_spec import shown_spec
from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.planner import plan_action
from taorunner.planning.spec.overrides import check_sets
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace

TF1 = """\
training_config { # c
  num_epochs: 80 # e
  regularizer { type: L1 weight: 3e-9 }
}
dataset_config {
  data_sources { tfrecords_path: "a" }
  data_sources { tfrecords_path: "b" }
}
"""
CONVERT = "kitti_config { val_split: 3 }\n"
PYT = """\
# head
train:   # t
  num_epochs: 3 # c
  gpu_ids: [0]

  optim: {lr: 1.0e-4}  # o
  # tail of train
dataset:
  train_data_sources:  # two
    - image_dir: /a
      json_file: b
    - image_dir: /c  # the second
      json_file: d
model:
  backbone: "resnet_50"
inference:
  color_map: {car: green}
results_dir: |
  /r
"""
HEADS = {
    "dssd": "    head: dssd\n    backbone: resnet18\n    repository: r\n    model_key: k\n    dataset: d\n",
    "dino": "    head: dino\n    release: 7.1.0\n    dataset: d\n    gpus: 0\n",
}
LAST = {"dssd": 7, "dino": 6}
"""The line of experiments.yml before ``overrides:``."""


class Outcome(NamedTuple):
    """Lines that went and came, or what was found: (line, code, message); line None for --set."""

    lines: list[str]
    messages: list[tuple[int | None, str, str]]


Set = Callable[..., Outcome]


@pytest.fixture
def setting(workspace_factory: Callable[..., Path]) -> Set:
    """``setting("dssd", "a.b: 1")``: overrides written in block style, from line 2 of them on."""

    def outcome(
        head: str,
        overrides: str = "",
        *,
        sets: Mapping[str, str] | None = None,
        text: str | None = None,
        action: str = "train",
    ) -> Outcome:
        written = "".join(f"      {line}\n" for line in overrides.splitlines())
        yml = f"experiments:\n  e:\n{HEADS[head]}" + (f"    overrides:\n{written}" if overrides else "")
        spec = text if text is not None else TF1 if head == "dssd" else PYT
        name = "e/train.txt" if head == "dssd" else "e/train.yaml"
        root = workspace_factory(yml, specs={name: "", "e/convert.txt": CONVERT}, data={"d/": ""})
        (root / "projects/example_01/specs" / name).write_bytes(spec.encode())
        request = ActionRequest(action, ("e",), overrides=sets or {})
        try:
            shown = shown_spec(Workspace(root), "example_01", "e", request, {})
        except TaorunnerError as error:
            return Outcome([], _messages(error.findings))
        before = CONVERT if action != "train" else spec
        lines = difflib.unified_diff(before.splitlines(True), shown.text.splitlines(True), n=0)
        changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
        return Outcome([line.rstrip("\n") for line in changed], _messages(shown.findings))

    return outcome


def _is_refused(head: str, done: Outcome, line: int, code: str, message: str) -> None:
    """Nothing is changed, and one finding with ``code`` is at this line of ``overrides:``."""
    messages = [found for found in done.messages if found[1] == code]
    assert [found[0] for found in messages] == [LAST[head] + 1 + line], done
    assert message in messages[0][2]
    assert done.lines == []


def _messages(findings: tuple[Finding, ...]) -> list[tuple[int | None, str, str]]:
    assert all((finding.file is None) == (finding.line is None) for finding in findings)
    return [(finding.line, finding.code, finding.message) for finding in findings]


@pytest.mark.parametrize(
    ("overrides", "changed"),
    [
        ("training_config.num_epochs: 5", ["-  num_epochs: 80 # e", "+  num_epochs: 5 # e"]),
        (
            "training_config: {num_epochs: 5, regularizer: {type: L2}}",
            ["-  num_epochs: 80 # e", "-  regularizer { type: L1 weight: 3e-9 }",
             "+  num_epochs: 5 # e", "+  regularizer { type: L2 weight: 3e-9 }"],
        ),
        (
            "dataset_config.data_sources[1].tfrecords_path: $dataset_tfrecord/x-$$y",
            ['-  data_sources { tfrecords_path: "b" }',
             '+  data_sources { tfrecords_path: "/workspace/projects/example_01/data/tfrecords_e/x-$y" }'],
        ),
        (
            "dataset_config.data_sources.0.tfrecords_path: 'a\"b\\c'",
            ['-  data_sources { tfrecords_path: "a" }', '+  data_sources { tfrecords_path: "a\\"b\\\\c" }'],
        ),
        ("training_config.enable_qat: true", ["+  enable_qat: true"]),
        (
            "training_config.optimizer.adam.epsilon: 1e-7",
            ["+  optimizer {", "+    adam {", "+      epsilon: 1e-07", "+    }", "+  }"],
        ),
        ("dssd_config.aspect_ratios_global: [1.0, 2.0]",
         ["+dssd_config {", '+  aspect_ratios_global: "[1.0, 2.0]"', "+}"]),
        ("kitti_config.val_split: 5\ntraining_config.num_epochs: 80", []),
    ],
)  # fmt: skip
def test_what_is_set_in_protobuf_text(setting: Set, overrides: str, changed: list[str]) -> None:
    assert setting("dssd", overrides) == (changed, [])


def test_a_missing_message_is_made_with_the_name_of_an_option_bare(setting: Set) -> None:
    text = "random_seed: 1\n"
    done = setting("dssd", "training_config.regularizer.type: L2", text=text)
    assert done.lines == ["+training_config {", "+  regularizer {", "+    type: L2", "+  }", "+}"]


def test_line_ends_of_windows_stay(setting: Set) -> None:
    text = TF1.replace("\n", "\r\n")
    overrides = "training_config: {num_epochs: 5, enable_qat: true}\nrandom_seed: 2"
    assert setting("dssd", overrides, text=text).lines == [
        "-  num_epochs: 80 # e\r", "+  num_epochs: 5 # e\r", "+  enable_qat: true\r", "+random_seed: 2\r",
    ]  # fmt: skip
    yaml = PYT.replace("\n", "\r\n")
    assert setting("dino", "train: {num_epochs: 5, seed: 2}\nmodel.num_queries: 9", text=yaml).lines == [
        "-  num_epochs: 3 # c\r", "+  num_epochs: 5 # c\r", "+  seed: 2\r", "+  num_queries: 9\r",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "line", "code", "message"),
    [
        ("dataset_config.data_sources.tfrecords_path: x", 1, "ambiguous-key", "occurs 2 times"),
        ("dataset_config.data_sources[2].tfrecords_path: x", 1, "cannot-set", "has no element 2"),
        ("dataset_config.data_sources: [{tfrecords_path: x}]", 1, "wrong-type", "is a section"),
        ("training_config[0].num_epochs: 3", 1, "wrong-type", 'is one section, so it has no "0"'),
        ("training_config: 3", 1, "wrong-type", "is a section, and cannot be set to a value"),
        ("training_config:\n  num_epochs: null", 2, "wrong-type", "cannot be set to nothing"),
        ("training_config:\n  num_epochs: [1]", 2, "wrong-type", "takes one value, this is a list"),
        ("training_config:\n  num_epochs: 5.0", 2, "wrong-type", "takes a whole number, this is 5.0"),
        (
            "training_config:\n  num_epochs: '5'",
            2,
            "wrong-type",
            'takes a whole number, this is the text "5"',
        ),
        ("training_config.num_epochs: -1", 1, "out-of-range", "is from 0 to 4294967295, this is -1"),
        ("training_config.enable_qat: yes", 1, "wrong-type", 'takes true or false, this is the text "yes"'),
        ("training_config.regularizer.type: L3", 1, "not-an-option", '"L3" is not an option'),
        ("training_config.num_epoch: 5", 1, "unknown-key", 'has no key "num_epoch"'),
        ("trainig_config:\n  num_epochs: 5", 1, "unknown-key", 'has no key "trainig_config"'),
        ("training_config.num_epochs.x: 5", 1, "wrong-type", 'is a single value, so it has no "x"'),
        ("training_config..num_epochs: 5", 1, "bad-key", "is not a key"),
        ("random_seed: 3\ntraining_config:\n  regularizer:\n    type: $typ", 4, "unknown-variable", '"$typ"'),
        (
            "training_config.num_epochs: 5\ntraining_config: {num_epochs: 6}",
            2,
            "override-twice",
            "is set twice",
        ),
    ],
)
def test_what_is_refused_in_protobuf_text_is_reported_at_its_line(
    setting: Set, overrides: str, line: int, code: str, message: str
) -> None:
    _is_refused("dssd", setting("dssd", overrides), line, code, message)


@pytest.mark.parametrize(
    ("overrides", "changed"),
    [
        ("train.num_epochs: 5", ["-  num_epochs: 3 # c", "+  num_epochs: 5 # c"]),
        ("train: {optim: {lr: 1e-5}}", ["-  optim: {lr: 1.0e-4}  # o", "+  optim: {lr: 1.0e-05}  # o"]),
        ("train.seed: 7", ["+  seed: 7"]),
        ("train.freeze: [a b, 'yes']", ['+  freeze: [a b, "yes"]']),
        ("train.results_dir: null", ["+  results_dir: null"]),
        (
            "dataset.train_data_sources[1].image_dir: '/x y: z'",
            ["-    - image_dir: /c  # the second", '+    - image_dir: "/x y: z"  # the second'],
        ),
        (
            "dataset.train_data_sources: [{image_dir: /x, json_file: y}]",
            ["-  train_data_sources:  # two", "-    - image_dir: /a", "-      json_file: b",
             "-    - image_dir: /c  # the second", "-      json_file: d",
             "+  train_data_sources: [{image_dir: /x, json_file: \"y\"}]  # two"],
        ),
        (
            "inference: {color_map: {traffic.light: red}}",
            ["-  color_map: {car: green}", "+  color_map: {car: green, traffic.light: red}"],
        ),
        ("train.results_dir: ${results_dir}/x", ["+  results_dir: /workspace/projects/example_01/models/e/x"]),
        ("train.results_dir: ${model.backbone}", ['+  results_dir: "${model.backbone}"']),
        ("evaluate.gpu_ids: $gpu_ids", ["+evaluate:", "+  gpu_ids: []"]),
        ("results_dir: /x", ["-results_dir: |", "-  /r", "+results_dir: /x"]),
    ],
)  # fmt: skip
def test_what_is_set_in_yaml(setting: Set, overrides: str, changed: list[str]) -> None:
    assert setting("dino", overrides) == (changed, [])


@pytest.mark.parametrize(
    ("overrides", "line", "code", "message"),
    [
        ("dataset.train_data_sources.image_dir: x", 1, "wrong-type", 'is a list, so it has no "image_dir"'),
        ("dataset.train_data_sources.5.image_dir: x", 1, "cannot-set", 'has no element "5"'),
        ("train:\n  num_epochs: [3]", 2, "wrong-type", "takes a whole number, this is a list"),
        (
            "train:\n  gpu_ids: [0, one]",
            2,
            "wrong-type",
            'train.gpu_ids.1 takes a whole number, this is "one"',
        ),
        ("train.gpu_ids: 3", 1, "wrong-type", "takes a list, this is 3"),
        ("train.optim: 3", 1, "wrong-type", "takes a section, this is 3"),
        ("train.num_epochs: null", 1, "wrong-type", "this is nothing"),
        ("train.num_epochs: '???'", 1, "missing-value", "means that a value has to be given"),
        ("train.optim: {}\ntrain.optim.lr: 1", 2, "override-twice", '"train.optim.lr" is set twice'),
        ("train.results_dir: $result_dir/x", 1, "unknown-variable", '"$result_dir"'),
    ],
)
def test_what_is_refused_in_yaml_is_reported_at_its_line(
    setting: Set, overrides: str, line: int, code: str, message: str
) -> None:
    _is_refused("dino", setting("dino", overrides), line, code, message)


def test_a_value_that_others_are_an_alias_of_is_not_changed(setting: Set) -> None:
    done = setting("dino", "train.num_epochs: 5", text="train:\n  num_epochs: &n 3\n  seed: *n\n")
    assert [(line, code) for line, code, _ in done.messages] == [(8, "cannot-set")]


@pytest.mark.parametrize(
    ("sets", "changed"),
    [
        ({"training_config.num_epochs": "5"}, ["-  num_epochs: 80 # e", "+  num_epochs: 5 # e"]),
        (
            {"dataset_config.data_sources.0.tfrecords_path": "007"},
            ['-  data_sources { tfrecords_path: "a" }', '+  data_sources { tfrecords_path: "007" }'],
        ),
        (
            {"dataset_config.data_sources[0].tfrecords_path": "$experiment: x"},
            ['-  data_sources { tfrecords_path: "a" }', '+  data_sources { tfrecords_path: "e: x" }'],
        ),
        ({"training_config": "{num_epochs: 5}"}, ["-  num_epochs: 80 # e", "+  num_epochs: 5 # e"]),
    ],
)
def test_what_was_typed_is_set(setting: Set, sets: dict[str, str], changed: list[str]) -> None:
    assert setting("dssd", sets=sets) == (changed, [])


def test_of_two_options_for_one_key_the_later_counts(setting: Set) -> None:
    sets = {"training_config.num_epochs": "5", "training_config": "{num_epochs: 6, enable_qat: true}"}
    done = setting("dssd", sets=sets)
    assert done == (["-  num_epochs: 80 # e", "+  num_epochs: 6 # e", "+  enable_qat: true"], [])


def test_what_was_typed_beats_the_file(setting: Set) -> None:
    done = setting("dssd", "training_config.num_epochs: many", sets={"training_config.num_epochs": "7"})
    assert done == (["-  num_epochs: 80 # e", "+  num_epochs: 7 # e"], [])


@pytest.mark.parametrize(
    ("head", "key", "value", "message"),
    [
        (
            "dssd",
            "random_seed",
            "x",
            '--set random_seed takes a whole number, this is the text "x"',
        ),
        (
            "dssd",
            "random_seed",
            "",
            '--set random_seed takes a whole number, this is the text ""',
        ),
        ("dssd", "random_seed", "null", "--set random_seed cannot be set to nothing"),
        ("dssd", "kitti_config.val_split", "3", '--set kitti_config.val_split: the spec of "ssd" has no key'),
        (
            "dssd",
            "dataset_config.data_sources.tfrecords_path",
            "x",
            '"dataset_config.data_sources" occurs 2 times',
        ),
        ("dino", "train.num_epoch", "3", '--set train.num_epoch: the section train of "dino" has no key'),
        ("dino", "train.results_dir", "$x", '--set train.results_dir: unknown variable "$x"'),
        ("dino", "train.optim", "{lr: 1}", "' ' in the argument \"train.optim\""),
    ],
)
def test_what_was_typed_and_is_refused_names_the_option(
    setting: Set, head: str, key: str, value: str, message: str
) -> None:
    done = setting(head, sets={key: value})
    assert [(line, message in text) for line, _code, text in done.messages] == [(None, True)], done


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.num_epochs", "[1", 'the value of "train.num_epochs" cannot be read'),
        ("train..num_epochs", "1", '"train..num_epochs" is not a key'),
        ("train. num_epochs", "1", '"train. num_epochs" is not a key'),
        (".train", "1", '".train" is not a key'),
        ("+", "1", '"+" is not a key'),
    ],
)
def test_what_cannot_be_read_is_refused_before_any_spec(key: str, value: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_sets({key: value})
    assert message in caught.value.message
    check_sets({"+train.optim.lr": "1e-4", "~a.b": "", "color_map.two words": "red"})


def test_an_override_of_another_actions_spec_is_not_for_this_one(setting: Set) -> None:
    overrides = "kitti_config.val_split: 5\ntraining_config.num_epochs: 5"
    done = setting("dssd", overrides, action="dataset_convert")
    assert done == (["-kitti_config { val_split: 3 }", "+kitti_config { val_split: 5 }"], [])


def test_what_taorunner_sets_is_not_overridden_silently(workspace_factory: Callable[..., Path]) -> None:
    yml = "experiments:\n  e: {head: dino, dataset: d, release: 7.1.0, overrides: {train.num_gpus: 4}}\n"
    root = workspace_factory(yml, specs={"e/train.yaml": "train: {num_epochs: 1}\n"}, data={"d/": ""})
    shown = shown_spec(Workspace(root), "example_01", "e", ActionRequest("train", ("e",)), {})
    assert [(f.severity.value, f.code, f.line) for f in shown.findings] == [
        ("warning", "override-ignored", 2)
    ]
    assert shown.text == "train: {num_epochs: 1, num_gpus: 1, gpu_ids: [0]}\n"


FAMILY = """\
experiments:
  parent:
    head: dino
    dataset: d
    release: 7.1.0
    overrides:
      train.num_epochs: {parent}
      train.seed: 4
  child:
    extends: parent
    overrides:
      train: {{num_epochs: 9}}
      train.optim.lr: {child}
"""


def family(workspace_factory: Callable[..., Path], **values: str) -> Workspace:
    specs = {"parent/train.yaml": "train: {num_epochs: 1}\n", "child/": ""}
    return Workspace(workspace_factory(FAMILY.format(**values), specs=specs, data={"d/": ""}))


def test_the_nearest_override_counts_however_it_is_written(workspace_factory: Callable[..., Path]) -> None:
    workspace = family(workspace_factory, parent="5", child="1e-3")
    shown = shown_spec(workspace, "example_01", "child", ActionRequest("train", ("child",)), {})
    places = {value.key: (value.value, value.line) for value in shown.values if value.by == "override"}
    assert places == {"train.num_epochs": (9, 12), "train.seed": (4, 8), "train.optim.lr": (0.001, 13)}


def test_an_inherited_override_is_reported_where_it_is_written(
    workspace_factory: Callable[..., Path],
) -> None:
    workspace = family(workspace_factory, parent="many", child="fast")
    found = validate_projects(workspace, ["example_01"], {})
    messages = {(finding.line, finding.message) for finding in found if finding.code == "wrong-type"}
    assert messages == {
        (7, 'train.num_epochs takes a whole number, this is "many"'),
        (13, 'train.optim.lr takes a number, this is "fast"'),
    }


def test_validate_reports_an_unknown_override_once_and_checks_every_action(
    workspace_factory: Callable[..., Path],
) -> None:
    yml = f"experiments:\n  e:\n{HEADS['dssd']}" + (
        "    overrides:\n      kitti_config.val_split: half\n      training_config.num_epochs: 3\n      nonsense: 1\n"
    )
    root = workspace_factory(
        yml,
        specs={"e/train.txt": TF1, "e/convert.txt": CONVERT},
        data={"d/": ""},
        repositories={"r/r_vresnet18/w.hdf5": ""},
    )
    found = [f for f in validate_projects(Workspace(root), ["example_01"], {}) if f.is_error]
    in_experiments = [(f.line, f.code) for f in found if f.file and f.file.name == "experiments.yml"]
    assert sorted(in_experiments) == [(9, "wrong-type"), (11, "unknown-key")]


def test_an_option_given_by_its_number_is_replaced_by_its_name_without_quotes(setting: Set) -> None:
    text = "training_config {\n  regularizer { type: 2 }\n}\n"
    done = setting("dssd", "training_config.regularizer.type: L1", text=text)
    assert done.lines == ["-  regularizer { type: 2 }", "+  regularizer { type: L1 }"]


def test_of_a_value_given_twice_the_one_that_counts_is_replaced(setting: Set) -> None:
    text = "training_config {\n  num_epochs: 1\n  num_epochs: 2\n}\ntraining_config { enable_qat: true }\n"
    done = setting("dssd", "training_config.num_epochs: 9", text=text)
    assert done.lines == ["-  num_epochs: 2", "+  num_epochs: 9"]


def test_variables_typed_for_a_command_line_are_replaced_in_it(
    workspace_factory: Callable[..., Path],
) -> None:
    root = workspace_factory(
        "experiments:\n  e: {head: dino, dataset: d, release: 7.1.0, gpus: 2}\n",
        specs={"e/train.yaml": "train: {num_epochs: 1}\n"},
        data={"d/": ""},
    )
    sets = {"train.results_dir": "$results_dir/x", "train.freeze": "$gpu_ids", "train.seed": "7"}
    caller = Caller(1000, 1000, (), "ada", {})
    planned = plan_action(
        Workspace(root), "example_01", ActionRequest("train", ("e",), overrides=sets), caller
    )
    assert [finding for finding in planned.findings if finding.is_error] == []
    plan = planned.items[0].plan
    results = "/workspace/projects/example_01/models/e"
    assert plan.argv[-3:] == (f"train.results_dir={results}/x", "train.freeze=[0,1]", "train.seed=7")
    assert (
        plan.spec is not None and plan.spec.text == "train: {num_epochs: 1, num_gpus: 2, gpu_ids: [0, 1]}\n"
    )
