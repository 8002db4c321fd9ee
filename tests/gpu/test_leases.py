"""Leases: between processes and users, after a crash, and in a folder where anybody may have put anything."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taorunner.errors import MachineError
from taorunner.gpu.leases import Holder, Lease, Leases, default_directory, make_shared_directory

ANNA = Holder("20261121-train-e1", "anna", "docker")
HOLD = """
import os, sys
from pathlib import Path
from taorunner.gpu.leases import Holder, Leases
if len(sys.argv) > 3:
    os.setuid(int(sys.argv[3]))
lease = Leases(Path(sys.argv[1])).take([sys.argv[2]])
if lease:
    lease.sign(Holder("r1", "anna", "docker"))
print("held" if lease else "busy", flush=True)
sys.stdin.read()
"""


@contextmanager
def another(
    directory: Path, name: str, uid: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that takes the lease and says whether it has it."""
    argv = [sys.executable, "-c", HOLD, str(directory), name, *([] if uid is None else [str(uid)])]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def held(lease: Lease | None) -> Lease:
    assert lease is not None
    return lease


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(tmp_path / "leases")


def test_a_leased_gpu_is_given_to_no_other_run(leases: Leases) -> None:
    lease = held(leases.take(["GPU-1"]))
    lease.sign(ANNA)
    assert leases.take(["GPU-1"]) is None
    assert leases.holder("GPU-1") == ANNA
    lease.release()
    assert leases.holder("GPU-1") is None
    held(leases.take(["GPU-1"])).release()


def test_it_is_all_or_nothing(leases: Leases) -> None:
    first = held(leases.take(["GPU-2"]))
    assert leases.take(["GPU-1", "GPU-2", "GPU-3"]) is None
    both = held(leases.take(["GPU-1", "GPU-3"]))
    first.release()
    both.release()


def test_another_process_is_kept_out_and_one_that_is_killed_holds_nothing(
    leases: Leases, tmp_path: Path
) -> None:
    with another(tmp_path / "leases", "GPU-1") as (process, said):
        assert said == "held"
        assert leases.take(["GPU-1"]) is None
        process.send_signal(signal.SIGKILL)
        process.wait(120)
        lease = held(leases.take(["GPU-1"]))
        assert lease.left_behind == (Holder("r1", "anna", "docker"),)
        lease.release()


def test_what_was_left_behind_is_seen_again_by_the_next_one_who_only_looked(
    leases: Leases, tmp_path: Path
) -> None:
    with another(tmp_path / "leases", "GPU-1") as (process, _):
        process.kill()
        process.wait(120)
    for _ in range(2):
        lease = held(leases.take(["GPU-1"]))
        assert [one.run for one in lease.left_behind] == ["r1"]
        lease.release()
    signed = held(leases.take(["GPU-1"]))
    signed.sign(ANNA)
    signed.release()
    assert held(leases.take(["GPU-1"])).left_behind == ()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_users_keep_each_other_out(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and str(folder).startswith(("/tmp/", "/dev/shm/")):
            folder.chmod(folder.stat().st_mode | 0o011)
    directory = tmp_path / "leases"
    before = os.umask(0o077)
    try:
        lease = held(Leases(directory).take(["GPU-1"]))
    finally:
        os.umask(before)
    with another(directory, "GPU-1", uid=65534) as (_, said):
        assert said == "busy"
    lease.release()
    with another(directory, "GPU-1", uid=65534) as (_, said):
        assert said == "held"
        assert Leases(directory).take(["GPU-1"]) is None
    with another(directory, "GPU-2", uid=65534) as (_, said):
        assert said == "held"
        assert Leases(directory).take(["GPU-2"]) is None
    assert stat.S_IMODE(directory.stat().st_mode) == 0o1777
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o666}


def test_a_child_that_inherits_the_lease_keeps_it(leases: Leases) -> None:
    lease = held(leases.take(["GPU-1"]))
    with subprocess.Popen(["sleep", "60"], pass_fds=lease.descriptors) as child:
        lease.release()
        assert leases.take(["GPU-1"]) is None
        child.kill()
    held(leases.take(["GPU-1"])).release()


def test_any_other_child_does_not(leases: Leases) -> None:
    lease = held(leases.take(["GPU-1"]))
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        lease.release()
        held(leases.take(["GPU-1"])).release()
        child.kill()


def test_mig_parts_share_the_gpu_and_the_whole_gpu_is_then_taken(leases: Leases) -> None:
    one = held(leases.take(["MIG-a"], shared=["GPU-1"]))
    two = held(leases.take(["MIG-b"], shared=["GPU-1"]))
    assert leases.take(["MIG-a"], shared=["GPU-1"]) is None
    one.release()
    assert leases.take(["GPU-1"]) is None
    two.release()
    whole = held(leases.take(["GPU-1"]))
    assert leases.take(["MIG-a"], shared=["GPU-1"]) is None
    whole.release()


def test_a_file_that_was_tidied_away_is_no_lock(leases: Leases, tmp_path: Path) -> None:
    held(leases.take(["GPU-1"])).release()
    (tmp_path / "leases" / "GPU-1.lock").unlink()
    lease = held(leases.take(["GPU-1"]))
    assert leases.take(["GPU-1"]) is None
    lease.release()


SWAPPED = """
import fcntl, sys
from pathlib import Path
from taorunner.gpu.leases import Leases
leases, swaps = Leases(Path(sys.argv[1])), []
def swap(event, _):
    if event == "fcntl.flock" and not swaps:
        swaps.append(event)
        (leases.directory / "GPU-1.lock").unlink()  # between the opening and the locking of the file
sys.addaudithook(swap)
lease = leases.take(["GPU-1"])
print(len(swaps), lease is not None, leases.take(["GPU-1"]) is None)
"""


def test_a_file_that_is_removed_while_it_is_locked_is_no_lock(leases: Leases) -> None:
    argv = [sys.executable, "-c", SWAPPED, str(leases.directory)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("1 True True\n", "")


def test_names_cannot_leave_the_folder(leases: Leases, tmp_path: Path) -> None:
    held(leases.take(["MIG-GPU-1/2/3", "../../x", "."])).release()
    assert sorted(path.name for path in (tmp_path / "leases").iterdir()) == [
        ".lock",
        "MIG-GPU-1_2_3.lock",
        "_.._x.lock",
    ]


def test_a_link_is_not_followed(leases: Leases, tmp_path: Path) -> None:
    held(leases.take(["GPU-1"])).release()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    lock = tmp_path / "leases" / "GPU-1.lock"
    lock.unlink()
    lock.symlink_to(victim)
    with pytest.raises(MachineError, match="GPUs cannot be leased"):
        leases.take(["GPU-1"])
    assert victim.read_text() == "precious"


def test_a_hard_link_to_a_foreign_file_is_locked_and_never_written(leases: Leases, tmp_path: Path) -> None:
    held(leases.take(["GPU-1"])).release()
    victim = tmp_path / "victim"
    victim.write_text('{"run": "precious"}')
    victim.chmod(0o600)
    lock = tmp_path / "leases" / "GPU-1.lock"
    lock.unlink()
    lock.hardlink_to(victim)
    lease = held(leases.take(["GPU-1"]))
    lease.sign(ANNA)
    lease.release()
    assert victim.read_text() == '{"run": "precious"}'


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused(leases: Leases, tmp_path: Path, make: object) -> None:
    held(leases.take(["GPU-1"])).release()
    lock = tmp_path / "leases" / "GPU-1.lock"
    lock.unlink()
    make(lock)  # type: ignore[operator]
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(MachineError, match="GPUs cannot be leased"):
        leases.take(["GPU-1"])
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leases").symlink_to(tmp_path / "nowhere")
    with pytest.raises(MachineError, match="not a folder"):
        Leases(tmp_path / "leases").take(["GPU-1"])


@pytest.mark.parametrize(
    "text", [b"\0\xff", b"[]", b'"x"', b"{" * 5000, b"[" * 5000, b'{"run": "\\u001b[2J"}', b'{"later": 1}']
)
def test_any_content_of_the_file_is_shown_harmlessly(leases: Leases, tmp_path: Path, text: bytes) -> None:
    lease = held(leases.take(["GPU-1"]))
    (tmp_path / "leases" / "GPU-1.lock").write_bytes(text)
    assert str(leases.holder("GPU-1")).isprintable()
    lease.release()
    (tmp_path / "leases" / "GPU-1.lock").write_bytes(text)
    again = held(leases.take(["GPU-1"]))
    (left,) = again.left_behind
    assert str(left).isprintable()
    again.release()


def test_a_holder_that_wrote_nothing_is_an_unknown_one(leases: Leases) -> None:
    lease = held(leases.take(["GPU-1"]))
    assert leases.holder("GPU-1") == Holder()
    lease.release()


def test_all_descriptors_are_those_of_the_lease(leases: Leases) -> None:
    lease = held(leases.take(["GPU-1", "GPU-2"], shared=["GPU-3"]))
    assert len(set(lease.descriptors)) == 5, "three files, and the names of the two that are not shared"
    lease.release()
    lease.release()
    assert lease.descriptors == ()


def test_the_folder_is_the_same_for_all_users(tmp_path: Path) -> None:
    assert default_directory({"TAORUNNER_LEASES": str(tmp_path)}) == tmp_path
    assert default_directory({}).name == "taorunner-gpus"
    assert default_directory({"HOME": "/home/a"}) == default_directory({"HOME": "/home/b", "TMPDIR": "/x"})


@pytest.mark.parametrize(
    ("mode", "place"), [(0o1777, "/run/lock"), (0o777, "/tmp"), (0o1755, "/tmp"), (None, "/tmp")]
)
def test_the_folder_lies_where_all_may_write_and_none_removes_the_files_of_others(
    mode: int | None, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stat_of(path: Path) -> os.stat_result:
        if mode is None:
            raise FileNotFoundError(path)
        return os.stat_result((mode, *[0] * 9))

    monkeypatch.setattr(Path, "stat", stat_of)
    assert default_directory({}) == Path(place, "taorunner-gpus")


@pytest.mark.parametrize(("times", "is_had"), [(0, True), (3, True), (4, False)])
def test_a_lock_that_is_held_for_a_moment_is_tried_again(
    times: int, is_had: bool, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another process does to read the holder."""
    held(leases.take(["GPU-1"])).release()
    left = [BlockingIOError(errno.EWOULDBLOCK, "busy")] * times
    real = fcntl.flock

    def flock(descriptor: int, kind: int) -> None:
        if left:
            raise left.pop()
        real(descriptor, kind)

    before = sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(fcntl, "flock", flock)
    lease = leases.take(["GPU-1"])
    assert (lease is not None) is is_had
    if lease is not None:
        lease.release()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_file_system_without_locks_is_an_error(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    held(leases.take(["GPU-1"])).release()
    before = sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(MachineError, match="GPUs cannot be leased: No locks available"):
        leases.take(["GPU-1"])
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("is_full", [False, True])
def test_a_folder_that_another_process_makes_at_the_same_time_is_used(
    is_full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "leases"
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        target.mkdir()
        if is_full:
            (target / "GPU-9.lock").touch()
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    make_shared_directory(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["leases"]
    if not is_full:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o1777


def test_what_a_later_version_wrote_beside_is_passed_over(leases: Leases, tmp_path: Path) -> None:
    lease = held(leases.take(["GPU-1"]))
    (tmp_path / "leases" / "GPU-1.lock").write_text('{"run": "r-1", "user": "anna", "host": "lab"}')
    assert leases.holder("GPU-1") == Holder("r-1", "anna")
    lease.release()


def test_the_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    lease = held(Leases(tmp_path / "run" / "lock" / "leases").take(["GPU-1"]))
    assert (tmp_path / "run" / "lock" / "leases" / "GPU-1.lock").is_file()
    lease.release()


def test_why_a_lease_cannot_be_had_is_named(leases: Leases, tmp_path: Path) -> None:
    held(leases.take(["GPU-1"])).release()
    lock = tmp_path / "leases" / "GPU-1.lock"
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError) as caught:
        leases.take(["GPU-1"])
    assert caught.value.message == f'GPUs cannot be leased: "{lock}": too many levels of symbolic links'


def test_a_removed_or_replaced_lock_gives_the_gpu_to_nobody_else(leases: Leases, tmp_path: Path) -> None:
    lease = held(leases.take(["GPU-1"]))
    lease.sign(ANNA)
    lock = tmp_path / "leases" / "GPU-1.lock"
    for change in (lock.unlink, lambda: (lock.unlink(), lock.touch()), lambda: shutil.rmtree(lock.parent)):
        change()
        other = Leases(tmp_path / "leases")
        assert other.take(["GPU-1"]) is None
        assert other.take(["MIG-a"], shared=["GPU-1"]) is None
        assert other.holder("GPU-1") == Holder()
        assert leases.restore(lease) == [str(lock)]
        assert leases.restore(lease) == []
        assert other.holder("GPU-1") in (ANNA, Holder()), (
            "nothing is written into a file that not all may write"
        )
    lease.release()
    held(leases.take(["GPU-1"])).release()


def test_two_folders_know_nothing_of_each_other(tmp_path: Path) -> None:
    one = held(Leases(tmp_path / "a").take(["GPU-1"]))
    held(Leases(tmp_path / "b").take(["GPU-1"])).release()
    one.release()


CLOSED = """
import os, sys
from pathlib import Path
from taorunner.gpu.leases import Leases
os.setgid(65534), os.setuid(65534)
leases = Leases(Path(sys.argv[1]))
first = leases.take(["GPU-1"])
print(first is not None, leases.take(["GPU-1"]) is None, leases.holder("GPU-1"))
first.release()
print(leases.holder("GPU-1"), leases.take(["GPU-1"]) is not None)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_file_that_only_its_owner_may_open_keeps_nobody_from_the_gpu(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and str(folder).startswith(("/tmp/", "/dev/shm/")):
            folder.chmod(folder.stat().st_mode | 0o011)
    held(Leases(tmp_path / "leases").take(["GPU-1"])).release()
    (tmp_path / "leases" / "GPU-1.lock").chmod(0o600)
    argv = [sys.executable, "-c", CLOSED, str(tmp_path / "leases")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("True True run ? of ?\nNone True\n", "")
