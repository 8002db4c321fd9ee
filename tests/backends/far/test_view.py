"""The view of results on a far side: what it shows of them, and what names and links there cannot do here."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from taorunner.backends.far.files import PIECES, look, packed, read_pieces
from taorunner.backends.far.runs import _ahead_s
from taorunner.backends.far.view import ENDS_BYTES, INDEX, Shown, show
from taorunner.backends.login_host import LoginHost
from taorunner.errors import MachineError
from taorunner.progress.file_wholeness import is_whole

HERE = LoginHost(None)
HOSTILE = ("a b", "it's", 'say "$(touch x)"', "back\\slash", "new\nline", "-rf", "é", "*")


class Side:
    """``there`` is the far side, ``seen`` its view. ``read`` counts the bytes that were asked for."""

    def __init__(self, there: Path, seen: Path) -> None:
        self.there, self.seen, self.read = there, seen, 0
        there.mkdir()

    def write(self, name: str, data: bytes) -> Path:
        path = self.there / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def show(self, *, skew_s: float = 0.0) -> None:
        def read(pieces: Sequence[tuple[str, int, int]]) -> list[bytes]:
            self.read += sum(length for _, _, length in pieces)
            return read_pieces(HERE, pieces)

        shown = Shown(str(self.there), self.seen, ("train/status.json", "train/events.*"), ("train/*.pth",))
        show(shown, look(HERE, [], [str(self.there)]).files, read, skew_s)

    def names(self) -> list[str]:
        found = (path.relative_to(self.seen) for path in self.seen.rglob("*"))
        return sorted(str(name) for name in found if name.name != INDEX)


@pytest.fixture
def side(tmp_path: Path) -> Side:
    return Side(tmp_path / "far side", tmp_path / "view" / "models")


def test_what_is_read_while_a_run_goes_on_is_copied_piece_by_piece(side: Side) -> None:
    status = side.write("train/status.json", b"one\n")
    side.write("train/image.png", b"x" * 5000)
    side.show()
    assert (side.seen / "train/status.json").read_bytes() == b"one\n"
    assert (side.seen / "train/image.png").stat().st_size == 5000
    assert side.read == 4
    with status.open("ab") as file:
        file.write(b"two\n")
    os.utime(status, ns=(10**18 + 7, 10**18 + 7))
    side.show()
    assert (side.seen / "train/status.json").read_bytes() == b"one\ntwo\n"
    assert (side.seen / "train/status.json").stat().st_mtime_ns == 10**18 + 7
    assert side.read == 8
    side.show()
    assert side.read == 8
    status.unlink()
    side.write("train/status.json", b"another, longer than before\n")
    side.show(skew_s=5.0)
    assert (side.seen / "train/status.json").read_bytes() == b"another, longer than before\n"
    ahead_s = (side.there / "train/status.json").stat().st_mtime - (
        side.seen / "train/status.json"
    ).stat().st_mtime
    assert 4.9 < ahead_s < 5.1


def test_weights_have_a_start_an_end_and_a_hole_that_show_whether_they_were_cut_off(side: Side) -> None:
    whole = side.there / "train/model_001.pth"
    whole.parent.mkdir()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", b"d" * 100)
        archive.writestr("archive/weights", os.urandom(8 * ENDS_BYTES))
    side.write("train/model_002.pth", whole.read_bytes()[:-5000])
    (side.there / "train/model_latest.pth").symlink_to("model_001.pth")
    side.show()
    first, second = side.seen / "train/model_001.pth", side.seen / "train/model_002.pth"
    assert (is_whole(first), is_whole(second)) == (True, False)
    assert first.stat().st_size == whole.stat().st_size
    assert first.stat().st_blocks * 512 < 3 * ENDS_BYTES
    assert side.read == 4 * ENDS_BYTES
    assert (side.seen / "train/model_latest.pth").resolve() == first.resolve()
    whole.unlink()
    side.show()
    assert side.names() == ["train", "train/model_002.pth", "train/model_latest.pth"]


def test_runs_of_one_experiment_share_a_view_and_each_sees_what_it_reads(side: Side) -> None:
    status = side.write("train/status.json", b"one\n")

    def show_other() -> None:
        shown = Shown(str(side.there), side.seen, ("export/status.json",), ("train/*.json",))
        show(shown, look(HERE, [], [str(side.there)]).files, lambda pieces: read_pieces(HERE, pieces))

    show_other()
    for text in (b"one\n", b"one\ntwo\n", b"one\ntwo\nthree\n"):
        status.write_bytes(text)
        show_other()
        side.show()
        show_other()
        assert (side.seen / "train/status.json").read_bytes() == text


def test_names_and_links_of_the_far_side_lead_nowhere_here(side: Side, tmp_path: Path) -> None:
    for name in HOSTILE:
        side.write(f"train/{name}", name.encode())
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    for name, target in (("up", "../.."), ("away", str(outside)), ("self", ".")):
        (side.there / name).symlink_to(target)
    (side.there / "train/status.json").symlink_to(outside / "kept")
    os.mkfifo(side.there / "train/events.1")
    side.show()
    assert side.names() == sorted(["train", *(f"train/{name}" for name in HOSTILE)])
    (side.there / "turns").symlink_to("train")
    side.show()
    (side.there / "turns").unlink()
    side.write("turns/inner", b"1")
    side.show()
    assert (side.seen / "turns").is_symlink() is False
    assert (side.seen / "train/inner").exists() is False
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_an_answer_that_is_not_whole_is_none(side: Side) -> None:
    path = side.write("a", b"12345")
    assert read_pieces(HERE, [(str(path), 1, 2), (str(path), 4, 1)]) == [b"23", b"5"]
    with pytest.raises(MachineError, match="no whole answer"):
        read_pieces(HERE, [(str(path), 3, 5)])


def test_files_of_state_count_from_their_owner_only(
    side: Side, tmp_path: Path, as_owner: Callable[[Path], None]
) -> None:
    names = ("mine", "open", "other", "twice", "link", "folder")
    paths = [side.there / name for name in names]
    for path in paths[:4]:
        path.write_text("1")
    paths[1].chmod(0o664)
    as_owner(paths[2])
    (side.there / "second").hardlink_to(paths[3])
    paths[4].symlink_to(paths[0])
    paths[5].mkdir()
    found = look(HERE, map(str, [*paths, side.there / "missing"]))
    assert [name for name, path in zip(names, paths, strict=True) if found.trusted(str(path))] == ["mine"]


@pytest.fixture
def as_owner() -> Callable[[Path], None]:
    """Gives a file to another user."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    return lambda path: os.chown(path, 12345, 12345)


@pytest.mark.parametrize(
    ("clock_s", "ahead_s"), [(95.0, -5.0), (99.0, 0.0), (105.0, 0.0), (111.0, 0.0), (120.0, 10.0)]
)
def test_a_clock_is_ahead_only_when_a_slow_answer_does_not_explain_it(clock_s: float, ahead_s: float) -> None:
    assert _ahead_s(clock_s, 100.0, 110.0) == ahead_s


def test_an_archive_holds_modes_and_content() -> None:
    data = packed({"run0/input/secrets/key": (b"\0k", 0o600), "run0/slurm/node.sh": (b"#!", 0o700)})
    assert len(data) % 512 == 0
    assert b"secrets/key" in data


def test_what_a_container_leaves_for_the_view_is_shown_as_far_as_the_disk_here_takes_it(side: Side) -> None:
    """A run whose results cannot be shown would never end, nor would its neighbours on that host."""
    status = side.write("train/status.json", b"one\n")
    late = side.write("train/late.pth", b"weights")
    os.utime(late, ns=(0, 2**62 * 1000))
    side.write("train/" + "n" * 251 + ".pth", b"weights")
    sparse = side.write("train/sparse.pth", b"")
    os.truncate(sparse, 2**62)
    descriptor = os.open(side.there, os.O_RDONLY)
    for _ in range(300):  # more than a path can be, in folders that are opened one from another
        os.mkdir("d" * 200, dir_fd=descriptor)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    side.show()
    assert {"train", "train/status.json", "train/late.pth", "train/" + "n" * 251 + ".pth"} <= {*side.names()}
    status.write_bytes(b"one\ntwo\n")
    side.show()
    assert (side.seen / "train/status.json").read_bytes() == b"one\ntwo\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv of util-linux is not installed")
def test_a_file_that_may_not_be_read_there_is_zeros() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        closed, opened = Path(folder, "closed"), Path(folder, "opened")
        for path, mode in ((closed, 0o600), (opened, 0o644)):
            path.write_bytes(b"12345")
            path.chmod(mode)
        done = subprocess.run(
            ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", "--", "sh", "-c", PIECES],
            input=f"{closed}\0001\0002\0{opened}\0001\0002\0".encode(), stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
    assert done.stdout == b"\0\00023"


def test_what_takes_the_place_of_a_file_after_it_was_listed_is_not_read(side: Side, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (side.there / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(side.there / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(MachineError, match="no whole answer"):
            read_pieces(HERE, [(str(side.there / name), 0, 6)])
