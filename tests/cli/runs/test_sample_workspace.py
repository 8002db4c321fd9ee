"""A workspace that version 0.1.0 wrote is read by this version as it was by that one, and its open batches go on.

``tools/make_sample_workspace.py`` made it; ``expected.json`` is what 0.1.0 said of it. Neither is to be edited.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, wait_for

from taorunner.cli.fast.words import TABLE
from taorunner.project.keys import EXPERIMENT_KEYS, FILE_KEYS
from taorunner.state_files import is_locked

SAMPLE = Path(__file__).parents[2] / "assets" / "workspace_0_1_0"
MADE_AT = "/srv/taorunner-sample"
EXPECTED = json.loads((SAMPLE / "expected.json").read_text(encoding="utf-8"))
for _run in EXPECTED["runs list"]:
    if _run["id"].endswith("-639c56"):
        # The console's figure of a batch in epoch 3, and then that of the whole epoch. 0.1.0 took the lower one for the
        # best value of the epoch; of an epoch the last figure counts.
        assert _run["best"]["train_loss"] == {"value": 5.657, "epoch": 3}
        _run["best"]["train_loss"] = {"value": 5.794079442926355, "epoch": 3}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy that lies here as the sample lay there: records name whole paths."""
    copy = tmp_path / "workspace"
    shutil.copytree(SAMPLE, copy)
    (copy / "expected.json").unlink()
    for path in copy.rglob("*"):
        if path.is_file():
            path.write_text(path.read_text(encoding="utf-8").replace(MADE_AT, str(copy)), encoding="utf-8")
    return copy


@pytest.fixture
def standing(root: Path) -> Iterator[Path]:
    """The workspace while another process holds the locks of its open batches, as their supervisors did."""
    with contextlib.ExitStack() as held:
        for batch in (root / ".taorunner/open").iterdir():
            lock = root / ".taorunner/batches" / batch.name / "supervisor.lock"
            fcntl.flock(held.enter_context(lock.open("ab")), fcntl.LOCK_EX)
        yield root


def known(shown: list[dict[str, Any]], expected: list[dict[str, Any]], root: Path) -> list[dict[str, Any]]:
    """What 0.1.0 said, as it is said now: a later version may say more. Of one second it knew no order."""
    text = json.dumps(shown).replace(str(root), "$ROOT")
    by_id = {run["id"]: run for run in json.loads(text)}
    assert len(by_id) == len(shown) == len(expected)
    return [{key: by_id[old["id"]].get(key) for key in old} for old in expected]


def states(root: Path) -> dict[str, str]:
    """By experiment, as records have them; the newest run of each."""
    found: dict[str, str] = {}
    for path in sorted((root / ".taorunner/runs").glob("*/record.json")):
        with contextlib.suppress(ValueError):
            record = json.loads(path.read_text(encoding="utf-8"))
            found[record["experiment"]] = record["state"]
    return found


def test_the_sample_has_a_run_in_every_state() -> None:
    assert states(SAMPLE) == {
        "shapes": "SUCCEEDED", "fails": "FAILED", "stopped": "STOPPED", "lost": "LOST",
        "running": "RUNNING", "queued": "QUEUED", "starting": "STARTING",
    }  # fmt: skip
    for part in (
        "taorunner.lock",
        ".taorunner/cache/dataset-checks/parts/shapes.json",
    ):  # of an earlier version
        assert (SAMPLE / part).is_file()
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 300_000


@pytest.mark.parametrize("words", ["ps", "runs list"])
def test_its_lists_are_as_they_were(words: str, cli: Cli, standing: Path) -> None:
    done = cli(*words.split(), "--json", cwd=standing)
    assert (done.code, done.err) == (0, "")
    whole = [run for run in done.json if run["state"] != "DAMAGED"]  # which 0.1.0 left out
    assert known(whole, EXPECTED[words], standing) == EXPECTED[words]
    assert [run["id"][-6:] for run in done.json if run not in whole] == (
        ["dddddd"] if words == "runs list" else []
    )


def test_its_runs_and_logs_are_as_they_were(cli: Cli, standing: Path) -> None:
    for run in EXPECTED["runs list"]:
        shown = cli("runs", "show", run["id"], "--json", cwd=standing)
        assert (shown.code, known(shown.json, [run], standing)) == (0, [run]), shown.err
        logs = cli("logs", run["id"], cwd=standing)
        assert (logs.code, logs.out.replace(str(standing), "$ROOT")) == (0, EXPECTED["logs"][run["id"]])
    page = cli("runs", "show", "stopped", cwd=standing)
    assert page.out.endswith("\nnext: taorunner resume stopped\n")


def test_its_torn_record_is_shown_as_damaged_and_refused_elsewhere(cli: Cli, standing: Path) -> None:
    (torn,) = (standing / ".taorunner/runs").glob("*-dddddd")
    page = cli("runs", "show", torn.name, cwd=standing)
    assert (page.code, page.err) == (0, "")
    assert page.out.startswith("! dddddd damaged: record.json, line 18: ")
    done = cli("logs", torn.name, cwd=standing)
    assert done.code == 6
    assert torn.name in done.err


def test_its_lock_is_still_used(cli: Cli, standing: Path) -> None:
    done = cli("validate", "--json", cwd=standing)
    assert [finding for finding in done.json if "taorunner.lock" in str(finding["file"])] == []
    (standing / "projects/parts/data/d").mkdir(parents=True)
    found = cli("train", "starting", "--dry-run", "--json", cwd=standing)
    digest = (standing / "taorunner.lock").read_text().split()[-1]
    assert [plan["image"] for plan in found.json] == [f"nvcr.io/nvidia/tao/tao-toolkit@{digest}"]


@pytest.mark.slow
def test_its_open_batches_go_on(cli: Cli, root: Path) -> None:
    """After a reboot: what ran is lost, what waited starts, what cannot be asked about stays."""
    assert cli("ps", cwd=root).code == 0
    over = {"running": "LOST", "queued": "FAILED", "starting": "STARTING"}
    wait_for(lambda: {name: states(root)[name] for name in over} == over)
    shown = {run["experiment"]: run for run in cli("runs", "list", "--json", cwd=root).json}
    assert shown["running"]["reason"] == "the engine no longer knows this run"
    assert shown["queued"]["reason"] == 'there is no command "dino" on PATH'
    events = Path(shown["starting"]["directory"]) / "events.jsonl"
    wait_for(lambda: "undecided" in events.read_text())
    locks = [*(root / ".taorunner/batches").glob("*/supervisor.lock")]
    wait_for(lambda: not any(map(is_locked, locks)))  # the supervisor says so, and ends
    lost = cli("runs", "mark-lost", "starting", cwd=root)
    assert (lost.code, states(root)["starting"]) == (0, "LOST"), lost.err


WORDS = {
    "train": "--dry-run --overwrite --detach --gpus --gpu-indices --release --image --set --parallel --grace --backend "
    "--checkpoint --json --plain",
    "run": "--dry-run --overwrite --detach --set --json",
    "init-project": "--head --backbone --dataset --experiment", "validate": "--strict --json", "schema": "", "networks show": "--json",
    "quickstart": "--images --epochs", "ps": "--json", "runs list": "--limit --json", "runs show": "--json",
    "logs": "--follow --tail", "attach": "--json --plain",
}  # fmt: skip
KEYS = [
    "head",
    "backbone",
    "repository",
    "model_key",
    "dataset",
    "export_model",
    "export_type",
    "gpus",
    "gpu_indices",
    "release",
    "image",
    "backend",
    "shm_size",
    "env",
    "user",
    "extends",
    "vars",
    "overrides",
    "description",
    "tags",
]


def test_no_command_option_or_key_of_0_1_0_is_gone() -> None:
    """The changelog says so: nothing is deprecated or removed."""
    gone = [
        f"{name} {option}"
        for name, options in WORDS.items()
        for option in options.split()
        if option not in TABLE[name].options
    ]
    assert gone == []
    assert {*KEYS} - {*EXPERIMENT_KEYS} == {"tao_config", "experiments"} - {*FILE_KEYS} == set()
