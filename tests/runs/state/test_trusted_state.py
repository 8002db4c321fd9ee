"""What lies in ``.taorunner`` is done only where it is the caller's, or a team's that shares it on purpose."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from plain_runs import plain_plan

from taorunner.backends.process.backend import LocalBackend
from taorunner.errors import MachineError, RunStateError
from taorunner.events import RunState, now
from taorunner.gpu.inventory import Inventory
from taorunner.gpu.leases import Leases
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.control.recovery import adopt
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.batch_index import environ_of_runs, restored_environ
from taorunner.runs.state.store import Batch, RunStore
from taorunner.runs.supervisor.batch_runner import BatchRunner
from taorunner.scheduling.gpu_allocator import FreeGpus

OTHER_USER = 12345
RUNS = ("20261120-000000-e1-x", "20261120-000001-e2-x")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def make_plan(root: Path, argv: tuple[str, ...] = ("true",)) -> RunPlan:
    return plain_plan(root, "e1", argv=argv)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


def batch_of(store: RunStore, *plans: RunPlan) -> Batch:
    named = list(zip(RUNS, plans, strict=False))
    batch = create_batch(store, named, now(), environ=os.environ)
    store.open_batches.handed_over(batch.id)
    return batch


def run(store: RunStore, batch: Batch) -> bool:
    return BatchRunner(
        store, batch, make_backend=lambda _name: LocalBackend(), gpus=FreeGpus(Leases(store.state_dir / "leases"), Inventory),
        environ=os.environ,
    ).run()  # fmt: skip


def touching(root: Path, name: str) -> RunPlan:
    return make_plan(root, argv=("touch", str(root / name)))


def test_a_batch_gives_a_closed_list_of_names(store: RunStore, tmp_path: Path) -> None:
    batch = batch_of(store, make_plan(tmp_path))
    said = {
        "PYTHONPATH": "/evil", "LD_PRELOAD": "/evil.so", "PYTHONSTARTUP": "/evil.py", "PATH": "/bin", "DOCKER_HOST": "unix:///x",
        "LD_LIBRARY_PATH": "/l", "DOCKER_CONTEXT": ["no", "text"],
    }  # fmt: skip
    file = store.batch_paths(batch.id).batch
    file.write_text(json.dumps({**json.loads(file.read_text()), "environ": said}))
    kept = RunStore(store.state_dir).load_batch(batch.id).environ
    assert kept == {"PATH": "/bin", "DOCKER_HOST": "unix:///x", "LD_LIBRARY_PATH": "/l"}
    own = {"PATH": "/usr/bin", "A": "b", "DOCKER_CONTEXT": "mine"}
    assert restored_environ(own, kept) == {"PATH": "/usr/bin", "A": "b", "DOCKER_HOST": "unix:///x"}
    assert environ_of_runs(own, kept) == {**own, "PATH": "/bin", "LD_LIBRARY_PATH": "/l"}


@needs_root
@pytest.mark.parametrize("name", ["record.json", "plan.json", "."])
def test_a_run_whose_files_are_not_ours_is_left_alone(
    store: RunStore, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = batch_of(store, touching(tmp_path, "one"), touching(tmp_path, "two"))
    os.chown(store.paths(RUNS[0]).directory / name, OTHER_USER, OTHER_USER)
    assert not run(store, batch)
    assert not (tmp_path / "one").exists()
    assert (tmp_path / "two").exists()
    assert f"{RUNS[0]} is skipped: " in (message := capsys.readouterr().err)
    assert f"belongs to user {OTHER_USER}, not to you" in message
    os.chown(store.paths(RUNS[0]).directory / name, 0, 0)
    assert run(store, batch)
    assert (tmp_path / "one").exists()


@pytest.mark.parametrize("name", ["record.json", "plan.json"])
def test_a_link_in_the_place_of_a_file_is_left_alone(store: RunStore, tmp_path: Path, name: str) -> None:
    batch = batch_of(store, touching(tmp_path, "one"))
    file = store.paths(RUNS[0]).directory / name
    file.rename(tmp_path / name)
    file.symlink_to(tmp_path / name)
    assert not run(store, batch)
    assert not (tmp_path / "one").exists()
    with (
        pytest.raises(OSError, match="is a link")
        if name == "plan.json"
        else pytest.raises(RunStateError, match="is a link")
    ):
        store.load_plan(RUNS[0]) if name == "plan.json" else store.load(RUNS[0])


def test_events_and_log_are_not_written_through_links(store: RunStore, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("old")
    batch = batch_of(store, make_plan(tmp_path, argv=("echo", "hello")))
    for name in ("request.txt", "position.json"):
        (store.paths(RUNS[0]).directory / name).symlink_to(precious)
    assert run(store, batch)
    assert (precious.read_text(), store.paths(RUNS[0]).console.read_text()) == ("old", "hello\n")
    assert not store.paths(RUNS[0]).request.is_symlink()
    store.paths(RUNS[0]).events.unlink()
    store.paths(RUNS[0]).events.symlink_to(precious)
    with pytest.raises(OSError, match="is a link"):
        store.append_events(RUNS[0], [store.load(RUNS[0]).queued_event()])
    assert store.read_events(RUNS[0]) == ([], 0)
    assert precious.read_text() == "old"


@needs_root
def test_a_team_shares_its_state_by_the_setgid_bit(tmp_path: Path) -> None:
    state = tmp_path / ".taorunner"
    state.mkdir()
    os.chown(state, OTHER_USER, OTHER_USER)
    state.chmod(0o2775)  # new folders and files get the group, and folders the bit
    ours = RunStore(state)
    batch_of(ours, make_plan(tmp_path))
    for path in state.rglob("*"):
        os.chown(path, OTHER_USER, path.stat().st_gid)
    assert RunStore(state).load(RUNS[0]).id == RUNS[0]
    assert [record.id for record in RunStore(state).unfinished()] == [RUNS[0]]
    os.chown(RunStore(state).paths(RUNS[0]).record, OTHER_USER, OTHER_USER + 1)
    with pytest.raises(RunStateError, match="is not trusted") as caught:
        RunStore(state).load(RUNS[0])
    assert "chmod -R g+rwXs .taorunner" in (caught.value.hint or "")


@needs_root
def test_runs_are_not_recorded_where_they_would_not_count() -> None:
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory() as folder:  # no other user may read the folder of a test
        Path(folder).chmod(0o755)
        state = Path(folder) / ".taorunner"
        state.mkdir()
        os.chown(state, OTHER_USER, OTHER_USER)
        plan = make_plan(state.parent)  # reads files of the package, which the other user may not see
        if (child := os.fork()) == 0:
            os.setuid(OTHER_USER + 1)
            try:
                create_batch(RunStore(state), [(RUNS[0], plan)], now(), environ={})
            except MachineError as error:
                os.write(writing, f"{error.message}|{error.hint}".encode())
            finally:
                os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        message = pipe.read()
    assert message.startswith(f'runs cannot be recorded: "{state}" belongs to user {OTHER_USER}, not to you|')
    assert "g+rwXs" in message


def test_an_open_batch_undoes_no_run_of_another_one(store: RunStore, tmp_path: Path) -> None:
    """A file in ``open/`` without its batch is what an interrupted start leaves, and what anybody could put there."""
    batch_of(store, make_plan(tmp_path))
    store.save(replace(store.load(RUNS[0]), state=RunState.RUNNING, handle="1:1"))
    planted = store.state_dir / "open" / "x"
    planted.write_text(json.dumps([RUNS[0], "..", ".", "a/b", 7]))
    assert not adopt(store, "x")
    assert store.load(RUNS[0]).state is RunState.RUNNING
    assert store.paths(RUNS[0]).plan.exists()
    assert not planted.exists()


@pytest.mark.parametrize("runs", [["../../x"], [".."], [7], "text", {"a": 1}])
def test_a_batch_names_runs_and_no_paths(store: RunStore, tmp_path: Path, runs: object) -> None:
    batch = batch_of(store, make_plan(tmp_path))
    file = store.batch_paths(batch.id).batch
    file.write_text(json.dumps({**json.loads(file.read_text()), "runs": runs}))
    with pytest.raises(ValueError, match="is damaged: its runs are not ids"):
        store.load_batch(batch.id)


@needs_root
def test_a_batch_of_another_user_is_neither_adopted_nor_undone(store: RunStore, tmp_path: Path) -> None:
    batch = batch_of(store, make_plan(tmp_path))
    os.chown(store.batch_paths(batch.id).batch, OTHER_USER, OTHER_USER)
    assert not adopt(store, batch.id)
    assert store.open_batches.ids() == [batch.id]
    assert store.load(RUNS[0]).state is RunState.QUEUED
    assert store.unfinished() == []
    assert f"belongs to user {OTHER_USER}" in store.refused[batch.id]
