"""Light parsing gives what Typer alone gives: every value, every refusal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import pytest
import typer

from taorunner.cli.fast.parsing import light_command

LINES = [
    ["one"],
    ["one", "two", "--text", "x", "-t", "y"],
    ["--switch", "one", "--no-other"],
    ["one", "--text="],
    ["one", "--many", "a=1", "--many", "b=2"],
    ["one", "--number", "7", "--path", "/x"],
    ["one", "--number", "7.5"],
    ["one", "--number", "99"],
    ["one", "--number"],
    ["one", "--bounded", "-1"],
    ["one", "--unknown"],
    ["one", "--called", "x"],
    ["-p", "root", "one"],
    [],
    [""],
    ["--", "--switch"],
]


CALLS: list[dict[str, Any]] = []


def note(context: typer.Context, value: Optional[str]) -> Optional[str]:  # noqa: UP045
    CALLS.append({"called": value})
    return value and value.upper()


def make_app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)

    @app.callback()
    def root(project: Annotated[Optional[str], typer.Option("-p")] = None) -> None:  # noqa: UP045
        CALLS.append({"project": project})

    @app.command()
    def act(
        names: list[str],
        text: Annotated[Optional[str], typer.Option("--text", "-t")] = None,  # noqa: UP045
        many: Annotated[Optional[list[str]], typer.Option()] = None,  # noqa: UP045
        number: Annotated[Optional[int], typer.Option(min=0, max=64)] = None,  # noqa: UP045
        bounded: Annotated[float, typer.Option(min=0)] = 30.0,
        path: Annotated[Optional[Path], typer.Option()] = None,  # noqa: UP045
        called: Annotated[Optional[str], typer.Option(callback=note)] = None,  # noqa: UP045
        switch: bool = False,
        other: bool = True,
    ) -> None:
        CALLS.append(dict(locals()))

    return app


def outcome(command: Any, line: list[str]) -> tuple[list[dict[str, Any]], str]:
    CALLS.clear()
    try:
        command(args=list(line), prog_name="p", standalone_mode=False)
        said = ""
    except Exception as error:  # whichever copy of Click's classes Typer has
        said = f"{type(error).__name__}: {error}"
    return list(CALLS), said


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_the_same_values_and_refusals_as_without_us(line: list[str]) -> None:
    words = line if line[:1] == ["-p"] else ["act", *line]
    words = [*line[:2], "act", *line[2:]] if line[:1] == ["-p"] else words
    plain = outcome(typer.main.get_command(make_app()), words)
    assert outcome(light_command(make_app()), words) == plain


@pytest.mark.parametrize("words", [["ps"], ["networks", "dssd"], ["runs", "list", "--json"], ["logs", "x"]])
def test_plain_words_load_no_validator(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "projects").mkdir()
    script = (
        f"import sys\nfrom taorunner.cli.app import run\nrun({words!r})\n"
        "print('pydantic' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.splitlines()[-1] == "False"
