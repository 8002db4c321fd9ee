"""What an image prints as its schemas is used only when it has the right form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taorunner.images.spec_answer import _MAX_DEPTH, read_answer

KEYS = {
    "train": {"type": "section", "keys": {"epochs": {"type": "int", "default": 3, "min": 1, "max": 9.5}}},
    "sizes": {"type": "list", "of": {"type": "int"}},
    "either": {"any_of": [{"type": "str", "options": ["a"]}, {"type": "float"}], "optional": True},
}
WHOLE: dict[str, Any] = {
    "yaml": {"dino": KEYS, "dino.convert": {}}, "prototxt": {"ssd": {"a": {"type": "str", "many": True}}},
    "failed": {"x": "RuntimeError"}, "packages": {"nvidia_tao_core": None},
}  # fmt: skip
DEEP_CHOICE = '{"any_of": [' * 300 + '{"type": "any"}' + "]}" * 300
DEEP = '{"type": "list", "of": ' * 300 + '{"type": "any"}' + "}" * 300


def test_the_right_form_is_read_as_it_is() -> None:
    assert read_answer(json.dumps(WHOLE).encode()) == WHOLE


@pytest.mark.parametrize(
    "wrong",
    [
        {"yaml": {"../../../precious": KEYS}},
        {"prototxt": {"/tmp/precious": KEYS}},
        {"yaml": {"": KEYS}},
        {"yaml": {"a..b": KEYS}},
        {"yaml": {"x" * 200: KEYS}},
        {"yaml": []},
        {"yaml": {"dino": {"train": 5}}},
        {"yaml": {"dino": {"train": {}}}},
        {"yaml": {"dino": {"train": {"type": "section", "section": 99}}}},
        {"yaml": {"dino": {"train": {"type": "int", "default": 3, "min": "x"}}}},
        {"yaml": {"dino": {"train": {"type": "str", "options": 5}}}},
        {"yaml": {"dino": {"train": {"any_of": 5}}}},
        {"yaml": {"dino": {"train": json.loads(DEEP)}}},
        {"yaml": {"dino": {"train": json.loads(DEEP_CHOICE)}}},
        {"packages": 5},
        {"failed": ["x"]},
        {"failed": {"x": 5}},
    ],
)
def test_any_other_form_is_refused(wrong: dict[str, Any]) -> None:
    assert read_answer(json.dumps({**WHOLE, **wrong}).encode()) is None


@pytest.mark.parametrize("kind", ["keys", "of", "any_of"])
def test_keys_are_nested_so_deep_and_no_deeper(kind: str) -> None:
    def nested(depth: int) -> dict[str, Any]:
        inner: dict[str, Any] = {"type": "any"}
        for _ in range(depth):
            key: Any = {"keys": {"x": inner}, "of": inner, "any_of": [inner]}[kind]
            inner = {kind: key} if kind == "any_of" else {"type": "section", kind: key}
        return {"yaml": {"dino": {"train": inner}}}

    for depth, is_read in ((_MAX_DEPTH - 1, True), (_MAX_DEPTH, False)):
        answer = {**WHOLE, **nested(depth)}
        assert read_answer(json.dumps(answer).encode()) == (answer if is_read else None)


@pytest.mark.parametrize("line", [b"", b"[]", b"5", b"{", b"[" * 100_000, b"\xff", b"{}"])
def test_any_bytes_are_refused(line: bytes) -> None:
    assert read_answer(line) is None
