"""Replaced files: whole or not at all, and on disk when that was asked for."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from taorunner.atomic_files import write_bytes, write_fields, write_json, write_text


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inode numbers of what was flushed to disk, in order. The flush itself is made."""
    seen: list[int] = []
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_a_durable_file_is_flushed_before_its_folder(tmp_path: Path, flushed: list[int]) -> None:
    write_bytes(tmp_path / "file", b"new", durable=True)
    assert flushed == [(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino]
    flushed.clear()
    write_json(tmp_path / "file", {"ä": 1}, durable=True)
    assert flushed == [(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino]
    assert (tmp_path / "file").read_text(encoding="utf-8") == '{\n "ä": 1\n}\n'


def test_an_ordinary_file_is_replaced_without_a_flush(tmp_path: Path, flushed: list[int]) -> None:
    write_bytes(tmp_path / "file", b"new")
    assert flushed == []


def test_a_file_that_cannot_be_named_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path / "name", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_permissions_are_those_asked_for_whatever_the_umask_is(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write_bytes(tmp_path / "open", b"", mode=0o664)
        write_text(tmp_path / "usual", "")
        os.umask(0)
        write_text(tmp_path / "closed", "", mode=0o600)
        write_bytes(tmp_path / "default", b"")
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"open": 0o664, "usual": 0o600, "closed": 0o600, "default": 0o644}


def test_text_is_utf_8_and_json_is_written_as_asked(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "ä\n")
    assert (tmp_path / "text").read_bytes() == b"\xc3\xa4\n"
    value = {"b": 1, "a": ["ü"]}
    write_json(tmp_path / "one", value)
    assert (tmp_path / "one").read_text("utf-8") == '{\n "b": 1,\n "a": [\n  "ü"\n ]\n}\n'
    write_json(tmp_path / "two", value, indent=None, sort_keys=True)
    assert (tmp_path / "two").read_text("utf-8") == '{"a": ["ü"], "b": 1}\n'


def test_a_full_disk_leaves_the_old_file_and_names_it(small_disk: Path) -> None:
    file = small_disk / "record.json"
    write_bytes(file, b"old")
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes(file, b"x" * (4 << 20))
    assert caught.value.filename == str(file)
    assert (os.listdir(small_disk), file.read_bytes()) == (["record.json"], b"old")


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        write_bytes(tmp_path / "file", b"new", durable=True)
    assert len(os.listdir("/proc/self/fd")) == before


def test_threads_that_replace_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    errors: list[BaseException] = []

    def replace(number: int) -> None:
        try:
            for _ in range(300):
                write_json(file, {"writer": number, "text": "x" * 5000})
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=replace, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert json.loads(file.read_text())["text"] == "x" * 5000
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_each_field_of_an_object_has_a_line(tmp_path: Path) -> None:
    body = {"a": [1, {"ä": None}], "b": "x\ny"}
    write_fields(tmp_path / "file", body)
    text = (tmp_path / "file").read_text(encoding="utf-8")
    assert text == '{\n "a": [1, {"ä": null}],\n "b": "x\\ny"\n}\n'
    assert json.loads(text) == body
