"""What may lie in the place of experiments.yml: always a finding, never a traceback or a wait."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.errors import Finding
from taorunner.project.load import Project, load_project
from taorunner.project.workspace import Workspace

Load = Callable[[str | bytes], Project]
GOOD = b"experiments:\n  e:\n    head: dssd\n    dataset: kitti\n"


def only(project: Project) -> Finding:
    assert len(project.findings) == 1, project.findings
    return project.findings[0]


@pytest.fixture
def file(workspace: Workspace) -> Path:
    return workspace.project("p").experiments_file


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n"),
        GOOD.rstrip(),
    ],
    ids=["byte order mark", "windows lines", "both", "no last newline"],
)
def test_what_editors_on_windows_write_is_read(load: Load, content: bytes) -> None:
    project = load(content)
    assert (project.findings, list(project.experiments)) == ((), ["e"])
    assert project.place(("experiments", "e", "dataset")) == (4, 14)


@pytest.mark.parametrize(
    ("content", "code", "message", "place"),
    [
        (
            b"a: 1\nb: \xc3\xa4\xff\n",
            "not-utf8",
            '"experiments.yml" is not UTF-8 text: byte 10 is 0xFF',
            (2, 5),
        ),
        (b"\xef\xbb\xbfa: \xff", "not-utf8", '"experiments.yml" is not UTF-8 text: byte 6 is 0xFF', (1, 5)),
        (GOOD.decode().encode("utf-16"), "not-utf8", '"experiments.yml" is UTF-16 text', (1, 1)),
        (b"a: 1\nb: x\0y\n", "not-text", "the character U+0000 is not allowed in YAML", (2, 5)),
        (b"\x7fELF\x02\x01\x01\0\0", "not-text", "the character U+007F is not allowed in YAML", (1, 1)),
        (b"experiments:\n\te:\n", "yaml-syntax", None, (2, 1)),
        (b"experiments:\n  e: {head: dssd\n  f: 1\n", "yaml-syntax", None, (3, 4)),
        (b"a: {b: env:X}\n%YAML 1.2", "yaml-syntax", None, (1, 11)),
        (b"a: *nothing\n", "unknown-alias", 'alias "*nothing" has no anchor before it', (1, 4)),
        (b"{a: [}", "yaml-syntax", None, (1, 6)),
    ],
)
def test_text_that_is_not_yaml(
    load: Load, content: bytes, code: str, message: str | None, place: tuple[int, int]
) -> None:
    finding = only(load(content))
    assert (finding.code, (finding.line, finding.column)) == (code, place)
    assert finding.message == (message or finding.message)


def test_an_unknown_alias_and_a_second_document_get_a_hint(load: Load) -> None:
    hint = 'mark the value with "&no" above, or write the text in quotes: "*no"'
    assert only(load("a: *no\n")).hint == hint
    hint = "keep one document in a file: remove this line, and move what follows to a file of its own"
    assert only(load("a: 1\n---\nb: 2\n")).hint == hint


def test_tabs_get_a_hint(load: Load) -> None:
    assert only(load("experiments:\n\te: 1\n")).hint == "indent with blanks, not tabs"


def test_bomb_of_aliases_is_refused_quickly(load: Load) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    start = time.process_time()
    finding = load("\n".join(lines)).findings[0]
    assert time.process_time() - start < 10
    assert (finding.code, finding.hint) == ("too-many-aliases", "write the values out, or use extends")


def test_bomb_of_aliased_experiments_is_bounded(load: Load) -> None:
    base = "head: dssd, dataset: k, vars: {" + ", ".join(f"v{i}: 1" for i in range(90)) + "}"
    many = "\n".join(f"  e{i}: *base" for i in range(10_000))
    start = time.process_time()
    project = load(f"experiments:\n  base: &base {{{base}}}\n{many}")
    assert time.process_time() - start < 10
    assert [one.code for one in project.findings] == ["too-many-aliases"]


def test_deep_nesting_is_refused(load: Load) -> None:
    assert load("experiments: " + "[" * 5000).findings[0].code == "too-deep"


def test_huge_file_is_refused_by_its_size_without_being_read(workspace: Workspace, file: Path) -> None:
    with file.open("wb") as handle:
        handle.truncate(50 * 1024**2)
    start = time.process_time()
    finding = only(load_project(workspace, "p"))
    assert time.process_time() - start < 0.5
    assert (finding.code, finding.message) == (
        "too-large",
        '"experiments.yml" has 50.0 MiB, more than 8.0 MiB',
    )


def test_too_many_experiments_are_refused(load: Load) -> None:
    finding = only(load("experiments: {" + ", ".join(f"e{i}: {{}}" for i in range(20_001)) + "}"))
    assert (finding.code, finding.message) == (
        "too-many-experiments",
        "20001 experiments are more than 20000",
    )


def test_folder_in_place_of_the_file(workspace: Workspace, file: Path) -> None:
    file.mkdir()
    assert only(load_project(workspace, "p")).message == '"experiments.yml" is a folder, not a file'


def test_pipe_in_place_of_the_file_does_not_hang(workspace: Workspace, file: Path) -> None:
    os.mkfifo(file)
    assert only(load_project(workspace, "p")).code == "not-a-file"


def test_device_in_place_of_the_file_is_not_read(workspace: Workspace, file: Path) -> None:
    file.symlink_to("/dev/zero")
    assert only(load_project(workspace, "p")).code == "not-a-file"


def test_link_that_leads_nowhere(workspace: Workspace, file: Path) -> None:
    file.symlink_to("gone.yml")
    finding = only(load_project(workspace, "p"))
    assert (finding.code, finding.message) == (
        "dangling-link", '"experiments.yml" is a link to "gone.yml", which does not exist'
    )  # fmt: skip


def test_link_that_leads_in_a_circle(workspace: Workspace, file: Path) -> None:
    file.symlink_to("experiments.yml")
    assert only(load_project(workspace, "p")).code == "link-loop"


def test_file_in_place_of_the_project(workspace: Workspace) -> None:
    (workspace.projects_dir / "q").touch()
    finding = only(load_project(workspace, "q"))
    assert (finding.code, finding.message) == (
        "unreadable",
        '"experiments.yml" cannot be read: not a directory',
    )


AS_OTHER_USER = """
import difflib, os, sys  # the interpreter itself may be closed to others
from pathlib import Path
from taorunner.project.layout import check_layout
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.yaml_reader import read_yaml
read_yaml(b"all: imported".decode("utf-8-sig"))
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
project = load_project(Workspace(Path(sys.argv[1])), "p")
for one in [*project.findings, *check_layout(project)]:
    print(one.code, "|", one.message, "|", one.hint)
"""


@pytest.mark.parametrize(
    ("locked", "shown", "command"),
    [
        ("experiments.yml", '"experiments.yml"', "chmod u+r"),
        ("specs", 'the folder "specs"', "chmod u+rx"),
        ("data", 'the folder "data"', "chmod u+rx"),
        (".", 'the folder "p"', "chmod u+rx"),
    ],
)
def test_what_may_not_be_read_is_reported(
    workspace: Workspace, file: Path, tmp_path: Path, locked: str, shown: str, command: str
) -> None:
    root = workspace.project("p").root
    file.write_bytes(GOOD)
    (root / "data" / "kitti").mkdir(parents=True)
    (root / "specs" / "e").mkdir(parents=True)
    path = root / locked
    open_to_others(tmp_path)
    path.chmod(0)
    try:
        done = subprocess.run(
            [sys.executable, "-c", AS_OTHER_USER, str(workspace.root)],
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        path.chmod(0o755)
    assert done.stderr == ""
    message = f'unreadable | {shown} cannot be read: permission denied | make it readable: {command} "{path}"'
    assert message in done.stdout.splitlines()


def open_to_others(path: Path) -> None:
    """pytest's folders are closed to other users; the child must get in as nobody."""
    for folder in (path, *path.parents):
        if folder.owner() == path.owner() and folder != Path("/") and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o055)
