"""``sweep`` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Cli
from made_runs import ended

import taorunner
from taorunner.project.workspace import Workspace
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.folder import StoredSweep, SweepFolder

SWEEPS = """
sweeps:
  lr_search:
    base: tiny
    sampler: random
    trials: 4
    epochs: 2
    pruner: {kind: asha, first: 1, factor: 2}
    space:
      train.learning_rate: {log: [0.0005, 0.03]}
      train.batch_size: {choice: [4, 8]}
    together: ["train.batch_size * train.learning_rate < 1"]
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = taorunner.Workspace.create_example(tmp_path_factory.mktemp("w") / "w", images=8, held_out=2)
    ended(taorunner.start(made, "shapes", "dataset_convert", "tiny"))
    root = made.path
    file = root / "projects/shapes/experiments.yml"
    file.write_text(file.read_text(encoding="utf-8") + SWEEPS, encoding="utf-8")
    spec = next((root / "projects/shapes/specs").rglob("train.yaml"))
    spec.write_text(spec.read_text().replace("checkpoint_interval: 4", "checkpoint_interval: 1"))
    return root


@pytest.fixture
def trials(workspace: Path) -> Path:
    """With trials on record, of which t001 is the best."""
    from taorunner.project.load import load_project

    sweep = load_project(Workspace(workspace), "shapes", {}).sweeps["lr_search"]
    folder = SweepFolder(RunStore(workspace / ".taorunner"), "shapes", "lr_search")
    if folder.stored() is None:
        folder.save(
            StoredSweep(
                body=sweep.body(),
                metric="val_mAP50",
                maximize=True,
                started_at="2026-11-30T10:00:00+00:00",
                results="tiny.sweeps/lr_search",
            )
        )
        for number, (lr, value, ending) in enumerate(
            [(0.008, 0.7, "succeeded"), (0.00017, 0.7402, "succeeded"), (0.02, 0.1, "pruned")]
        ):
            folder.add(number, values={"train.learning_rate": lr, "train.batch_size": 4}, base=number == 0)
            folder.add(number, run=f"20261130-100000-x-train-00000{number}")
            folder.add(number, ended=ending, value=value, epoch=2, curve=[(2, value)], reason="said")
    return workspace


def test_the_dry_run_says_what_would_be_tried(cli: Cli, workspace: Path) -> None:
    before = set((workspace / ".taorunner").rglob("*"))
    done = cli("sweep", "run", "lr_search", "--dry-run", cwd=workspace)
    assert done.code == 0, done
    assert done.out.splitlines() == [
        "sweep lr_search: tiny, 4 trials of 2 epochs, random",
        "  metric    val_mAP50, higher is better",
        "  pruner    asha from epoch 1",
        "  at once   1 trial, without a GPU",
        "  train.learning_rate  0.0005 to 0.03, log",
        "  train.batch_size  4, 8",
        "  condition train.batch_size * train.learning_rate < 1",
    ]
    assert done.err == "nothing was started\n"
    new = set((workspace / ".taorunner").rglob("*")) - before
    assert not [path for path in new if "cache" not in path.parts]


def test_what_does_not_fit_the_spec_is_found_at_its_place(cli: Cli, workspace: Path, tmp_path: Path) -> None:
    file = workspace / "projects/shapes/experiments.yml"
    text = file.read_text(encoding="utf-8")
    odd = """
  odd:
    base: tiny
    metric: val_map
    epochs: 4
    space:
      train.lerning_rate: {log: [0.001, 0.1]}
      train.batch_size: {int: [0, 8]}
      results_dir: {choice: [a, b]}
      train.num_epochs: {int: [1, 3]}
"""
    line = text.count("\n") + 1
    file.write_text(text + odd, encoding="utf-8")
    try:
        refused = cli("sweep", "run", "odd", "--json", cwd=workspace)
        assert refused.code == 3
        found = {(one["line"] - line, one["code"]) for one in refused.json}
        assert found >= {
            (3, "sweep-metric"),
            (6, "unknown-key"),
            (7, "not-above-zero"),
            (8, "sweep-axis"),
            (9, "sweep-axis"),
        }
        assert cli("train", "tiny", "--dry-run", cwd=workspace).code in (0, 3)  # the sweep is not its fault
        assert "sweep" not in cli("train", "tiny", "--dry-run", cwd=workspace).err
    finally:
        file.write_text(text, encoding="utf-8")


def test_the_table_has_the_best_trial_first(cli: Cli, trials: Path) -> None:
    shown = cli("sweep", "show", "lr_search", cwd=trials)
    assert shown.code == 0, shown
    assert shown.out.splitlines()[:4] == [
        "   trial  state      val_mAP50↑  epoch  learning_rate  batch_size",
        "*  t001   succeeded      0.7402      2        0.00017           4",
        "   t000   succeeded      0.7000      2          0.008           4",
        "   t002   pruned         0.1000      2           0.02           4",
    ]
    assert shown.out.splitlines()[4] == "3 of 4 trials: 2 succeeded, 1 pruned"
    assert "taorunner sweep resume lr_search goes on" in shown.err
    body = cli("sweep", "show", "lr_search", "--json", cwd=trials).json
    assert (body["sweep"], body["base"], body["metric"], body["direction"]) == (
        "lr_search",
        "tiny",
        "val_mAP50",
        "up",
    )
    assert body["trials"][1]["best"] == 0.7402
    listed = cli("sweep", "show", cwd=trials).out.splitlines()
    assert listed[1].split()[:6] == ["lr_search", "tiny", "random", "3", "of", "4"]
    (one,) = cli("sweep", "show", "--json", cwd=trials).json
    assert one == {"sweep": "lr_search", "base": "tiny", "trials": 4, "chosen": 3, "started": True}


def test_a_sweep_is_shown_as_it_was_started(cli: Cli, trials: Path) -> None:
    """Also when experiments.yml no longer has it."""
    file = trials / "projects/shapes/experiments.yml"
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text(text.partition("\nsweeps:")[0] + "\n", encoding="utf-8")
        assert "t001   succeeded      0.7402" in cli("sweep", "show", "lr_search", cwd=trials).out
        assert "lr_search" in cli("sweep", "show", cwd=trials).out
        refused = cli("sweep", "resume", "lr_search", cwd=trials)
        assert (refused.code, "there is no sweep" in refused.err) == (2, True)
    finally:
        file.write_text(text, encoding="utf-8")


def test_the_report_is_beside_the_results(cli: Cli, trials: Path) -> None:
    done = cli("sweep", "report", "lr_search", cwd=trials)
    assert done.code == 0, done
    place = "projects/shapes/models/tiny.sweeps/lr_search.html"
    assert done.out.startswith(f"wrote {place}: 3 of 4 trials: 2 succeeded, 1 pruned, ")
    assert "val_mAP50 ↑ of each trial" in (trials / place).read_text(encoding="utf-8")
    assert "tiny.sweeps" not in cli("validate", cwd=trials).out
    (trials / "mine.html").write_text("<p>mine", encoding="utf-8")
    refused = cli("sweep", "report", "lr_search", "-o", "mine.html", cwd=trials)
    assert (refused.code, "is not a report" in refused.err) == (2, True)
    assert cli("sweep", "report", "lr_search", "-o", "mine.html", "--overwrite", cwd=trials).code == 0


def test_a_suggestion_can_be_pasted(cli: Cli, workspace: Path) -> None:
    file = workspace / "projects/shapes/experiments.yml"
    text = file.read_text(encoding="utf-8")
    done = cli("sweep", "suggest", "small", cwd=workspace)
    assert (done.code, done.out.splitlines()[0]) == (0, "  small_search:")
    try:
        file.write_text(text.rstrip() + "\n" + done.out, encoding="utf-8")
        tried = cli("sweep", "run", "small_search", "--dry-run", cwd=workspace)
        assert tried.code == 0, tried
        assert "train.learning_rate  0.0008 to 0.08, log" in tried.out
    finally:
        file.write_text(text, encoding="utf-8")


def test_validate_says_what_a_start_meets(cli: Cli, workspace: Path) -> None:
    file = workspace / "projects/shapes/experiments.yml"
    text = file.read_text(encoding="utf-8")
    assert "1 sweep" in cli("validate", cwd=workspace).out
    try:
        file.write_text(
            text.replace(
                "train.batch_size: {choice: [4, 8]}", "train.batch_sise: {choice: [4, 8]}"
            ).partition("    together")[0],
            encoding="utf-8",
        )
        started, validated = (
            cli(*words, "--json", cwd=workspace) for words in (["sweep", "run", "lr_search"], ["validate"])
        )
        assert (started.code, validated.code) == (3, 3)
        assert started.json[0] in validated.json
        assert started.json[0]["hint"] == 'did you mean "batch_size"?'
    finally:
        file.write_text(text, encoding="utf-8")


def test_the_best_becomes_an_experiment(cli: Cli, trials: Path) -> None:
    file = trials / "projects/shapes/experiments.yml"
    text = file.read_text(encoding="utf-8")
    try:
        done = cli("sweep", "best", "lr_search", "--as", "tiny_best", cwd=trials)
        assert done.code == 0, done
        assert "next: taorunner train tiny_best" in done.out
        project = taorunner.Workspace.open(trials).project("shapes")
        assert project.experiments == ["small", "tiny", "tiny_best"]
        shown = cli("specs", "show", "tiny_best", "train", cwd=trials)
        assert "learning_rate: 0.00017" in shown.out
        again = cli("sweep", "best", "lr_search", "--as", "tiny", cwd=trials)
        assert (again.code, "already" in again.err) == (2, True)
    finally:
        file.write_text(text, encoding="utf-8")


def test_another_definition_is_refused(cli: Cli, trials: Path) -> None:
    file = trials / "projects/shapes/experiments.yml"
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text(text.replace("0.0005, 0.03", "0.0005, 0.04"), encoding="utf-8")
        refused = cli("sweep", "run", "lr_search", cwd=trials)
        assert refused.code == 6
        assert "was started with another space" in refused.err
        assert "taorunner sweep run lr_search --new" in refused.err
    finally:
        file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "lr_serch"], 2, 'did you mean "lr_search"?'),
        (["run", "../x"], 2, "cannot be the name of a sweep"),
        (["stop", "nope"], 6, "was never started"),
        (["resume", "nope"], 6, "was never started"),
        (["best", "nope"], 2, 'there is no sweep "nope"'),
        (["show", "nope"], 2, 'there is no sweep "nope"'),
        (["report", "nope"], 2, 'there is no sweep "nope"'),
        (["suggest", "tini"], 2, 'did you mean "tiny"?'),
        (["suggest", "tiny", "small"], 2, "small"),
        (["show", "lr_search", "--follow", "--nope"], 2, "no such option"),
        (["run"], 2, "Missing argument"),
        (["rnu", "lr_search"], 2, 'did you mean "run"?'),
        (["rmove", "lr_search"], 2, 'did you mean "rm"?'),
        (["frobnicate"], 2, "known: suggest, run, resume,"),
        (["run", "lr_search", "--parallel", "3"], 2, 'write "parallel:" into the entry of the sweep'),
        (["run", "lr_search", "--trails", "3"], 2, "taorunner sweep run --help"),
    ],
)
def test_wrong_words(cli: Cli, workspace: Path, words: list[str], code: int, said: str) -> None:
    done = cli("sweep", *words, cwd=workspace)
    assert done.code == code, done
    assert said.lower() in done.err.lower()


def test_a_sweep_is_removed_only_when_asked(cli: Cli, trials: Path) -> None:
    shown = cli("sweep", "rm", "lr_search", cwd=trials)
    assert (shown.code, "3 trials" in shown.out, "nothing was removed" in shown.err) == (0, True, True)
    assert "0 checkpoints" in cli("sweep", "rm", "lr_search", "--losers", cwd=trials).err
    assert cli("sweep", "rm", "lr_search", "--yes", cwd=trials).code == 0
    assert not (trials / ".taorunner/sweeps/shapes/lr_search").exists()
    assert cli("sweep", "rm", "lr_search", cwd=trials).code == 6
