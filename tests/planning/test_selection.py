"""Which experiments a command line means: names, patterns, PROJECT/EXPERIMENT, --all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.errors import UsageError, UserFilesError
from taorunner.planning.model.request import ActionRequest
from taorunner.planning.selection import Selection, select, select_all
from taorunner.project.workspace import Workspace

ONE = {"head": "rtdetr", "dataset": "d"}
SPEC = "results_dir: $results_dir\n"


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Workspace:
    """Projects ``parts`` (rtdetr_01, rtdetr_02, dino_01) and ``yard`` (dino_01, dino_02)."""
    root = workspace_factory(
        {"experiments": {"rtdetr_01": ONE, "rtdetr_02": ONE, "dino_01": {"head": "dino", "dataset": "d"}}},
        project="parts",
        specs=dict.fromkeys(["rtdetr_01/train.yaml", "rtdetr_01/evaluate.yaml", "dino_01/train.yaml"], SPEC),
    )  # fmt: skip
    yard = root / "projects" / "yard"
    (yard / "data").mkdir(parents=True)
    (yard / "experiments.yml").write_text(
        "experiments:\n  dino_01: {head: dino, dataset: d}\n  dino_02: {head: dino, dataset: d}\n"
    )
    return Workspace(root)


def chosen(workspace: Workspace, *words: str, named: str | None = None) -> list[str]:
    found = select(workspace, words, current=lambda: named or "parts", named=named)
    return [f"{project}/{experiment}" for project, experiment in found.chosen]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rtdetr_02", "dino_01"], ["parts/rtdetr_02", "parts/dino_01"]),
        (["rtdetr_*"], ["parts/rtdetr_01", "parts/rtdetr_02"]),
        (["rtdetr_0?"], ["parts/rtdetr_01", "parts/rtdetr_02"]),
        (["rtdetr_0[2-9]"], ["parts/rtdetr_02"]),
        (["yard/dino_02"], ["yard/dino_02"]),
        (["*/dino_*"], ["parts/dino_01", "yard/dino_01", "yard/dino_02"]),
        (["*/dino_02"], ["yard/dino_02"]),
        (["ya*/*"], ["yard/dino_01", "yard/dino_02"]),
        (["nothing"], ["parts/nothing"]),  # the planner says what is wrong with a plain name
    ],
)
def test_words_of_a_command_line(workspace: Workspace, words: list[str], expected: list[str]) -> None:
    assert chosen(workspace, *words) == expected


def test_one_experiment_in_several_forms_is_one_run(workspace: Workspace) -> None:
    words = ("dino_01", "parts/dino_01", "d*", "*/dino_01", "parts/dino_01")
    assert chosen(workspace, *words) == ["parts/dino_01", "yard/dino_01"]


def test_experiments_keep_the_order_of_the_command_line_across_projects() -> None:
    selection = Selection((("a", "x"), ("a", "y"), ("b", "x"), ("a", "z")))
    assert list(selection.by_project()) == [("a", ("x", "y")), ("b", ("x",)), ("a", ("z",))]


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("rtdter_*", 'no experiment matches "rtdter_*"', 'did you mean "rtdetr_01", "rtdetr_02"?'),
        ("DINO_*", 'no experiment matches "DINO_*"', 'did you mean "dino_01"?'),
        ("zz*", 'no experiment matches "zz*"', "there are: rtdetr_01, rtdetr_02, dino_01"),
        ("yrad*/*", 'no project matches "yrad*"', 'did you mean "yard"?'),
        ("yard/rt*", 'no experiment matches "yard/rt*"', "there are: dino_01, dino_02"),
        ("yrad/dino_01", '"yrad/dino_01": no project "yrad" in "', 'did you mean "yard"?'),
        ("a/b/c", '"a/b/c" is not PROJECT/EXPERIMENT', 'did you mean "b/c"?'),
        ("/x", '"/x" is not PROJECT/EXPERIMENT', "for example parts/rtdetr_01"),
        ("./x", '"./x" is not PROJECT/EXPERIMENT', 'did you mean "x"?'),
    ],
)
def test_a_word_that_means_nothing(workspace: Workspace, word: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        chosen(workspace, word)
    assert refused.value.message.startswith(message)
    assert refused.value.hint == hint


@pytest.mark.parametrize("word", ["yard/dino_01", "*/dino_01"])
def test_another_project_than_that_of_p(workspace: Workspace, word: str) -> None:
    with pytest.raises(UsageError, match="name different projects") as refused:
        chosen(workspace, word, named="parts")
    assert refused.value.hint == "leave out -p, or the part before the slash"
    assert chosen(workspace, "parts/dino_01", named="parts") == ["parts/dino_01"]


def test_a_pattern_over_a_file_that_cannot_be_read(workspace: Workspace) -> None:
    workspace.project("yard").experiments_file.write_text("experiments: [\n")
    with pytest.raises(UserFilesError, match='the experiments of "yard" cannot be read') as refused:
        chosen(workspace, "*/dino_*")
    assert refused.value.findings
    assert chosen(workspace, "dino_*") == ["parts/dino_01"]


def everything(workspace: Workspace, action: str, project: str = "parts") -> Any:
    found = select_all(workspace, project, ActionRequest(action, ()))
    return [name for _, name in found.chosen], list(found.left_out)


def test_all_takes_the_experiments_with_the_spec_and_says_why_others_are_left_out(
    workspace: Workspace,
) -> None:
    assert everything(workspace, "train") == (["rtdetr_01", "dino_01"], [("rtdetr_02", "no spec train.yaml")])
    assert everything(workspace, "evaluate") == (
        ["rtdetr_01", "dino_01"],  # the spec of the training serves
        [("rtdetr_02", "no spec evaluate.yaml")],
    )


def test_all_without_any_experiment(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match='no experiment of "yard" can be taken for prune') as refused:
        everything(workspace, "prune", "yard")
    assert refused.value.hint == "dino_01: dino has no prune; dino_02: dino has no prune"


def test_all_keeps_an_experiment_with_an_error_so_that_it_is_reported(workspace: Workspace) -> None:
    file = workspace.project("yard").experiments_file
    file.write_text("experiments:\n  a: {head: dinno, dataset: d}\n  b: {head: [], dataset: d}\n")
    assert everything(workspace, "train", "yard") == (["a", "b"], [])
