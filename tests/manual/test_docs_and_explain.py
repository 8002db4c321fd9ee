"""``docs`` and ``explain`` print the manual in the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from people import Cli

from taorunner.console.pages.manual.manual_view import manual_lines
from taorunner.manual.codes import explained, explanations
from taorunner.manual.pages import pages

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_docs_lists_every_page_with_its_title(cli: Cli, tmp_path: Path) -> None:
    done = cli("docs", cwd=tmp_path)
    rows = dict(line.split(None, 1) for line in done.out.splitlines())
    assert (done.code, done.err) == (0, "")
    assert sorted(rows) == sorted(p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.md"))
    assert rows["reference/exit-codes"] == "Exit codes"


@pytest.mark.parametrize("topic", ["reference/exit-codes", "exit-codes", "exit-codes.md", "Exit-Codes"])
def test_a_page_is_found_by_its_topic_or_the_end_of_it(topic: str, cli: Cli, tmp_path: Path) -> None:
    done = cli("docs", topic, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "Exit codes"
    at = lines.index("  70")
    assert lines[at + 1 : at + 3] == [
        "      A fault of taorunner itself. Runs are not affected.", "      send the file that the message names",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("docs", "swepes"), 'no page "swepes"', 'did you mean "sweeps"?'),
        (("explain", "unknown-kye"), 'no code "unknown-kye"', 'did you mean "unknown-key"?'),
        (("explain", "xyzzyplugh"), 'no code "xyzzyplugh"', ""),
    ],
)
def test_an_unknown_word_names_the_nearest_one(
    words: tuple[str, ...], message: str, hint: str, cli: Cli, tmp_path: Path
) -> None:
    done = cli(*words, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert message in done.err and hint in done.err


def test_explain_prints_what_is_said_with_a_code(cli: Cli, tmp_path: Path) -> None:
    done = cli("explain", "[unknown-key]", cwd=tmp_path)
    (one,) = explained("unknown-key")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == "unknown-key"
    assert [message for message, _ in one.says if message not in done.out] == []
    assert cli("explain", "unknown-key", "--json", cwd=tmp_path).json == [one.to_json()]


def test_explain_knows_a_code_of_findings_and_failures(cli: Cli, tmp_path: Path) -> None:
    both = {one.code for one in explanations() if one.kind == "finding"} & {
        one.code for one in explanations() if one.kind == "failure"
    }
    code = sorted(both)[0]
    assert [one["kind"] for one in cli("explain", code, "--json", cwd=tmp_path).json] == [
        "finding",
        "failure",
    ]


def test_pages_fit_the_width_outside_of_blocks() -> None:
    for page in pages():
        prose = re.sub(r"^```.*?^```", "", page.text(), flags=re.MULTILINE | re.DOTALL)
        long_words = {word for word in prose.split() if len(word) > 60}
        lines = [
            line.plain
            for line in manual_lines(prose, 80)
            if not any(w[:60] in line.plain for w in long_words)
        ]
        assert [line for line in lines if len(line) > 120] == [], page.topic
