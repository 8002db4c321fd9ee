"""A shell script reads as commands with lines and words, and its variables are followed as far as they are plain."""

from __future__ import annotations

import pytest

from taorunner.importers.scripts.shell import ShellCommand, ShellReader, Variables


def read(text: str, **known: str) -> list[ShellCommand]:
    variables: Variables = {name: [value] for name, value in known.items()}
    return list(ShellReader(text, variables, folder="/scripts").commands())


def words(text: str, **known: str) -> list[tuple[str, ...]]:
    return [command.words for command in read(text, **known) if command.words]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tao a b \\\n  -e x \\\n  -r y\n", [("tao", "a", "b", "-e", "x", "-r", "y")]),
        ("# tao a\ntao b # tao c\n", [("tao", "b")]),
        ("a 'b c' \"d e\"f g\\ h", [("a", "b c", "d ef", "g h")]),
        ("a && b || c; d | e & f", [("a",), ("b",), ("c",), ("d",), ("e",), ("f",)]),
        ("if a; then b; else c; fi", [("a",), ("b",), ("c",)]),
        ("sudo time a", [("a",)]),
        ("a > out.txt 2>&1 < in.txt", [("a",)]),
        ("(cd x && a)", [("cd", "x"), ("a",)]),
        (
            'case "$1" in\n  train|eval) a ;;\n  *) b ;;\nesac\n',
            [("case", "$1", "in"), ("a",), ("b",), ("esac",)],
        ),
        ("a 'not closed", [("a", "not closed")]),
        ('a "', [("a", "")]),
        ("", []),
        ("\\", []),
        ("a $(date +%F) `hostname`", [("a", "$(date", "+%F)", "`hostname`")]),
        ("a $1 $@ ${x#*.}", [("a", "$1", "$@", "${x#*.}")]),
    ],
)
def test_commands_and_words(text: str, expected: list[tuple[str, ...]]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X=1\na $X ${X}2 $Y", [("a", "1", "12", "$Y")]),
        ("export A=x B=y\na $A$B", [("a", "xy")]),
        ("X='p q'\na $X \"$X\"", [("a", "p", "q", "p q")]),
        ('X=\na $X "$X" b', [("a", "", "b")]),
        ("a ${X:-other} ${K:-other}", [("a", "other", "known")]),
        ("D=${N:-$K/sub}\na $D", [("a", "known/sub")]),
        ("X=(--one 'two three'\n  --four)\na \"${X[@]}\"", [("a", "--one", "two three", "--four")]),
        ("X=a\nX+=b\na $X", [("a", "ab")]),
        ("a '$K' \"\\$K\"", [("a", "$K", "$K")]),
        ('D=$(cd "$(dirname "$0")/.." && pwd)\na $D/x', [("a", "/scripts/../x")]),
        ("a $(pwd)/x", [("a", "$(pwd)/x")]),
    ],
)
def test_variables_are_filled_in(text: str, expected: list[tuple[str, ...]]) -> None:
    assert words(text, K="known") == expected


def test_lines_assignments_and_documents_are_kept_apart() -> None:
    text = "\nA=1\nB=2 run x\ncat > spec.yaml <<EOF\ntrain:\n  a: $A\nEOF\nlast\n"
    assert read(text) == [
        ShellCommand(2, (), ("A",)),
        ShellCommand(3, ("run", "x"), ("B",), (("B", "2"),)),
        ShellCommand(4, ("cat",), (), (), ("spec.yaml",), "train:\n  a: 1"),
        ShellCommand(8, ("last",)),
    ]


def test_values_that_double_do_not_grow_without_end() -> None:
    text = "A=aaaaaaaa\n" + "A=$A$A\n" * 60 + "run $A\n"
    assert len(words(text)[0][1]) <= 16_384
