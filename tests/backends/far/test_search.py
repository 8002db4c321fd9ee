"""Secrets and digests of results on a far side, which is a folder of this machine here: what is found, closed and left."""

from __future__ import annotations

import hashlib
import os
import stat
from base64 import b64encode
from pathlib import Path

import pytest

from taorunner.backends.contract import FarSearch
from taorunner.backends.far.search import LARGE_BYTES, Limits, digests, held
from taorunner.backends.login_host import LoginHost
from taorunner.backends.masking import Masking

KEY = "canary-key-1234"
TWO_LINES = "first-of-two\nsecond-of-two"
FORMS = Masking([KEY, TWO_LINES]).line_forms


def write(path: Path, content: bytes, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def large(path: Path, at: int, filler: bytes) -> Path:
    size = LARGE_BYTES + (1 << 20)
    data = bytearray((filler * (size // len(filler) + 1))[:size])
    data[at : at + len(KEY)] = KEY.encode()
    return write(path, bytes(data))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / 'it\'s $(far) "side"' / "models" / "-e"


def test_files_that_hold_a_secret_are_closed_and_named(top: Path, tmp_path: Path) -> None:
    holding = [
        write(top / "train/experiment.yaml", f"encryption_key: {KEY}\n".encode()),
        write(top / "own.yaml", KEY.encode(), 0o600),
        write(top / "a name\nof two lines", b"\0" + b64encode(f"x{KEY}".encode())),
        write(top / "-rf", TWO_LINES.encode()),
        large(top / "first.pth", 1000, b"\0"),
        large(top / "last.pth", LARGE_BYTES + 1000, b"\0"),
        large(top / "log.txt", 20 << 20, b"a line\n"),
    ]
    others = [
        write(top / "status.json", b"{}"),
        large(top / "middle.pth", 20 << 20, b"\0"),
        write(tmp_path / "outside.txt", KEY.encode()),
    ]
    os.utime(holding[0], (1000, 1000))  # as a program that copies files with their times
    (top / "link.txt").symlink_to(others[2])
    (top / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(top / "pipe")
    later_s = holding[0].stat().st_ctime + 1000
    assert held(LoginHost(None), str(top), FORMS, later_s) == FarSearch()  # those of an earlier run
    found = held(LoginHost(None), str(top), FORMS, 2000.5)
    assert (sorted(found.closed), found.left, found.is_whole) == (sorted(map(str, holding)), (), True)
    assert [mode(path) for path in holding] == [0o600] * len(holding)
    assert [mode(path) for path in others] == [0o644] * len(others)


def test_a_file_with_another_name_is_left_as_it_is(top: Path, tmp_path: Path) -> None:
    file = write(top / "a.yaml", KEY.encode())
    (tmp_path / "another.yaml").hardlink_to(file)
    assert held(LoginHost(None), str(top), FORMS, 0) == FarSearch((), (str(file),), is_whole=True)
    assert mode(file) == 0o644


def test_what_was_not_searched_is_said(top: Path, tmp_path: Path) -> None:
    write(top / "a.yaml", b"a")
    assert held(LoginHost(None), str(top), (), 0) == FarSearch()
    assert not held(LoginHost(None), str(top), [b"x" * 200_000], 0).is_whole
    assert held(LoginHost(None), str(top), FORMS, 0, Limits(most_small=1)) == FarSearch()
    assert not held(LoginHost(None), str(top), FORMS, 0, Limits(most_small=0)).is_whole
    large(top / "first.pth", 20 << 20, b"\0")
    assert not held(LoginHost(None), str(top), FORMS, 0, Limits(most_large=0)).is_whole
    write(tmp_path / "bin/find", b"#!/bin/sh\nexec sleep 9\n", 0o755)
    slow = LoginHost(None, {**os.environ, "PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    assert held(slow, str(top), FORMS, 0, Limits(within_s=0.1)) == FarSearch(is_whole=False)


def test_no_secret_is_in_a_command_line_there(top: Path, tmp_path: Path) -> None:
    write(top / "a.yaml", KEY.encode())
    large(top / "first.pth", 1000, b"\0")
    seen = tmp_path / "seen"
    for name in ("grep", "xargs", "find", "sh", "timeout", "head"):
        real = next(Path(folder, name) for folder in ("/usr/bin", "/bin") if Path(folder, name).exists())
        write(
            tmp_path / "bin" / name,
            f'#!{real.parent}/bash\nprintf "%s\\n" "$@" >>{seen}\nexec {real} "$@"\n'.encode(),
            0o755,
        )
    login = LoginHost(None, {**os.environ, "PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    assert len(held(login, str(top), FORMS, 0).closed) == 2
    assert KEY not in seen.read_text()


def test_digests_are_those_of_the_files(top: Path) -> None:
    files = [write(top / name, name.encode()) for name in ("a b.onnx", "two\nlines", "-x")]
    expected = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert digests(LoginHost(None), [*expected, str(top / "gone")]) == expected
    assert digests(LoginHost(None), []) == {}
