"""What sending a run to MLflow costs the run: a training beside a server that works, is dead, is slow or refuses."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from timing import Measured, print_ratio, taking_turns

import taorunner

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "tracking"))

from played_mlflow import PlayedMlflow  # of the tests

EPOCHS = 60
_DEAD = "http://127.0.0.1:1"


def measure(times: int) -> None:
    played = PlayedMlflow()
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        workspace = taorunner.Workspace.create_example(Path(folder) / "w", images=160, held_out=2)
        taorunner.start(workspace, "shapes", "dataset_convert", "tiny").wait()
        file = workspace.path / "projects/shapes/experiments.yml"
        entries = "".join(
            f"\n  {name}:\n    extends: tiny\n    track: {track}"
            for name, track in {
                "plain": "{}",
                **dict.fromkeys(("working", "slow", "refusing"), f"{{mlflow: {{uri: '{played.address}'}}}}"),
                "dead": f"{{mlflow: {{uri: '{_DEAD}'}}}}",
            }.items()
        )
        file.write_text(f"{file.read_text().rstrip()}{entries}\n")
        for name in ("plain", "working", "slow", "refusing", "dead"):
            taorunner.start(workspace, "shapes", "dataset_convert", name).wait()

        def trained(name: str) -> Callable[[], None]:
            def run() -> None:
                played.always = (401, {}) if name == "refusing" else None
                played.delay_s = 30.0 if name == "slow" else 0.0
                overrides = {"train.num_epochs": EPOCHS}
                batch = taorunner.start(
                    workspace, "shapes", "train", name, overrides=overrides, overwrite=True
                )
                assert batch.wait(), batch.runs[0].reason

            return run

        names = ("plain", "working", "slow", "refusing", "dead")
        plain, *others = taking_turns({name: trained(name) for name in names}, times)
    played.close()
    print(f"a training of {EPOCHS} epochs, its metrics sent to MLflow")
    for one in (
        others
    ):  # the processor time of a supervisor and of what it starts is not that of a child of this one
        name = f"server {one.name} ÷ not sent"
        print_ratio(name, Measured(one.name, one.seconds), Measured(plain.name, plain.seconds), 1.01)
