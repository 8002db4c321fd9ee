"""Events to one JSON line and back."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taorunner.events import (
    CheckpointSaved,
    EpochProgress,
    Event,
    ImagePulled,
    ImagePulling,
    LogLine,
    MetricReported,
    Notice,
    RunFinished,
    RunQueued,
    RunStarted,
    RunState,
    RunWaiting,
    from_json_line,
    now,
    to_json_line,
)  # fmt: skip

AT = datetime(2026, 11, 20, 9, 5, 7, 123456, tzinfo=timezone.utc)
EVENTS: list[Event] = [
    RunQueued(run="r", at=AT, project="p", experiment="e", action="train", backend="docker", epochs=80),
    ImagePulling(
        run="r", at=AT, image="i:1", layers_done=1, layers=3, bytes_done=10, bytes_total=None, eta_s=1.5
    ),
    ImagePulled(run="r", at=AT, image="i:1", digest="sha256:0"),
    RunStarted(run="r", at=AT, image="i:1", gpus=("1", "GPU-3f"), handle="c0"),
    LogLine(run="r", at=AT, text='a "quoted" line'),
    EpochProgress(
        run="r", at=AT, epoch=3, epochs=80, step=1, steps=2, completed=True, epoch_s=1.0, eta_s=9.0
    ),
    MetricReported(run="r", at=AT, name="mAP", value=0.5, epoch=3),
    RunWaiting(run="r", at=AT, reason="no GPU is free"),
    CheckpointSaved(run="r", at=AT, path="/a/b.hdf5", epoch=3),
    Notice(run="r", at=AT, level="warning", code="nan-loss", text="the loss is NaN"),
    RunFinished(
        run="r", at=AT, state=RunState.FAILED, reason="out of memory", exit_code=1, hint="smaller batch"
    ),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_there_and_back(event: Event) -> None:
    line = to_json_line(event)
    assert "\n" not in line
    assert from_json_line(line) == event


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_compare_by_value(event: Event) -> None:
    same = replace(event)
    assert event == same and hash(event) == hash(same) and repr(event) == repr(same)
    other = replace(event, run="another")
    assert event != other and repr(event) != repr(other)
    assert event not in [one for one in EVENTS if one is not event]
    with pytest.raises(FrozenInstanceError):
        event.run = "another"  # type: ignore[misc]


def test_an_event_is_shown_with_its_fields() -> None:
    shown = f"ImagePulled(run='r', at={AT!r}, image='i:1', digest='sha256:0')"
    assert repr(EVENTS[2]) == shown


def test_which_states_end_a_run() -> None:
    final = {RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED, RunState.LOST}
    assert {state for state in RunState if state.is_final} == final


def test_times_are_aware_utc() -> None:
    assert now().utcoffset() == timedelta(0)
    assert abs(now() - datetime.now(timezone.utc)) < timedelta(minutes=1)


def test_letters_are_not_escaped_and_events_are_values() -> None:
    event = LogLine(run="r", at=AT, text="größer")
    assert '"text": "größer"' in to_json_line(event)
    assert len({event, LogLine(run="r", at=AT, text="größer")}) == 1
    with pytest.raises(AttributeError):
        event.text = "other"  # type: ignore[misc]


def test_the_shape_that_scripts_read() -> None:
    body = json.loads(to_json_line(EVENTS[5]))
    assert (body["event"], body["run"], body["at"]) == (
        "EpochProgress",
        "r",
        "2026-11-20T09:05:07.123456+00:00",
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_json_has_no_word_for(value: float) -> None:
    line = to_json_line(MetricReported(run="r", at=AT, name="loss", value=value))
    json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    event = from_json_line(line)
    assert isinstance(event, MetricReported)
    assert event.value == value or (math.isnan(event.value) and math.isnan(value))


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "null", "7", '{"event": "Unknown", "run": "r", "at": "2026-11-20T09:05:07+00:00"}',
     '{"event": "LogLine", "run": "r"}', '{"event": ["x"]}',
     '{"event": "LogLine", "run": "r", "at": "never", "text": ""}'],
)  # fmt: skip
def test_what_is_no_event_is_none(line: str) -> None:
    assert from_json_line(line) is None


def test_unknown_keys_of_a_newer_program_are_ignored() -> None:
    body = {**json.loads(to_json_line(EVENTS[4])), "colour": "blue"}
    assert from_json_line(json.dumps(body)) == EVENTS[4]


@given(st.text())
def test_any_line_is_read_without_a_crash(line: str) -> None:
    from_json_line(line)
