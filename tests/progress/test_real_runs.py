"""What NVIDIA's real code printed and wrote on a CPU, read again.

``data/real_runs.tar.xz`` holds console.log and status.json of each case, ``data/real_runs.jsonl`` what is true of it: the
release, the exit code of the container, the epochs that were trained whole, and the words of the verdict, each looked at.
Source: tao/real_runs.md.
"""

from __future__ import annotations

import json
import math
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.load import load_network
from taorunner.contracts import EpochMark
from taorunner.events import Event, MetricReported
from taorunner.progress.status_json import parse_line
from taorunner.progress.tracker import Tracker
from taorunner.progress.verdict import judge

DATA = Path(__file__).parent / "data"
CASES = [json.loads(line) for line in (DATA / "real_runs.jsonl").read_text().splitlines()]
AT = datetime(2026, 11, 28, tzinfo=timezone.utc)
PIECES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("real")
    with tarfile.open(DATA / "real_runs.tar.xz") as archive:
        archive.extractall(root, filter="data")
    return root


@dataclass(frozen=True)
class Replay:
    """One case. ``truth`` is its line of ``real_runs.jsonl``."""

    folder: Path
    truth: dict[str, Any]

    @cached_property
    def contract(self) -> Any:
        release = self.truth.get("release")
        network = load_network(self.truth["network"])
        return (
            network.contract(self.truth["action"], release)
            if release
            else network.contract(self.truth["action"])
        )

    @cached_property
    def console(self) -> bytes:
        return (self.folder / self.truth["case"] / "console.log").read_bytes()

    @cached_property
    def status(self) -> list[bytes]:
        files = sorted((self.folder / self.truth["case"]).glob("status.*.json"))
        return [line for file in files for line in file.read_bytes().splitlines()][
            self.truth.get("from", 0) :
        ]

    def in_order(self, pieces: int) -> Iterator[tuple[bytes, list[bytes]]]:
        """Console and status in so many pieces that come together, the console first."""
        for piece in range(pieces):
            ends = [len(source) * (piece + 1) // pieces for source in (self.console, self.status)]
            starts = [len(source) * piece // pieces for source in (self.console, self.status)]
            yield self.console[starts[0] : ends[0]], self.status[starts[1] : ends[1]]

    def run(self, pieces: int) -> tuple[Tracker, list[Event]]:
        tracker = Tracker(self.contract, "r", self.truth.get("planned"))
        events: list[Event] = []
        for console, lines in self.in_order(pieces):
            events += tracker.feed_console(console, AT)
            events += tracker.feed_status([record for line in lines if (record := parse_line(line))], AT)
        return tracker, events + tracker.flush(AT)


@pytest.mark.parametrize("pieces", [1, PIECES])
@pytest.mark.parametrize("truth", CASES, ids=[case["case"] for case in CASES])
def test_verdict_and_epochs(folder: Path, truth: dict[str, Any], pieces: int) -> None:
    replay = Replay(folder, truth)
    tracker, _ = replay.run(pieces)
    facts = replace(
        tracker.facts, exit_code=truth["exit_code"], artifact_fresh=truth["state"] == "SUCCEEDED",
        stop_requested=truth.get("stopped", False),
    )  # fmt: skip
    verdict = judge(replay.contract.verdict, facts)
    assert (verdict.state.name, verdict.reason) == (truth["state"], truth["reason"])
    assert facts.epochs_done == truth["epochs"]
    assert sorted(caution.code for caution in verdict.cautions) == truth.get("cautions", [])


@pytest.mark.parametrize("truth", CASES, ids=[case["case"] for case in CASES])
def test_last_values_are_those_that_tao_wrote(folder: Path, truth: dict[str, Any]) -> None:
    """Every number of the last ``kpi`` of each metric is a metric of the run, and belongs to the last epoch."""
    replay = Replay(folder, truth)
    _, events = replay.run(PIECES)
    written: dict[str, float] = {}
    for line in replay.status:
        for name, value in (json.loads(line).get("kpi") or {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                written[name] = float(value)
    reported = [event.value for event in events if isinstance(event, MetricReported)]
    for name, value in written.items():
        if math.isfinite(value):
            assert any(math.isclose(value, one, rel_tol=3e-3, abs_tol=1e-9) for one in reported), name
        else:
            assert any(not math.isfinite(one) for one in reported), name


@pytest.mark.parametrize(
    "truth", [case for case in CASES if case["state"] == "SUCCEEDED" and case["epochs"]],
    ids=[case["case"] for case in CASES if case["state"] == "SUCCEEDED" and case["epochs"]],
)  # fmt: skip
def test_epochs_of_a_finished_training_are_those_of_status_json(folder: Path, truth: dict[str, Any]) -> None:
    replay = Replay(folder, truth)
    first = replay.contract.progress.first_epoch
    assert replay.contract.progress.epoch_mark is EpochMark.END
    last = max(json.loads(line)["epoch"] for line in replay.status if "epoch" in json.loads(line))
    assert truth["epochs"] == last - first + 1
