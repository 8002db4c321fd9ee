"""``runs restore``, ``runs prune --results`` and ``--keep-checkpoints``: shown first, and nothing in place is lost."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from command_line import PROGRAM, Cli
from pseudo_terminal import PseudoTerminal

from taorunner.events import CheckpointSaved, MetricReported, RunState
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import Batch, RunStore

AT = datetime(2026, 11, 20, 10, 0, tzinfo=timezone.utc)
FIRST, SECOND, THIRD = (
    "20261120-100000-e-train-aaaaa1",
    "20261121-100000-e-train-bbbbb2",
    "20261122-100000-e-train-ccccc3",
)
OLD, OLDER = "20261122-100000", "20261121-100000"


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    """Three trainings of ``e``: the results of two were set aside."""
    root = workspace_factory(
        {"experiments": {"e": {"head": "tinydet", "dataset": "d"}, "f": {"head": "tinydet", "dataset": "d"}}},
        specs={"e/train.yaml": "x: 1\n", "f/train.yaml": "x: 1\n"}, data={"d/": ""},
    )  # fmt: skip
    store = RunStore(root / ".taorunner")
    models = root / "projects/example_01/models"
    for number, (run, folder) in enumerate(((FIRST, f"e.{OLDER}"), (SECOND, f"e.{OLD}"), (THIRD, "e"))):
        began = AT + timedelta(days=number)
        record(store, run, began, models / "e")
        for epoch in (1, 2, 3):
            path = models / folder / f"train/model_epoch_{epoch - 1:03}_step_00010.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"w" * 1000 * (number + 1))
            os.utime(path, ((began + timedelta(minutes=epoch)).timestamp(),) * 2)
            value = 0.5 + number / 10 - abs(epoch - 2) / 100
            store.append_events(run, [
                MetricReported(run=run, at=began, name="val_mAP50", value=value, epoch=epoch, direction="up", rank=0),
                CheckpointSaved(run=run, at=began, path=str(path), epoch=epoch),
            ])  # fmt: skip
    (models / "e/export").mkdir()
    (models / "e/export/m.onnx").write_text("model")
    return root


def record(
    store: RunStore, run: str, at: datetime, results: Path, state: RunState = RunState.SUCCEEDED
) -> RunRecord:
    store.paths(run).directory.mkdir(parents=True, exist_ok=True)
    made = RunRecord(
        id=run, batch="b", project="example_01", experiment="e", action="train", backend="embedded", state=state,
        queued_at=at, started_at=at, finished_at=at + timedelta(minutes=10), results_dir=str(results),
    )  # fmt: skip
    store.save(made)
    return made


def models(root: Path) -> Path:
    return root / "projects/example_01/models"


def test_without_a_terminal_it_lists_and_changes_nothing(cli: Cli, workspace: Path) -> None:
    before = sorted(map(str, models(workspace).rglob("*")))
    done = cli("runs", "restore", "e", cwd=workspace, env={"TZ": "UTC"})
    assert (done.code, done.out.splitlines()) == (0, [
        "set aside from e:",
        "  1  Nov 22 10:00  run bbbbb2  3 checkpoints  5.9 KiB  val_mAP50 0.6000",
        "  2  Nov 21 10:00  run aaaaa1  3 checkpoints  2.9 KiB  val_mAP50 0.5000",
    ])  # fmt: skip
    assert done.err == "not restored; taorunner runs restore e NUMBER restores one\n"
    assert sorted(map(str, models(workspace).rglob("*"))) == before


def test_a_number_restores_and_nothing_is_lost(cli: Cli, workspace: Path) -> None:
    done = cli("runs", "restore", "e", "2", cwd=workspace)
    assert done.code == 0 and done.out.startswith("restored aaaaa1; ccccc3 is now e.2026"), done
    assert done.out.endswith(", nothing was deleted\n")
    sizes = sorted(path.stat().st_size for path in models(workspace).rglob("*.npz"))
    assert sizes == [1000] * 3 + [2000] * 3 + [3000] * 3
    assert {path.stat().st_size for path in (models(workspace) / "e/train").iterdir()} == {1000}
    assert (models(workspace) / "e/export/m.onnx").read_text() == "model", "other actions' results stay"
    again = cli("runs", "restore", "e", "--json", cwd=workspace).json
    assert [one["run"] for one in again] == [THIRD, SECOND]


def test_yes_restores_the_newest_and_json_says_where_all_is(cli: Cli, workspace: Path) -> None:
    first, second = cli("runs", "restore", "e", "--yes", "--json", cwd=workspace).json
    assert (first["run"], first["restored"], first["checkpoints"], first["bytes"]) == (SECOND, True, 3, 6000)
    assert first["best"] == {"val_mAP50": 0.6}
    assert (second["restored"], second["replaced"]) == (False, None)
    assert sorted(path.name for path in Path(first["replaced"]).iterdir()) == ["train"]


def test_records_are_shown_as_a_table_first(cli: Cli, workspace: Path) -> None:
    done = cli("runs", "prune", "--keep", "1", cwd=workspace)
    assert [line.split()[:4] for line in done.out.splitlines()] == [
        ["run", "experiment", "action", "state"],
        ["bbbbb2", "e", "train", "succeeded"],
        ["aaaaa1", "e", "train", "succeeded"],
    ]
    assert len({len(line) for line in done.out.splitlines()}) == 1
    assert "nothing was removed: --yes removes the records of 2 runs" in done.err
    tried = cli("runs", "prune", "--keep", "1", "--dry-run", cwd=workspace)
    assert (tried.code, tried.err.splitlines()[1]) == (
        2, "hint: leave it out: without --yes it only shows what it would remove",
    )  # fmt: skip


def test_on_a_terminal_it_asks(cli: Cli, workspace: Path) -> None:
    terminal = PseudoTerminal([*PROGRAM, "runs", "restore", "e"], cwd=workspace, env=cli.environment())
    terminal.wait_for(r"put which in place of run ccccc3 \(0.7000\)\? \[1/2/N\]")
    terminal.type("1\n")
    terminal.wait_for("restored bbbbb2; ccccc3 is now e.2026")
    assert terminal.end() == 0


def test_it_is_refused_while_a_run_lives(cli: Cli, workspace: Path) -> None:
    store = RunStore(workspace / ".taorunner")
    run = "20261123-100000-e-evaluate-ddddd4"
    record(store, run, AT + timedelta(days=3), models(workspace) / "e", RunState.RUNNING)
    store.open_batches.begin("b", [run])
    store.batch_paths("b").directory.mkdir(parents=True)
    store.save_batch(Batch("b", (run,)))
    done = cli("runs", "restore", "e", "1", cwd=workspace)
    assert (done.code, 'run "ddddd4" of "e" has not ended' in done.err) == (6, True)
    assert (models(workspace) / f"e.{OLD}").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("x",), 2, 'there is no experiment "x"'),
        (("e", "3"), 2, 'there is no number "3"'),
        (("e", "0"), 2, 'there is no number "0"'),
        (("e", "two"), 2, 'there is no number "two"\nhint: known: 1 to 2'),
        (("e", "--", "-1"), 2, "takes no words"),
        (("f", "1"), 2, "none, nothing was set aside"),
        (("../e",), 2, '"../e" is not PROJECT/EXPERIMENT'),
    ],
)
def test_wrong_words(cli: Cli, workspace: Path, words: tuple[str, ...], code: int, message: str) -> None:
    done = cli("runs", "restore", *words, cwd=workspace)
    assert (done.code, message in done.err) == (code, True), done


def test_nothing_set_aside_is_no_error(cli: Cli, workspace: Path) -> None:
    done = cli("runs", "restore", "f", cwd=workspace)
    assert (done.code, done.out, done.err) == (0, "", "nothing was set aside from f\n")
    assert cli("runs", "restore", "f", "--json", cwd=workspace).json == []


def test_prune_shows_what_was_set_aside_and_removes_it_with_yes(cli: Cli, workspace: Path) -> None:
    shown = cli("runs", "prune", "--results", cwd=workspace)
    assert shown.out.splitlines() == [
        f"5.9 KiB  projects/example_01/models/e.{OLD}  run bbbbb2",
        f"2.9 KiB  projects/example_01/models/e.{OLDER}  run aaaaa1",
    ]
    assert shown.err == "nothing was removed: --yes removes 2 results set aside (8.8 KiB)\n"
    assert len(list(models(workspace).iterdir())) == 3
    one = cli("runs", "prune", "--results", "--keep", "1", "--yes", "--json", cwd=workspace).json
    assert [(Path(each["path"]).name, each["kind"], each["removed"]) for each in one] == [
        (f"e.{OLDER}", "set-aside", True)
    ]
    assert sorted(path.name for path in models(workspace).iterdir()) == ["e", f"e.{OLD}"]
    done = cli("runs", "prune", "--results", "--yes", cwd=workspace)
    assert done.err == "removed 1 result set aside (5.9 KiB)\n"
    assert sorted(path.name for path in models(workspace).iterdir()) == ["e"]
    assert len(list((models(workspace) / "e/train").iterdir())) == 3, "results in place are never removed"
    assert cli("runs", "prune", "--results", "--yes", cwd=workspace).err == "nothing is set aside\n"


def test_results_of_an_experiment_that_is_gone_are_found_too(cli: Cli, workspace: Path) -> None:
    gone = models(workspace) / f"gone.{OLD}/train"
    gone.mkdir(parents=True)
    (gone / "model.npz").write_bytes(b"w" * 10)
    shown = cli("runs", "prune", "--results", "--json", cwd=workspace).json
    assert [one["experiment"] for one in shown] == ["e", "e", "gone"]
    done = cli("runs", "restore", "gone", "1", cwd=workspace)
    assert (done.code, done.out) == (0, f"restored gone.{OLD}; nothing was in its place\n")
    assert (models(workspace) / "gone/train/model.npz").exists()


def test_what_a_waiting_run_set_aside_is_not_offered(cli: Cli, workspace: Path) -> None:
    store = RunStore(workspace / ".taorunner")
    record(store, THIRD, AT, models(workspace) / "e", RunState.STARTING)
    store.open_batches.begin("b", [THIRD])
    store.batch_paths("b").directory.mkdir(parents=True)
    store.save_batch(Batch("b", (THIRD,)))
    move = f'{{"path": "{models(workspace) / "e"}", "aside": "{models(workspace) / f"e.{OLD}"}"}}'
    (store.paths(THIRD).directory / "set_aside.json").write_text(f'{{"moves": [{move}]}}')
    shown = cli("runs", "prune", "--results", "--json", cwd=workspace).json
    assert [Path(one["path"]).name for one in shown] == [f"e.{OLDER}"]
    noted = cli("runs", "prune", "--results", cwd=workspace).err
    assert "note: run ccccc3 keeps what it set aside from e until it has ended\n" in noted
    listed = cli("runs", "restore", "e", cwd=workspace)
    assert (
        listed.code == 0
        and "  1  Nov 21" in listed.out
        and "run ccccc3 has not ended; it keeps" in listed.err
    )
    shutil.rmtree(models(workspace) / f"e.{OLDER}")
    for words in ((), ("1",), ("--yes",), ("--json",)):
        done = cli("runs", "restore", "e", *words, cwd=workspace)
        assert done.code == 6, done
    assert (
        'run "ccccc3" of "e" has not ended (starting)\nhint: taorunner attach ccccc3'
        in cli("runs", "restore", "e", cwd=workspace).err
    )


def test_old_checkpoints_are_shown_and_removed_the_best_and_the_newest_stay(
    cli: Cli, workspace: Path
) -> None:
    shown = cli("runs", "prune", "--keep-checkpoints", "last:1", cwd=workspace)
    first = "projects/example_01/models/e/train/model_epoch_000_step_00010.npz"
    assert (shown.out, shown.err) == (
        f"2.9 KiB  {first}\n", "nothing was removed: --yes removes 1 checkpoint (2.9 KiB)\n",
    )  # fmt: skip
    assert (workspace / first).exists()
    done = cli("runs", "prune", "--keep-checkpoints", "last:1", "--yes", cwd=workspace)
    assert done.err == "removed 1 checkpoint (2.9 KiB)\n"
    left = sorted(path.name[12:15] for path in (models(workspace) / "e/train").iterdir())
    assert left == ["001", "002"]
    assert len(list((models(workspace) / f"e.{OLD}/train").iterdir())) == 3


def test_a_folder_that_cannot_be_read_keeps_its_checkpoints_and_others_are_shown(
    cli: Cli, workspace: Path
) -> None:
    """TAO's link to the newest checkpoint leads to itself. Python 3.13 passes such a link over."""
    shutil.copytree(models(workspace) / "e/train", models(workspace) / "f/train")
    (models(workspace) / "e/train/tinydet_model_latest.npz").symlink_to("tinydet_model_latest.npz")
    shown = cli("runs", "prune", "--keep-checkpoints", "last:1", cwd=workspace)
    assert shown.code == 0 and "models/f/train/model_epoch_000_step_00010.npz" in shown.out, shown
    note = "note: e keeps its checkpoints: they cannot be read (symlink loop" in shown.err
    assert note == (sys.version_info < (3, 13)) and note != ("models/e/train" in shown.out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing selected"),
        (("--results", "--keep-checkpoints", "last:1"), "cannot be combined"),
        (("--keep-checkpoints", "last:1", "--keep", "3"), "takes no --keep"),
        (("--keep-checkpoints", "all"), "last:N or best:N"),
        (("--results", "-p", "nobody"), "nobody"),
        (("--results", "--older", "soon"), "--older takes"),
    ],
)
def test_wrong_words_of_prune(cli: Cli, workspace: Path, words: tuple[str, ...], message: str) -> None:
    done = cli("runs", "prune", *words, "--yes", cwd=workspace)
    assert (done.code, message in done.err) == (2, True), done
    assert len(list(models(workspace).rglob("*.npz"))) == 9
