"""The pages of ``man`` have every command with its options, and ``groff`` has nothing to say about them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from taorunner.cli.fast.words import GROUPS, TABLE
from taorunner.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "share" / "man" / "man1"
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def plain(name: str) -> str:
    return (PAGES / f"{name}.1").read_text(encoding="utf-8").replace("\\-", "-")


def test_there_is_a_page_for_each_group() -> None:
    assert {path.stem for path in PAGES.glob("*.1")} == {
        "taorunner",
        *(f"taorunner-{name}" for name in GROUPS),
    }


def test_every_command_has_a_section_with_its_options() -> None:
    missing = []
    for name, command in TABLE.items():
        group = name.split()[0] if " " in name else ""
        page = plain(f"taorunner-{group}" if group else "taorunner")
        section = re.search(
            rf"^\.SS {re.escape(name)}\n(.*?)(?=^\.S[SH] |\Z)", page, re.MULTILINE | re.DOTALL
        )
        text = section[1] if section else ""
        missing += [
            f"{name} {option}" for option in command.options if option != "--help" and option not in text
        ]
    assert (missing, len(TABLE) > 60) == ([], True)


def test_exit_codes_are_those_of_the_program() -> None:
    after = plain("taorunner").partition(".SH EXIT STATUS")[2].partition(".SH")[0]
    assert [int(code) for code in re.findall(r"\\fB(\d+)\\fR", after)] == [code.value for code in ExitCode]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_warns_of_nothing() -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", *sorted(PAGES.glob("*.1"))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stderr, "TAORUNNER-RUNS(1)" in done.stdout) == ("", True)


def test_pages_scripts_and_the_manual_are_in_the_wheel() -> None:
    assert '"share" = "share"' in PYPROJECT and '"docs" = "taorunner/manual/pages"' in PYPROJECT
    for path in ("bash-completion/completions/taorunner", "zsh/site-functions/_taorunner"):
        assert "_TAORUNNER_COMPLETE=complete_" in (ROOT / "share" / path).read_text(encoding="utf-8")
