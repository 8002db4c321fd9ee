"""An installation without extras: what the embedded network needs is said when a project for it is made."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest
from command_line import Cli

NEEDS = (
    "warning: the embedded network needs numpy, pillow, onnx, which are not installed [embedded-packages]\n"
    "  hint: pip install 'taorunner[embedded]'\n"
)


@pytest.fixture
def plain(tmp_path: Path) -> list[str]:
    """The program with the packages of this environment but those of the extra."""
    packages = tmp_path / "packages"
    packages.mkdir()
    sources = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")} | {
        Path(one) for one in sys.path if one.endswith("site-packages")
    }
    for source in sources:
        for entry in source.iterdir():
            if (
                entry.name.partition(".")[0] not in ("numpy", "PIL", "onnx")
                and not (packages / entry.name).exists()
            ):
                (packages / entry.name).symlink_to(entry)
    src = Path(__file__).parents[3] / "src"
    code = f"import sys; sys.path += [{str(src)!r}, {str(packages)!r}]; from taorunner.__main__ import main; main()"
    return [sys.executable, "-S", "-c", code]


def test_the_default_network_says_what_it_needs(cli: Cli, plain: list[str], tmp_path: Path) -> None:
    made = cli("init-project", "p", cwd=tmp_path, program=plain)
    assert made.code == 0, made
    assert NEEDS in made.err
    assert (tmp_path / "projects/p/experiments.yml").exists()
    quiet = cli("-q", "init-project", "q", "--head", "tinydet", cwd=tmp_path, program=plain)
    assert (quiet.code, quiet.err) == (0, NEEDS)
    added = cli("-p", "p", "add", "more", "--head", "tinydet", cwd=tmp_path, program=plain)
    assert (added.code, NEEDS in added.err) == (0, True)


def test_a_network_of_tao_needs_none(cli: Cli, plain: list[str], tmp_path: Path) -> None:
    made = cli("init-project", "p", "--head", "rtdetr", cwd=tmp_path, program=plain)
    assert (made.code, "embedded" in made.err) == (0, False), made


def test_nothing_is_said_where_they_are_installed(cli: Cli, tmp_path: Path) -> None:
    made = cli("init-project", "p", cwd=tmp_path)
    assert (made.code, "embedded-packages" in made.err) == (0, False), made
