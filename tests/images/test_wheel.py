"""The wheel of a source tree: how it is built, what is said of a failure, and what stays in the tree."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from scripted_engine import Container, Image, ScriptedEngine, frame

from taorunner.engine.client import connect
from taorunner.errors import UserFilesError
from taorunner.images.trial import Trial
from taorunner.images.wheel import WheelBuilder, built_wheel, wheel_command

SETUP = """\
import pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--dist-dir") + 1])
folder.mkdir()
for place in ("tao.egg-info", "build"):
    pathlib.Path(place).mkdir(exist_ok=True)
assert pathlib.Path(sys.argv[sys.argv.index("--egg-base") + 1]).is_dir()
(folder / "tao-1.whl").write_text("wheel")
print("built it")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "setup.py").write_text(SETUP)
    return folder


def test_a_wheel_is_built_here_and_leaves_nothing_in_the_tree(tree: Path, scripted: ScriptedEngine) -> None:
    said: list[str] = []
    with built_wheel(connect(), tree, WheelBuilder(sys.executable), said.append) as wheel:
        assert (wheel.name, wheel.read_text()) == ("tao-1.whl", "wheel")
    assert not wheel.exists()
    assert [path.name for path in tree.iterdir()] == ["setup.py"]
    assert said[0].startswith(f"building the wheel: {sys.executable} setup.py egg_info")
    assert said[1:] == ["built tao-1.whl"]


def test_what_was_in_the_tree_before_stays(tree: Path, scripted: ScriptedEngine) -> None:
    (tree / "build").mkdir()
    with built_wheel(connect(), tree, WheelBuilder(sys.executable), print):
        pass
    assert sorted(path.name for path in tree.iterdir()) == ["build", "setup.py"]


@pytest.mark.parametrize(
    ("setup", "reason", "lines"),
    [
        ("print('a\\n' * 30)\nraise SystemExit('no torch')\n", "no torch", 20),  # the last ones
        ("print('fine')\n", "the build made none", 0),
        (f"{SETUP}raise SystemExit('no torch')\n", "no torch", 2),  # after it had made one
    ],
)
def test_a_build_that_makes_no_wheel_is_an_error(
    tree: Path, scripted: ScriptedEngine, setup: str, reason: str, lines: int
) -> None:
    (tree / "setup.py").write_text(setup)
    said: list[str] = []
    with (
        pytest.raises(UserFilesError) as caught,
        built_wheel(connect(), tree, WheelBuilder(sys.executable), said.append),
    ):
        pass
    assert caught.value.message == f'the wheel of "{tree}" cannot be built here: {reason}'
    assert len(said) == 1 + lines  # the first says what is done


@pytest.mark.parametrize(
    ("output", "code", "reason", "lines"),
    [
        (frame("stdout", b"one\ntw") + frame("stderr", b"bad\n") + frame("stdout", b"o"), 3, "two", ["one", "bad", "two"]),
        (b"", 3, "ended with code 3", []),
        (frame("stdout", b"fine\n"), 0, "the build made none", ["fine"]),
    ],
)  # fmt: skip
def test_a_failed_build_in_an_image_is_told_by_its_last_line(
    tree: Path, scripted: ScriptedEngine, output: bytes, code: int, reason: str, lines: list[str]
) -> None:
    scripted.images["base:1"] = Image("sha256:b")
    scripted.template = Container(says=output, code=code)
    said: list[str] = []
    builder = WheelBuilder("python3", Trial("base:1", (), "1:1", gpus=0))
    with pytest.raises(UserFilesError) as caught, built_wheel(connect(), tree, builder, said.append):
        pass
    assert caught.value.message == f'the wheel of "{tree}" cannot be built in "base:1": {reason}'
    assert said[1:] == lines
    assert scripted.containers == {}


def test_without_setup_py_the_program_build_is_used(tree: Path) -> None:
    there = Path("/out")
    assert wheel_command(tree, there, "py")[:3] == ["py", "setup.py", "egg_info"]
    (tree / "setup.py").unlink()
    without = ["py", "-m", "build", "--wheel", "--outdir", "/out/dist", str(tree)]
    assert wheel_command(tree, there, "py") == without
    assert wheel_command(tree, there, "py", has_setup=True)[1] == "setup.py"


def test_a_link_that_the_build_puts_in_the_place_of_a_wheel_is_none(
    tree: Path, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    """It would be read on this machine, and pushed with the image."""
    (tmp_path / "secret.whl").write_text("secret")
    python = tmp_path / "python"
    python.write_text(
        f"#!/bin/sh\nfor word; do folder=$word; done\nmkdir $folder\nln -s {tmp_path}/secret.whl $folder/x.whl\n"
    )
    python.chmod(0o755)
    with (
        pytest.raises(UserFilesError, match="the build made none"),
        built_wheel(connect(), tree, WheelBuilder(str(python)), print),
    ):
        pass
