"""The blocks of pages that nobody follows step by step: YAML is what the program accepts, output has the form that it prints.

``<!-- not run: REASON -->`` before a block of commands says why they are not typed here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import followed_page
import pytest
import yaml
from filled_in import fill_in
from test_tutorials import problem

from taorunner.cli.app import run

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOLLOWED = {
    *DOCS.glob("start/*.md"),
    *DOCS.glob("how-to/*.md"),
    *(DOCS / f"{n}.md" for n in ("index", "scripts", "faq")),
}
"""By tests/manual/test_tutorials.py."""
GENERATED = {*DOCS.glob("reference/**/*.md"), DOCS / "troubleshooting.md"}
PAGES = sorted({*DOCS.rglob("*.md")} - FOLLOWED - GENERATED)
ELSEWHERE = {
    ("add-a-network", "yaml"), ("add-a-failure-cause", "python"), ("add-a-failure-cause", "yaml"),
    ("add-a-dataset-format", "python"),  # tests/docs/test_guides.py
    ("library", "python"),  # tests/api/test_examples.py
}  # fmt: skip


class Block(NamedTuple):
    page: str
    line: int
    mark: str
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page}-{self.line}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(page.stem, line, found[1] or "", found[2], found[3])


NOT_THERE = {"missing-dataset", "missing-specs"}
ALL = [*blocks()]
YAML = [b for b in ALL if b.language == "yaml" and (b.page, "yaml") not in ELSEWHERE and not b.mark]


def whole(text: str) -> dict[str, object]:
    """A block of YAML as a file: what it leaves out is put around it."""
    document = yaml.safe_load(text)
    if "clusters" in document:
        return dict(document)
    if "container" in document:  # part of backend_options
        document = {"tao_config": {"backend": "slurm", "backend_options": document}}
    return {"experiments": {"rtdetr_01": {"head": "rtdetr", "dataset": "parts"}}, **document}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pages")
    before = Path.cwd()
    os.chdir(root)
    assert (
        run(["-q", "init-project", "parts", "--head", "rtdetr", "--experiment", "rtdetr_01", "--no-weights"])
        == 0
    )
    fill_in(root / "projects/parts")
    os.chdir(before)
    return root


def found_in(text: str, workspace: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What ``validate`` has against a file; data and specs of further experiments are not there."""
    document = whole(text)
    name = "clusters.yml" if "clusters" in document else "projects/parts/experiments.yml"
    path = workspace / name
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    try:
        capsys.readouterr()
        run(["validate", "--json"])
        found = json.loads(capsys.readouterr().out)
    finally:
        path.write_text(before, encoding="utf-8") if before is not None else path.unlink()
    about = [
        one
        for one in found
        if Path(one["file"] or "").name == path.name and (one["severity"] != "info" or name == "clusters.yml")
    ]
    return [f"{one['code']}: {one['message']}" for one in about if one["code"] not in NOT_THERE]


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.name)
def test_a_file_that_a_page_shows_is_accepted(
    block: Block, workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    assert found_in(block.text, workspace, capsys) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("clusters:\n  dgx: {backend: slurm, partitoin: gpu}\n", "clusters-broken"),
        ("container: {runtime: pyxsis}\n", "wrong-value"),
        ("tao_config: {track: {mlflow: {urI: x}}}\n", "unknown-key"),
        (
            "sweeps: {a: {base: rtdetr_01, trials: 0, space: {train.optim.lr: {choice: [1.0e-4]}}}}\n",
            "wrong-value",
        ),
    ],
)
def test_a_file_with_a_mistake_is_noticed(
    text: str, code: str, workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    assert [one.partition(":")[0] for one in found_in(text, workspace, capsys)] == [code]


def test_every_program_and_test_of_a_block_is_there() -> None:
    words = {(b.name, word) for b in ALL if b.language == "sh" for word in b.text.split()}
    paths = {
        (name, word.partition("::")[0])
        for name, word in words
        if re.match(r"\.?/?(tests|tools|examples)/", word)
    }
    assert ([one for one in paths if not (DOCS.parent / one[1]).exists()], len(paths) > 15) == ([], True)


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.name)
def test_a_command_with_its_output_exists(block: Block) -> None:
    lines = [line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ taorunner ")]
    assert problem(followed_page.Block("", "sh", "", "\n".join(lines))) == []


def test_every_block_is_run_or_says_why_not() -> None:
    silent = [
        block.name
        for block in ALL
        if block not in YAML
        and (block.page, block.language) not in ELSEWHERE
        and not block.mark.startswith("not run: ")
    ]
    assert silent == []


def test_no_mark_is_without_a_block() -> None:
    for page in PAGES:
        marks = len(re.findall(r"^<!-- not run: ", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert marks == sum(block.page == page.stem and block.mark != "" for block in ALL), page.name
