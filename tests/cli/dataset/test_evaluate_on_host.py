"""``evaluate --on-host``: really inferred by the embedded network, and scored."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli, Done

import taorunner


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
    # COCO takes the curve at 101 recalls, the network at each of its steps.
    assert figure(done.out) == pytest.approx(record["metrics"]["test_mAP50"], abs=0.03)
    assert f"the network's own test_mAP50 is {record['metrics']['test_mAP50']:.4f}, " in done.out
    (kept,) = root.glob(".taorunner/runs/*/evaluation.json")
    assert json.loads(kept.read_text())["overall"]["AP50"] == pytest.approx(figure(done.out), abs=5e-5)
    labels = root / "projects/shapes/models/tiny/inference/labels"
    stale = labels / "000000.txt"
    stale.write_text("circle 0 0 0 1 1 9 9 0 0 0 0 0 0 0 1.0\n")
    os.utime(stale, (1, 1))
    again = typed("evaluate", "tiny", "--on-host", *test)
    assert (again.code, figure(again.out)) == (0, figure(done.out))
    assert "1 label file of an earlier inference left out" in again.err
    other = typed("evaluate", "tiny", "--on-host", "--truth", "nowhere", *test)
    assert (other.code, 'there is no dataset "nowhere"' in other.err) == (2, True), other.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("evaluate", "--on-host", "--detach"), "--on-host does not go with --detach"),
        (("evaluate", "--on-host", "--all"), "--on-host does not go with --all"),
        (("evaluate", "--on-host", "--then", "export"), "--on-host does not go with --then"),
        (("evaluate", "--on-host", "--min-score", "2"), '--min-score must be from 0 to 1, not "2.0"'),
        (("evaluate", "--split", "val"), "--truth and --split need --on-host"),
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
