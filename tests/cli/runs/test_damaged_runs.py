"""Runs whose record cannot be believed: ``runs list`` shows them as damaged, and no command touches anything for them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from command_line import Cli

from taorunner.events import RunState
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

AT = datetime(2026, 6, 30, tzinfo=timezone.utc)
GOOD, BAD = "20260620-000000-e-train-good", "20260621-000000-e-train-bad"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    (root / "projects").mkdir(parents=True)
    store = RunStore(root / ".taorunner")
    for run_id in (GOOD, BAD):
        store.paths(run_id).directory.mkdir(parents=True)
        store.save(
            RunRecord(
                id=run_id, batch="b", project="p", experiment="e", action="train", backend="local",
                state=RunState.SUCCEEDED, queued_at=AT, finished_at=AT,
            )
        )  # fmt: skip
    (root / "precious").mkdir()
    (root / "precious" / "weights.pth").write_text("weights")
    return root


def damage(root: Path, given_id: str) -> None:
    path = RunStore(root / ".taorunner").paths(BAD).record
    path.write_text(json.dumps({**json.loads(path.read_text()), "id": given_id}))


@pytest.mark.parametrize("given_id", ["../../precious", "ABSOLUTE", "..", ".", "", GOOD])
def test_prune_and_rm_remove_nothing_for_a_damaged_record(cli: Cli, workspace: Path, given_id: str) -> None:
    damage(workspace, str(workspace / "precious") if given_id == "ABSOLUTE" else given_id)
    bad = workspace / ".taorunner" / "runs" / BAD
    refused = cli("runs", "rm", BAD, cwd=workspace)
    assert refused.code == 6 and f'the record of run "{BAD}" is damaged' in refused.err
    assert "Traceback" not in refused.err
    for words in (("runs", "mark-lost", BAD), ("logs", BAD), ("stop", BAD)):
        answer = cli(*words, cwd=workspace)
        assert (answer.code, "Traceback" in answer.err) == (6, False), words
    pruned = cli("runs", "prune", "--keep", "0", "--yes", cwd=workspace)
    assert (pruned.code, [line.split()[0] for line in pruned.out.splitlines()]) == (0, ["run", GOOD[-6:]])
    assert (workspace / "precious" / "weights.pth").read_text() == "weights"
    assert bad.is_dir() and not bad.with_name(GOOD).exists()


def test_a_damaged_run_is_shown_as_such_in_its_place(cli: Cli, workspace: Path) -> None:
    damage(workspace, "../../precious")
    listed = cli("runs", "list", "--json", cwd=workspace).json
    assert [(run["id"], run["state"]) for run in listed] == [(BAD, "DAMAGED"), (GOOD, "SUCCEEDED")]
    assert 'it says "id": "../../precious"' in listed[0]["reason"]
    rows = [line.split() for line in cli("runs", "list", cwd=workspace).out.splitlines()[1:]]
    assert [row[1:3] for row in rows] == [["in-bad", "damaged"], ["n-good", "e"]]
    assert [run["id"] for run in cli("runs", "list", "--json", "-p", "p", cwd=workspace).json] == [GOOD]


def test_a_damaged_run_has_a_page(cli: Cli, workspace: Path) -> None:
    damage(workspace, "../../precious")
    (workspace / ".taorunner" / "runs" / BAD / "console.log").write_text("log\n" * 256)
    shown = cli("runs", "show", BAD, cwd=workspace)
    first, *rest = shown.out.splitlines()
    assert (shown.code, shown.err) == (0, "")
    assert first == '! in-bad damaged: record.json: it says "id": "../../precious" [damaged-record]'
    assert [line.split()[0] for line in rest] == ["intact", "hint"]
    assert "console.log (1.0 KiB)" in rest[0]
    (found,) = cli("runs", "show", BAD, "--json", cwd=workspace).json
    assert (found["id"], found["state"]) == (BAD, "DAMAGED")
