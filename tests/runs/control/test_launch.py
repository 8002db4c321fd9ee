"""Requests that contradict themselves are refused before anything is planned."""

from __future__ import annotations

import math
from typing import Any

import pytest

from taorunner.errors import TaorunnerError, UsageError
from taorunner.planning.model.request import ActionRequest
from taorunner.runs.control.launch import MAX_GPUS, MAX_RETRIES, LaunchOptions, check_request
from taorunner.runs.state.record import RunPolicy


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"experiments": ()}, "no experiment is named"),
        ({"experiments": ("e2", "e1", "e2")}, 'experiment "e2" is named twice'),
        ({"action": "export", "resume": True}, 'only "train" can be resumed, not "export"'),
        ({"resume": True, "overwrite": True}, "--resume cannot be combined with --overwrite"),
        ({"resume": True, "checkpoint": "a.pth"}, "it cannot be combined with --checkpoint"),
        ({"gpus": -1}, f"gpus must be from 0 to {MAX_GPUS}, not -1"),
        ({"gpus": MAX_GPUS + 1}, f"gpus must be from 0 to {MAX_GPUS}, not {MAX_GPUS + 1}"),
        ({"gpu_ids": ("0", "1", "0")}, "a GPU is named twice: 0, 1, 0"),
        ({"gpus": 1, "gpu_ids": ("0", "1")}, "--gpus 1 and --gpu-indices 0,1 do not agree"),
        ({"all_gpus": True, "gpu_ids": ("0",)}, "--gpus all and --gpu-indices 0 do not agree"),
        ({"checkpoint": "epoch=x"}, '"epoch=x" names no epoch'),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_request(ActionRequest(**{"action": "train", "experiments": ("e1",), **fields}))
    assert message in caught.value.message


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"experiments": ("e1", "e2")}, {"resume": True}, {"overwrite": True}, {"checkpoint": "a.pth"},
        {"gpus": 0}, {"gpus": MAX_GPUS}, {"gpu_ids": ("0", "1")},
        {"gpus": 2, "gpu_ids": ("0", "1")}, {"gpus": 2, "gpu_ids": ()}, {"all_gpus": True}, {"backend": "docker"},
    ],
)  # fmt: skip
def test_any_other_request_is_fine(fields: dict[str, Any]) -> None:
    check_request(ActionRequest(**{"action": "train", "experiments": ("e1",), **fields}))


def test_a_backend_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TaorunnerError, match="nowhere"):
        check_request(ActionRequest("train", ("e1",), backend="nowhere"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parallel": 0}, "parallel must be at least 1, not 0"),
        ({"parallel": 1, "join": "r1"}, "--join cannot be combined with --parallel"),
        ({"grace_s": -0.5}, "the grace period must be at least 0 seconds, not -0.5"),
        ({"grace_s": math.nan}, "the grace period must be at least 0 seconds, not nan"),
        ({"policy": RunPolicy(retries=-1)}, f"retries must be from 0 to {MAX_RETRIES}, not -1"),
        (
            {"policy": RunPolicy(retries=MAX_RETRIES + 1)},
            f"retries must be from 0 to {MAX_RETRIES}, not {MAX_RETRIES + 1}",
        ),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        LaunchOptions(**options).check()
    assert caught.value.message == message


@pytest.mark.parametrize(
    "options",
    [
        {}, {"parallel": 1}, {"join": "r1"}, {"grace_s": 0.0}, {"policy": RunPolicy(retries=0)},
        {"policy": RunPolicy(retries=MAX_RETRIES)},
    ],
)  # fmt: skip
def test_all_other_options_can_be_used(options: dict[str, Any]) -> None:
    LaunchOptions(**options).check()
