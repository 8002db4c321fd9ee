"""taorunner.lock: what stands in it, and every way in which a hand can damage it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taorunner.project.image_lock import lock_text, read_image_lock
from taorunner.project.workspace import Workspace

A, B = "sha256:" + "ab" * 32, "sha256:" + "01" * 32
HEAD = '# Written by "taorunner image lock": every run uses these digests. Keep it under version control.\n'


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    (tmp_path / "projects").mkdir()
    return Workspace(tmp_path)


def test_a_line_an_image_and_sorted() -> None:
    assert lock_text({"nvcr.io/t:2": B, "127.0.0.1:5000/t:1": A}) == (
        f'{HEAD}version: 1\nimages:\n  "127.0.0.1:5000/t:1": {A}\n  "nvcr.io/t:2": {B}\n'
    )
    assert lock_text({}) == f"{HEAD}version: 1\nimages: {{}}\n"


@given(st.dictionaries(st.from_regex(r"[a-z0-9.]{1,9}(:[0-9]{2,4}/[a-z]{1,5})?:[A-Za-z0-9_.-]{1,9}", fullmatch=True),
                       st.sampled_from([A, B])))  # fmt: skip
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, digests: dict[str, str]) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("w"))
    workspace.lock_file.write_text(lock_text(digests))
    read = read_image_lock(workspace)
    assert (read.digests, read.findings) == (digests, ())


def test_no_file_locks_nothing(place: Workspace) -> None:
    lock = read_image_lock(place)
    assert (lock.digests, lock.findings, lock.resolved("busybox")) == ({}, (), "busybox")


def test_a_name_is_found_with_and_without_its_latest(place: Workspace) -> None:
    place.lock_file.write_text(lock_text({"localhost:5000/t:latest": A, "nvcr.io/t:1": B}))
    lock = read_image_lock(place)
    assert lock.resolved("localhost:5000/t") == f"localhost:5000/t@{A}"
    assert lock.resolved("nvcr.io/t:1") == f"nvcr.io/t@{B}"
    assert lock.resolved("nvcr.io/t:2") == "nvcr.io/t:2"
    assert lock.resolved(f"nvcr.io/t@{A}") == f"nvcr.io/t@{A}"
    assert lock.place("nvcr.io/t:1") == (5, 18)


@pytest.mark.parametrize(
    ("text", "line", "column", "code", "message"),
    [
        (f'version: 1\nimages:\n  "a:1": {A[:-1]}\n', 3, 10, "wrong-digest",
         f'"{A[:-1][:60]}…" is not a digest: "sha256:" and 64 digits from 0 to f'),
        ('version: 1\nimages:\n  "a:1": 5\n', 3, 10, "wrong-digest",
         '"5" is not a digest: "sha256:" and 64 digits from 0 to f'),
        (f"version: 1\nimages:\n  a: {A}\n", 3, 3, "wrong-image", '"a" is not the name of an image with its tag'),
        (f'version: 1\nimages:\n  "a@{A}": {A}\n', 3, 3, "wrong-image",
         f'"a@{A[:58]}…" is not the name of an image with its tag'),
        ("version: 1\nimages: [a]\n", 2, 9, "not-a-mapping", '"images" maps names of images to digests'),
        ("version: 2\nimages: {}\n", 1, 10, "wrong-version", '"version" must be 1, not "2"'),
        ("images: {}\n", 1, 1, "missing-key", '"version: 1" is missing'),
        ("version: 1\nimage: {}\n", 2, 1, "unknown-key", '"image" is not a key of this file'),
        ("- a\n", 1, 1, "not-a-mapping", 'the file needs "version" and "images"'),
        (f'version: 1\nimages:\n  "a:1": {A}\n  "a:1": {B}\n', 4, 3, "duplicate-key", '"a:1" is given twice'),
        (f'version: 1\nimages:\n<<<<<<< ours\n  "a:1": {A}\n=======\n', 3, 1, "merge-conflict",
         '"<<<<<<<" is a conflict mark of an unfinished merge'),
        ("version: 1\nimages: \x00\n", 2, 9, "not-text", "the character U+0000 is not allowed in YAML"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_reported_with_its_place(
    place: Workspace, text: str, line: int, column: int, code: str, message: str
) -> None:
    place.lock_file.write_text(text)
    lock = read_image_lock(place)
    (finding,) = lock.findings
    assert (finding.file, finding.line, finding.column, finding.code, finding.message) == (
        place.lock_file, line, column, code, message,
    )  # fmt: skip
    assert lock.digests == {}


def test_all_that_is_wrong_at_once(place: Workspace) -> None:
    place.lock_file.write_text('version: x\nimages:\n  "a:1": b\n  c: d\nmore: 1\n')
    assert [(one.line, one.code) for one in read_image_lock(place).findings] == [
        (1, "wrong-version"), (3, "wrong-digest"), (4, "wrong-image"), (5, "unknown-key"),
    ]  # fmt: skip


def test_a_folder_or_a_dangling_link_in_its_place(place: Workspace) -> None:
    place.lock_file.mkdir()
    assert [one.code for one in read_image_lock(place).findings] == ["is-a-directory"]
    place.lock_file.rmdir()
    place.lock_file.symlink_to("nowhere")
    assert [one.code for one in read_image_lock(place).findings] == ["dangling-link"]


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("w"))
    workspace.lock_file.write_bytes(data)
    lock = read_image_lock(workspace)
    assert lock.findings or all(isinstance(name, str) for name in lock.digests)
