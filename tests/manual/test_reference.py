"""The generated reference is up to date, and has everything that can be typed, written or printed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.names import network_names
from taorunner.cli.fast.words import GROUPS, ROOT_OPTIONS, TABLE
from taorunner.console.shapes.shapes import COMMANDS, shape_names, shape_schema
from taorunner.errors import ExitCode
from taorunner.manual.codes import explanations
from taorunner.planning.inputs.variables import VARIABLES
from taorunner.progress.causes.table import CAUSES
from taorunner.project.clusters.cluster_schema import clusters_schema
from taorunner.project.schema import experiments_schema

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "taorunner"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def sections(name: str) -> dict[str, str]:
    """The text of each section of a page, by its place."""
    parts = re.split(r"^##+ (.+)$", page(name), flags=re.MULTILINE)
    heads = [head.lower().replace(" ", "-") for head in parts[1::2]]
    return dict(zip(heads, parts[2::2], strict=True))


def test_no_generated_file_is_out_of_date() -> None:
    done = subprocess.run(
        [sys.executable, "tools/reference", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), (
        f"run: python tools/reference\n{done.stdout}{done.stderr}"
    )


def test_every_command_and_option_has_a_place() -> None:
    found = sections("reference/commands.md")
    missing = [name for name in (*TABLE, *GROUPS) if name.replace(" ", "-") not in found]
    for name, command in TABLE.items():
        own = found[name.replace(" ", "-")]
        same = re.search(r"Options: those of \[`[^`]+`\]\(#(\S+)\)", own)
        text = found[same[1] if same else f"options-of-{name.replace(' ', '-')}"]
        words = set(re.findall(r"--?[a-z][a-z-]*", text))
        missing += [f"{name} {option}" for option in command.options if option not in {*words, "--help"}]
    words = set(re.findall(r"--?[A-Za-z][a-z-]*", found["options-of-every-command"]))
    missing += [option for option in ROOT_OPTIONS if option not in {*words, "--help"}]
    assert (missing, len(TABLE) > 60) == ([], True)


def keys(schema: Any) -> Iterator[str]:
    """Every key of a schema that a person writes."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from keys(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from keys(value)


@pytest.mark.parametrize(
    ("name", "schema", "at_least"),
    [("experiments", experiments_schema(()), 40), ("clusters", clusters_schema(), 25)],
)
def test_every_key_has_a_row(name: str, schema: Any, at_least: int) -> None:
    rows = set(re.findall(r"^\| `([^`]+)` \|", page(f"reference/{name}.md"), re.MULTILINE))
    wanted = set(keys(schema)) - {"clusters"}
    assert (wanted - rows, len(wanted) >= at_least) == (set(), True)


def test_every_variable_of_specs_has_a_row() -> None:
    text = page("reference/experiments.md")
    assert [name for name in VARIABLES if f"| `${name}` |" not in text] == []


def test_every_shape_of_json_has_its_fields() -> None:
    text, found = page("reference/json.md"), sections("reference/json.md")
    assert [name for name in shape_names() if name not in found] == []
    fields = {key for name in shape_names() for key in keys(shape_schema(name))}
    rows = {
        part
        for row in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
        for part in re.split(r"[.\[\]*]+", row)
    }
    assert (fields - rows, len(fields) > 250) == (set(), True)
    assert [name for names in COMMANDS.values() for name in names if name not in found] == []


def test_every_exit_code_network_and_cause_has_a_place() -> None:
    text = page("reference/exit-codes.md")
    assert [code.value for code in ExitCode if f"| {code.value} |" not in text] == []
    assert sorted(path.stem for path in (DOCS / "reference/networks").glob("*.md")) == sorted(network_names())
    assert {cause.code for cause in CAUSES} - set(sections("troubleshooting.md")) == set()


def test_every_code_that_the_source_gives_a_finding_has_a_section() -> None:
    """Compared with a plain search, which knows less than the reader of the reference."""
    found = set(sections("reference/findings.md"))
    source = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    plain = set(re.findall(r'Finding\(\s*(?:Severity|severity)[.\w]*,\s*"([a-z0-9-]+)"', source))
    plain |= set(
        re.findall(r'\b(?:error|warning|problem|info)\((?:\w+, )?"([a-z0-9]+(?:-[a-z0-9]+)+)"', source)
    )
    assert (plain - found, len(plain) > 250) == (set(), True)
    assert found == {one.code for one in explanations() if one.kind == "finding"}


def test_every_code_says_something() -> None:
    silent = [one.code for one in explanations() if not one.says and not one.about]
    assert (silent, len(explanations()) > 900) == ([], True)
