"""Replaced files: whole or not at all, and on disk when that was asked for."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from taorunner.atomic_files import write_bytes, write_json


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
