"""The power fails at a moment: what was recorded by then is on the disk, for a disk of its own is copied as it is then."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plain_runs import plain_plan

from taorunner.atomic_files import flush_all
from taorunner.backends.contract import Handle, Started
from taorunner.backends.process.backend import LocalBackend, ProcessRequest
from taorunner.backends.slurm.folder import Folder
from taorunner.events import RunFinished, RunStarted, RunState, now
from taorunner.gpu.inventory import Inventory
from taorunner.gpu.leases import Leases
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.control.join_batch import join
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.batch_runner import BatchRunner
from taorunner.scheduling.gpu_allocator import FreeGpus

ONE, TWO, LATE = (f"20261120-00000{number}-e{number}-evaluate-aaaaa{number}" for number in range(3))
mounted = pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """On an ext4 of its own."""
    image, place = tmp_path / "image", tmp_path / "w"
    place.mkdir()
    image.touch()
    os.truncate(image, 32 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    (place / "projects").mkdir()
    os.sync()
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def after_a_cut(workspace: Path) -> Iterator[Callable[[], Path]]:
    """The state folder as the next start of the machine finds it."""
    made: list[Path] = []

    def cut() -> Path:
        place = workspace.with_name(f"after-{len(made)}")
        place.mkdir()
        image = shutil.copy(workspace.with_name("image"), place.with_suffix(".image"))
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
        made.append(place)
        return place / ".taorunner"

    yield cut
    for place in made:
        subprocess.run(["umount", "-l", str(place)], check=True)


def plans_of(root: Path, *runs: str) -> list[tuple[str, RunPlan]]:
    return [(run, plain_plan(root, run, argv=("true",))) for run in runs]


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@mounted
def test_a_new_batch_and_runs_that_join_it_are_whole(
    workspace: Path, after_a_cut: Callable[[], Path]
) -> None:
    store = RunStore(workspace / ".taorunner")
    batch = create_batch(store, plans_of(workspace, ONE, TWO), now(), environ=os.environ)
    expected = contents(store.state_dir)
    assert contents(after_a_cut()) == expected
    store.open_batches.handed_over(batch.id)
    join(store, batch.id, plans_of(workspace, LATE), now(), environ=os.environ)
    expected = contents(store.state_dir)
    assert contents(after_a_cut()) == expected
    assert RunStore(after_a_cut()).load_batch(batch.id).runs == (ONE, TWO, LATE)


@mounted
def test_the_end_of_a_run_and_its_changed_plan_are_whole(
    workspace: Path, after_a_cut: Callable[[], Path]
) -> None:
    store = RunStore(workspace / ".taorunner")
    create_batch(store, plans_of(workspace, ONE), now(), environ=os.environ)
    plan = plain_plan(workspace, ONE, argv=("false",))
    store.save_plan(ONE, plan)
    end = RunFinished(run=ONE, at=now(), state=RunState.SUCCEEDED, reason="done", exit_code=0)
    store.save(store.load(ONE).finished(end))
    left = RunStore(after_a_cut())
    assert (left.load(ONE).state, left.load_plan(ONE)) == (RunState.SUCCEEDED, plan)


class Cut(LocalBackend):
    """Keeps what the disk has when a run is about to start, and before what the engine has of it is removed."""

    def __init__(self, cut: Callable[[], Path]) -> None:
        super().__init__()
        self._cut = cut
        self.at_start: RunStore | None = None
        self.at_removal: RunStore | None = None

    def submit(self, request: ProcessRequest) -> Started:
        self.at_start = RunStore(self._cut())
        return super().submit(request)

    def remove(self, handle: Handle) -> None:
        self.at_removal = RunStore(self._cut())
        super().remove(handle)


@mounted
def test_a_start_is_on_the_disk_before_it_and_the_log_before_that_of_the_engine_goes(
    workspace: Path, after_a_cut: Callable[[], Path]
) -> None:
    store = RunStore(workspace / ".taorunner")
    plan = plain_plan(workspace, ONE, argv=("sh", "-c", "echo hello"))
    batch = create_batch(store, [(ONE, plan)], now(), environ={})
    backend = Cut(after_a_cut)
    gpus = FreeGpus(Leases(workspace.with_name("leases")), Inventory)
    BatchRunner(store, batch, make_backend=lambda _: backend, gpus=gpus, environ=os.environ).run()
    assert backend.at_start is not None
    assert backend.at_removal is not None
    assert backend.at_start.load(ONE).state is RunState.STARTING
    assert backend.at_removal.load(ONE).state is RunState.SUCCEEDED
    assert backend.at_removal.paths(ONE).console.read_bytes() == b"hello\n"
    assert any(isinstance(event, RunStarted) for event in backend.at_removal.read_events(ONE)[0])


@mounted
def test_a_job_that_is_handed_over_to_slurm_is_searched_for_after_a_cut(
    workspace: Path, after_a_cut: Callable[[], Path]
) -> None:
    folder = Folder(workspace / ".taorunner" / ONE)
    folder.run_dir.mkdir(parents=True)
    os.sync()
    folder.begin_submit()
    assert Folder(after_a_cut() / ONE).is_answer_unknown
    folder.keep_job("7")
    assert Folder(after_a_cut() / ONE).job() == "7"


def test_a_file_that_cannot_be_flushed_is_named(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with pytest.raises(FileNotFoundError) as raised:
        flush_all([tmp_path, tmp_path / "there", tmp_path / "gone"])
    assert raised.value.filename == str(tmp_path / "gone")
