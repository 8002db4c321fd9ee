from __future__ import annotations

import time
from collections.abc import Callable

from taorunner.project.experiments import MAX_CHAIN, Experiment
from taorunner.project.load import Project
from taorunner.project.workspace import Workspace

Load = Callable[[str | bytes], Project]


def findings_of(project: Project) -> list[tuple[int | None, int | None, str, str, str | None]]:
    return [(one.line, one.column, one.code, one.message, one.hint) for one in project.findings]


def test_scalars_replace_mappings_merge_words_for_people_stay(load: Load, workspace: Workspace) -> None:
    project = load(
        """\
tao_config: {gpus: 1, release: "5.0.0", env: {A: config, B: config}}
experiments:
  child:
    extends: parent
    backbone: resnet50
    env: {D: child}
    vars: {size: 2}
    overrides: {train.epochs: 3}
  parent:
    extends: grandparent
    release: "5.5.0"
    env: {B: parent, C: parent}
    description: not for children
    tags: [parent]
    vars: {name: p, size: 1}
  grandparent:
    head: dssd
    backbone: resnet18
    dataset: kitti
    model_key: k
    overrides: {train.epochs: 1, train.lr: 0.1}
"""
    )
    specs = workspace.project("p").specs_dir
    assert project.findings == ()
    assert list(project.experiments) == ["child", "parent", "grandparent"]
    assert project.experiments["child"] == Experiment(
        name="child",
        head="dssd",
        dataset="kitti",
        backbone="resnet50",
        model_key="k",
        gpus=1,
        release="5.5.0",
        env={"A": "config", "B": "parent", "C": "parent", "D": "child"},
        spec_dirs=(specs / "child", specs / "parent", specs / "grandparent"),
        vars={"name": "p", "size": 2},
        overrides={"train.epochs": 3, "train.lr": 0.1},
    )
    assert (project.experiments["parent"].tags, project.experiments["parent"].description) == (
        ("parent",),
        "not for children",
    )
    assert project.experiments["grandparent"].env == {"A": "config", "B": "config"}
    assert project.ancestors("child") == ("parent", "grandparent")


def test_unknown_parent_names_the_nearest(load: Load) -> None:
    project = load("experiments:\n  baseline: {head: d, dataset: k}\n  b:\n    extends: baselin\n")
    assert findings_of(project) == [
        (
            4,
            14,
            "unknown-experiment",
            'experiment "b" extends "baselin", which does not exist',
            'did you mean "baseline"?',
        )
    ]
    assert list(project.experiments) == ["baseline"]


def test_experiment_that_extends_itself(load: Load) -> None:
    assert findings_of(load("experiments:\n  a: {extends: a, head: d, dataset: k}\n")) == [
        (2, 16, "extends-itself", 'experiment "a" extends itself', 'remove one "extends" of it')
    ]


def test_circle_is_reported_once_and_spoils_what_leads_into_it(load: Load) -> None:
    project = load(
        "experiments:\n  x: {extends: a}\n  a: {extends: b}\n  b: {extends: c}\n  c: {extends: a}\n"
        "  ok: {head: d, dataset: k}\n"
    )
    assert findings_of(project) == [
        (
            3,
            16,
            "extends-itself",
            'experiment "a" extends itself: a → b → c → a',
            'remove one "extends" of it',
        )
    ]
    assert list(project.experiments) == ["ok"]
    assert project.ancestors("x") == ("a", "b", "c")


def test_two_circles_are_two_findings(load: Load) -> None:
    project = load(
        "experiments:\n  a: {extends: b}\n  b: {extends: a}\n  c: {extends: d}\n  d: {extends: c}\n"
    )
    assert [(one.line, one.code) for one in project.findings] == [
        (2, "extends-itself"),
        (4, "extends-itself"),
    ]


def test_child_of_a_broken_parent_is_not_usable_and_not_blamed(load: Load) -> None:
    project = load(
        "experiments:\n  a: {head: d, dataset: k, gpus: many}\n  b: {extends: a}\n  c: {extends: b}\n"
    )
    assert [(one.line, one.code) for one in project.findings] == [(2, "wrong-type")]
    assert project.experiments == {}
    assert project.names == ("a", "b", "c")


def test_missing_keys_count_what_is_inherited(load: Load) -> None:
    project = load("experiments:\n  a: {head: d}\n  b: {extends: a, dataset: k}\n  c: {extends: a}\n")
    assert [(one.line, one.message) for one in project.findings] == [
        (2, 'experiment "a" has no "dataset"'), (4, 'experiment "c" has no "dataset"')
    ]  # fmt: skip


def test_parent_may_be_a_fragment_that_cannot_run_alone(load: Load) -> None:
    """Its missing keys are reported, but its children are complete."""
    project = load("experiments:\n  a: {head: d}\n  b: {extends: a, dataset: k}\n")
    assert list(project.experiments) == ["b"]


def test_other_mistakes_do_not_hide_what_extends_is_wrong(load: Load) -> None:
    project = load("experiments:\n  a: {extends: nowhere, gpus: x}\n")
    assert sorted(one.code for one in project.findings) == ["unknown-experiment", "wrong-type"]


def test_chain_has_an_end(load: Load) -> None:
    lines = ["  e0: {head: d, dataset: k}"] + [
        f"  e{i}: {{extends: e{i - 1}}}" for i in range(1, MAX_CHAIN + 3)
    ]
    project = load("experiments:\n" + "\n".join(lines))
    assert [one.code for one in project.findings] == ["extends-too-deep"]
    assert len(project.experiments) == MAX_CHAIN + 1


def test_long_chain_takes_no_longer_than_its_lines(load: Load) -> None:
    lines = [f"  e{i}: {{extends: e{i + 1}, vars: {{v{i}: 1}}}}" for i in range(15_000)]
    start = time.process_time()
    project = load("experiments:\n" + "\n".join(lines))
    assert time.process_time() - start < 10
    assert [one.code for one in project.findings] == ["unknown-experiment"]


def test_gpus_of_the_parent_that_disagree_are_reported_at_the_child(load: Load) -> None:
    project = load(
        "experiments:\n  a: {head: d, dataset: k, gpu_indices: [0, 1]}\n  b: {extends: a, gpus: 1}\n"
    )
    assert findings_of(project) == [
        (
            3, 25, "gpus-disagree", '"gpus" is 1, but "gpu_indices" names 2 (inherited: see "tao_config" or "extends")',
            'write "gpu_indices" here too',
        )
    ]  # fmt: skip
