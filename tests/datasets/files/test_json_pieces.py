"""Lists are read in pieces as the standard library reads them whole, and every value keeps its line and column."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from taorunner.datasets.files import json_pieces
from taorunner.datasets.files.json_pieces import (
    JsonSource,
    NotInPiecesError,
    place_in_json,
    read_in_pieces,
)
from taorunner.errors import MachineError

LISTS = ("images", "annotations")
VALUES = (
    {"id": 1, "bbox": [1.5, 2e3, -3, 0], "s": 'é"\\ },{ ]', "n": None, "deep": [{"a": [{}, {"b": []}]}]},
    {"id": 2},
    [1, [2]],
    "},",
    12,
    {"nan": float("nan"), "big": 10**30},
    {"half": "\ud800"},
)


def document(seed: int) -> tuple[str, dict[str, Any]]:
    chance = random.Random(seed)
    value: dict[str, Any] = {"info": {"year": 2017, "é": "ü"}}
    for key in LISTS:
        kinds = VALUES if chance.random() < 0.3 else VALUES[:2]
        value[key] = [chance.choice(kinds) for _ in range(chance.choice((0, 1, 50)))]
    value["categories"] = [{"id": 1, "name": "car"}]
    if chance.random() < 0.3:
        value["annotations"] = None
    indent = chance.choice((None, 1))
    return json.dumps(value, indent=indent, ensure_ascii=chance.random() < 0.5), value


@pytest.mark.parametrize("number", range(60))
@pytest.mark.parametrize("piece_bytes", [16, 100, 5000])
def test_pieces_are_what_the_whole_text_is(number: int, piece_bytes: int) -> None:
    text, value = document(number)
    data = text.encode("utf-8", "surrogatepass")
    if "\ud800" in text:
        with pytest.raises(NotInPiecesError):
            read_in_pieces(JsonSource(data), LISTS, piece_bytes)
        return
    read = read_in_pieces(JsonSource(data), LISTS, piece_bytes)
    lists = {key: list(read.elements(key)) for key in read.lists}
    assert repr({**read.values, **lists}) == repr({key: value[key] for key in (*read.values, *lists)})
    assert {*read.values, *lists} == {*value}
    for key, elements in lists.items():
        for index, element in enumerate(elements):
            for steps in ((key, index), *([(key, index, "id")] if isinstance(element, dict) else ())):
                assert read.place(steps) == place_in_json(text, steps), steps
    assert read.place(("categories", 0, "name")) == place_in_json(text, ("categories", 0, "name"))


@pytest.mark.parametrize("number", range(40))
def test_damaged_text_is_left_to_the_standard_library(number: int) -> None:
    chance = random.Random(number)
    data = bytearray(document(chance.choice((2, 3, 5)))[0].encode("utf-8", "surrogatepass"))
    for _ in range(chance.choice((1, 2))):
        data[chance.randrange(len(data))] = chance.choice(b'{}[],:"0x\xff \\')
    try:
        value = json.loads(bytes(data).decode())
        is_object = isinstance(value, dict)
    except ValueError:
        is_object = False
    if is_object:
        read = read_in_pieces(JsonSource(bytes(data)), LISTS, 64)
        lists = {key: list(read.elements(key)) for key in read.lists}
        assert repr(sorted({**read.values, **lists}.items())) == repr(sorted(value.items()))
    else:
        with pytest.raises(ValueError):
            read_in_pieces(JsonSource(bytes(data)), LISTS, 64)


def test_a_number_of_thousands_of_digits_is_left_to_the_standard_library() -> None:
    text = '{"images": [{"id": ' + "9" * 20_000 + '}], "annotations": []}'
    with pytest.raises(NotInPiecesError):
        read_in_pieces(JsonSource(text.encode()), LISTS)


def test_a_file_that_changes_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": [{"id": number} for number in range(200_000)]}))
    read = read_in_pieces(JsonSource(path), LISTS)
    path.write_text("{}")
    with pytest.raises(MachineError, match="was changed while it was read"):
        list(read.elements("images"))


@pytest.mark.parametrize("indent", [None, 2])
def test_the_end_of_a_list_is_found_without_decoding_value_by_value(
    indent: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last values of a list lie in one window with the beginning of what follows."""
    slowly: list[int] = []
    one_by_one = json_pieces._one_by_one

    def noted(window: bytes) -> tuple[int, int] | None:
        found = one_by_one(window)
        slowly.append(found[0] if found is not None else 0)
        return found

    monkeypatch.setattr(json_pieces, "_one_by_one", noted)
    value = {key: [{"id": number, "s": "]} , ["} for number in range(3000)] for key in LISTS}
    data = json.dumps({**value, "categories": [{"id": 1}]}, indent=indent).encode()
    read = read_in_pieces(JsonSource(data), LISTS, 20_000)
    assert {key: list(read.elements(key)) for key in LISTS} == value
    assert sum(slowly) <= 1
