"""Downloads from a server that misbehaves in every way that was seen or is to be feared."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ngc_server import SECRET_QUERY, FakeNgc, cut_at, noise, refuse, slow

from taorunner.errors import MachineError, UserFilesError
from taorunner.pretrained import pull as pull_module
from taorunner.pretrained.http import Patience, Wire
from taorunner.pretrained.names import NgcModel
from taorunner.pretrained.ngc import Ngc, RemoteFile
from taorunner.pretrained.pull import MANIFEST, Pulled, copy_from, pull_files
from taorunner.pretrained.verify import differences, may_be_pulled, verify_local

MODEL = NgcModel("nvidia", "tao", "pretrained_detectnet_v2", "resnet18")
FILE = "resnet18.hdf5"
CONTENT = noise(3_000_000, 1)
BLOCK = 64 * 1024


class Notes:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.have: dict[str, int] = {}
        self.moved = threading.Event()

    def begins(self, model: str, files: Sequence[RemoteFile]) -> None:
        self.texts.append(f"begins {model} {len(files)}")

    def advanced(self, path: str, have: int) -> None:
        self.have[path] = have
        if have:
            self.moved.set()

    def tells(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def server() -> Iterator[FakeNgc]:
    with FakeNgc({"nvidia/tao/pretrained_detectnet_v2": {"resnet18": {FILE: CONTENT}}}) as ngc:
        yield ngc


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "repositories" / MODEL.name / f"{MODEL.name}_vresnet18"


Pull = Callable[..., Pulled]


@pytest.fixture
def pull(server: FakeNgc, folder: Path) -> Pull:
    def run(watcher: Notes | None = None, patience: Patience | None = None, jobs: int = 4) -> Pulled:
        watcher = watcher or Notes()
        patience = patience or Patience(first_wait_s=0.01, read_s=2.0)
        patience.tell = watcher.tells
        with Ngc(Wire(patience), server.environ, lambda: None) as ngc:
            return pull_files(
                str(MODEL), ngc.files(MODEL), folder, ngc.addresses(MODEL), ngc.wire, watcher, jobs
            )

    return run


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir())


def test_a_version_arrives_whole_and_leaves_nothing_beside_it(
    server: FakeNgc, folder: Path, pull: Pull
) -> None:
    watcher = Notes()
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert pull(watcher) == Pulled(
        str(MODEL), folder, (RemoteFile(FILE, len(CONTENT), sha256),), len(CONTENT)
    )
    assert (folder / FILE).read_bytes() == CONTENT
    assert left_over(folder) == [folder.name]
    assert watcher.texts == [f"begins {MODEL} 1"]
    assert watcher.have == {FILE: len(CONTENT)}


def test_what_is_there_is_not_fetched_again(server: FakeNgc, folder: Path, pull: Pull) -> None:
    pull()
    server.seen.clear()
    assert pull().fetched == 0
    assert server.at("store") == []


def test_a_damaged_file_of_the_right_size_is_fetched_again(folder: Path, pull: Pull) -> None:
    pull()
    (folder / FILE).write_bytes(b"x" + CONTENT[1:])
    assert pull().fetched == len(CONTENT)
    assert (folder / FILE).read_bytes() == CONTENT


def test_a_signed_address_is_used_to_the_letter(server: FakeNgc, pull: Pull) -> None:
    pull()
    assert [seen.query for seen in server.at("store")] == [SECRET_QUERY]


def test_fifty_cuts_give_the_right_file_and_no_byte_twice(
    server: FakeNgc, folder: Path, pull: Pull, seed: int
) -> None:
    cuts = sorted(random.Random(seed).sample(range(1, len(CONTENT)), 50))
    server.store_faults = [cut_at(end) for end in cuts]
    pull(patience=Patience(first_wait_s=0.001))
    assert (folder / FILE).read_bytes() == CONTENT
    assert len(server.at("store")) == 51
    starts = [seen.sent[0] for seen in server.at("store")]
    for start, end in zip(starts[1:], cuts, strict=True):
        assert 0 <= end - start <= BLOCK, f"the cut at {end} was followed by a request from {start}"


def test_a_pull_goes_on_where_the_servers_tags_are_weak(server: FakeNgc, folder: Path, pull: Pull) -> None:
    server.tags_are_weak = True
    server.store_faults = [cut_at(1_000_000)]
    pull()
    assert (folder / FILE).read_bytes() == CONTENT
    assert server.at("store")[1].sent[0] > 0


def test_a_server_without_ranges_is_read_from_the_start_again(
    server: FakeNgc, folder: Path, pull: Pull
) -> None:
    server.ignores_ranges = True
    server.store_faults = [cut_at(1_000_000)]
    pull()
    assert (folder / FILE).read_bytes() == CONTENT


def test_an_address_whose_time_is_over_is_replaced(server: FakeNgc, folder: Path, pull: Pull) -> None:
    server.store_faults = [cut_at(500_000), refuse(403)]
    pull()
    assert (folder / FILE).read_bytes() == CONTENT
    assert [seen.query for seen in server.at("api")].count(f"path={FILE}") == 2


def test_retry_after_is_honoured(server: FakeNgc, folder: Path, pull: Pull) -> None:
    server.store_faults = [refuse(429, {"Retry-After": "1"}), refuse(503)]
    started = time.monotonic()
    watcher = Notes()
    pull(watcher)
    assert time.monotonic() - started >= 1.0
    assert (folder / FILE).read_bytes() == CONTENT
    assert watcher.texts[1:] == ["127.0.0.1 answered 429: too many requests; trying again in 1s"]


def test_a_server_that_asks_to_wait_for_long_is_not_waited_for(server: FakeNgc, pull: Pull) -> None:
    server.api_faults = [(429, {"Retry-After": "3600"})]
    with pytest.raises(MachineError) as caught:
        pull()
    assert caught.value.message == "127.0.0.1 answered 429: too many requests"
    assert caught.value.hint == "try again in 3600 seconds, as the server asks"


def test_a_server_that_stays_ill_ends_the_pull_and_the_next_goes_on(
    server: FakeNgc, folder: Path, pull: Pull
) -> None:
    server.store_faults = [cut_at(2_000_000), *[refuse(500)] * 5]
    with pytest.raises(MachineError, match=r"127\.0\.0\.1 answered 500: internal server error"):
        pull()
    assert not folder.exists()
    server.store_faults, server.seen = [], []
    pull()
    assert (folder / FILE).read_bytes() == CONTENT
    [seen] = server.at("store")
    assert 2_000_000 - BLOCK <= seen.sent[0] <= 2_000_000


def test_a_silent_server_is_given_up(server: FakeNgc, pull: Pull) -> None:
    server.store_faults = [slow(1.0)] * 2
    with pytest.raises(MachineError, match=r"127\.0\.0\.1 does not answer"):
        pull(patience=Patience(tries=1, read_s=0.3))


def test_a_wrong_checksum_is_tried_once_more_then_reported(server: FakeNgc, folder: Path, pull: Pull) -> None:
    server.wrong_sums = {FILE}
    watcher = Notes()
    with pytest.raises(MachineError, match=f'"{FILE}" had a wrong checksum twice'):
        pull(watcher)
    assert watcher.texts[1:] == [f'"{FILE}" has a wrong checksum; downloading it again']
    assert not folder.exists()
    assert not list(folder.parent.rglob("*.part"))


def test_without_checksums_the_size_decides(server: FakeNgc, folder: Path, pull: Pull) -> None:
    server.no_sums = True
    assert pull().files == (RemoteFile(FILE, len(CONTENT), None),)
    assert (folder / FILE).read_bytes() == CONTENT


def test_a_partial_file_of_other_content_is_thrown_away(server: FakeNgc, folder: Path, pull: Pull) -> None:
    server.store_faults = [cut_at(2_000_000), *[refuse(500)] * 5]
    with pytest.raises(MachineError):
        pull()
    changed = noise(len(CONTENT), 2)
    server.models["nvidia/tao/pretrained_detectnet_v2"]["resnet18"][FILE] = changed
    server.store_faults = []
    pull()
    assert (folder / FILE).read_bytes() == changed


def test_many_files_in_folders_arrive(server: FakeNgc, folder: Path, pull: Pull) -> None:
    files = {f"saved_model/variables/{n}.bin": noise(1000 + n, n) for n in range(25)} | {"empty": b""}
    server.models["nvidia/tao/pretrained_detectnet_v2"]["resnet18"] = files
    server.page_size = 10
    pull()
    assert {name: (folder / name).read_bytes() for name in files} == files


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a\\b", "", "a//b", "a\nb"])
def test_a_path_that_leaves_the_folder_is_refused(
    server: FakeNgc, folder: Path, pull: Pull, path: str
) -> None:
    server.models["nvidia/tao/pretrained_detectnet_v2"]["resnet18"] = {path: b"1"}
    with pytest.raises(UserFilesError, match="outside the model's folder"):
        pull()
    assert not folder.parent.exists()


def test_a_full_disk_is_reported_before_the_first_byte(
    server: FakeNgc, folder: Path, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_module.shutil, "disk_usage", lambda _path: SimpleNamespace(free=1024 * 1024))
    with pytest.raises(MachineError) as caught:
        pull()
    assert caught.value.message == f"the download needs 2.9 MiB, but only 1.0 MiB are free at {folder.parent}"
    assert server.at("store") == []


def test_two_pulls_at_once_fetch_once(server: FakeNgc, folder: Path, pull: Pull) -> None:
    server.store_faults = [slow(0.01)]
    results: list[Any] = []
    watchers = [Notes(), Notes()]
    threads = [threading.Thread(target=lambda w=w: results.append(pull(w))) for w in watchers]
    threads[0].start()
    assert watchers[0].moved.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join(100)
    assert sorted(result.fetched for result in results) == [0, len(CONTENT)]
    assert (folder / FILE).read_bytes() == CONTENT
    assert watchers[1].texts[0] == f"another pull of {folder.name} is running: waiting for it"
    assert len(server.at("store")) == 1


def test_a_copied_folder_is_verified_by_its_manifest(folder: Path, pull: Pull, tmp_path: Path) -> None:
    pull()
    there = tmp_path / "elsewhere" / MODEL.name / folder.name
    copied = copy_from(str(MODEL), tmp_path / "repositories", there, Notes())
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert copied == Pulled(str(MODEL), there, (RemoteFile(FILE, len(CONTENT), sha256),), len(CONTENT))
    assert (there / FILE).read_bytes() == CONTENT
    assert copy_from(str(MODEL), folder, there, Notes()).fetched == 0


def test_a_copy_that_changed_on_the_way_is_refused(folder: Path, pull: Pull, tmp_path: Path) -> None:
    pull()
    (folder / FILE).write_bytes(CONTENT[:-1] + b"x")
    there = tmp_path / "elsewhere" / MODEL.name / folder.name
    with pytest.raises(UserFilesError, match="differs from its manifest"):
        copy_from(str(MODEL), folder.parent, there, Notes())
    (folder / FILE).unlink()
    with pytest.raises(UserFilesError, match=f'lacks "{FILE}", which its manifest lists'):
        copy_from(str(MODEL), folder.parent, there, Notes())
    assert not there.exists()


def test_a_folder_is_compared_with_what_was_pulled(folder: Path, pull: Pull) -> None:
    pull()
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    whole = Pulled(str(MODEL), folder, (RemoteFile(FILE, len(CONTENT), sha256),), 0)
    assert verify_local(str(MODEL), folder) == whole
    with pytest.raises(UserFilesError) as caught:
        verify_local(str(MODEL), folder.parent / "none")
    assert caught.value.message == f'"{MODEL}" is not in {folder.parent}/none'
    for content, difference in (
        (CONTENT[:-1], f'"{FILE}" has '), (CONTENT[:-1] + b"x", f'"{FILE}" has a different checksum'),
        (None, f'"{FILE}" is missing'),
    ):  # fmt: skip
        (folder / FILE).unlink() if content is None else (folder / FILE).write_bytes(content)
        with pytest.raises(UserFilesError) as caught:
            verify_local(str(MODEL), folder)
        assert caught.value.message.startswith(f"{folder} differs from what was pulled: {difference}")


def test_a_file_that_cannot_be_read_differs(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_bytes(b"four")
    files = [RemoteFile("a/x" + "y" * 300, 1, None), RemoteFile("b", 4, None), RemoteFile("b", 4, "ab" * 32)]
    assert differences(tmp_path, files) == [
        f'"a/x{"y" * 300}" cannot be read: file name too long', '"b" has a different checksum',
    ]  # fmt: skip


def test_only_files_that_no_pull_made_and_that_differ_keep_a_model_from_being_pulled(tmp_path: Path) -> None:
    files = [RemoteFile("a", 1, None), RemoteFile("b", 1, None)]
    notes = Notes()
    assert may_be_pulled(tmp_path / "none", files, notes) is True
    (tmp_path / "a").write_bytes(b"1")
    assert may_be_pulled(tmp_path, files, notes) is True
    (tmp_path / "a").write_bytes(b"12")
    assert notes.texts == []
    assert may_be_pulled(tmp_path, files, notes) is False
    assert [text.startswith(f"{tmp_path} differs from NGC's list") for text in notes.texts] == [True]
    (tmp_path / MANIFEST).write_text("{}")
    assert may_be_pulled(tmp_path, files, notes) is True


def test_files_that_are_there_count_as_downloaded(pull: Pull, server: FakeNgc) -> None:
    pull()
    notes = Notes()
    pull(notes)
    assert notes.have == {FILE: len(CONTENT)}
