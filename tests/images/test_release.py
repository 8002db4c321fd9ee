"""From a source tree to its release image: version, wheel, tag; and the tree is as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_engine import ScriptedEngine

from taorunner.engine import client
from taorunner.errors import MachineError, TaorunnerError, UserFilesError
from taorunner.images.release import Release, build_release, find_release, read_version
from taorunner.images.trial import Trial
from taorunner.images.wheel import WheelBuilder, wheel_command

VERSION = """\
MAJOR = "6"
MINOR = "25"
PATCH = "10"
PRE_RELEASE = ''
import os
raise SystemExit("this file is not to be run")
__package_name__ = "nvidia-tao-small"
"""
SETUP = """\
import setuptools
setuptools.setup(name="nvidia-tao-small", version="6.25.10", packages=["small"])
"""
HAND_MADE = """\
import sys, zipfile
assert sys.argv[1:3] == ["egg_info", "--egg-base"] and sys.argv[-3:-1] == ["bdist_wheel", "--dist-dir"], sys.argv
import os
os.makedirs(sys.argv[-1])
with zipfile.ZipFile(sys.argv[-1] + "/small-1-py3-none-any.whl", "w") as wheel:
    wheel.write("small/__init__.py")
print("made by uid", os.getuid())
"""


def can_build(python: str) -> bool:
    command = [python, "-c", "import setuptools.command.bdist_wheel"]
    either = [python, "-c", "import setuptools, wheel"]
    return any(
        subprocess.run(one, capture_output=True, check=False).returncode == 0 for one in (command, either)
    )


@pytest.fixture(scope="session")
def python() -> str:
    """A Python that has what setup.py needs."""
    for found in (sys.executable, "/usr/bin/python3"):
        if Path(found).exists() and can_build(found):
            return found
    pytest.skip("no Python here with setuptools that can build wheels")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Its Dockerfile builds from no image: see ``buildable``."""
    root = tmp_path / "tree"
    files = {
        "setup.py": SETUP,
        "release/python/version.py": VERSION,
        "release/docker/Dockerfile": "FROM scratch\nCOPY dist/*.whl /wheels/\nCOPY small /src\n",
        "small/__init__.py": "NAME = 'small'\n",
        "dist/old-1.0-py3-none-any.whl": "of an earlier build",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def buildable(tree: Path, noop_image: str) -> Path:
    dockerfile = tree / "release/docker/Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("scratch", noop_image))
    return tree


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_a_release_image_has_the_new_wheel_and_nothing_old(
    connected: client.Engine, buildable: Path, engine: Any, python: str
) -> None:
    tree = buildable
    before = everything(tree)
    release = find_release(tree)
    assert (release.version, release.package) == ("6.25.10", "nvidia-tao-small")
    tag = release.tag(suffix="py3-01")
    assert tag == "nvidia-tao-small:v6.25.10-py3-01"
    log: list[str] = []
    done = build_release(connected, release, tag, log.append, builder=WheelBuilder(python))
    assert done.to_json() == {
        "image": tag, "id": done.id, "wheel": "nvidia_tao_small-6.25.10-py3-none-any.whl", "version": "6.25.10",
    }  # fmt: skip
    assert engine.docker("run", "--rm", tag, "ls", "/wheels").stdout.split() == [done.wheel]
    assert everything(tree) == before
    engine.docker("rmi", "-f", tag)


def test_the_wheel_is_built_in_a_container(
    connected: client.Engine, buildable: Path, engine: Any, tao_image: Callable[..., str]
) -> None:
    tree = buildable
    (tree / "setup.py").write_text(HAND_MADE)
    caller = f"{os.getuid()}:{os.getgid()}"
    builder = WheelBuilder(inside=Trial(tao_image("pyt_7"), (), caller, gpus=0))
    log: list[str] = []
    done = build_release(connected, find_release(tree), "taorunner-test/rel:1", log.append, builder=builder)
    assert done.wheel == "small-1-py3-none-any.whl"
    assert f"made by uid {os.getuid()}" in log
    engine.docker("rmi", "-f", "taorunner-test/rel:1")


def test_a_wheel_that_cannot_be_built(connected: client.Engine, tree: Path, python: str) -> None:
    before = everything(tree)
    (tree / "setup.py").write_text("import nothing_of_the_kind\n")
    log: list[str] = []
    with pytest.raises(UserFilesError) as caught:
        build_release(connected, find_release(tree), "x:1", log.append, builder=WheelBuilder(python))
    assert caught.value.message == (
        f"the wheel of \"{tree}\" cannot be built here: ModuleNotFoundError: No module named 'nothing_of_the_kind'"
    )
    assert any("import nothing_of_the_kind" in line for line in log)
    assert everything(tree) == before
    with pytest.raises(MachineError, match='there is no command "no-python" on PATH'):
        build_release(connected, find_release(tree), "x:1", log.append, builder=WheelBuilder("no-python"))


def test_a_tree_without_setup_py_is_built_by_build(tmp_path: Path) -> None:
    assert wheel_command(tmp_path, Path("/out"), "python3") == [
        "python3", "-m", "build", "--wheel", "--outdir", "/out/dist", str(tmp_path),
    ]  # fmt: skip


def test_all_that_a_tree_lacks_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserFilesError) as caught:
        find_release(tmp_path)
    assert [one.code for one in caught.value.findings] == ["no-project", "no-dockerfile", "missing-file"]
    with pytest.raises(UserFilesError, match="there is no folder"):
        find_release(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "info", "expected"),
    [
        (VERSION, None, ("6.25.10", "nvidia-tao-small")),
        (VERSION, "77\n", ("6.25.77", "nvidia-tao-small")),
        ('MAJOR = 5\nMINOR = 0\nPATCH = "1"\nPRE_RELEASE = "rc1"\n', None, ("5.0.1rc1", "python")),
        ('__version__ = "1.2"\n', None, ("1.2", "python")),
        (VERSION, " \n", ("6.25.10", "nvidia-tao-small")),
        ("MAJOR = 1\nMINOR = 2\nPATCH = 3\n", "4", ("1.2.4", "python")),
        ('MAJOR = 1\n__version__ = "4"\n', "5", ("4", "python")),
        ('MAJOR = MINOR = PATCH = 7\n__version__ = "4"\n', None, ("7.7.7", "python")),
        ('MAJOR, MINOR, PATCH = 1, 2, 3\na.MAJOR = 1\n__version__ = "4"\n', None, ("4", "python")),
        ("if True:\n    MAJOR = 1\nMINOR = PATCH = 1\n__version__ = 12\n", None, ("12", "python")),
        ('MAJOR = MINOR = 1\nPATCH = True\n__version__ = "4"\n', None, ("4", "python")),
        ('MAJOR = MINOR = 1\nPATCH = None\n__version__ = "4"\n', None, ("4", "python")),
        ('MAJOR = MINOR = 1\nPATCH = 1.5\n__version__ = "4"\n', None, ("4", "python")),
    ],
)
def test_versions(tmp_path: Path, text: str, info: str | None, expected: tuple[str, str]) -> None:
    file = tmp_path / "python" / "version.py"
    file.parent.mkdir()
    file.write_text(text)
    build_info = tmp_path / "build.info"
    if info is not None:
        build_info.write_text(info)
    assert read_version(file, build_info) == expected


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("MAJOR = 1\n", "no-version", 1),
        ("x = 1\nMAJOR =\n", "version-unreadable", 2),
        ("MAJOR = os.environ['X']\nMINOR = 1\nPATCH = 2\n", "no-version", 1),
        ("x" + "(" * 500, "version-unreadable", 1),
        ("\x00", "version-unreadable", 1),
        ("__version__ = ''\n", "no-version", 1),
        ("__version__ = True\n", "no-version", 1),
    ],
)
def test_version_files_that_tell_none(tmp_path: Path, text: str, code: str, line: int) -> None:
    file = tmp_path / "version.py"
    file.write_text(text)
    with pytest.raises(UserFilesError) as caught:
        read_version(file, tmp_path / "build.info")
    assert [(one.code, one.file, one.line) for one in caught.value.findings] == [(code, file, line)]


def test_what_a_tree_lacks_has_its_place(tree: Path) -> None:
    (tree / "setup.py").rename(tree / "pyproject.toml")
    assert find_release(tree).tree == tree
    (tree / "pyproject.toml").unlink()
    with pytest.raises(UserFilesError) as caught:
        find_release(tree, tree / "Dockerfile.other")
    assert caught.value.message == f'"{tree}" cannot be released'
    assert [(one.code, one.message, one.hint, one.file) for one in caught.value.findings] == [
        ("no-project", "neither setup.py nor pyproject.toml exists", None, tree),
        (
            "no-dockerfile",
            f"there is no {tree / 'Dockerfile.other'}",
            "give the release Dockerfile with -f",
            tree,
        ),
    ]
    (tree / "setup.py").touch()
    (tree / "Dockerfile.other").touch()
    assert find_release(tree, tree / "Dockerfile.other").dockerfile == tree / "Dockerfile.other"


def test_a_version_becomes_a_tag(tree: Path) -> None:
    (tree / "release/python/version.py").write_text('__version__ = "1.2+local 3"\n__package_name__ = "p"\n')
    assert find_release(tree).tag("nvcr.io/org/name") == "nvcr.io/org/name:v1.2-local-3"


def test_other_places_of_the_files(tree: Path) -> None:
    shutil.move(tree / "release/docker/Dockerfile", tree / "release/docker/Dockerfile.release")
    assert find_release(tree).dockerfile == tree / "release/docker/Dockerfile.release"
    shutil.move(tree / "release/python/version.py", tree / "v.py")
    assert find_release(tree, version_file=tree / "v.py").version == "6.25.10"


def test_the_wheel_of_setuptools_is_one(tree: Path, connected: client.Engine, python: str) -> None:
    from taorunner.images.wheel import built_wheel

    with built_wheel(connected, tree, WheelBuilder(python), lambda line: None) as wheel:
        with zipfile.ZipFile(wheel) as opened:
            assert opened.read("small/__init__.py") == b"NAME = 'small'\n"
        folder = wheel.parent.parent
    assert not folder.exists()


def test_names_of_release_images() -> None:
    release = Release(Path(), Path(), "6.25+local", "tao")
    assert release.tag() == "tao:v6.25-local"
    assert release.tag("r.io/tao", "rc 1") == "r.io/tao:v6.25-local-rc-1"
    assert len(release.tag("r", "x" * 200)) == len("r:") + 128


def test_the_wheel_is_built_with_the_python_that_was_named(scripted: ScriptedEngine, tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("raise SystemExit('not reached')\n")
    release = Release(tmp_path, tmp_path / "Dockerfile", "1", "tao")
    with pytest.raises(TaorunnerError, match="no-such-python"):
        build_release(client.connect(), release, "tao:1", print, builder=WheelBuilder("no-such-python"))
