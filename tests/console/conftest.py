"""One scene for all screens: runs in every state, log tails with all kinds of dirt, a clock, GPU readings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from taorunner.console.live.run_view import GpuReading
from taorunner.events import (
    CheckpointSaved,
    EpochProgress,
    Event,
    ImagePulling,
    MetricReported,
    Notice,
    RunFinished,
    RunQueued,
    RunStarted,
    RunState,
    RunWaiting,
)
from taorunner.runs.state.snapshot import RunSnapshot, fold

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
GIB = 2**30
NAMES = (
    "dssd_resnet18_01",
    "detectnet_v2_resnet34_pruned",
    "yolo_v4_cspdarknet53",
    "efficientdet_tf2_b0",
    "dino_resnet50_coco",
    "segformer_mit_b5_city",
    "retinanet_resnet18",
    "unet_vanilla_bw",
)
LOG = (
    "2026-03-01 12:00:01,123 [INFO] __main__: Loading experiment spec at /workspace/projects/p/specs/train.txt.",
    "\x1b[32m 12/85 [==>....]\x1b[0m - ETA: 1:02 - loss: 1.73 [bold]no markup[/bold]",
    "警告: 学習率が高すぎます " * 12,
    "a bell \x07, a tab\tand a \x1b]0;title\x07title",
)


@dataclass
class Scene:
    at: datetime = T0 + timedelta(seconds=2138)
    log: Sequence[str] = LOG
    gpus: Mapping[str, GpuReading] = field(
        default_factory=lambda: {
            str(i): GpuReading(str(i), "NVIDIA A100-SXM4-80GB", (29 + i) * GIB, 80 * GIB, 97 - i)
            for i in range(8)
        }
    )

    def queue(self, name: str, action: str = "train", project: str = "example_01") -> RunQueued:
        return RunQueued(
            run=f"run-{name}",
            at=T0,
            project=project,
            experiment=name,
            action=action,
            backend="docker",
            epochs=80,
        )

    def queued(self, name: str) -> RunSnapshot:
        return fold([self.queue(name)])

    def waiting(self, name: str, reason: str) -> RunSnapshot:
        return fold([self.queue(name), RunWaiting(run=f"run-{name}", at=_at(60), reason=reason)])

    def training_events(self, index: int, epoch: int, gpus: tuple[str, ...] | None = None) -> list[Event]:
        name = NAMES[index]
        run = f"run-{name}"
        kpi = "val_mAP" if index % 2 else "mean average precision"
        events: list[Event] = [
            self.queue(name),
            RunStarted(run=run, at=_at(5), image="nvcr.io/t:5", gpus=gpus or (str(index),), handle="h"),
        ]
        for done in range(1, epoch):
            end = _at(5 + 62 * done)
            events.append(EpochProgress(run=run, at=end, epoch=done, epochs=80, completed=True))
            events.append(MetricReported(run=run, at=end, name="loss", value=4 / (done + 1), epoch=done))
            if done % 5 == 0:
                value = 0.6 - abs(done - 20) / 50
                events.append(MetricReported(run=run, at=end, name=kpi, value=value, epoch=done))
        began = 6 + 62 * (epoch - 1)
        events.append(EpochProgress(run=run, at=_at(began), epoch=epoch, epochs=80, step=1, steps=850))
        events.append(
            EpochProgress(run=run, at=_at(began + 24.66), epoch=epoch, epochs=80, step=412, steps=850)
        )
        return events

    def training(self, index: int = 0, epoch: int = 34, gpus: tuple[str, ...] | None = None) -> RunSnapshot:
        return fold(self.training_events(index, epoch, gpus))

    def eight(self) -> list[RunSnapshot]:
        return [self.training(index, 34 - 2 * index) for index in range(8)]

    def forty(self) -> list[RunSnapshot]:
        runs = []
        for index in range(40):
            run_id = f"20260301-120000-exp_{index:02d}-train-{index:06x}"
            events = [
                replace(event, run=run_id) for event in self.training_events(index % 8, 34 - index % 20)
            ]
            events[0] = replace(events[0], experiment=f"exp_{index:02d}")
            runs.append(replace(fold(events), gpus=(str(index % 8),)))
        return runs

    def pulling(self, name: str) -> RunSnapshot:
        pull = ImagePulling(
            run=f"run-{name}", at=_at(20), image="nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt",
            layers_done=12, layers=31, bytes_done=3 * GIB, bytes_total=10 * GIB, eta_s=250,
        )  # fmt: skip
        return fold([self.queue(name), pull])

    def finished(
        self, name: str, state: RunState = RunState.SUCCEEDED, mean_ap: float = 0.5312
    ) -> RunSnapshot:
        run = f"run-{name}"
        has_won = state is RunState.SUCCEEDED
        reason = "trained 80 epochs" if has_won else "CUDA out of memory at epoch 3: 9.1 GiB were asked for"
        end = RunFinished(
            run=run, at=_at(510), state=state, reason=reason, exit_code=0 if has_won else 1,
            hint=None if has_won else "lower batch_size_per_gpu in specs/train.txt",
        )  # fmt: skip
        return fold(
            [
                self.queue(name),
                RunStarted(run=run, at=_at(5), gpus=("0",), handle="h"),
                EpochProgress(run=run, at=_at(500), epoch=80 if has_won else 3, epochs=80, completed=True),
                MetricReported(run=run, at=_at(500), name="val_mAP", value=mean_ap, epoch=3),
                MetricReported(run=run, at=_at(500), name="loss", value=1 - mean_ap, epoch=3),
                CheckpointSaved(run=run, at=_at(500), path="models/e/model_080.pth", epoch=80),
                Notice(run=run, at=_at(501), level="warning", code="shm", text="64 MiB of shared memory"),
                end,
            ]
        )

    def mixed(self) -> list[RunSnapshot]:
        return [
            self.finished("first_run"),
            self.finished("bad_run", RunState.FAILED),
            self.training(),
            self.pulling("dino_fan"),
            self.queued("later_one"),
            self.queued("later_two"),
        ]

    def curves(self, runs: Sequence[RunSnapshot]) -> dict[str, dict[str, list[float]]]:
        """The curves of the loss and the KPI, by run: as many values as epochs have ended."""
        return {
            run.id: {
                name: [4 / (epoch + 2) if name == "loss" else epoch**0.5 for epoch in range(run.epochs_done)]
                for name in run.metrics
            }
            for run in runs
        }

    def tails(self, runs: Sequence[RunSnapshot]) -> dict[str, Sequence[str]]:
        """Only of runs that have printed something."""
        return {run.id: self.log for run in runs if run.started_at is not None}


def _at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@dataclass
class Golden:
    """Whole screens beside the tests. To accept a new image, write it to the file that is named."""

    folder: Path

    def check(self, name: str, text: str) -> None:
        expected = (self.folder / f"{name}.txt").read_text(encoding="utf-8")
        assert text == expected, f"compare with {self.folder.name}/{name}.txt"


@pytest.fixture(scope="session")
def scene() -> Scene:
    return Scene()


@pytest.fixture
def golden() -> Golden:
    return Golden(Path(__file__).parent / "golden")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of ``time.monotonic``, which the test sets: rates and remaining times are exact, and nothing waits."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., str]:
    """What a page prints in a pipe of that width: its stdout, and below a line its stderr."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)

    def show(page: Callable[..., Any], *things: Any, width: int = 120, **options: Any) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        page(*things, **options)
        out, err = capsys.readouterr()
        return out + (f"--- stderr\n{err}" if err else "")

    return show
