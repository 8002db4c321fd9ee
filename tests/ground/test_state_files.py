"""Files of ``.taorunner``: no link followed, and only those believed whose word counts."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner import state_files
from taorunner.atomic_files import write_bytes
from taorunner.state_files import (
    LinkedFileError,
    Trust,
    UntrustedFileError,
    append_state,
    cut_open_line,
    open_state,
    read_state,
    write_new,
)  # fmt: skip

OTHER_USER = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    file = tmp_path / "precious"
    file.write_text("old")
    return file


def test_what_we_wrote_is_read(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    write_bytes(file, b"one\n")
    append_state(file, b"two\n")
    assert (read_state(file), read_state(file, offset=4)) == (b"one\ntwo\n", b"two\n")
    assert os.listdir(tmp_path) == ["record.json"]


def test_a_link_is_not_read_appended_to_or_written_through(tmp_path: Path, precious: Path) -> None:
    link = tmp_path / "record.json"
    link.symlink_to(precious)
    for touch in (lambda: read_state(link), lambda: append_state(link, b"new")):
        with pytest.raises(UntrustedFileError, match=r'record\.json" is a link, and links are not followed'):
            touch()
    write_bytes(link, b"new")
    assert (precious.read_text(), link.read_text(), link.is_symlink()) == ("old", "new", False)


@pytest.mark.parametrize(("mode", "who"), [(0o666, "any user"), (0o646, "any user"), (0o664, "its group")])
def test_a_file_that_others_may_write_is_not_trusted(tmp_path: Path, mode: int, who: str) -> None:
    file = tmp_path / "record.json"
    file.write_text("{}")
    file.chmod(mode)
    said = rf'record\.json" can be changed by {who} \(mode 0{mode:o}\); if only you did: chmod go-w'
    for touch in (lambda: read_state(file), lambda: append_state(file, b"new")):
        with pytest.raises(UntrustedFileError, match=said):
            touch()
    file.chmod(0o644)
    assert read_state(file) == b"{}"


def test_the_group_may_write_where_a_team_shares_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_text("{}")
    file.chmod(0o664)
    tmp_path.chmod(0o2775)
    assert read_state(file) == b"{}"
    Trust.of_caller().check_folder(tmp_path)
    tmp_path.chmod(0o2777)
    with pytest.raises(UntrustedFileError, match="can be changed by any user"):
        Trust.of_caller().check_folder(tmp_path)


def test_a_file_system_without_modes_is_no_reason_to_distrust(mount: Callable[..., Path]) -> None:
    """tmpfs stands for one: mounting a file system of Windows needs a device."""
    place = mount("size=1m")
    (place / "record.json").write_text("{}")
    (place / "record.json").chmod(0o666)
    with pytest.raises(UntrustedFileError, match="can be changed by any user"):
        read_state(place / "record.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("taorunner.state_files._WITHOUT_MODES", frozenset({"tmpfs"}))
        assert read_state(place / "record.json") == b"{}"


def test_a_link_prepared_for_the_file_beside_is_not_written_through(tmp_path: Path, precious: Path) -> None:
    (tmp_path / f".record.json.{os.getpid()}-{threading.get_native_id()}.tmp").symlink_to(precious)
    write_bytes(tmp_path / "record.json", b"new")
    assert (precious.read_text(), (tmp_path / "record.json").read_text()) == ("old", "new")


def test_a_second_name_of_another_file_is_not_read_or_appended_to(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "events.jsonl").hardlink_to(precious)
    for touch in (read_state, lambda path: append_state(path, b"new")):
        with pytest.raises(UntrustedFileError, match="has 2 names"):
            touch(tmp_path / "events.jsonl")
    assert precious.read_text() == "old"


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, _socket])
def test_what_is_no_file_is_refused_without_waiting(
    tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket has at most 108 bytes
    make(Path("record.json"))
    for touch in (read_state, lambda path: append_state(path, b"new")):
        with pytest.raises(UntrustedFileError, match="is not a regular file"):
            touch(Path("record.json"))


@needs_root
def test_a_file_of_another_user_counts_only_in_a_shared_folder(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_text("theirs")
    os.chown(file, OTHER_USER, OTHER_USER)
    with pytest.raises(UntrustedFileError, match=f'record.json" belongs to user {OTHER_USER}, not to you'):
        read_state(file, Trust.in_folder(tmp_path))
    os.chown(tmp_path, 0, OTHER_USER)
    with pytest.raises(UntrustedFileError):  # the group alone is no wish to share
        read_state(file, Trust.in_folder(tmp_path))
    tmp_path.chmod(0o2770)
    assert read_state(file, Trust.in_folder(tmp_path)) == b"theirs"
    os.chown(file, OTHER_USER, OTHER_USER + 1)
    with pytest.raises(UntrustedFileError):
        read_state(file, Trust.in_folder(tmp_path))


@needs_root
def test_root_also_believes_who_typed_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "record.json"
    file.write_text("theirs")
    os.chown(file, OTHER_USER, OTHER_USER)
    monkeypatch.setenv("SUDO_UID", str(OTHER_USER))
    assert read_state(file) == b"theirs"
    monkeypatch.setenv("SUDO_UID", "0x1")
    with pytest.raises(UntrustedFileError):
        read_state(file)


@needs_root
def test_folders_are_looked_at_too(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "link").symlink_to(run)
    Trust.of_caller().check_folder(run)
    os.chown(run, OTHER_USER, OTHER_USER)
    with pytest.raises(UntrustedFileError, match=f'run" belongs to user {OTHER_USER}'):
        Trust.of_caller().check_folder(run)
    with pytest.raises(UntrustedFileError, match='link" is a link'):
        Trust.of_caller().check_folder(tmp_path / "link")
    someone = Trust(frozenset({1}))
    someone.check_folder(tmp_path, is_shared_place=True)  # root's
    with pytest.raises(UntrustedFileError):
        someone.check_folder(run, is_shared_place=True)


def test_a_new_file_takes_the_place_of_whatever_was_there(tmp_path: Path, precious: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = tmp_path / "run"
    run.mkdir()
    (run / "input").symlink_to(elsewhere)
    write_new(run, "input/train.yaml", b"new", mode=0o600, folder_mode=0o700)
    assert (list(elsewhere.iterdir()), (run / "input").is_symlink()) == ([], False)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (run / "input", run / "input/train.yaml")] == [
        0o700,
        0o600,
    ]
    (run / "input/train.yaml").unlink()
    (run / "input/train.yaml").symlink_to(precious)
    write_new(run, "input/train.yaml", b"newer")
    (run / "input/other").hardlink_to(precious)
    write_new(run, "input/other", b"newest")
    assert (precious.read_text(), (run / "input/train.yaml").read_text()) == ("old", "newer")
    assert not (run / "input/train.yaml").is_symlink()


@needs_root
def test_new_files_and_folders_are_given_to_their_owner(tmp_path: Path) -> None:
    write_new(tmp_path, "a/b", b"new", owner=(OTHER_USER, OTHER_USER + 1))
    for path in (tmp_path / "a", tmp_path / "a/b"):
        assert (path.stat().st_uid, path.stat().st_gid) == (OTHER_USER, OTHER_USER + 1)
    assert tmp_path.stat().st_uid == 0
    write_new(tmp_path, "mine", b"new")
    assert (tmp_path / "mine").stat().st_uid == 0


def test_a_file_in_the_place_of_a_folder_is_replaced(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "input").write_text("in the way")
    old = os.umask(0o077)
    try:
        write_new(tmp_path, "input/train.yaml", b"new", mode=0o664)
    finally:
        os.umask(old)
    assert (tmp_path / "input/train.yaml").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "input/train.yaml").stat().st_mode) == 0o664
    (tmp_path / "run").symlink_to(tmp_path / "input")
    with pytest.raises(NotADirectoryError):
        write_new(tmp_path / "run", "x", b"")


def test_a_link_or_another_error_has_its_own_class(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "link").symlink_to(precious)
    with pytest.raises(LinkedFileError):
        read_state(tmp_path / "link")
    with pytest.raises(LinkedFileError):
        Trust.of_caller().check_folder(tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        read_state(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        Trust.of_caller().check_folder(tmp_path / "missing")


def test_a_large_file_is_read_whole_and_from_an_offset(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "log").write_bytes(data)
    assert read_state(tmp_path / "log") == data
    assert read_state(tmp_path / "log", offset=1 << 20) == data[1 << 20 :]
    assert read_state(tmp_path / "log", offset=len(data)) == b""


def test_a_folder_that_is_gone_adds_no_group(tmp_path: Path) -> None:
    assert Trust.in_folder(tmp_path / "missing") == Trust.of_caller()
    assert Trust.in_folder(tmp_path) == Trust(frozenset({os.geteuid()}))


@needs_root
def test_root_looks_into_shared_places_of_every_user_but_not_into_their_runs(tmp_path: Path) -> None:
    os.chown(tmp_path, OTHER_USER, OTHER_USER)
    Trust.of_caller().check_folder(tmp_path, is_shared_place=True)
    with pytest.raises(UntrustedFileError):
        Trust(frozenset({1})).check_folder(tmp_path, is_shared_place=True)
    os.chown(tmp_path, 0, 0)
    with pytest.raises(UntrustedFileError, match='belongs to user "root"'):
        Trust(frozenset({1})).check_folder(tmp_path)


def test_what_cannot_be_appended_names_the_file(small_disk: Path) -> None:
    file = small_disk / "events.jsonl"
    with pytest.raises(OSError, match="No space left") as caught:
        append_state(file, b"x" * (4 << 20))
    assert caught.value.filename == str(file)
    file.unlink()
    with pytest.raises(OSError, match="No space left") as other:
        write_new(small_disk, "input/spec.yaml", b"x" * (4 << 20))
    assert other.value.filename == str(small_disk / "input/spec.yaml")
    assert list((small_disk / "input").iterdir()) == []


def test_a_file_that_is_written_again_is_whole_at_every_moment(tmp_path: Path) -> None:
    """A container that starts reads its spec while the next supervisor writes the same spec again."""
    spec = b"x" * 100_000
    write_new(tmp_path, "input/train.yaml", spec)
    writer = threading.Thread(
        target=lambda: [write_new(tmp_path, "input/train.yaml", spec) for _ in range(300)]
    )
    writer.start()
    reads = 0
    while writer.is_alive():
        assert (tmp_path / "input/train.yaml").read_bytes() == spec
        reads += 1
    writer.join()
    assert reads > 1
    assert os.listdir(tmp_path / "input") == ["train.yaml"]


def test_a_descriptor_is_not_left_open(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "again").hardlink_to(precious)
    (tmp_path / "log").touch()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(UntrustedFileError):
            open_state(precious)
        read_state(tmp_path / "log")
        append_state(tmp_path / "log", b"x")
        write_new(tmp_path, "a/b/c", b"x")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("text", "left"),
    [(b"", b""), (b"a\nb\n", b"a\nb\n"), (b"a\nb", b"a\n"), (b"ab", b""), (b"x" * 40, b"x" * 40 + b"\n")],
)
def test_a_line_that_was_cut_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, left: bytes
) -> None:
    """Of one that is longer than any line, its end alone is looked at."""
    monkeypatch.setattr(state_files, "_LONGEST_LINE", 16)
    path = tmp_path / "lines"
    path.write_bytes(text)
    cut_open_line(path)
    assert path.read_bytes() == left
