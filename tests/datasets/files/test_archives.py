"""Archives of datasets: whole or not at all, nothing outside of their folder, and each refusal says what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.datasets.files.archives.unpack import archive_kind, unpack
from taorunner.errors import MachineError, UserFilesError

FILES = {"train/a.txt": b"one\n", "train/b.txt": b"two\n" * 50_000, "val/c.txt": b""}


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def special(path: Path, **fields: object) -> Path:
    """A TAR file with one ordinary member and one with these fields."""
    tarred(path, {"a.txt": b"one"})
    info = tarfile.TarInfo("x")
    for name, value in fields.items():
        setattr(info, name, value)
    with tarfile.open(path, "a") as archive:
        archive.addfile(info)
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def refused(archive: Path, *words: str, error: type[Exception] = UserFilesError) -> str:
    """Refuses it with these words, and leaves nothing. Gives the hint."""
    before = sorted(archive.parent.parent.rglob("*"))
    with pytest.raises(error) as caught:
        unpack(archive, archive.parent / "into")
    assert sorted(archive.parent.parent.rglob("*")) == before
    said = caught.value.message  # type: ignore[attr-defined]
    assert str(archive) in said
    for word in words:
        assert word in said, said
    hint = str(caught.value.hint)  # type: ignore[attr-defined]
    assert hint != "None"
    return hint


@pytest.mark.parametrize("method", [
    zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA,
])  # fmt: skip
def test_a_zip_is_unpacked(tmp_path: Path, method: int) -> None:
    archive = zipped(tmp_path / "set.zip", FILES, method)
    assert unpack(archive, tmp_path / "into") == tmp_path / "into"
    assert files_in(tmp_path / "into") == FILES


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "dat"])
def test_a_tar_is_unpacked(tmp_path: Path, ending: str) -> None:
    packed = {"tar.gz": "gz", "tgz": "gz", "tar.bz2": "bz2", "tar.xz": "xz"}.get(ending, "")
    archive = tarred(tmp_path / f"set.{ending}", FILES, f"w:{packed}")
    assert archive_kind(archive) == "TAR"
    unpack(archive, tmp_path / "into")
    assert files_in(tmp_path / "into") == FILES


def test_the_only_folder_is_the_dataset_unless_its_name_means_something(tmp_path: Path) -> None:
    plain = zipped(
        tmp_path / "a.zip", {"export/v1/data.yaml": b"x", "export/v1/train/a.txt": b"x", "__MACOSX/._a": b"x"}
    )
    assert unpack(plain, tmp_path / "a") == tmp_path / "a/export/v1"
    subset = zipped(tmp_path / "b.zip", {"Train/cat/a.txt": b"x", "Train/dog/b.txt": b"x"})
    assert unpack(subset, tmp_path / "b") == tmp_path / "b"


def test_what_systems_add_is_left_out(tmp_path: Path) -> None:
    added = {
        "__MACOSX/train/._a.txt": b"x",
        "train/._a.txt": b"x",
        ".DS_Store": b"x",
        "train/Thumbs.db": b"x",
    }
    unpack(zipped(tmp_path / "set.zip", FILES | added), tmp_path / "z")
    unpack(tarred(tmp_path / "set.tar", FILES | added), tmp_path / "t")
    assert files_in(tmp_path / "z") == files_in(tmp_path / "t") == FILES


@pytest.mark.parametrize("name", [
    "/etc/x.txt", "../x.txt", "train/../../x.txt", "C:/x.txt", "c:\\x.txt", "\\x.txt", "..\\x.txt", "train\\..\\..\\x.txt",
])  # fmt: skip
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_path_that_leads_out_is_refused(
    tmp_path: Path, name: str, pack: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    (tmp_path / "in").mkdir()
    archive = pack(tmp_path / ("in/set.zip" if pack is zipped else "in/set.tar"), {"a.txt": b"x", name: b"x"})
    hint = refused(archive, "a path that leads out of its folder")
    assert ("unzip " if pack is zipped else "tar -xf ") in hint


def test_folders_of_windows_are_folders(tmp_path: Path) -> None:
    unpack(
        zipped(tmp_path / "set.zip", {"train\\": b"", "train\\a.txt": b"one", "val\\a.txt": b"two"}),
        tmp_path / "into",
    )
    assert files_in(tmp_path / "into") == {"train/a.txt": b"one", "val/a.txt": b"two"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "..", "train/../../outside"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "outside").write_text("secret")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        refused(
            special(tmp_path / "in/set.tar", type=kind, linkname=target),
            "a link that leads out of its folder",
        )
    archive = zipped(tmp_path / "in/set.zip", {"a.txt": b"x"})
    with zipfile.ZipFile(archive, "a") as added:
        info = zipfile.ZipInfo("x")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        added.writestr(info, target)
    refused(archive, "a link that leads out of its folder")


def test_a_file_behind_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    """The second member would be written through the first one."""
    (tmp_path / "in").mkdir()
    archive = special(tmp_path / "in/set.tar", type=tarfile.SYMTYPE, linkname="train")
    with tarfile.open(archive, "a") as added:
        added.addfile(tarfile.TarInfo("x/b.txt"))
    refused(archive, "as a file and as a folder")
    refused(
        special(tmp_path / "in/other.tar", type=tarfile.SYMTYPE, linkname="nowhere"), "which is no file in it"
    )
    refused(special(tmp_path / "in/self.tar", type=tarfile.SYMTYPE, linkname="x"), "which is no file in it")


def test_a_link_to_a_file_has_its_content(tmp_path: Path) -> None:
    archive = special(tmp_path / "set.tar", type=tarfile.SYMTYPE, linkname="./a.txt", name="b.txt")
    with tarfile.open(archive, "a") as added:
        info = tarfile.TarInfo("sub/c.txt")
        info.type, info.linkname = tarfile.SYMTYPE, "../b.txt"
        added.addfile(info)
        info = tarfile.TarInfo("d.txt")
        info.type, info.linkname = tarfile.LNKTYPE, "a.txt"
        added.addfile(info)
    unpack(archive, tmp_path / "into")
    assert files_in(tmp_path / "into") == dict.fromkeys(["a.txt", "b.txt", "sub/c.txt", "d.txt"], b"one")
    assert not any(path.is_symlink() for path in (tmp_path / "into").rglob("*"))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "in").mkdir()
    refused(
        special(tmp_path / "in/set.tar", type=kind), '"x", which is neither a file nor a folder nor a link'
    )
    archive = tmp_path / "in/set.zip"
    with zipfile.ZipFile(archive, "w") as added:
        info = zipfile.ZipInfo("x")
        info.external_attr = (stat.S_IFCHR | 0o666) << 16
        added.writestr(info, b"")
    refused(archive, '"x", which is neither a file nor a folder nor a link')


def test_modes_and_owners_of_an_archive_are_not_taken(tmp_path: Path) -> None:
    archive = tmp_path / "set.tar"
    with tarfile.open(archive, "w") as added:
        info = tarfile.TarInfo("a.txt")
        info.mode, info.uid, info.size = 0o6777, 0, 1
        added.addfile(info, io.BytesIO(b"x"))
    unpack(archive, tmp_path / "into")
    (tmp_path / "plain").touch()
    assert (tmp_path / "into/a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    archive = zipped(tmp_path / "in/set.zip", {"a/b.txt": b"one"})
    with zipfile.ZipFile(archive, "a") as added:
        added.writestr("./a//b.txt", b"two")
    refused(archive, 'holds "a/b.txt" twice')
    archive = tarred(tmp_path / "in/set.tar", {"a.txt": b"one"})
    with tarfile.open(archive, "a") as added:
        added.addfile(tarfile.TarInfo("a.txt"))
    refused(archive, 'holds "a.txt" twice')
    refused(zipped(tmp_path / "in/both.zip", {"a": b"", "a/b": b""}), 'holds "a" as a file and as a folder')


def test_names_that_differ_only_in_case_are_two_files(tmp_path: Path) -> None:
    files = {"a.JPG": b"one", "a.jpg": b"two", "A.jpg": b"three"}
    unpack(zipped(tmp_path / "set.zip", files), tmp_path / "into")
    assert files_in(tmp_path / "into") == files


def test_a_file_system_without_case_is_not_written_over(tmp_path: Path) -> None:
    """Where the second name leads to the first file, here by the folder that a name leads to."""
    from taorunner.datasets.files.archives.members import Listing
    from taorunner.datasets.files.archives.unpack import _created

    (tmp_path / "a.jpg").write_bytes(b"first")
    with pytest.raises(UserFilesError, match="names differ only in case"):
        _created(tmp_path / "a.jpg", Listing(tmp_path / "set.zip", None))
    assert (tmp_path / "a.jpg").read_bytes() == b"first"


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    archive = zipped(tmp_path / "in/set.zip", {"a.txt": b"one"})
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    hint = refused(archive, "is encrypted", '"a.txt" needs a password')
    assert f"unzip {archive} -d {tmp_path / 'in/set'}" in hint


def test_a_method_that_is_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    archive = zipped(tmp_path / "in/set.zip", {"a.txt": b"one"})
    data = bytearray(archive.read_bytes())
    data[data.find(b"PK\x01\x02") + 10] = 9
    archive.write_bytes(data)
    refused(archive, "packed by a method that is not read here (9)")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_what_is_cut_off_is_refused(tmp_path: Path, ending: str, share: float) -> None:
    (tmp_path / "in").mkdir()
    archive = tmp_path / f"in/set.{ending}"
    noise = {f"{number}.bin": os.urandom(3000) for number in range(9)}
    if ending == "zip":
        zipped(archive, noise)
    else:
        with tarfile.open(archive, f"w:{ending.partition('.')[2]}") as added:
            added.copybufsize = 512  # type: ignore[attr-defined]
            for name, data in noise.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                added.addfile(info, io.BytesIO(data))
    data = archive.read_bytes()
    whole = len(data.rstrip(b"\0")) if ending == "tar" else len(data)
    archive.write_bytes(data[: int(whole * share)])
    assert "download or export it again" in refused(archive, "cannot be read as")


@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_damage_is_found_by_its_checksum(tmp_path: Path, ending: str) -> None:
    (tmp_path / "in").mkdir()
    archive = tmp_path / f"in/set.{ending}"
    if ending == "zip":
        zipped(archive, {"a.bin": os.urandom(60_000)}, zipfile.ZIP_STORED)
    else:
        tarred(archive, {"a.bin": os.urandom(60_000)}, f"w:{ending[4:]}")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 0x55
    archive.write_bytes(data)
    refused(archive, "cannot be read as")


def test_a_damaged_header_in_the_middle_of_a_tar_is_no_end(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    archive = tarred(tmp_path / "in/set.tar", {f"{number}.txt": b"one" for number in range(5)})
    data = bytearray(archive.read_bytes())
    data[2048:2053] = b"\xff" * 5  # the header of the third member
    archive.write_bytes(data)
    refused(archive, "cannot be read as TAR")


def test_a_bomb_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taorunner.datasets.files.archives import members

    (tmp_path / "in").mkdir()
    monkeypatch.setattr(members, "SMALL_BYTES", 1 << 20)
    for archive in (
        zipped(tmp_path / "in/set.zip", {"a.bin": bytes(8 << 20)}),
        tarred(tmp_path / "in/set.tar.gz", {"a.bin": bytes(8 << 20)}, "w:gz"),
    ):
        refused(archive, "to 8.0 MiB or more, as archives do that fill disks")


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """A directory whose entries all lead to the same packed bytes."""
    (tmp_path / "in").mkdir()
    archive = zipped(tmp_path / "in/set.zip", {"a.bin": os.urandom(50_000)}, zipfile.ZIP_STORED)
    with zipfile.ZipFile(archive) as opened:
        start = opened.start_dir
    data = archive.read_bytes()
    entry, end = data[start:-22], data[-22:]
    entries = b"".join(entry.replace(b"a.bin", b"%c.bin" % (97 + number)) for number in range(9))
    ended = end[:8] + struct.pack("<HHII", 9, 9, len(entries), start) + end[20:]
    archive.write_bytes(data[:start] + entries + ended)
    refused(archive, "of packed files in it")


def test_a_member_that_is_longer_than_it_declares_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    archive = zipped(tmp_path / "in/set.zip", {"a.bin": bytes(100_000)})
    data = bytearray(archive.read_bytes())
    at = data.find(b"PK\x01\x02")
    for place in (22, at + 24):
        data[place : place + 4] = struct.pack("<I", 10)
    archive.write_bytes(data)
    refused(archive, "cannot be read as ZIP")


def test_too_little_room_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    told = os.statvfs(tmp_path)
    fields = list(told)
    fields[4] = 0  # f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
    archive = zipped(tmp_path / "in/set.zip", FILES)
    assert "du -x" in refused(archive, "B or more; the file system", " has 0 B of ", error=MachineError)


def test_names_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    archive = zipped(tmp_path / "in/set.zip", {"aaaa.txt": b"x"})
    archive.write_bytes(archive.read_bytes().replace(b"aaaa", "日本".encode("shift_jis")))
    refused(archive, "names that are not UTF-8")
    archive = zipped(tmp_path / "in/flag.zip", {"äaa.txt": b"x"})
    archive.write_bytes(archive.read_bytes().replace("ä".encode(), b"\xff\xfe"))
    refused(archive, "names that are not UTF-8")
    archive = tmp_path / "in/set.tar"
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as added:
        added.addfile(tarfile.TarInfo("grün.txt"))
    refused(archive, "names that are not UTF-8")


def test_utf8_without_its_mark_is_read(tmp_path: Path) -> None:
    """As macOS and old versions of zip write it."""
    archive = zipped(tmp_path / "set.zip", {"aaaa.txt": b"x"})
    archive.write_bytes(archive.read_bytes().replace(b"aaaa", "éè".encode()))
    unpack(archive, tmp_path / "into")
    assert files_in(tmp_path / "into") == {"éè.txt": b"x"}


def test_archives_in_archives_are_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    inner = zipped(tmp_path / "inner.zip", FILES).read_bytes()
    hint = refused(
        zipped(tmp_path / "in/set.zip", {"train.zip": inner, "b/val.tar.gz": b"x"}), "holds only archives"
    )
    assert "give one of them: unzip " in hint
    unpack(zipped(tmp_path / "more.zip", {"train.zip": inner, "a.txt": b"x"}), tmp_path / "into")
    assert files_in(tmp_path / "into") == {"train.zip": inner, "a.txt": b"x"}


@pytest.mark.parametrize(("name", "start", "command"), [
    ("set.7z", b"7z\xbc\xaf\x27\x1c", "7z x "), ("set.rar", b"Rar!\x1a\x07", "unrar x "),
    ("set.tar.zst", b"\x28\xb5\x2f\xfd", "tar -xf "),
])  # fmt: skip
def test_other_kinds_are_named_with_their_command(
    tmp_path: Path, name: str, start: bytes, command: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(start + bytes(50))
    assert command in refused(tmp_path / "in" / name, "which is not read here")


@pytest.mark.parametrize(("name", "data"), [
    ("set.zip", b"<html>login</html>"), ("set.zip", b"PK"), ("set.zip", b""), ("set.tar", b""), ("set.tgz", b"x" * 999),
    ("labels.json.gz", gzip.compress(b"{}", mtime=0)), ("labels.json.bz2", bz2.compress(b"{}")),
])  # fmt: skip
def test_what_only_has_the_name_of_an_archive_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(data)
    refused(tmp_path / "in" / name, "cannot be read as")


def test_an_archive_of_folders_holds_no_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    refused(zipped(tmp_path / "in/set.zip", {"train/": b""}), "holds no files")


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", {f"{number}.jpg": b"x" for number in range(300)})

    def stop(what: str, done: int, total: int) -> None:
        if done == 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "into", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]


def test_a_name_that_is_too_long_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    refused(zipped(tmp_path / "in/set.zip", {"a" * 300: b"x"}), "a name that is too long")


def test_a_signal_while_it_is_removed_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from taorunner.datasets.transform.archive_source import source_folder

    archive = zipped(tmp_path / "set.zip", FILES)
    calls: list[str] = []
    unlink = os.unlink

    def stopped(path: str, **options: int) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        unlink(path, **options)  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt), source_folder(archive, tmp_path / "made") as source:
        assert files_in(source.folder) == FILES
        monkeypatch.setattr(os, "unlink", stopped)
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]
