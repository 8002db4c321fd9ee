"""Runs that succeeded although they printed errors: retries, clean-ups, what a library could do without.

Each console is composed of a good run and the lines of ``data/survived.yml``; exit code 0 and what TAO itself reports count.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from taorunner.catalog.load import load_network
from taorunner.contracts import Contract, Framework
from taorunner.events import RunState
from taorunner.progress.status_json import StatusRecord, parse_line
from taorunner.progress.tracker import Tracker
from taorunner.progress.verdict import judge

CASES = yaml.safe_load((Path(__file__).parent / "data" / "survived.yml").read_text(encoding="utf-8"))
AT = datetime(2026, 3, 1, tzinfo=timezone.utc)
EPOCHS = 3


def console(contract: Contract, case: dict[str, Any]) -> list[str]:
    """A good run with the lines of the case after its first epoch, and after its last."""
    midway, end = case.get("midway", "").splitlines(), case.get("end", "").splitlines()
    first, *others = [_epoch(contract, epoch) for epoch in range(EPOCHS)]
    footer = "Execution status: PASS" if contract.verdict.footer else "done"
    return [*first, *midway, *(line for lines in others for line in lines), footer, *end]


def _epoch(contract: Contract, epoch: int) -> list[str]:
    if contract.action != "train":
        return [f"step {epoch}"]
    if contract.framework is Framework.PYT:
        return [f"Epoch {epoch}: 100%|██████████| 9/9 [00:06<00:00, 3.57it/s, v_num=1, train_loss=1.1]"]
    if contract.progress.console == "session_hook":
        return [f"INFO:tensorflow:epoch = {epoch + 1}.0, loss = 0.08, step = {9 * epoch + 9} (0.2 sec)"]
    return [f"Epoch {epoch + 1}/{EPOCHS}", "9/9 [==============================] - 5s 499ms/step - loss: 1.2"]


def records(contract: Contract, case: dict[str, Any]) -> list[StatusRecord]:
    rows: list[dict[str, Any]] = [{"status": "STARTED", "verbosity": "INFO", "message": "Starting."}]
    rows += case.get("status", [])
    if contract.action == "train":
        first = contract.progress.first_epoch
        rows += [
            {
                "status": "RUNNING",
                "verbosity": "INFO",
                "message": "m",
                "epoch": first + done,
                "max_epoch": EPOCHS,
            }
            for done in range(EPOCHS)
        ]
    suffix = contract.verdict.success_suffix
    rows.append(
        {"status": "RUNNING", "verbosity": "INFO", "message": f"It {suffix}"}
        if suffix
        else {"status": "SUCCESS", "verbosity": "INFO", "message": "done"}
    )
    lines = (json.dumps({"date": "3/1/2026", "time": "1:2:3", **row}).encode() for row in rows)
    return [record for line in lines if (record := parse_line(line)) is not None]


@pytest.mark.parametrize("seconds_a_line", [0, 60])
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_run_that_goes_on_after_errors_succeeds(case: dict[str, Any], seconds_a_line: int) -> None:
    network, action, release = case["run"]
    contract = load_network(network).contract(action, release)
    tracker = Tracker(contract, "r", EPOCHS if action == "train" else None)
    at = AT
    for line in console(contract, case):
        at += timedelta(seconds=seconds_a_line)
        tracker.feed_console(line.encode() + b"\n", at)
    tracker.feed_status(records(contract, case), at)
    tracker.flush(at)
    facts = replace(tracker.facts, exit_code=0, artifact_fresh=True)
    verdict = judge(contract.verdict, facts)
    assert (verdict.state, verdict.hint, verdict.cautions) == (RunState.SUCCEEDED, None, ())
    assert verdict.reason == ("finished 3 epochs" if action == "train" else "finished")


BROKEN = """Traceback (most recent call last):
  File "/x/crop.py", line 88, in crop
    return cut(sample)
ArithmeticError: the crop of sample 7 has no area"""


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_what_was_survived_does_not_explain_a_later_failure(case: dict[str, Any]) -> None:
    network, action, release = case["run"]
    contract = load_network(network).contract(action, release)
    tracker = Tracker(contract, "r", EPOCHS if action == "train" else None)
    at = AT
    end = case.get("end", "").splitlines()
    good = console(contract, case)
    for line in [*good[: -1 - len(end)], *BROKEN.splitlines(), "Execution status: FAIL", *end]:
        at += timedelta(seconds=60)
        tracker.feed_console(line.encode() + b"\n", at)
    tracker.flush(at)
    verdict = judge(contract.verdict, replace(tracker.facts, exit_code=1, artifact_fresh=False))
    assert (verdict.state, verdict.reason) == (
        RunState.FAILED,
        "ArithmeticError: the crop of sample 7 has no area",
    )
