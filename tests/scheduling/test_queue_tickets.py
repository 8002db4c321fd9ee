"""Tickets: in order of asking, between processes and users, after a crash, and with anything at all in the folder."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taorunner.errors import MachineError
from taorunner.scheduling.queue_tickets import BELIEVED_S, SAID_AGAIN_S, Tickets, Wish, since_boot_ns

LARGE = Wish("r-large", 2, None, 1000, is_due=True)
NAMED = Wish("r-named", 1, ("GPU-1",), 2000)
HOLD = """
import os, sys
from pathlib import Path
from taorunner.scheduling.queue_tickets import Tickets, Wish
if len(sys.argv) > 2:
    os.setuid(int(sys.argv[2]))
    os.umask(0o077)
tickets = Tickets(Path(sys.argv[1]))
tickets.hold([Wish("r-theirs", 1, None, 1500)])
print([wish.run_id for wish in tickets.others()], flush=True)
sys.stdin.read()
"""


@contextmanager
def another(folder: Path, uid: int | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that holds a ticket and says whose it sees."""
    argv = [sys.executable, "-c", HOLD, str(folder), *([] if uid is None else [str(uid)])]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "leases" / "queue"


def test_others_are_seen_in_the_order_in_which_they_asked_and_oneself_is_not(folder: Path) -> None:
    mine, theirs = Tickets(folder), Tickets(folder)
    assert mine.others() == []
    mine.hold([NAMED])
    theirs.hold([LARGE, Wish("r-last", 4, None, 3000)])
    assert theirs.others() == [NAMED]
    third = Tickets(folder)
    assert third.others() == [LARGE, NAMED, Wish("r-last", 4, None, 3000)]
    assert third.is_alive("r-large") and not third.is_alive("r-unknown")
    theirs.hold([LARGE])
    assert third.others() == [LARGE, NAMED]
    theirs.hold([])
    theirs.drop()
    assert third.others() == [NAMED]
    mine.drop()
    assert list(folder.iterdir()) == []


def test_who_is_killed_waits_no_more_and_is_tidied_away_by_the_next_one(folder: Path) -> None:
    mine = Tickets(folder)
    with another(folder) as (process, _):
        assert [wish.run_id for wish in mine.others()] == ["r-theirs"]
        assert mine.is_alive("r-theirs")
        process.send_signal(signal.SIGKILL)
        process.wait(120)
        assert not mine.is_alive("r-theirs")
    mine.hold([LARGE])
    assert (mine.others(), len(list(folder.iterdir()))) == ([], 1)
    mine.drop()


def test_who_does_not_say_it_again_is_not_believed(folder: Path) -> None:
    stuck = Tickets(folder)
    stuck.hold([LARGE])
    later = Tickets(folder, lambda: since_boot_ns() + int((BELIEVED_S + 1) * 1e9))
    assert later.others() == []
    again = Tickets(folder, lambda: since_boot_ns() + int((BELIEVED_S - 1) * 1e9))
    assert again.others() == [LARGE]
    stuck.drop()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_users_see_each_other_and_cannot_change_each_others_place(tmp_path: Path, folder: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.getuid() and str(parent).startswith(("/tmp/", "/dev/shm/")):
            parent.chmod(parent.stat().st_mode | 0o011)
    mine = Tickets(folder)
    before = os.umask(0o077)
    try:
        mine.hold([LARGE])
    finally:
        os.umask(before)
    with another(folder, uid=65534) as (_, said):
        assert said == "['r-large']"
        assert [wish.run_id for wish in mine.others()] == ["r-theirs"]
        assert mine.is_alive("r-theirs")
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o1777
    mine.drop()


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\0\xff", b"[]", b"{" * 5000, b'{"said_ns": 1e400, "wishes": []}', b'{"said_ns": 1, "wishes": 5}',
        b'{"said_ns": 9e18, "wishes": [["r", 0, null, 1, 0]]}', b'{"said_ns": 9e18, "wishes": [["r", 1]]}',
        b'{"said_ns": 9e18, "wishes": [["r", 1, null, "then", 0]]}', b'{"said_ns": 9e18, "wishes": [["r", 1, 7, 1, 0]]}',
    ],
)  # fmt: skip
def test_whatever_is_no_ticket_is_passed_over(folder: Path, text: bytes) -> None:
    mine = Tickets(folder)
    mine.hold([LARGE])
    (folder / "hostile.ticket").write_bytes(text)
    assert mine.others() == []
    mine.drop()


def test_links_pipes_and_folders_are_no_tickets(folder: Path, tmp_path: Path) -> None:
    mine, theirs = Tickets(folder), Tickets(folder)
    mine.hold([LARGE])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(next(folder.iterdir()).read_bytes())
    (folder / "link.ticket").symlink_to(elsewhere)
    os.mkfifo(folder / "pipe.ticket")
    (folder / "folder.ticket").mkdir()
    assert theirs.others() == [LARGE]
    mine.drop()


@pytest.mark.parametrize("which", ["queue", "leases"])
def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path, which: str) -> None:
    (tmp_path / "nowhere").mkdir()
    place = folder if which == "queue" else folder.parent
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(MachineError, match=r"GPUs cannot be queued for: .*: it is not a folder"):
        Tickets(folder).hold([LARGE])
    assert list((tmp_path / "nowhere").iterdir()) == []


def test_a_ticket_from_the_future_is_believed_no_longer_than_others(folder: Path) -> None:
    moment_ns = [10**12]
    theirs = Tickets(folder, lambda: moment_ns[0] + 10**15)
    theirs.hold([LARGE])
    mine = Tickets(folder, lambda: moment_ns[0])
    assert mine.others() == [LARGE]
    moment_ns[0] += int(BELIEVED_S * 1e9)
    assert mine.others() == [LARGE]
    moment_ns[0] += 1
    assert mine.others() == []


@pytest.mark.parametrize(
    ("row", "wish"),
    [
        (["r", 1, None, 5, True], Wish("r", 1, None, 5, True)),
        (["r", "2", None, 5, 1], Wish("r", 2, None, 5)),  # only true is due
        (["r", 1024, None, 5, False], Wish("r", 1024, None, 5)),
        (["r", 1025, None, 5, False], None),
        (["r", 0, None, 5, False], None),
        (["r", -1, None, 5, False], None),
        (["r", 1, None, 5.0, False], None),
        (["r", 7, ["a", "b"], 5, False], Wish("r", 2, ("a", "b"), 5)),  # as many as are named
        (["r", 7, [], 5, False], None),
        (["r", 1, [8] * 70, 5, False], Wish("r", 64, ("8",) * 64, 5)),
        (["r", 1, ["n" * 101], 5, False], Wish("r", 1, ("n" * 100,), 5)),
        (["r" * 301, 1, None, 5, False], Wish("r" * 300, 1, None, 5)),
        ([3, 1, None, 5, False], Wish("3", 1, None, 5)),
    ],
)
def test_a_request_of_another_user_is_taken_within_bounds(
    row: list[object], wish: Wish | None, folder: Path
) -> None:
    folder.mkdir(parents=True)
    body = {"said_ns": since_boot_ns(), "wishes": [row]}
    (folder / "theirs.ticket").write_text(json.dumps(body))
    assert Tickets(folder).others() == ([] if wish is None else [wish])


def test_a_thousand_requests_of_one_batch_are_taken(folder: Path) -> None:
    tickets = Tickets(folder)
    tickets.hold([Wish(f"r{number}", 1, None, number) for number in range(1001)])
    assert [wish.run_id for wish in Tickets(folder).others()] == [f"r{number}" for number in range(1000)]
    tickets.drop()


def test_a_ticket_is_written_again_after_a_while_or_when_it_changes(folder: Path) -> None:
    moment_ns = [10**12]
    tickets = Tickets(folder, lambda: moment_ns[0])
    said = []
    for step_s, wish in (
        (0, LARGE),
        (SAID_AGAIN_S - 0.001, LARGE),
        (0.001, LARGE),
        (0, NAMED),
        (0.001, NAMED),
    ):
        moment_ns[0] += int(step_s * 1e9)
        tickets.hold([wish])
        (file,) = folder.iterdir()
        said.append(json.loads(file.read_text())["said_ns"] - 10**12)
    again_ns = int(SAID_AGAIN_S * 1e9)
    assert said == [0, 0, again_ns, again_ns, again_ns]
    tickets.drop()


def test_a_batch_that_left_the_queue_and_comes_back_at_once_is_seen(folder: Path) -> None:
    mine, theirs = Tickets(folder), Tickets(folder)
    mine.hold([LARGE])
    mine.drop()
    mine.hold([LARGE])
    assert theirs.others() == [LARGE]
    mine.drop()
