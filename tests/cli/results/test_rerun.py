"""``rerun`` of the embedded network: checked, repeated beside the original, compared with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import Cli
from made_runs import ended, made_run

import taorunner
from taorunner.runs.state.store import RunStore

SHORT = {"train.num_epochs": 2, "train.checkpoint_interval": 1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> taorunner.Workspace:
    workspace = taorunner.Workspace.create_example(tmp_path_factory.mktemp("w") / "w", images=24, held_out=4)
    ended(taorunner.start(workspace, "shapes", "dataset_convert", "tiny"))
    ended(taorunner.start(workspace, "shapes", "train", "tiny", overrides=SHORT))
    ended(taorunner.start(workspace, "shapes", "evaluate", "tiny"))
    return workspace


def test_a_rerun_gives_the_same_figures_and_leaves_the_original_alone(
    cli: Cli, trained: taorunner.Workspace
) -> None:
    root = trained.path
    models = root / "projects/shapes/models"
    before = {path: path.stat().st_mtime_ns for path in (models / "tiny").rglob("*")}
    same = cli("rerun", "tiny", "--check", cwd=root)
    assert (same.code, same.out) == (0, "✓ image, spec, data, weights, GPU, driver, seed, taorunner\n")
    done = cli("rerun", "tiny", cwd=root, timeout_s=120)
    assert done.code == 0, done
    assert "the two runs have the same inputs" in done.err
    first = next(run for run in trained.runs() if (run.experiment, run.action) == ("tiny", "train"))
    again = next(run for run in trained.runs() if run.experiment == "tiny.rerun-1")
    assert again.history == first.history
    assert again.results == models / "tiny.rerun-1"
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert cli("validate", cwd=root).code == 0
    assert "tiny.rerun-1" not in "".join(line for line in done.out.splitlines() if line.startswith("next:"))


def test_an_evaluation_reads_the_checkpoint_that_it_read(cli: Cli, trained: taorunner.Workspace) -> None:
    root = trained.path
    run = next(run for run in trained.runs() if run.action == "evaluate")
    done = cli("rerun", run.id, "--json", cwd=root, timeout_s=120)
    assert done.code == 0, done
    again = RunStore(root / ".taorunner").load(done.events[-1]["run"])
    assert trained.run(again.id).made_from[0].experiment == "tiny"
    assert trained.run(again.id).metrics == run.metrics
    assert trained.compare(run, again.id).differences == ()


def test_a_changed_picture_is_refused_until_it_is_allowed(cli: Cli, trained: taorunner.Workspace) -> None:
    root = trained.path
    picture = root / "projects/shapes/data/shapes/test/image_2/000024.png"
    kept, moment = picture.read_bytes(), picture.stat()
    picture.write_bytes(kept + b"\0")
    try:
        short = RunStore(root / ".taorunner").short_id(
            next(run.id for run in trained.runs() if run.experiment == "tiny" and run.action == "train")
        )
        check = cli("rerun", short, "--check", "--json", cwd=root)
        assert check.code == 1
        assert check.json["deviations"] == [
            {"kind": "data", "text": "shapes: 1 changed (000024.png)", "blocking": True}
        ]
        refused = cli("rerun", short, cwd=root)
        assert refused.code == 6
        name = check.json["rerun"]
        assert (
            refused.err.splitlines()[-1] == f"hint: taorunner rerun {short} --allow data starts it as {name}"
        )
        allowed = cli("rerun", short, "--allow", "data", "-d", cwd=root, timeout_s=120)
        assert allowed.code == 0, allowed
        assert trained.run(allowed.out.split()[0]).wait(timeout_s=60).value == "SUCCEEDED"
    finally:
        picture.write_bytes(kept)
        os.utime(picture, ns=(moment.st_atime_ns, moment.st_mtime_ns))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("a", "--allow", "dat"), 2, 'did you mean "data"?'),
        (("a", "--check"), 6, "is not on record"),
        (("nothing",), 6, 'no run "nothing"'),
    ],
)
def test_refusals_say_what_to_type(
    cli: Cli, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "w/projects/cars").mkdir(parents=True)
    made_run(tmp_path / "w/.taorunner", "a", lock=None)
    done = cli("rerun", *words, cwd=tmp_path / "w")
    assert (done.code, said in done.err) == (code, True), done
