"""``evaluate --on-host``: really inferred by the embedded network, and scored."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli, Done
from jsonschema import Draft202012Validator
from made_runs import made_run

import taorunner
from taorunner.console.shapes.shapes import shape_schema
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    workspace = taorunner.Workspace.create_example(root, images=96, held_out=24)
    for action, options in (("dataset_convert", {}), ("train", {"epochs": 8})):
        batch = taorunner.start(workspace, "shapes", action, "tiny", **options)
        assert batch.wait(timeout_s=120)
    return root


@pytest.fixture
def typed(cli: Cli, root: Path) -> Callable[..., Done]:
    return lambda *words: cli("-p", "shapes", *words, cwd=root, timeout_s=120)


def figure(text: str) -> float:
    """AP50 of all classes."""
    return float(next(line for line in text.splitlines() if line.startswith("all ")).split()[3])


def test_the_scores_agree_with_the_network_and_leave_out_older_labels(
    typed: Callable[..., Done], root: Path
) -> None:
    own = typed("evaluate", "tiny")
    assert own.code == 0, own.err
    test = ("--", f"inference.image_dir={root}/projects/shapes/data/shapes/test/image_2")
    done = typed("evaluate", "tiny", "--on-host", *test)
    assert done.code == 0, done.err
    assert re.search(r"^COCO: IoU 0\.50:0\.95, .*; test, 24 images$", done.out, re.MULTILINE), done.out
    (record,) = [one for one in typed("runs", "list", "--json").json if one["action"] == "evaluate"]
    assert figure(done.out) == record["metrics"]["test_mAP50"] > 0.1
    assert f"the network's own test_mAP50 is {record['metrics']['test_mAP50']:.4f}, too" in done.out
    (kept,) = root.glob(".taorunner/runs/*/evaluation.json")
    body = json.loads(kept.read_text())
    assert body["overall"]["AP50"] == pytest.approx(figure(done.out), abs=5e-5)
    Draft202012Validator(shape_schema("evaluation")).validate(body)
    (scored,) = [one for one in typed("runs", "list", "--json").json if one["action"] == "inference"]
    assert scored["metrics"]["host/AP50"] == body["overall"]["AP50"] == scored["best"]["host/AP50"]["value"]
    page = typed("runs", "show", scored["short_id"])
    assert (
        f"host/AP50/{body['per_class'][0]['name']}" in page.out
        and "measured   host figures by COCO: IoU" in page.out
    )
    labels = root / "projects/shapes/models/tiny/inference/labels"
    stale = labels / "000000.txt"
    stale.write_text("circle 0 0 0 1 1 9 9 0 0 0 0 0 0 0 1.0\n")
    os.utime(stale, (1, 1))
    again = typed("evaluate", "tiny", "--on-host", *test)
    assert (again.code, figure(again.out)) == (0, figure(done.out))
    assert "1 file of an earlier inference left out" in again.err
    other = typed("evaluate", "tiny", "--on-host", "--truth", "nowhere", *test)
    assert (other.code, 'there is no dataset "nowhere"' in other.err) == (2, True), other.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("evaluate", "--on-host", "--detach"), "--on-host does not go with --detach"),
        (("evaluate", "--on-host", "--all"), "--on-host does not go with --all"),
        (("evaluate", "--on-host", "--then", "export"), "--on-host does not go with --then"),
        (("evaluate", "--on-host", "--min-score", "2"), '--min-score must be from 0 to 1, not "2.0"'),
        (("evaluate", "--split", "val"), "--truth, --split and --engine need --on-host"),
        (("evaluate", "--engine"), "--truth, --split and --engine need --on-host"),
        (("evaluate", "--on-host", "--engine"), '"tinydet" has no group "deploy"'),
        (("evaluate", "--min-score", "0.1"), "has no key for the lowest score"),
        (("train", "--min-score", "0.1"), "has no key for the lowest score"),
        (("export", "--min-score", "0.1"), "has no key for the lowest score"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    cli: Cli, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    taorunner.Workspace.create_example(tmp_path / "ws", images=8, held_out=2)
    refused = cli("-p", "shapes", words[0], "tiny", *words[1:], cwd=tmp_path / "ws")
    assert (refused.code, message in refused.err) == (2, True), refused.err


def test_a_network_without_a_threshold_is_inferred_as_it_is(cli: Cli, tmp_path: Path) -> None:
    taorunner.Workspace.create_example(tmp_path / "ws", images=8, held_out=2)
    assert cli("init-project", "masks", "--head", "mask2former", cwd=tmp_path / "ws").code == 0
    planned = ("-p", "masks", "evaluate", "mask2former_01", "--on-host", "--dry-run")
    refusal = "has no key for the lowest score"
    plain = cli(*planned, cwd=tmp_path / "ws")
    assert (refusal in plain.err, "the dataset is empty" in plain.err) == (False, True), plain.err
    typed = cli(*planned, "--min-score", "0.1", cwd=tmp_path / "ws")
    assert refusal in typed.err, typed.err


def test_only_what_the_run_itself_wrote_is_scored(typed: Callable[..., Done], root: Path) -> None:
    test = ("--", f"inference.image_dir={root}/projects/shapes/data/shapes/test/image_2")
    assert typed("inference", "tiny", "--min-score", "0.001", *test).code == 0
    store = RunStore(root / ".taorunner")
    (record,) = [one for one in store.records() if one.action == "inference"]
    first = typed("dataset", "evaluate", record.id, "--json")
    assert first.code == 0, first.err
    assert first.json["overall"]["AP50"] > 0.1
    fields = {"project": "shapes", "action": "inference", "results_dir": record.results_dir}
    assert record.finished_at is not None
    later = made_run(
        root / ".taorunner", "tiny", number=1, started_at=record.finished_at, finished_at=None, **fields
    )
    labels = sorted((root / "projects/shapes/models/tiny/inference/labels").iterdir())
    labels[0].write_text("circle 0 0 0 1 1 9 9 0 0 0 0 0 0 0 1.0\n")
    again = typed("dataset", "evaluate", record.id, "--json").json
    assert (again["missing"], first.json["missing"]) == (1, 0)
    assert {one["code"] for one in again["findings"]} == {"prediction-later", "prediction-missing"}
    store.save(replace(later, started_at=record.started_at))
    beside = typed("dataset", "evaluate", record.id)
    assert (beside.code, "which predictions are whose is not known" in beside.err) == (6, True), beside.err
    train = next(one for one in store.records() if one.action == "train")
    refused = typed("dataset", "evaluate", train.id, "--truth", "shapes")
    assert (refused.code, "is no inference" in refused.err) == (6, True), refused.err


def test_links_that_a_container_left_are_not_followed(typed: Callable[..., Done], root: Path) -> None:
    test = ("--", f"inference.image_dir={root}/projects/shapes/data/shapes/test/image_2")
    assert typed("inference", "tiny", *test).code == 0
    labels = root / "projects/shapes/models/tiny/inference/labels"
    labels.rename(root / "elsewhere")
    labels.symlink_to(root / "elsewhere")
    refused = typed("dataset", "evaluate", "tiny")
    assert (refused.code, "there is no label file" in refused.err) == (3, True), refused.err
