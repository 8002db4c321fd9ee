"""A run is named by its short id in every command, and lists are filtered: as a user types it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from command_line import Cli

from taorunner.events import RunFinished, RunState
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

NOW = datetime.now(timezone.utc)
RUNS = (
    ("aaaaa1", "rtdetr_01", "train", RunState.SUCCEEDED, "parts", 5),
    ("aaaaa2", "rtdetr_02", "train", RunState.FAILED, "parts", 4),
    ("aaaaa2", "rtdetr_01", "export", RunState.SUCCEEDED, "parts", 3),
    ("aaaaa4", "dino_01", "dataset_convert", RunState.STOPPED, "yard", 2),
    ("aaaaa5", "rtdetr_01", "train", RunState.FAILED, "yard", 1),
)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    for project, names in (
        ("parts", ("rtdetr_01", "rtdetr_02")),
        ("yard", ("dino_01", "rtdetr_01", "idle_01")),
    ):
        (root / "projects" / project).mkdir(parents=True)
        lines = ["tao_config: {gpus: 1}", "experiments:", *(f"  {name}:\n    head: rtdetr" for name in names)]
        (root / "projects" / project / "experiments.yml").write_text("\n".join(lines) + "\n")
    store = RunStore(root / ".taorunner")
    for ending, experiment, action, state, project, days in RUNS:
        at = NOW - timedelta(days=days)
        record = RunRecord(
            id=f"{at:%Y%m%d-%H%M%S}-{experiment}-{action}-{ending}", batch="b", project=project, experiment=experiment,
            action=action, backend="docker", state=RunState.QUEUED, queued_at=at,
        )  # fmt: skip
        store.paths(record.id).directory.mkdir(parents=True)
        end = RunFinished(run=record.id, at=at, state=state, reason="so it ended")
        store.append_events(record.id, [record.queued_event(), end])
        store.save(replace(record, state=state, finished_at=at, reason="so it ended"))
        store.paths(record.id).console.write_text(f"log of {experiment} {action}\n")
    return root


def rows(cli: Cli, workspace: Path, *words: str) -> list[str]:
    """The short id and experiment of each row."""
    done = cli(*words, cwd=workspace)
    assert done.code == 0, done.err
    return [" ".join(line.split()[1:4:2]) for line in done.out.splitlines()[1:]]


def test_the_path_of_a_run_or_of_results_says_which_run_is_meant(cli: Cli, workspace: Path) -> None:
    folder = next((workspace / ".taorunner/runs").glob("*rtdetr_02-train*"))
    for typed, meant in (
        (str(folder), "-aaaaa2"), (f".taorunner/runs/{folder.name}/", "-aaaaa2"),
        ("projects/parts/models/rtdetr_02", "rtdetr_02"), ("projects/parts/models/rtdetr_02/train/a.pth", "rtdetr_02"),
        ("data/x/y", None), ("x" * 300, None),
    ):  # fmt: skip
        done = cli("runs", "show", typed, cwd=workspace)
        assert done.code in (2, 6), typed
        hint = done.err.splitlines()[-1]
        assert len(done.err) < 400
        if meant is None:
            assert hint == "hint: taorunner runs list shows the runs"
            continue
        named = re.fullmatch(r'hint: did you mean "(.+)"\?', hint)
        assert named is not None and f"-{named[1]}".endswith(meant), (typed, hint)
        assert cli("runs", "show", named[1], cwd=workspace).code == 0


def test_what_the_table_shows_is_accepted_by_every_command(cli: Cli, workspace: Path) -> None:
    table = [line.split() for line in cli("runs", "list", cwd=workspace).out.splitlines()[1:]]
    assert [row[1] for row in table] == ["aaaaa5", "aaaaa4", "t-aaaaa2", "n-aaaaa2", "aaaaa1"]
    for row in table:
        log = cli("logs", row[1], cwd=workspace)
        assert (log.code, log.out) == (0, f"log of {row[3]} {row[4]}\n")
        shown = cli("runs", "show", row[1], "--json", cwd=workspace).json[0]
        assert (shown["short_id"], shown["id"].endswith(row[1])) == (row[1], True)
        for words in (("stop", row[1]), ("runs", "mark-lost", row[1])):
            assert (cli(*words, cwd=workspace).code) == 6
        assert cli("attach", row[1], "--plain", cwd=workspace).code in (0, 1)
    assert cli("runs", "rm", table[2][1], table[0][1], cwd=workspace).code == 0
    assert rows(cli, workspace, "runs", "list") == ["aaaaa4 dino_01", "aaaaa2 rtdetr_02", "aaaaa1 rtdetr_01"]


@pytest.mark.parametrize(
    "command", [("logs",), ("runs", "show"), ("runs", "rm"), ("runs", "mark-lost"), ("stop",), ("attach",)], ids=" ".join
)  # fmt: skip
def test_every_command_lists_what_a_word_may_mean(
    cli: Cli, workspace: Path, command: tuple[str, ...]
) -> None:
    done = cli(*command, "aaaaa2", cwd=workspace)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        'error: "aaaaa2" fits 2 runs',
        "hint: say which:",
        "      t-aaaaa2  rtdetr_01 export, succeeded",
        "      n-aaaaa2  rtdetr_02 train, failed",
    ]
    unknown = cli(*command, "rtdetr_03", cwd=workspace)
    assert (unknown.code, unknown.out) == (6, "")
    assert re.fullmatch('error: no run "rtdetr_03"\nhint: did you mean "rtdetr_0[12]"\\?\n', unknown.err)
    project = cli(*command, "rtdetr_01", "-p", "prts", cwd=workspace)
    assert (project.code, "no project" in project.err, 'did you mean "parts"?' in project.err) == (
        2,
        True,
        True,
    )


def test_a_name_means_the_project_that_is_asked_for(cli: Cli, workspace: Path) -> None:
    logs = {
        (): "log of rtdetr_01 train\n", ("-p", "parts"): "log of rtdetr_01 export\n", ("-p", "yard"): "log of rtdetr_01 train\n",
    }  # fmt: skip
    for words, text in logs.items():
        assert cli("logs", "rtdetr_01", *words, cwd=workspace).out == text
        assert cli(*words, "logs", "rtdetr_01", cwd=workspace).out == text
    assert cli("logs", "rtdetr_01", cwd=workspace / "projects/parts").out == logs["-p", "parts"]
    assert cli("logs", "dino_01", cwd=workspace / "projects/parts").out == "log of dino_01 dataset_convert\n"
    assert cli("logs", "dino_01", "-p", "parts", cwd=workspace).code == 6


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--state", "failed"), "5 2"), (("--state", "FAILED,stopped"), "5 4 2"), (("--experiment", "rtdetr_01"), "5 2 1"),
        (("-e", "rtdetr_*", "--state", "succeeded"), "2 1"), (("-e", "yard/*"), "5 4"), (("--action", "convert"), "4"),
        (("--action", "train", "-p", "parts"), "2 1"), (("--since", "60h"), "5 4"),
        (("--since", "2020-01-01"), "5 4 2 2 1"), (("-e", "idle_01"), ""),
        (("-e", "none*"), ""), (("--state", "damaged"), ""), (("-p", "yard", "--state", "lost"), ""),
    ],
    ids=str,
)  # fmt: skip
def test_filters(cli: Cli, workspace: Path, words: tuple[str, ...], expected: str) -> None:
    done = cli("runs", "list", *words, "-q", cwd=workspace)
    assert (done.code, " ".join(line[-1] for line in done.out.splitlines())) == (0, expected)
    table = cli("runs", "list", *words, cwd=workspace)
    assert table.err == ("" if expected else "no such runs\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--state", "done"), "--state takes queued, waiting, starting, running, succeeded, failed, stopped, lost or damaged"),
        (("--since", "monday"), "--since takes an age such as 2h or 3d, or a date such as 2026-11-01"),
        (("--since", "2999-01-01"), "is in the future"),
        (("-e", "rtdtr_01"), 'no experiment "rtdtr_01"'),
        (("--action", "evalute"), 'no action "evalute"\nhint: did you mean "evaluate"?'),
        (("-p", "yrad"), 'did you mean "yard"?'),
        (("-n", "0"), '--limit must be a whole number of at least 1, not "0"'),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_values_are_refused_with_what_is_allowed(
    cli: Cli, workspace: Path, words: tuple[str, ...], message: str
) -> None:
    done = cli("runs", "list", *words, cwd=workspace)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_ps_lists_ended_runs_when_asked(cli: Cli, workspace: Path) -> None:
    assert cli("ps", cwd=workspace).err == "nothing is running\n"
    assert len(cli("ps", "-a", "-q", cwd=workspace).out.splitlines()) == len(RUNS)
    table = cli("ps", "-a", "-p", "yard", cwd=workspace, env={"COLUMNS": "80"}).out.splitlines()
    assert table[0].split() == ["run", "experiment", "action", "state", "where", "best", "started"]
    assert len(table) == 3


def test_logs_of_several_runs(cli: Cli, workspace: Path) -> None:
    done = cli("logs", "dino_01", "aaaaa1", "aaaaa5", cwd=workspace)
    assert done.out.splitlines() == [
        "dino_01          | log of dino_01 dataset_convert",
        "rtdetr_01 aaaaa1 | log of rtdetr_01 train",
        "rtdetr_01 aaaaa5 | log of rtdetr_01 train",
    ]
    assert cli("logs", "dino_01", "dino_01", cwd=workspace).out == "log of dino_01 dataset_convert\n"
    assert cli("logs", "dino_01", "aaaaa5", "--since", "1h", cwd=workspace).out == ""
    wrong = cli("logs", "dino_01", "--since", "soon", cwd=workspace)
    assert (wrong.code, "--since takes an age" in wrong.err) == (2, True)


def test_an_experiment_without_runs_names_the_command_that_starts_one(cli: Cli, workspace: Path) -> None:
    for words in (["runs", "show", "idle_01"], ["logs", "yard/idle_01"], ["stop", "idle_01", "-p", "yard"]):
        done = cli(*words, cwd=workspace)
        hint = "hint: taorunner -p yard train idle_01\n"
        assert (done.code, done.err) == (6, f'error: no run of "idle_01" yet\n{hint}')
    assert "no run of" not in cli("runs", "show", "idle_01", "-p", "parts", cwd=workspace).err
