"""One block for each row: what is wanted stays as it is, the rest is made after the first block."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from taorunner.specs.editing.proto_blocks import blocks_at, with_blocks
from taorunner.specs.syntax.prototxt_parser import parse_prototxt

MAPPING = """\
dataset_config {
  # class -> class to learn
  target_class_mapping { key: "car" value: "car" }  # small
  target_class_mapping { key: "Van" value: "car" }  # large

  target_class_mapping {
    key: "tram"
    value: "tram"
  }
  other: 1
}
"""


def mapped(names: Sequence[str]) -> list[dict[str, str | int]]:
    return [{"key": name, "value": name} for name in names]


def pairs(text: str) -> list[tuple[object, object]]:
    found = blocks_at(text, "dataset_config.target_class_mapping", ["key", "value"])
    return [(one.about["key"], one.about["value"]) for one in found]


def test_nothing_changes_where_all_is_there() -> None:
    assert (
        with_blocks(MAPPING, "dataset_config.target_class_mapping", mapped(["tram", "van", "car"])) == MAPPING
    )


def test_a_new_one_comes_behind_the_last_one() -> None:
    text = with_blocks(MAPPING, "dataset_config.target_class_mapping", mapped(["car", "van", "tram", "bus"]))
    assert text == MAPPING.replace(
        '    value: "tram"\n  }\n',
        '    value: "tram"\n  }\n  target_class_mapping { key: "bus" value: "bus" }\n',
    )


def test_another_one_takes_the_place_of_what_is_gone() -> None:
    text = with_blocks(MAPPING, "dataset_config.target_class_mapping", mapped(["van", "bus"]))
    assert pairs(text) == [("bus", "bus"), ("Van", "car")]
    assert (
        "# class -> class to learn" in text
        and "# large" in text
        and '"tram"' not in text
        and "other: 1" in text
    )


@pytest.mark.parametrize("names", [["a"], ["a", "b"], list("abcdefgh"), ["car"], ["tram", "x"]])
def test_the_result_has_what_was_wanted(names: list[str]) -> None:
    for text in (
        MAPPING,
        MAPPING.replace("\n", "\r\n"),
        " ".join(line.partition("#")[0] for line in MAPPING.splitlines()),
    ):
        found = with_blocks(text, "dataset_config.target_class_mapping", mapped(names))
        assert sorted(str(key).lower() for key, _ in pairs(found)) == sorted(names)
        again = with_blocks(found, "dataset_config.target_class_mapping", mapped(names))
        assert again == found
        if "\r\n" in text:
            assert found.count("\n") == found.count("\r\n")


def test_open_names_become_names() -> None:
    text = 'a { key: "$FILL_IN" value { n: 0.5 output_map: "$FILL_IN" } }\n'
    found = with_blocks(text, "a", [{"key": "x"}, {"key": 'y"z'}])
    assert found == (
        'a { key: "x" value { n: 0.5 output_map: "x" } }\na { key: "y\\"z" value { n: 0.5 output_map: "y\\"z" } }\n'
    )


def test_texts_of_their_own() -> None:
    text = 'c {\n  names: "a"  # first\n  names: "b"\n}\n'
    assert with_blocks(text, "c.names", [{"key": "b"}, {"key": "d"}, {"key": "e"}]) == (
        'c {\n  names: "d"  # first\n  names: "b"\n  names: "e"\n}\n'
    )
    assert with_blocks('names: ["a", "b"]\n', "names", [{"key": "x"}]) == 'names: ["x"]\n'
    assert with_blocks('names: "a", names: "b"\n', "names", [{"key": "x"}]) == 'names: "x", \n'


def test_a_name_inside_that_is_like_the_class_stays() -> None:
    """A class may have the name of an objective."""
    text = 't { name: "cov" objectives { name: "cov" weight: 1.0 } }\n'
    assert (
        with_blocks(text, "t", [{"name": "car"}])
        == 't { name: "car" objectives { name: "cov" weight: 1.0 } }\n'
    )


def test_numbers_are_compared_as_numbers() -> None:
    text = 't { name: "none" }\nt { name: "road" mapping_class: "way" label_id: 7 }\n'
    rows = [{"label_id": number, "name": f"c{number}", "mapping_class": f"c{number}"} for number in (0, 7, 9)]
    found = with_blocks(text, "t", rows)
    assert found == text + 't { name: "c9" label_id: 9 mapping_class: "c9" }\n'  # without a number: 0


def test_blocks_in_brackets_are_left_alone() -> None:
    text = 'a: [{ key: "x" }, { key: "y" }]\n'
    assert with_blocks(text, "a", [{"key": "z"}]) == text


def test_nothing_to_take_as_a_pattern() -> None:
    assert with_blocks("a { }\n", "a.b", [{"key": "z"}]) == "a { }\n"
    assert with_blocks(MAPPING, "dataset_config.target_class_mapping", []) == MAPPING


def test_colors_differ() -> None:
    text = 'h { key: "a" value { bbox_color { R: 1 G: 2 B: 3 } } }\n'
    found = with_blocks(text, "h", [{"key": "a"}, {"key": "b"}], [(9, 9, 9), (4, 5, 6)])
    assert (
        found.endswith('h { key: "b" value { bbox_color { R: 4 G: 5 B: 6 } } }\n')
        and "R: 1 G: 2 B: 3" in found
    )
    parse_prototxt(found)
