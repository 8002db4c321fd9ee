"""What was typed for a training: kept in its plan without secrets, and continued by ``resume``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taorunner.container_options import Mount
from taorunner.planning.model.knobs import Knobs
from taorunner.planning.model.plan_codec import decoded, encoded
from taorunner.planning.model.request import ActionRequest
from taorunner.planning.model.typed_settings import TypedSettings, continued_request, typed_settings
from taorunner.project.limits import Limits

KEYS = {"epochs": {"train.num_epochs"}, "lr": {"train.optim.lr"}}
FIRST = ActionRequest(
    "train", ("e",), gpus=2, limits=Limits(nodes=2, time_s=5400), release="7.0.1", image="tao:mine",
    overrides={"train.seed": "7", "dataset.name": "a b"}, knobs=Knobs(epochs=40, lr=0.003), extra=("a=1",),
    env={"A": "1", "B": "env:B", "MY_TOKEN": "s3cret"}, volumes=(Mount(Path("/data"), "/d", read_only=True),),
)  # fmt: skip
TYPED = typed_settings(FIRST)


def resumed(**typed: Any) -> ActionRequest:
    return continued_request(ActionRequest("train", ("e",), resume=True, **typed), "run", TYPED, KEYS)


def test_a_plan_keeps_it_without_secrets() -> None:
    body = encoded(TYPED)
    assert "s3cret" not in str(body)
    assert decoded(TypedSettings, body) == TYPED


def test_it_is_typed_as_words() -> None:
    assert TYPED.of_spec() == "--epochs 40 --lr 0.003 --set train.seed=7 --set 'dataset.name=a b'"
    assert TYPED.words(without={"lr", "dataset.name"}) == (
        "--epochs 40 --set train.seed=7 --release 7.0.1 --image tao:mine --gpus 2 --nodes 2 --time 01:30:00"
        " --env A=1 --env B --volume /data:/d:ro -- a=1"
    )
    assert TypedSettings().words() == ""
    assert TypedSettings(all_gpus=True, gpu_ids=(), limits=Limits(time_s=7200)).words() == (
        "--gpus all --gpu-indices auto --time 2h"
    )


def test_resume_goes_on_with_all_of_it() -> None:
    expected = replace(FIRST, resume=True, continues="run", env={"A": "1", "B": "env:B"})
    assert resumed() == expected


@pytest.mark.parametrize(
    ("typed", "changed"),
    [
        ({"knobs": Knobs(epochs=60)}, {"knobs": Knobs(epochs=60, lr=0.003)}),
        (
            {"overrides": {"train.num_epochs": "60"}},
            {
                "knobs": Knobs(lr=0.003),
                "overrides": {"train.seed": "7", "dataset.name": "a b", "train.num_epochs": "60"},
            },
        ),
        ({"gpu_ids": ("1",)}, {"gpus": None, "gpu_ids": ("1",)}),
        ({"release": "7.1.0"}, {"release": "7.1.0", "image": None}),
        ({"limits": Limits(nodes=1)}, {"limits": Limits(nodes=1, time_s=5400)}),
        ({"env": {"A": "2"}}, {"env": {"A": "2", "B": "env:B"}}),
        ({"extra": ("b=2",)}, {"extra": ("b=2",)}),
    ],
)
def test_what_is_typed_now_counts(typed: dict[str, Any], changed: dict[str, Any]) -> None:
    assert resumed(**typed) == replace(resumed(), **changed)


def test_a_knob_replaces_a_key_that_was_set_before() -> None:
    before = TypedSettings(overrides={"train.num_epochs": "40", "train.seed": "7"})
    request = ActionRequest("train", ("e",), resume=True, knobs=Knobs(epochs=60))
    continued = continued_request(request, "run", before, KEYS)
    assert (continued.overrides, continued.knobs) == ({"train.seed": "7"}, Knobs(epochs=60))
