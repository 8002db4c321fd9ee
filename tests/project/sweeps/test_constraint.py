"""The language of ``together``."""

from __future__ import annotations

import pytest

from taorunner.project.sweeps.constraint import ConstraintError, parse_constraint

VALUES = {"dataset.batch_size": 8, "gpus": 4, "model.kind": "big", "model.parts[0].n": 3, "train.flag": True}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("dataset.batch_size * gpus <= 32", True),
        ("dataset.batch_size * gpus < 32", False),
        ("1 <= gpus <= 4 and model.kind == 'big'", True),
        ("1 <= gpus < dataset.batch_size <= 7", False),
        ("not model.kind == 'big' or gpus % 2 == 1", False),
        ("-gpus + 2 * (dataset.batch_size - 1) // 3 == 0", True),
        ("model.parts[0].n / 2 == 1.5", True),
        ("train.flag == true", True),
        ("gpus / 0 > 1", False),
        ("model.kind < 3", False),
    ],
)
def test_conditions(text: str, holds: bool) -> None:
    assert parse_constraint(text).holds(VALUES) is holds


@pytest.mark.parametrize(
    "text",
    [
        "", "gpus", "import os", "__import__('os').system('x') == 1", "gpus.bit_length() < 3", "[1] == [1]",
        "gpus ** 9 < 2", "lambda: 1", "a if b else c", "x[y] < 1", "gpus < 1; gpus > 1", "(" * 300 + "1" + ")" * 300,
        "f'{gpus}' == '4'", "a is b", "gpus in (1, 2)", "a" * 600 + " < 1",
    ],
)  # fmt: skip
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ConstraintError):
        parse_constraint(text)


def test_a_text_is_not_multiplied() -> None:
    assert parse_constraint("model.kind * 1000000000 == 'x'").holds(VALUES) is False


def test_names_are_those_it_reads() -> None:
    assert parse_constraint("model.parts[0].n < gpus * a.b and true == true").names == (
        "model.parts[0].n",
        "gpus",
        "a.b",
    )
