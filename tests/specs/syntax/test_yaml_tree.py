"""Where the nodes of a YAML text begin and end."""

from __future__ import annotations

import pytest

from taorunner.specs.syntax.yaml_tree import YamlNode, read_tree


def value_of(text: str) -> YamlNode:
    root = read_tree(text)
    assert root is not None
    return root.values[0]


@pytest.mark.parametrize(
    ("text", "kind", "written"),
    [
        ("a: 5\n", "scalar", "5"), ("a: !!str 5\n", "scalar", "5"), ("a: &x 5\n", "scalar", "5"),
        ("a: &x !!str '5'\n", "scalar", "'5'"), ("a: !mine {b: 1}\n", "mapping", "{b: 1}"),
        ("a: &x [1, 2]\n", "sequence", "[1, 2]"), ("a: [1, 2]  # c\n", "sequence", "[1, 2]"),
        ('a: "x: y"\n', "scalar", '"x: y"'), ("a: !mine  # why\n  {b: 1}\n", "mapping", "{b: 1}"),
    ],
)  # fmt: skip
def test_a_node_begins_behind_its_anchor_and_its_tag(text: str, kind: str, written: str) -> None:
    node = value_of(text)
    assert (node.kind, text[node.start : node.end]) == (kind, written)


def test_an_alias_is_a_node_of_its_own() -> None:
    text = "a: &x 1\nb: *x\n"
    root = read_tree(text)
    assert root is not None
    alias = root.values[1]
    assert (alias.kind, text[alias.start : alias.end]) == ("alias", "*x")


def test_a_text_without_nodes_has_no_tree() -> None:
    root = read_tree("# nothing\n")
    assert root is None or not root.values
