"""Words that name nothing where they stand: ``help`` behind a command, a run in the place of an experiment, ``all``,
``run`` for ``runs``. Each hint is typed in its turn."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from command_line import Cli, Done

from taorunner.events import RunState
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

AT = datetime(2026, 11, 20, 9, 5, 7, tzinfo=timezone.utc)


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    root = workspace_factory(
        "experiments:\n  small: {head: tinydet, dataset: d}\n  cars: {head: rtdetr, dataset: d}\n",
        specs={"small/train.yaml": "results_dir: $results_dir\n"}, data={"d/": ""},
    )  # fmt: skip
    store = RunStore(root / ".taorunner")
    record = RunRecord(
        id="20261120-090507-small-train-aaaaa1", batch="b", project="example_01", experiment="small",
        action="train", backend="embedded", state=RunState.QUEUED, queued_at=AT,
    )  # fmt: skip
    store.paths(record.id).directory.mkdir(parents=True)
    store.append_events(record.id, [record.queued_event()])
    store.save(replace(record, state=RunState.FAILED, finished_at=AT, reason="so it ended"))
    return root


def hint_of(done: Done) -> str:
    return next(line for line in done.err.splitlines() if "hint: " in line).partition("hint: ")[2]


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("train help", "taorunner train --help"),
        ("-p example_01 train help", "taorunner train --help"),
        ("run help", "taorunner run --help"),
        ("run train help", "taorunner run --help"),
        ("resume help", "taorunner resume --help"),
        ("runs show help", "taorunner runs show --help"),
        ("runs help", "taorunner runs --help"),
        ("logs help", "taorunner logs --help"),
        ("dataset help", "taorunner dataset --help"),
        ("networks help", "taorunner networks --help"),
        ("validate help", "taorunner validate --help"),
        ("doctor help", "taorunner doctor --help"),
        ("run list", "taorunner runs list"),
        ("run show small", "taorunner runs show small"),
        ("train all --dry-run", "taorunner train --all --dry-run"),
    ],
)
def test_the_command_is_named(typed: str, hint: str, cli: Cli, workspace: Path) -> None:
    done = cli(*shlex.split(typed), cwd=workspace)
    assert (done.code, hint_of(done)) == (6 if typed in ("runs show help", "logs help") else 2, hint)
    meant = cli(*shlex.split(hint)[1:], cwd=workspace)
    assert meant.code in (0, 3), meant.err  # 3: what the experiments of the test lack


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("train aaaaa1", "taorunner train small, or taorunner rerun aaaaa1"),
        ("resume aaaaa1", "taorunner resume small"),
        ("evaluate 20261120-090507-small-train-aaaaa1", "taorunner evaluate small"),
    ],
)
def test_a_run_in_the_place_of_an_experiment(typed: str, hint: str, cli: Cli, workspace: Path) -> None:
    done = cli(*typed.split(), cwd=workspace)
    assert (done.code, hint_of(done)) == (2, f'"{typed.split()[1]}" is a run of "small": {hint}')


@pytest.mark.parametrize(
    "typed",
    ["runs show", "runs lineage", "runs best", "runs compare", "runs diff small", "rerun", "logs", "attach", "stop", "runs rm"],
)  # fmt: skip
def test_an_experiment_without_a_run_says_how_one_is_started(typed: str, cli: Cli, workspace: Path) -> None:
    done = cli(*typed.split(), "cars", cwd=workspace)
    lines = ['error: no run of "cars" yet', "hint: taorunner train cars"]
    assert (done.code, done.err.splitlines()) == (6, lines)


def test_what_has_such_a_name_is_meant(cli: Cli, workspace_factory: Callable[..., Path]) -> None:
    root = workspace_factory(
        "experiments:\n  help: {head: tinydet, dataset: d}\n  all: {head: tinydet, dataset: d}\n",
        data={"d/": ""},
    )
    for name in ("help", "all"):
        done = cli("train", name, cwd=root)
        assert (done.code, "--help" in done.err, "--all" in done.err) == (3, False, False)
