"""Draws ``docs/screen.svg``: the live view of three experiments, as a terminal of 100 columns shows it.

    python docs/screen.py

The events are made up, the drawing is the program's own: the same fold and the same view that ``train`` uses.
"""

from __future__ import annotations

import io
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zlib import crc32

from rich.console import Console
from rich.theme import Theme

from taorunner.console.base import theme
from taorunner.console.live.queue_reasons import queue_reasons
from taorunner.console.live.run_facts import RunFacts
from taorunner.console.live.run_view import GpuReading, RunNotes
from taorunner.console.live.trails import Trails
from taorunner.console.runs.live_view import LiveView, Picture
from taorunner.events import EpochProgress, Event, MetricReported, RunQueued, RunStarted
from taorunner.runs.state.snapshot import RunSnapshot, fold

NOW = datetime(2026, 11, 20, 14, 31, 7, tzinfo=timezone.utc)
WIDTH, HEIGHT = 100, 24


def main() -> None:
    console = Console(
        record=True, width=WIDTH, height=HEIGHT, force_terminal=True, color_system="truecolor", file=io.StringIO(),
        theme=Theme(theme._STYLES), markup=False, emoji=False, highlight=False,
    )  # fmt: skip
    runs = [
        _run(
            "dssd_resnet18_01",
            "dssd",
            ("1",),
            epoch=57,
            epochs=80,
            step=61,
            steps=85,
            epoch_s=18.4,
            best=0.742,
        ),
        _run(
            "dino_r50_02",
            "dino",
            ("2", "3"),
            epoch=5,
            epochs=12,
            step=830,
            steps=1200,
            epoch_s=611.0,
            best=0.486,
        ),
        _run("segformer_b2_01", "segformer", (), epoch=0, epochs=40, step=0, steps=0, epoch_s=0, best=0),
    ]
    tails = {
        _id("dssd_resnet18_01"): [
            "Epoch 57/80",
            "61/85 [====================>.........] - ETA: 5s - loss: 1.7293",
        ],
        _id("dino_r50_02"): [
            "Train and Val metrics generated.",
            "Epoch 4:  69%|██████████▍    | 830/1200 [07:02<03:08, 1.96it/s, v_num=1, train_loss_step=7.21]",
        ],
    }
    gib = 1024**3
    gpus = {
        "1": GpuReading("1", "NVIDIA RTX A6000", 21 * gib, 48 * gib, 93),
        "2": GpuReading("2", "NVIDIA RTX A6000", 39 * gib, 48 * gib, 99),
        "3": GpuReading("3", "NVIDIA RTX A6000", 38 * gib, 48 * gib, 98),
    }
    snapshots = [fold(events, events[0].run) for events in runs]
    for line in LiveView(theme.UNICODE, lambda: NOW).lines(
        Picture(snapshots, tails, gpus, _notes(runs, snapshots, gpus), has_keys=True), WIDTH, HEIGHT
    ):
        console.print(line, no_wrap=True)
    target = Path(__file__).with_name("screen.svg")
    drawing = console.export_svg(title="taorunner train")
    drawing = re.sub(r"@font-face \{.*?\}\s*", "", drawing, flags=re.DOTALL)  # no fonts from the network
    target.write_text(drawing, encoding="utf-8")
    print(target)


def _id(name: str) -> str:
    return f"20261120-140000-{name}-train-{crc32(name.encode()) % 16**6:06x}"


def _notes(
    runs: list[list[Event]], snapshots: list[RunSnapshot], gpus: dict[str, GpuReading]
) -> dict[str, RunNotes]:
    trails = Trails()
    for event in (event for events in runs for event in events):
        trails.add(event)
    facts = {run.id: RunFacts("batch", None, 1) for run in snapshots}
    reasons = queue_reasons(
        snapshots, {run.id: run.experiment for run in snapshots}, facts, {}, list(gpus.values())
    )
    return {
        run.id: RunNotes(
            queue=reasons.get(run.id, ""), curves={name: trails.curve(run.id, name) for name in run.metrics}
        )
        for run in snapshots
    }


def _run(
    name: str, head: str, gpus: tuple[str, ...], *, epoch: int, epochs: int, step: int, steps: int, epoch_s: float,
    best: float,
) -> list[Event]:  # fmt: skip
    run_id = _id(name)
    began = NOW - timedelta(seconds=epoch_s * (epoch - 1 + step / (steps or 1)))
    events: list[Event] = [
        RunQueued(
            run=run_id,
            at=began,
            project="example_01",
            experiment=name,
            action="train",
            backend="docker",
            epochs=epochs,
        )
    ]
    if gpus:
        events.append(RunStarted(run=run_id, at=began, image=f"tao-toolkit:{head}", gpus=gpus, handle="1"))
    for number in range(1, epoch):
        at = began + timedelta(seconds=epoch_s * number)
        events.append(
            EpochProgress(run=run_id, at=at, epoch=number, epochs=epochs, completed=True, epoch_s=epoch_s)
        )
        share = number / epochs
        value = best if number == epoch - 3 else best * (0.5 + 0.45 * share)
        events.append(MetricReported(run=run_id, at=at, name="mAP", value=value, epoch=number))
        events.append(
            MetricReported(run=run_id, at=at, name="loss", value=9.0 * (1 - 0.8 * share), epoch=number)
        )
    if epoch:
        for seen in (0, step):
            at = NOW - timedelta(seconds=epoch_s * (step - seen) / steps)
            events.append(
                EpochProgress(run=run_id, at=at, epoch=epoch, epochs=epochs, step=seen, steps=steps)
            )
    return events


if __name__ == "__main__":
    main()
