"""One bar of Keras: which step it is at, and whether it ends an epoch and in how many seconds."""

from __future__ import annotations

import pytest

from taorunner.contracts import ProgressContract
from taorunner.progress.console.lines import ConsoleParser
from taorunner.progress.hints import MetricHint, ProgressHint


def steps(line: str, *, trains: bool = True, epoch: str = "Epoch 2/3\n") -> list[tuple[object, ...]]:
    """Epoch, epochs, step, steps, whether it is completed, and its seconds."""
    parser = ConsoleParser(ProgressContract(console="keras"), trains=trains)
    found = parser.feed(f"{epoch}{line}\n".encode())
    return [
        (one.epoch, one.epochs, one.step, one.steps, one.completed, one.epoch_s)
        for one in found
        if isinstance(one, ProgressHint) and one.step is not None
    ]


@pytest.mark.parametrize(
    ("line", "step", "of", "completed", "seconds"),
    [
        ("85/85 [==============================] - 34s 400ms/step - loss: 1.0", 85, 85, True, 34.0),
        ("85/85 [==============================] - 34s", 85, 85, True, 34.0),
        ("86/85 [==============================] - 34s 1s/step", 86, 85, True, 34.0),
        ("84/85 [=============================>] - 34s 400ms/step - loss: 1.0", 84, 85, False, None),
        ("84/85 [=============================>] - ETA: 0s - loss: 1.0", 84, 85, False, None),
        ("85/85 [==============================] - ETA: 0s - loss: 1.0", 85, 85, False, None),
        ("9/Unknown - 3s 300ms/step - loss: 1.0", 9, None, False, None),
    ],
)
def test_a_bar_of_a_training(
    line: str, step: int, of: int | None, completed: bool, seconds: float | None
) -> None:
    assert steps(line) == [(2, 3, step, of, completed, seconds)]
    # before the first epoch is named it is a bar of something else
    assert steps(line, epoch="") == []
    # an action without epochs has the steps of one
    assert steps(line, epoch="", trains=False) == [(1, 1, step, of, False, None)]


@pytest.mark.parametrize("step", [84, 85])
def test_metrics_of_a_bar_are_running_until_its_epoch_ends(step: int) -> None:
    parser = ConsoleParser(ProgressContract(console="keras"))
    found = parser.feed(f"Epoch 2/3\n{step}/85 [====>] - 34s 1s/step - loss: 1.5 - val_loss: 2.5\n".encode())
    assert [one for one in found if isinstance(one, MetricHint)] == [
        MetricHint("loss", 1.5, 2, running=step < 85), MetricHint("val_loss", 2.5, 2, running=step < 85),
    ]  # fmt: skip
