"""Everything that a sweep can have wrong: found before a start, by ``validate`` too, at its line and column."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import taorunner
from taorunner.errors import Finding, TaorunnerError
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.sweeps.checks.preflight import prepare
from taorunner.sweeps.checks.validation import all_findings
from taorunner.sweeps.control import defined
from taorunner.values.value import replace

LR = "      train.learning_rate: {log: [0.001, 0.1]}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taorunner.Workspace.create_example(tmp_path_factory.mktemp("w") / "w", images=2, held_out=1).path


@pytest.fixture
def written(made: Path) -> Callable[..., list[Finding]]:
    """``written(text)`` are the errors of a project with this sweep ``s``. Lines count from its name, which is 1."""

    def write(body: str, *, spec: dict[str, str] | None = None) -> list[Finding]:
        file, train = (
            made / "projects/shapes/experiments.yml",
            made / "projects/shapes/specs/small/train.yaml",
        )
        before, before_spec = file.read_text(), train.read_text()
        text = before_spec
        for old, new in {"checkpoint_interval: 4": "checkpoint_interval: 1", **(spec or {})}.items():
            text = text.replace(old, new)
        try:
            train.write_text(text)
            file.write_text(f"{before}\nsweeps:\n  s:\n{body}\n")
            begins = before.count("\n") + 2
            validated = [one for one in all_findings(Workspace(made), ["shapes"], {}) if one.is_error]
            assert {one.line for one in refused(Workspace(made))} == {one.line for one in validated}
            return [replace(one, line=(one.line or 0) - begins) for one in validated]
        finally:
            file.write_text(before)
            train.write_text(before_spec)

    return write


def refused(workspace: Workspace) -> list[Finding]:
    """What ``sweep run s`` says of the same file, without the data that has to be converted before."""
    try:
        sweep = defined(workspace, "shapes", "s", {})
    except TaorunnerError as error:
        return [one for one in error.findings if one.is_error]
    return [
        one
        for one in prepare(workspace, "shapes", sweep, os.environ, dry_run=True, is_lenient=True)[1]
        if one.is_error
    ]


@pytest.mark.parametrize(
    ("body", "place", "said", "hint"),
    [
        (
            "    base: tiny\n    space:\n      train.lerning_rate: {log: [0.001, 0.1]}",
            (4, 7), 'no key "lerning_rate"', 'did you mean "learning_rate"?',
        ),
        (
            "    base: tiny\n    space:\n      lr: {log: [0.001, 0.1]}",
            (4, 7), 'no key "lr"', 'did you mean "train.learning_rate"?',
        ),
        (
            "    base: tiny\n    space:\n      train.learning_rate: {float: [0.5, 20]}",
            (4, 7), "this is 20", "give a number from",
        ),
        (
            "    base: tiny\n    space:\n      train.learning_rate: {log: [0, 0.1]}",
            (4, 34), "must begin above 0", "{float: [0, 0.1]}",
        ),
        (
            "    base: tiny\n    space:\n      train.batch_size: {int: [2, 9], step: 2}",
            (4, 45), "never meets 9 in steps of 2", "end at 8",
        ),
        (
            "    base: tiny\n    sampler: grid\n    space:\n      train.batch_size: {int: [1, 600]}",
            (4, 5), "the grid has 600 cells", "--yes runs all of them",
        ),
        (
            f"    base: tiny\n    metric: val_mAP\n    space:\n{LR}",
            (3, 13), 'reports no "val_mAP"', 'did you mean "val_mAP50"?',
        ),
        (
            f"    base: tiny\n    metric: gpu_heat\n    space:\n{LR}",
            (3, 13), 'reports no "gpu_heat"', 'with "goal:" any metric is taken',
        ),
        (
            f"    base: tiny\n    goal: minimize\n    space:\n{LR}",
            (3, 11), "higher values", 'remove "goal"',
        ),
        (
            f"    base: tiny\n    epochs: 4\n    pruner: {{kind: asha, first: 4}}\n    space:\n{LR}",
            (4, 33), "a trial ends after 4", "at most 3",
        ),
        (
            f"    base: tiny\n    pruner: {{kind: asha, first: 16}}\n    space:\n{LR}",
            (3, 33), "a trial ends after 16", "write a lower one",
        ),
        (
            "    base: tiny\n    space:\n      train.batch_size: {choice: [2, four]}",
            (4, 34), "of several types: numbers and texts", "as one type",
        ),
        (
            f"    base: tiny\n    space:\n{LR}\n    together: ['train.batch_size > 2']",
            (5, 16), '"train.batch_size" is no key of the sweep', "train.learning_rate, gpus",
        ),
        (
            "    base: tiny\n    space:\n      results_dir: {choice: [a, b]}",
            (4, 7), "set anew for each trial", "vary another key",
        ),
        (
            "    base: tiny\n    space:\n      train.num_gpus: {int: [1, 2]}",
            (4, 7), "set anew for each trial", "vary another key",
        ),
        (
            "    base: tiny\n    space:\n      dataset.test_kitti: {choice: [a, b]}",
            (4, 7), "is a path in the spec", "an experiment for each path",
        ),
        (
            f"    base: s\n    space:\n{LR}",
            (2, 11), "which is a sweep", 'write the "base"',
        ),
        (
            f"    base: nobody\n    space:\n{LR}",
            (2, 11), 'no experiment "nobody"', "known: small, tiny",
        ),
    ],
)  # fmt: skip
def test_an_error_has_its_place_and_what_to_do(
    written: Callable[..., list[Finding]], body: str, place: tuple[int, int], said: str, hint: str
) -> None:
    (one,) = written(body)
    assert (one.line, one.column) == place, one
    assert said in one.message
    assert hint in (one.hint or "")


def test_a_pruner_needs_epochs_that_are_validated(written: Callable[..., list[Finding]]) -> None:
    body = f"    base: tiny\n    pruner: {{kind: median, first: 2}}\n    space:\n{LR}"
    (one,) = written(body, spec={"seed: 1234": "seed: 1234\n  validation_interval: 4"})
    assert (one.line, one.column, one.code) == (3, 35, "sweep-pruner")
    assert "validated every 4 epochs" in one.message
    assert "lower train.validation_interval" in (one.hint or "")


def test_a_short_trial_has_a_checkpoint_at_its_end(written: Callable[..., list[Finding]]) -> None:
    """TAO refuses an interval beyond the last epoch: it is lowered, as ``train --epochs`` does."""
    body = f"    base: tiny\n    epochs: 3\n    space:\n{LR}"
    assert written(body, spec={"checkpoint_interval: 1": "checkpoint_interval: 4"}) == []


def test_all_errors_come_at_once(written: Callable[..., list[Finding]]) -> None:
    """Those that the file shows, and those that need the network."""
    body = """    base: tiny
    metric: val_map
    epochs: 3
    pruner: {kind: asha, first: 3}
    space:
      train.lerning_rate: {log: [0.001, 0.1]}
      train.batch_size: {int: [0, 8]}"""
    assert sorted((one.line or 0, one.code) for one in written(body)) == [
        (3, "sweep-metric"), (5, "sweep-pruner"), (7, "unknown-key"), (8, "not-above-zero"),
    ]  # fmt: skip


def test_a_base_without_a_spec(written: Callable[..., list[Finding]], made: Path) -> None:
    spec = made / "projects/shapes/specs/small/train.yaml"
    aside = spec.rename(spec.with_name("aside"))
    file = made / "projects/shapes/experiments.yml"
    before = file.read_text()
    file.write_text(f"{before}\nsweeps:\n  s:\n    base: tiny\n    space:\n{LR}\n")
    try:
        found = [one for one in all_findings(Workspace(made), ["shapes"], {}) if one.is_error]
        assert any("train.yaml" in (one.message + (one.hint or "")) for one in found), found
        assert {one.message for one in refused(Workspace(made))} <= {one.message for one in found} or found
    finally:
        aside.rename(spec)
        file.write_text(before)


def test_the_checkpoints_of_all_trials_need_room(made: Path) -> None:
    file = made / "projects/shapes/experiments.yml"
    before = file.read_text()
    results = made / "projects/shapes/models/tiny/train"
    results.mkdir(parents=True)
    with (results / "model_epoch_000_step_1.npz").open("wb") as checkpoint:
        checkpoint.truncate(2**42)  # takes no room itself
    file.write_text(f"{before}\nsweeps:\n  s:\n    base: tiny\n    trials: 30\n    space:\n{LR}\n")
    try:
        workspace = Workspace(made)
        sweep = load_project(workspace, "shapes", {}).sweeps["s"]
        (one,) = refused(workspace)
        assert (one.code, one.line, one.column) == ("sweep-room", before.count("\n") + 5, 13)
        assert one.message.startswith("30 trials with 4 checkpoints of 4.0 TiB take 480.0 TiB, and ")
        assert "keep: best" in (one.hint or "")
        kept = prepare(workspace, "shapes", sweep, {}, dry_run=True, is_lenient=True, is_confirmed=True)
        assert kept[0] is not None
    finally:
        file.write_text(before)
        (results / "model_epoch_000_step_1.npz").unlink()
