"""The names of Typer that are not public, and that we use, are what we take them for.

A failure here means that a new version of Typer changed one. Each sentence says which function of ours must follow.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.completion import get_completion_script

import taorunner
from taorunner.cli.fast.parsing import light_command
from taorunner.cli.fast.scripts import SHELLS

PACKAGE = Path(taorunner.__file__).parent
PARSING = "adapt taorunner/cli/fast/parsing.py"


def demo() -> typer.Typer:
    app = typer.Typer()

    @app.command()
    def run(
        name: str,
        count: Annotated[int, typer.Option()] = 1,
        tag: Annotated[list[str] | None, typer.Option()] = None,
        place: Annotated[Path | None, typer.Option()] = None,
    ) -> str:
        return f"{name} {count} {tag} {place!r}"

    return app


def options() -> dict[str, Any]:
    command = typer.main.get_command(demo())
    return {parameter.name or "": parameter for parameter in command.params}


def test_a_parameter_takes_context_and_value() -> None:
    taken = list(inspect.signature(options()["name"].process_value).parameters)
    assert taken == ["ctx", "value"], f"Parameter.process_value changed: {PARSING}, _process"


def test_a_parameter_has_the_type_of_its_function() -> None:
    found = {name: getattr(one, "type_descriptor", None) for name, one in options().items()}
    if set(found.values()) == {None}:
        pytest.skip(
            "this version of Typer has no type_descriptor: every value goes its own way, which is right"
        )
    assert (found["name"].annotation, found["count"].annotation) == (str, int), (
        f"Parameter.type_descriptor changed: {PARSING}, _process"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["a"],
        ["a", "--count", "3"],
        ["a", "--tag", "x", "--tag", "y"],
        ["a", "--place", "no/such/file"],
        ["a", "--place", "-"],
        ["a", "--place", "/dev/../dev/null"],
    ],
)
def test_values_are_those_that_typer_itself_gives(words: list[str]) -> None:
    light, plain = light_command(demo()), typer.main.get_command(demo())
    assert light.main(words, standalone_mode=False) == plain.main(words, standalone_mode=False), PARSING


def test_a_path_is_made_without_pydantic() -> None:
    program = (
        "import sys; sys.argv = ['taorunner', 'dataset', 'stats', '/', '--workspace', '/', '--from', 'no'];"
        "from taorunner.cli.app import run; run(sys.argv[1:]); sys.exit('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_wrong_number_is_refused_as_typer_does_it() -> None:
    with pytest.raises(Exception, match="valid int"):
        light_command(demo()).main(["a", "--count", "many"], standalone_mode=False)


@pytest.mark.parametrize(
    ("shell", "names"),
    [
        ("bash", {"COMP_WORDS", "COMP_CWORD"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS"}),
        ("fish", {"_TYPER_COMPLETE_ARGS", "_TYPER_COMPLETE_FISH_ACTION"}),
        ("powershell", {"_TYPER_COMPLETE_ARGS", "_TYPER_COMPLETE_WORD_TO_COMPLETE"}),
    ],
)
def test_the_scripts_of_typer_ask_with_the_variables_that_we_read(shell: str, names: set[str]) -> None:
    script = get_completion_script(prog_name="taorunner", complete_var="_TAORUNNER_COMPLETE", shell=shell)
    missing = {name for name in names if name not in script}
    assert missing == set(), (
        f"Typer's script for {shell} changed: adapt _request in taorunner/cli/fast/completion.py"
    )
    assert f"complete_{shell}" in script or "complete_" in script, "adapt main() in taorunner/__main__.py"


def test_scripts_are_made_and_installed_by_these_functions() -> None:
    from typer import _completion_shared as shared

    said = "adapt taorunner/cli/fast/scripts.py"
    assert set(inspect.signature(shared.get_completion_script).parameters) == {
        "prog_name",
        "complete_var",
        "shell",
    }, said
    assert {"prog_name", "complete_var", "shell"} <= set(inspect.signature(shared.install).parameters), said
    assert not inspect.signature(shared._get_shell_name).parameters, said
    assert set(SHELLS) == set(shared._completion_scripts), said


def test_they_are_used_in_no_other_place() -> None:
    private = re.compile(r"process_value|type_descriptor|_TYPER_COMPLETE|typer\._|import click|from click")
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if private.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"cli/fast/completion.py", "cli/fast/parsing.py", "cli/fast/scripts.py"}
