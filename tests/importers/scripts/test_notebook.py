"""A notebook reads as commands, settings and mounts, each at its line of the file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taorunner.importers.scripts.notebook import (
    Cell,
    CellReader,
    DriveMap,
    Item,
    Setting,
    WrittenFile,
    cells_of,
)
from taorunner.importers.scripts.shell import ShellCommand, Variables


def notebook(*cells: str, indent: int | None = 1) -> str:
    def lines(text: str) -> list[str]:
        return text.splitlines(keepends=True)

    made: list[dict[str, Any]] = [{"cell_type": "markdown", "source": ["!tao in prose"]}]
    made += [{"cell_type": "code", "outputs": [], "source": lines(text)} for text in cells]
    return json.dumps({"cells": made, "nbformat": 4}, indent=indent)


def items(*cells: str) -> list[Item]:
    variables: Variables = {}
    reader = CellReader(variables, "/work")
    found = cells_of(notebook(*cells))
    assert found is not None
    return [item for cell in found for item in reader.items(cell)]


def test_commands_have_the_lines_of_the_file_and_python_fills_in_their_variables() -> None:
    text = notebook("%env KEY=abc\nname = 'x' + \"y\"", "!tao model dino train \\\n  -k $KEY {name} $name")
    cells = cells_of(text)
    assert cells is not None
    reader = CellReader({}, "/work")
    found = [item for cell in cells for item in reader.items(cell)]
    command = found[1]
    assert isinstance(command, ShellCommand)
    assert command.words == ("tao", "model", "dino", "train", "-k", "abc", "xy", "xy")
    assert "tao model" in text.splitlines()[command.line - 1]
    assert isinstance(found[0], Setting) and "%env" in text.splitlines()[found[0].line - 1]


def test_a_mounts_file_is_put_together_from_the_environment() -> None:
    cell = (
        "import os, json\n"
        "os.environ['BASE'] = os.path.join('/data', 'mine')\n"
        "os.environ['SUB'] = f\"{os.environ['BASE']}/sub\"\n"
        "here = {'Mounts': [{'source': os.environ['SUB'], 'destination': '/sub'},\n"
        "                   {'source': os.getcwd(), 'destination': '/here'},\n"
        "                   {'source': asked(), 'destination': '/other'}],\n"
        "        'DockerOptions': {'user': '{}:{}'.format(1, 2), 'odd': asked()}}\n"
        "json.dump(here, open('x', 'w'))\n"
    )
    maps = [item for item in items(cell) if isinstance(item, DriveMap)]
    assert [one.content for one in maps] == [{
        "Mounts": [
            {"source": "/data/mine/sub", "destination": "/sub"}, {"source": "/work", "destination": "/here"},
            {"destination": "/other"},
        ],
        "DockerOptions": {"user": "1:2"},
    }]  # fmt: skip


def test_magics_inside_of_blocks_keep_their_order() -> None:
    cell = "if on_colab():\n    %env A=1\nelse:\n    %env A=2\nb = 'z'\n%env B={b}\n!run $A $B\n"
    found = items(cell)
    assert [item.name for item in found if isinstance(item, Setting)] == ["A", "A", "B"]
    assert [item.words for item in found if isinstance(item, ShellCommand)] == [("run", "2", "z")]


def test_cells_of_bash_and_written_files() -> None:
    found = items("%%bash\nX=1\nrun $X\n", "%%writefile specs/a.yaml\ntrain:\n  x: 1\n")
    assert [item.words for item in found if isinstance(item, ShellCommand) and item.words] == [("run", "1")]
    files = [item for item in found if isinstance(item, WrittenFile)]
    assert [(one.path, one.text) for one in files] == [("specs/a.yaml", "train:\n  x: 1\n")]


def test_a_cell_that_is_no_python_still_has_its_commands() -> None:
    found = items("for broken(:\n!run a\n%env X=1\n")
    assert [item.words for item in found if isinstance(item, ShellCommand)] == [("run", "a")]
    assert [item.name for item in found if isinstance(item, Setting)] == ["X"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"cells": 3}', "[" * 5000, '{"cells": [3, {"cell_type": "code"}]}']
)
def test_what_is_no_notebook_has_no_cells(text: str) -> None:
    assert not cells_of(text)


def test_a_notebook_on_one_line_is_read_too() -> None:
    cells = cells_of(notebook("!run a\n", indent=None))
    assert cells == [Cell("!run a\n", (1,))]
