"""The short way of ``validate`` gives what the whole command line gives, and leaves it all that is odd."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli
from filled_in import EXAMPLE

TRACED = (sys.executable, "-X", "importtime", "-m", "taorunner")
LONG_WAY = (
    sys.executable,
    "-c",
    "import sys; from taorunner.cli.app import run; code = run(sys.argv[1:]); sys.stdout.flush(); sys.exit(code)",
)
SSD = 'dssd_config { arch: "resnet" nlayers: 18 }\ntraining_config { num_epochs: 2 }\n'


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    """``example_01`` without a problem, ``wrong_01`` with an error, a warning and a note."""
    root = workspace_factory(
        EXAMPLE,
        specs={"dssd_resnet18_01/train.txt": SSD},
        data={"kitti_detection/train/": ""},
        repositories={"pretrained_object_detection/pretrained_object_detection_vresnet18/resnet_18.hdf5": ""},
    )
    other = root / "projects" / "wrong_01"
    shutil.copytree(root / "projects" / "example_01", other)
    file = other / "experiments.yml"
    file.write_text(file.read_text().replace("fp16 ", "fp61 "))
    (other / "notes").mkdir()
    return root


def both(cli: Cli, workspace: Path, words: tuple[str, ...]) -> set[str]:
    """Types the words in both ways, which have to answer alike. Returns the modules that the short one imported."""
    short, long = (cli(*words, cwd=workspace, program=way) for way in (TRACED, LONG_WAY))
    lines = short.err.splitlines(keepends=True)
    said = "".join(line for line in lines if not line.startswith("import time:"))
    assert (short.code, short.out, said) == (long.code, long.out, long.err)
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize(
    "words",
    [
        (), ("--strict",), ("-v",), ("--json", "--verbose"), ("example_01",),
        ("wrong_01", "example_01", "wrong_01", "--strict"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_both_ways_answer_the_same(cli: Cli, workspace: Path, words: tuple[str, ...]) -> None:
    assert "typer" not in both(cli, workspace, ("validate", *words))


@pytest.mark.parametrize(
    "words",
    [
        ("validate", "wrong*"), ("validate", "gone"), ("validate", "--jsno"), ("validate", "--help"),
        ("validate", "-p", "wrong_01"), ("validate", "--", "x"), ("-q", "validate"), ("validate", "--strict=yes"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_anything_odd_goes_the_long_way(cli: Cli, workspace: Path, words: tuple[str, ...]) -> None:
    assert "typer" in both(cli, workspace, words)


def test_outside_of_a_workspace_the_long_way_says_so(cli: Cli, tmp_path: Path) -> None:
    assert "typer" in both(cli, tmp_path, ("validate",))


def test_output_that_cannot_be_written_is_reported(cli: Cli, workspace: Path) -> None:
    program = ("bash", "-c", 'exec "$@" > /dev/full', "bash", sys.executable, "-m", "taorunner")
    done = cli("validate", cwd=workspace, program=program)
    assert done.code == 4
    assert "no space left on device" in done.err.lower()


def test_a_failure_while_printing_prints_nothing_twice(cli: Cli, workspace: Path) -> None:
    """The second write fails, as on a disk that is full for a moment."""
    failing = (
        "import sys\n"
        "from taorunner.__main__ import main\n"
        "class Full:\n"
        "    def __init__(self, stream): self.stream, self.written = stream, 0\n"
        "    def __getattr__(self, name): return getattr(self.stream, name)\n"
        "    def write(self, text):\n"
        "        self.written += 1\n"
        "        if self.written == 2: raise OSError(28, 'No space left on device')\n"
        "        return self.stream.write(text)\n"
        "    def flush(self):\n"
        "        self.stream.flush()\n"
        "        self.written += 1\n"
        "        if self.written == 2: raise OSError(28, 'No space left on device')\n"
        "sys.stdout = Full(sys.stdout)\n"
        "main()\n"
    )
    whole = cli("validate", cwd=workspace)
    done = cli("validate", cwd=workspace, program=(sys.executable, "-c", failing))
    assert (done.code, whole.out.startswith(done.out)) == (4, True), done
    assert "no space left on device" in done.err.lower()
