"""An experiments.yml of any form gets one more experiment, and every other byte stays."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import pytest

from taorunner.planning.experiments_edit import CannotEditError, Edited, NewEntry, with_copy, with_entry
from taorunner.yaml_reader import read_yaml

ENTRY = NewEntry(
    "new", ["  new:", "    head: ssd  # of", "    vars:", "      n: 4"], {"head": "ssd", "vars": {"n": 4}}
)
FORMS = {
    "plain": "experiments:\n  a:\n    head: dino\n    dataset: d\n",
    "no last line end": "experiments:\n  a:\n    head: dino\n    dataset: d",
    "comments behind": "experiments:\n  a:\n    head: dino # x\n    # more: 3\n\n  # outside\n\n# end\n",
    "four blanks": "experiments:\n    a:\n        head: dino\n    b:\n        head: dino\ntao_config:\n    gpus: 1\n",
    "no blanks": "experiments:\n a:\n  head: dino\n",
    "CRLF": "# c\r\nexperiments:\r\n  a:\r\n    head: dino\r\n\r\ntao_config:\r\n  gpus: 1\r\n",
    "flow entry": "experiments:\n  a: {head: dino, dataset: d}  # one\n",
    "flow entries": "experiments: {a: {head: dino}}  # all\ntao_config: {gpus: 1}\n",
    "flow over lines": "experiments: {\n  a: {head: dino},  # one\n}\n",
    "all in braces": "{tao_config: {gpus: 1}, experiments: {a: {head: dino}}}\n",
    "nothing in braces": "{experiments: {}}\n",
    "empty": "tao_config:\n  gpus: 1\nexperiments:\n",
    "empty without line end": "experiments:",
    "empty with a comment": "experiments:  # none yet\n\n# end\n",
    "empty braces": "experiments: {}  # none yet\ntao_config:\n  gpus: 1\n",
    "null": "experiments: ~\ntao_config:\n  gpus: 1\n",
    "no section": "tao_config:\n  gpus: 1\n",
    "only a comment": "# to come\n",
    "anchors": "experiments:\n  a: &a\n    head: dino\n    vars: &v {n: 1}\n  b: *a\n",
    "block text last": "experiments:\n  a:\n    head: dino\n    description: |\n      two\n      lines\ntao_config: {gpus: 1}\n",
    "block text at the end": "experiments:\n  a:\n    head: dino\n    description: >-\n      two\n      lines\n",
    "quoted names": "'experiments':\n  \"a\":\n    head: dino\n",
    "a null entry last": "experiments:\n  a:\n    head: dino\n  b:\n",
    "a list last": "experiments:\n  a:\n    head: dino\n    tags:\n    - x\n    - y\n",
    "a tab before a comment": "experiments:\n  a:\n    head: dino\t# x\n",
    "a document end": "---\nexperiments:\n  a:\n    head: dino\n...\n",
}


def only_added(old: str, new: str) -> bool:
    """No character of ``old`` is missing in ``new``."""
    return all(
        tag in ("equal", "insert") for tag, *_ in difflib.SequenceMatcher(None, old, new, False).get_opcodes()
    )


def name_line(edited: Edited) -> str:
    return edited.text.splitlines()[edited.line - 1]


@pytest.mark.parametrize("form", FORMS)
def test_one_more_experiment_and_every_other_byte(form: str) -> None:
    old = FORMS[form]
    edited = with_entry(old, ENTRY)
    before, after = read_yaml(old).value or {}, read_yaml(edited.text).value
    assert after == {
        **before,
        "experiments": {**(before.get("experiments") or {}), "new": dict(ENTRY.values)},
    }
    assert "new:" in name_line(edited)
    gone = {"empty braces": " {}", "null": " ~", "nothing in braces": ""}.get(form, "")
    assert only_added(old.replace(gone, "", 1), edited.text)
    assert ("\r\n" in edited.text) == ("\r\n" in old)
    assert (
        old.count("\r") + edited.text.count("\n") - old.count("\n") == edited.text.count("\r")
        or "\r" not in old
    )


COPIED = ("plain", "no last line end", "comments behind", "four blanks", "CRLF", "flow entry", "flow entries",
          "flow over lines", "all in braces", "anchors", "block text last", "block text at the end", "quoted names",
          "a list last")  # fmt: skip


@pytest.mark.parametrize("form", COPIED)
def test_a_copy_has_the_entry_with_its_comments(form: str) -> None:
    old = FORMS[form]
    edited = with_copy(old, "new", "a")
    before, after = read_yaml(old).value, read_yaml(edited.text).value
    assert after["experiments"] == {**before["experiments"], "new": before["experiments"]["a"]}
    assert only_added(old, edited.text)
    assert "new" in name_line(edited)
    if form == "comments behind":
        assert "  new:\n    head: dino # x\n    # more: 3\n" in edited.text


@pytest.mark.parametrize(
    "edit", [lambda text: with_entry(text, ENTRY), lambda text: with_copy(text, "new", "a")]
)
def test_the_example_of_a_new_project_goes_when_its_name_is_added(edit: Callable[[str], Edited]) -> None:
    comment = "  # A variation: inherits keys\n  # NAME:\n  #   extends: a\n  #   overrides: {}\n"
    text = f"experiments:\n  a:\n    head: dino\n    # head: rtdetr\n\n{comment}"
    edited = edit(text.replace("NAME", "new"))
    assert "#   extends" not in edited.text and "A variation" not in edited.text
    assert "# head: rtdetr" in edited.text and "new:" in name_line(edited)
    assert "  # other:\n  #   extends: a\n" in edit(text.replace("NAME", "other")).text


def test_lines_stand_as_the_others_do() -> None:
    assert with_entry(FORMS["four blanks"], ENTRY).text == (
        "experiments:\n    a:\n        head: dino\n    b:\n        head: dino\n    new:\n        head: ssd  # of\n"
        "        vars:\n            n: 4\ntao_config:\n    gpus: 1\n"
    )
    assert with_entry(FORMS["plain"], ENTRY).text.endswith(
        "dataset: d\n\n  new:\n    head: ssd  # of\n    vars:\n      n: 4\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "x: &x {a: {head: dino}}\nexperiments: *x\n", "experiments: {\n  # to come\n}\n", "experiments: [a]\n",
        "base: &b {experiments: {a: {head: dino}}}\n<<: *b\n",
    ],
)  # fmt: skip
def test_what_cannot_be_edited_safely_is_refused(text: str) -> None:
    with pytest.raises(CannotEditError):
        with_entry(text, ENTRY)
