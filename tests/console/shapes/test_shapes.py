"""The schemas of what is printed with ``--json``: valid, complete, and equal to the types that they describe."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from taorunner import events
from taorunner.cli.fast.words import TABLE
from taorunner.console.pages.sync_view import _facts
from taorunner.console.shapes.notation import references, schema_of
from taorunner.console.shapes.shapes import COMMANDS, shape_names, shape_schema
from taorunner.engine.images import Image
from taorunner.errors import Finding, Severity
from taorunner.events import RunState
from taorunner.images.lock import Change, LockedImage
from taorunner.images.pull import Pulled
from taorunner.images.push import Pushed
from taorunner.images.spec_sync import Synced
from taorunner.pretrained.ngc import RemoteFile
from taorunner.pretrained.pull import Pulled as PulledWeights

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
OF_EACH_KIND = [
    events.RunQueued(run="r", at=AT, project="p", experiment="e", action="train", backend="docker", epochs=3),
    events.ImagePulling(run="r", at=AT, image="i", layers_done=1, layers=2, bytes_done=3),
    events.ImagePulled(run="r", at=AT, image="i", digest="sha256:a"),
    events.RunWaiting(run="r", at=AT, reason="Priority"),
    events.RunStarted(run="r", at=AT, image="i", gpus=("0", "1"), handle="h"),
    events.LogLine(run="r", at=AT, text="x"),
    events.EpochProgress(run="r", at=AT, epoch=1, epochs=2, eta_s=1.5),
    events.MetricReported(run="r", at=AT, name="loss", value=0.5, epoch=1),
    events.CheckpointSaved(run="r", at=AT, path="/a"),
    events.Notice(run="r", at=AT, level="info", code="c", text="t"),
    events.RunFinished(run="r", at=AT, state=RunState.FAILED, reason="why", exit_code=1),
]


def strict(schema: Any) -> Any:
    """The schema with no further keys: one that is printed and not described is found."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if "properties" in schema and isinstance(schema["properties"], dict) and schema.get("type") == "object":
        closed["additionalProperties"] = False
    return closed


def check(value: Any, name: str) -> None:
    Draft202012Validator(strict(shape_schema(name))).validate(value)


@pytest.mark.parametrize("name", shape_names())
def test_each_schema_is_one_with_a_version(name: str) -> None:
    schema = shape_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:taorunner:json:{name}:1"
    assert schema["title"] == f"{name} of taorunner, version 1"
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate(5)


def test_every_command_with_json_has_its_shapes() -> None:
    assert sorted(COMMANDS) == sorted(name for name, command in TABLE.items() if "--json" in command.options)
    assert {shape for shapes in COMMANDS.values() for shape in shapes} == set(shape_names())


def test_events_of_every_kind_fit() -> None:
    kinds = {ref["$ref"].rpartition("/")[2] for ref in shape_schema("events")["oneOf"]}
    assert kinds == {type(event).__name__ for event in OF_EACH_KIND}
    for event in OF_EACH_KIND:
        check(json.loads(events.to_json_line(event)), "events")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e-9])
def test_metrics_that_are_no_numbers_fit(value: float) -> None:
    check(json.loads(events.to_json_line(replace(OF_EACH_KIND[7], value=value))), "events")


@pytest.mark.parametrize(
    "change",
    [{"event": "Other"}, {"epoch": "1"}, {"epoch": None}, {"more": 1}, {"at": None}, {"eta_s": "nan"}],
)
def test_other_events_do_not_fit(change: dict[str, Any]) -> None:
    body = json.loads(events.to_json_line(OF_EACH_KIND[6]))
    with pytest.raises(ValidationError):
        check({**body, **change}, "events")


def test_findings_fit() -> None:
    for severity in Severity:
        whole = Finding(severity, "c", "m", "h", Path("a"), 1, 2)
        check([whole.to_json(), Finding(severity, "c", "m").to_json()], "findings")
    with pytest.raises(ValidationError):
        check([{**Finding(Severity.ERROR, "c", "m").to_json(), "severity": "fatal"}], "findings")


def test_what_needs_an_engine_or_a_server_fits() -> None:
    image = Image("sha256:1", None, 5, None)
    check([Pulled("a:1", image, is_new=True).to_json()], "pulled-images")
    for change in Change:
        check([LockedImage("a", "sha256:1", None, change).to_json()], "locked-images")
    check(Pushed("a:1", "sha256:1", Path("m.json")).to_json(), "pushed-image")
    weights = PulledWeights("m", Path("f"), (RemoteFile("a", 1, None),), 5)
    check([weights.to_json()], "pulled-weights")
    check(
        [_facts(Synced("a:1", "sha256:1", None, schemas=(), failed={"x": "why"}, packages={"p": None}))],
        "synced",
    )


def test_the_notation() -> None:
    assert schema_of("int?") == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert schema_of("a|b?") == {"enum": ["a", "b", None]}
    assert schema_of(["any"]) == {"type": "array", "items": {}}
    assert schema_of({"*": "bool"}) == {"type": "object", "additionalProperties": {"type": "boolean"}}
    assert schema_of({"a": "str", "b?": "@c"}) == {
        "type": "object", "properties": {"a": {"type": "string"}, "b": {"$ref": "#/$defs/c"}}, "required": ["a"],
    }  # fmt: skip
    assert references({"a": ["@x?"], "b": {"*": "@y"}, "c": "@x"}) == ["x", "y"]
    with pytest.raises(KeyError):
        schema_of("text")
