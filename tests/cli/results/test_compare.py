"""``runs diff``, ``runs compare`` and ``runs best``: on trainings of the embedded network, and on generated records."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from pathlib import Path

import pytest
from command_line import PROGRAM, Cli
from made_runs import LOCK, ended, made_run
from pseudo_terminal import PseudoTerminal

import taorunner
from taorunner.events import RunState
from taorunner.runs.inputs.run_lock import read_lock
from taorunner.runs.state.host_figures import save_evaluation
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace

SHORT = {"train.num_epochs": 2, "train.checkpoint_interval": 1}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "w/projects/cars").mkdir(parents=True)
    (tmp_path / "w/projects/cars/experiments.yml").write_text("experiments: {}\n")
    return tmp_path / "w"


def two_runs(root: Path) -> None:
    made_run(root / ".taorunner", "dino_01", {"val_mAP50": [0.5, 0.712], "val_loss": [5.5, 5.1]})
    spec = {**LOCK.spec, "train.optim.lr": 0.0001, "dataset.batch_size": 8}
    data = (replace(LOCK.data[0], images=8960, files=8960, fingerprint="91aa" * 16),)
    made_run(
        root / ".taorunner", "dino_02", {"val_mAP50": [0.6, 0.748, 0.74], "val_loss": [5.2, 4.81, 4.9]}, number=2,
        lock=replace(LOCK, spec=spec, data=data),
    )  # fmt: skip


def test_a_diff_shows_what_differs_and_what_it_did(cli: Cli, root: Path) -> None:
    two_runs(root)
    for program in (None, PROGRAM):
        done = cli(
            "runs",
            "diff",
            "dino_01",
            "dino_02",
            cwd=root,
            **({} if program is None else {"program": program}),
        )
        lines = done.out.splitlines()
        assert done.code == 0, done.err
        assert lines[1:] == [
            "spec  train.optim.lr      0.0002               0.0001",
            "      dataset.batch_size  4                    8",
            "data  cars                8,412 images 5f3c91  8,960 images 91aa91  +548",
            "best  val_mAP50 ↑         0.7120 at 2          0.7480 at 2          +0.0360 better",
            "      val_loss ↓          5.100 at 2           4.810 at 2           -0.2900 better",
        ]  # fmt: skip
        assert done.err.splitlines() == [
            "same: image, gpus, versions, 1 spec key (--all shows them)",
            "their metrics say little beside each other: other data (8,960 images)",
        ]


def test_two_runs_with_the_same_inputs_say_so(cli: Cli, root: Path) -> None:
    for number in (1, 2):
        made_run(root / ".taorunner", "a", {"val_mAP50": [0.5]}, number=number)
    done = cli("runs", "diff", "a@2", "a", cwd=root)
    assert done.err.splitlines()[0] == "the two runs have the same inputs"
    refused = cli("runs", "diff", "a", "a@1", cwd=root)
    assert (refused.code, refused.err.splitlines()) == (2, [
        'error: "a" and "a@1" are the same run', "hint: a@2 is the second newest run of an experiment",
    ])  # fmt: skip


def test_a_table_is_best_first_and_csv_has_everything(cli: Cli, root: Path) -> None:
    two_runs(root)
    made_run(root / ".taorunner", "dino_03", {"val_mAP50": [math.nan]}, number=3, state=RunState.FAILED)
    made_run(root / ".taorunner", "dino_04", number=4, lock=None)
    done = cli("runs", "compare", cwd=root)
    rows = [line.split() for line in done.out.splitlines()]
    assert done.code == 0, done.err
    assert rows[0] == ["run", "experiment", "state", "val_mAP50↑", "at", "lr", "batch_size"]
    assert [row[:3] for row in rows[1:3]] == [["1", "000002", "dino_02"], ["2", "000001", "dino_01"]]
    assert {row[1] for row in rows[3:]} == {"dino_03", "dino_04"}
    assert "≠ 000004: which data it read is not on record" in done.err
    top = cli(
        "runs", "compare", "dino_0*", "--top", "1", "--sort", "val_loss", "--metric", "val_mAP50", cwd=root
    )
    assert [line.split()[2] for line in top.out.splitlines()[1:]] == ["dino_02"]
    table = list(csv.DictReader(io.StringIO(cli("runs", "compare", "--csv", cwd=root).out)))
    assert [row["experiment"] for row in table][:2] == ["dino_02", "dino_01"]
    assert (table[0]["val_mAP50 best"], table[0]["spec train.optim.lr"], table[0]["data cars"]) == (
        "0.748",
        "0.0001",
        "91aa" * 16,
    )
    nan = next(row for row in table if row["experiment"] == "dino_03")
    assert (nan["val_mAP50 best"], nan["val_mAP50 last"], nan["state"]) == ("", "nan", "FAILED")


def test_long_paths_that_begin_alike_can_be_told_apart(cli: Cli, root: Path) -> None:
    for number in (1, 2):
        spec = {**LOCK.spec, "train.pretrained": f"/workspace/projects/cars/weights/epoch_{number:03}.pth"}
        made_run(root / ".taorunner", f"dino_{number}", number=number, lock=replace(LOCK, spec=spec))
    done = cli("runs", "compare", cwd=root)
    assert sorted(line.split()[-1] for line in done.out.splitlines()[1:]) == [
        "/workspace…epoch_001.pth", "/workspace…epoch_002.pth",
    ]  # fmt: skip


def scored(root: Path, name: str, ap50: float, number: int, **protocol: object) -> None:
    """An inference whose predictions were scored on this machine."""
    record = made_run(root / ".taorunner", name, number=number, action="inference")
    body = {
        "metrics": [
            {"name": "host/AP", "value": ap50 / 2, "direction": "up", "scale": "fraction", "ranks": False},
            {"name": "host/AP50", "value": ap50, "direction": "up", "scale": "fraction", "ranks": True},
        ],
        "protocol": {
            "name": "COCO", "text": "COCO: IoU 0.50:0.95", "settings": {"max_dets": 100}, "min_score": 0.00103,
            **protocol,
        },
        "data": {"split": "val", "images": 80, "fingerprint": "5f3c91aa"},
    }  # fmt: skip
    save_evaluation(RunStore(root / ".taorunner"), record.id, body)


def test_no_number_of_a_diff_is_cut_and_keys_of_one_section_differ(cli: Cli, root: Path) -> None:
    for number in (1, 2):
        spec = {**LOCK.spec} | {
            f"dataset.{part}_tfrecords": f"/workspace/projects/cars/data/records_of_{number}/{part}*"
            for part in ("train", "val")
        }
        made_run(root / ".taorunner", f"dino_{number}", number=number, lock=replace(LOCK, spec=spec))
    lines = cli("runs", "diff", "dino_1", "dino_2", cwd=root, env={"COLUMNS": "80"}).out.splitlines()
    keys = [
        line.split()[1] if line.startswith("spec") else line.split()[0]
        for line in lines
        if "_tfrecords " in line
    ]
    assert len(set(keys)) == 2, lines
    assert all("…" not in line for line in lines if "mAP" in line)


def test_figures_of_this_machine_are_compared_with_how_they_were_measured(cli: Cli, root: Path) -> None:
    scored(root, "fp32", 0.75, 1)
    scored(root, "int8", 0.7, 2, min_score=0.00098)
    done = cli("runs", "compare", "--action", "inference", cwd=root)
    lines = done.out.splitlines()
    assert [line.split()[:4] for line in lines[1:3]] == [
        ["1", "000001", "fp32", "0.7500"],
        ["2", "000002", "int8", "0.7000"],
    ]
    assert (lines[3], done.err) == ("host figures: COCO: IoU 0.50:0.95; val, 80 images", "")
    ids = [one["id"] for one in cli("runs", "list", "--json", cwd=root).json][::-1]
    diff = cli("runs", "diff", *ids, cwd=root).out.splitlines()
    assert diff[1].split() == ["best", "host/AP50", "↑", "0.7500", "0.7000", "-0.0500", "worse"]
    assert diff[-1] == lines[3]
    scored(root, "high", 0.6, 3, min_score=0.5)
    unlike = cli("runs", "compare", "--action", "inference", cwd=root)
    assert "≠ 000003: measured otherwise, by COCO: IoU 0.50:0.95; val, 80 images" in unlike.err
    body = cli("runs", "compare", "--action", "inference", "--json", cwd=root).json
    assert [one["values"] for one in body["differences"] if one["kind"] == "measure"] == [[0.001, 0.001, 0.5]]
    assert {(one["name"], one["direction"], one["scale"]) for one in body["metrics"]} == {
        ("host/AP", "up", "fraction"), ("host/AP50", "up", "fraction"),
    }  # fmt: skip
    kept = root / ".taorunner/runs" / ids[0] / "evaluation.json"
    for text in ("{", "[]", '{"metrics": [{"name": 1}]}', kept.read_text().replace("0.75", '"x"')):
        kept.write_text(text)
        assert cli("runs", "show", ids[0], "--json", cwd=root).json[0]["metrics"] == {}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("runs", "compare", "--metric", "val_map5"), 2, 'did you mean "val_mAP50"?'),
        (("runs", "best", "dino_01", "--metric", "val_los"), 2, 'did you mean "val_loss"?'),
        (("runs", "compare", "--csv", "--json"), 2, "--csv cannot be combined with --json"),
        (("runs", "diff", "dino_01", "dino_09"), 6, 'no run "dino_09"'),
        (("runs", "diff", "dino_01@9", "dino_02"), 6, '"dino_01" has 1'),
        (("runs", "compare", "--action", "export"), 6, "no export run yet"),
    ],
)
def test_refusals_say_what_to_type(
    cli: Cli, root: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    two_runs(root)
    done = cli(*words, cwd=root)
    assert (done.code, said in done.err) == (code, True), done
    assert not done.out or "--json" in words


def test_a_terminal_shows_curves_within_its_width(root: Path) -> None:
    two_runs(root)
    for width in (80, 60):
        terminal = PseudoTerminal(
            [*PROGRAM, "runs", "diff", "dino_01", "dino_02"], cwd=root, columns=width,
            env={**os.environ, "TERM": "xterm", "PYTHONUTF8": "1", "COLUMNS": ""},
        )  # fmt: skip
        assert terminal.end() == 0
        lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown).splitlines()
        assert max(len(line) for line in lines if not line.startswith(("same", "their"))) <= width
        assert any("▁█ 0.7120" in line for line in lines) == (width == 80)


def test_trainings_of_the_embedded_network(cli: Cli, tmp_path: Path) -> None:
    """The lock that the supervisor writes, the difference that was made, and the checkpoint of the best epoch."""
    workspace = taorunner.Workspace.create_example(tmp_path / "w", images=24, held_out=4)
    ended(taorunner.start(workspace, "shapes", "dataset_convert", "tiny"))
    for lr in (0.001, 0.008):
        batch = taorunner.start(
            workspace, "shapes", "train", "tiny", overrides=SHORT, lr=lr, overwrite=lr > 0.001
        )
        ended(batch)
    (run,) = batch.runs
    store = RunStore(workspace.path / ".taorunner")
    lock = read_lock(store, run.id)
    assert lock is not None
    assert (lock.seed, lock.resolved is not None, [one.name for one in lock.data]) == (
        "1234",
        True,
        ["tfrecords_tiny", "shapes"],
    )
    comparison = workspace.compare("tiny@2", "tiny")
    assert [(row.key, row.values) for row in comparison.differences] == [
        ("train.learning_rate", (0.001, 0.008))
    ]
    found = cli("runs", "best", "tiny", "--metric", "val_loss", "--json", cwd=workspace.path).json
    values = {one.id: one.best["val_loss"] for one in workspace.runs("shapes") if one.action == "train"}
    assert found["value"] == min(best.value for best in values.values()) == values[found["run"]].value
    assert Path(found["checkpoint"]).is_file()
    (evaluation,) = ended(taorunner.start(workspace, "shapes", "evaluate", "tiny")).runs
    tree = cli("runs", "lineage", "tiny", "--json", cwd=workspace.path).json
    assert [(one["action"], [link["match"] for link in one["made_from"]]) for one in tree["stages"]] == [
        ("train", ["time"]), ("evaluate", ["time", "time"]),
    ]  # fmt: skip
    assert [source.action for source in evaluation.made_from] == ["train", "dataset_convert"]
    read = read_lock(store, evaluation.id)
    assert read is not None and [one.path for one in read.weights] == [
        str(run.checkpoints[-1].relative_to(workspace.path))
    ]


def test_a_curve_is_drawn_in_80_columns_and_in_ascii(cli: Cli, root: Path) -> None:
    made_run(root / ".taorunner", "a", {"val_mAP50": [0.1, math.nan, 0.5], "val_loss": [math.nan]})
    made_run(root / ".taorunner", "b", number=2)
    done = cli("runs", "show", "a", "--plot", "val_mAP50", cwd=root)
    lines = done.out.splitlines()
    assert lines[1] == "val_mAP50 ↑  best 0.5000 at 3, last 0.5000"
    assert (max(map(len, lines)), lines[-1].strip()) == (80, "not finite at 2")
    ascii_only = cli(
        "runs",
        "show",
        "a",
        "--plot",
        "val_mAP50",
        cwd=root,
        env={"PYTHONIOENCODING": "ascii"},
        program=PROGRAM,
    )
    assert "|*" in ascii_only.out and "val_mAP50 ^" in ascii_only.out
    for words, code, said in (
        (("a", "--plot", "val_map5"), 2, 'did you mean "val_mAP50"?'),
        (("a", "--plot", "val_loss"), 6, "has no finite value"),
        (("b", "--plot", "val_loss"), 6, "has no metrics"),
        (("a", "--plot", "val_loss", "--json"), 2, "--plot cannot be combined"),
    ):
        refused = cli("runs", "show", *words, cwd=root)
        assert (refused.code, said in refused.err) == (code, True), refused


def test_trials_of_a_sweep_are_named_as_such(cli: Cli, root: Path) -> None:
    two_runs(root)
    results = str(root / "projects/cars/models/dino_01.sweeps/lr_search/t007")
    made_run(root / ".taorunner", "lr_search-t007", {"val_mAP50": [0.1]}, number=3, results_dir=results)
    done = cli("runs", "compare", cwd=root)
    assert "  trial t007 of lr_search  " in done.out and "lr_search-t007" not in done.out, done.out
    table = list(csv.DictReader(io.StringIO(cli("runs", "compare", "--csv", cwd=root).out)))
    assert {row["experiment"]: row["trial"] for row in table} == {
        "dino_01": "", "dino_02": "", "lr_search-t007": "trial t007 of lr_search",
    }  # fmt: skip
