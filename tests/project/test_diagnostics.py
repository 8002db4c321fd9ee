"""Validation errors of pydantic as findings: message, place, hint, and how many."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from taorunner.errors import Finding, Severity
from taorunner.project.diagnostics import (
    MAX_FINDINGS,
    FindingList,
    Suggestions,
    Vocabulary,
    described,
    report,
    shown,
)
from taorunner.yaml_reader import YamlProblem, read_yaml

FILE = Path("experiments.yml")


class Experiment(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())  # pydantic 2.7 warns of "model_key"

    name: StrictStr
    size: Literal["small", "large"] | None = None
    gpus: list[StrictInt] | StrictInt | None = None
    model_key: StrictStr | None = None
    env: dict[StrictStr, StrictStr] = Field(default_factory=dict)


WORDS = Vocabulary(
    {
        "name": "a text",
        "size": '"small" or "large"',
        "gpus": "a number or a list of numbers",
        "model_key": "a text",
        "env": "a mapping of texts",
    },
    frozenset({"model_key"}),
    lambda key: "write env" if key == "environment" else None,
    lambda key, value: 'write "small"' if (key, value) == ("size", "tiny") else None,
)


def found(text: str) -> list[tuple[str, str, str | None, int | None, int | None]]:
    """Code, message, hint, line and column of each finding of a file with one experiment."""
    document = read_yaml(text)
    to = FindingList(FILE, document.place)
    with pytest.raises(ValidationError) as caught:
        Experiment.model_validate(document.value["e1"])
    report(caught.value, document.value["e1"], ("e1",), WORDS, to)
    assert all(one.severity is Severity.ERROR and one.file == FILE for one in to.sorted())
    return [(one.code, one.message, one.hint, one.line, one.column) for one in to.sorted()]


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ("name: 5.0", ("wrong-type", '"name" must be a text, not the number 5.0', None, 2, 9)),
        ("name:", ("wrong-type", '"name" must be a text, not nothing', "write a value, or remove the line", 2, 8)),
        ("name: [a]", ("wrong-type", '"name" must be a text, not a list', None, 2, 9)),
        ("name: {a: 1}", ("wrong-type", '"name" must be a text, not a mapping', None, 2, 9)),
        ("gpus: 1", ("missing-key", '"name" is missing', 'write "name"', 1, 1)),
        ("name: x\n  nmae: y", ("unknown-key", 'unknown key "nmae"', 'did you mean "name"?', 3, 3)),
        ("name: x\n  environment: {}", ("unknown-key", 'unknown key "environment"', "write env", 3, 3)),
        ("name: x\n  size: big", ("wrong-value", '"size" must be "small" or "large", not "big"', None, 3, 9)),
        ("name: x\n  size: tiny", ("wrong-value", '"size" must be "small" or "large", not "tiny"', 'write "small"', 3, 9)),
        ("name: x\n  size: 'small '", ("wrong-value", '"size" must be "small" or "large", not "small "', "remove the blanks around it", 3, 9)),
        ("name: x\n  gpus: two", ("wrong-type", '"gpus" must be a number or a list of numbers, not "two"', None, 3, 9)),
        ("name: x\n  gpus: [0, two]", ("wrong-type", '"gpus" cannot hold "two": "gpus" must be a number or a list of numbers', None, 3, 13)),
        ("name: x\n  gpus: [0, [1]]", ("wrong-type", '"gpus" must be a number or a list of numbers, not a list', None, 3, 13)),
        ("name: x\n  model_key: 1234", ("wrong-type", '"model_key" must be a text, not the number ***', "put it in quotes", 3, 14)),
        ("name: x\n  env: {A: 1}", ("wrong-type", '"env.A" cannot hold the number 1: "env" must be a mapping of texts', None, 3, 12)),
        ("name: x\n  env: {1: a}", ("wrong-name", '"1" in "env" is the number 1, but a name must be a text: put it in quotes', None, 3, 9)),
        ("name: x\n  7: a", ("wrong-name", "a key must be a text, not the number 7", "put it in quotes", 3, 3)),
        ("name: x\n  true: a", ("wrong-name", "a key must be a text, not true", "put it in quotes", 3, 3)),
    ],
)  # fmt: skip
def test_one_finding_at_its_place(body: str, finding: tuple[object, ...]) -> None:
    assert found(f"e1:\n  {body}\n") == [finding]


def test_every_mistake_is_reported_once_in_the_order_of_the_file() -> None:
    text = "e1:\n  size: 1\n  gpus: [a, b]\n  7: x\n  8: x\n  env: {1: a, B: 2}\n"
    assert [(one[0], one[3], one[4]) for one in found(text)] == [
        ("missing-key", 1, 1),
        ("wrong-value", 2, 9),
        ("wrong-type", 3, 10),
        ("wrong-type", 3, 13),
        ("wrong-name", 4, 3),
        ("wrong-name", 5, 3),
        ("wrong-name", 6, 9),
        ("wrong-type", 6, 18),
    ]


@pytest.mark.parametrize(
    ("value", "secret", "text"),
    [
        (None, False, "nothing"),
        (True, False, "true"),
        (False, True, "false"),
        (3, False, "the number 3"),
        (3, True, "the number ***"),
        (1e400, False, "the number Infinity"),
        (10**30 - 1, False, f"the number {'9' * 30}"),
        (10**30, False, "the number with more than 30 digits"),
        (-(10**30), False, "the number with more than 30 digits"),
        ("", False, "an empty text"),
        ("x", False, '"x"'),
        ("x", True, "a text"),
        ([1], False, "a list"),
        ({}, False, "a mapping"),
    ],
)
def test_values_in_words(value: object, secret: bool, text: str) -> None:
    assert described(value, secret=secret) == text


def test_a_long_text_is_shortened_and_cannot_control_the_terminal() -> None:
    assert shown("x" * 60) == "x" * 60
    assert shown("x" * 61) == "x" * 60 + "…"
    assert shown("a\x1b[2J\tb") == "a\ufffd[2J\\tb"


def nowhere(path: Any, *, of_key: bool = False) -> tuple[int, int]:
    return (1, 1)


def test_findings_are_bounded_and_those_left_out_are_counted() -> None:
    to = FindingList(FILE, nowhere)
    for number in range(MAX_FINDINGS + 3):
        to.error("wrong-value", f"mistake {number}", (number,))
    assert len(to.findings) == MAX_FINDINGS
    *_, before, last = to.sorted()
    assert before.message == f"mistake {MAX_FINDINGS - 1}"
    assert (last.code, last.message) == ("too-many-findings", "3 more problems, not shown")
    assert last.hint == "correct the first ones and run it again"


def test_no_places_are_searched_for_findings_that_are_not_kept() -> None:
    asked: list[object] = []

    def place_of(path: Any, *, of_key: bool = False) -> tuple[int, int]:
        asked.append((path, of_key))
        return (1, 1)

    to = FindingList(FILE, place_of)
    to.add(Severity.WARNING, "code", "text", ("a",), of_key=True)
    assert asked == [(("a",), True)]
    to.findings *= MAX_FINDINGS
    to.error("code", "text", ("b",))
    assert (len(asked), to.left_out) == (1, 1)


def test_equal_findings_are_shown_once() -> None:
    to = FindingList(FILE, nowhere)
    to.error("code", "text")
    to.error("code", "text")
    assert to.sorted() == (Finding(Severity.ERROR, "code", "text", None, FILE, 1, 1),)


def test_problems_of_the_reader_are_cleaned_and_shortened() -> None:
    to = FindingList(FILE, nowhere)
    to.take(
        [YamlProblem("yaml-syntax", "\x1b" + "x" * 299, 2, 3, "a hint"), YamlProblem("b", "y" * 301, 4, 1)]
    )
    first, second = to.sorted()
    assert first == Finding(Severity.ERROR, "yaml-syntax", "\ufffd" + "x" * 299, "a hint", FILE, 2, 3)
    assert second.message == "y" * 300 + "…"


def test_near_names_are_searched_until_the_budget_is_spent() -> None:
    some = Suggestions()
    many = [f"name{number}" for number in range(5_000)]
    assert some.find("name17x", many) == 'did you mean "name17"?'
    assert some.find(17, ["17"]) is None
    assert some.nearest("nmae", ["name"] * 4_999) == "name"  # 10,000 comparisons by now
    assert some.nearest("nmae", ["name"]) is None
    assert some.find("nmae", ["name"]) is None
