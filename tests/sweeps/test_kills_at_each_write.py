"""A loop that is killed between any two changes of files: each trial is trained once, and the sweep ends."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from taorunner.errors import TaorunnerError
from taorunner.events import RunStarted, RunState
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.runs.control.recovery import start_missing_supervisors
from taorunner.runs.state.run_repair import NEVER_STARTED
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.checks.preflight import prepare
from taorunner.sweeps.control import begin, start_process, stop
from taorunner.sweeps.folder import SweepFolder

ROUNDS = int(os.environ.get("TAORUNNER_FAULT_ROUNDS", "6"))
CHANGES = 400
"""More than a sweep of three trials makes. With so many ROUNDS each is tried."""
SWEEPS = """
  three:
    base: tiny
    sampler: grid
    epochs: 1
    keep: best
    space:
      train.learning_rate: {choice: [0.002, 0.004, 0.008]}
  unmet:
    base: tiny
    sampler: random
    trials: 2
    epochs: 1
    space:
      train.learning_rate: {choice: [0.004, 0.008]}
    start_with:
      - {train.learning_rate: 0.008}
    together: ["train.learning_rate < 0.006"]
"""


class Place:
    """A workspace with the sweeps, of which one at a time is begun anew, killed and resumed."""

    def __init__(self, root: Path) -> None:
        file = root / "projects/shapes/experiments.yml"
        file.write_text(file.read_text(encoding="utf-8") + SWEEPS, encoding="utf-8")
        self.workspace = Workspace(root)
        self.store = RunStore(self.workspace.state_dir)
        self.log = root.parent / "changes.log"
        self._older: set[str] = set()
        self._loop: subprocess.Popen[bytes] | None = None

    def folder(self, name: str) -> SweepFolder:
        return SweepFolder(self.store, "shapes", name)

    def prepare(self, name: str, *, new: bool) -> None:
        sweep = load_project(self.workspace, "shapes", {}).sweeps[name]
        prepared, findings = prepare(self.workspace, "shapes", sweep, os.environ)
        assert prepared is not None, findings
        begin(self.folder(name), self.workspace.project("shapes").models_dir, prepared, new=new)

    def begin(self, name: str, nth: int, words: str = "", *, stopping: bool = False) -> None:
        """Begins the sweep with a loop that is killed before the ``nth`` change with ``words``."""
        self._older = {record.id for record in self.store.records()}
        self.prepare(name, new=self.folder(name).stored() is not None)
        self.folder(name).withdraw_stop()
        script = str(Path(__file__).with_name("killed_loop.py"))
        words_of_script = [str(self.workspace.root), "shapes", name, str(nth), words, str(self.log)]
        self._loop = subprocess.Popen(
            [sys.executable, script, *words_of_script, *(["--stopping"] if stopping else [])]
        )

    def dies(self, *, surely: bool = True) -> None:
        """Waits until the loop was killed, or where that is not sure, has ended."""
        assert self._loop is not None
        code = self._loop.wait(timeout=120)
        assert code == -signal.SIGKILL or (not surely and code == 0), self.log.read_text()

    def changes(self) -> list[str]:
        return self.log.read_text().splitlines()

    def resume(self, name: str) -> None:
        self.prepare(name, new=False)
        start_process(self.folder(name), self.workspace, os.environ)
        deadline = time.monotonic() + 120
        while self.folder(name).is_owned:
            assert time.monotonic() < deadline, self.folder(name).log.read_text()
            time.sleep(0.05)

    def check(self, name: str, endings: Sequence[str]) -> None:
        """Each trial is over and was trained once; what else is on record never started, and nothing is queued."""
        folder = self.folder(name)
        said = (self.changes()[-1:], folder.log.read_text() if folder.log.exists() else "", folder.end())
        trials = folder.trials()
        assert [trial.ending for trial in trials] == list(endings), said
        records = [one for one in self.store.records() if one.id not in self._older]
        began = Counter(record.experiment for record in records if self._starts(record.id))
        trained = [trial for trial in trials if trial.ending == "succeeded"]
        assert began == Counter(f"{name}-{trial.name}" for trial in trained), said
        assert {trial.run for trial in trained} == {one.id for one in records if self._starts(one.id)}, said
        others = [record for record in records if not self._starts(record.id)]
        assert {one.state for one in others} <= {RunState.STOPPED}, said

    def _starts(self, run: str) -> int:
        count = len([one for one in self.store.read_events(run)[0] if isinstance(one, RunStarted)])
        assert count <= 1, run
        return count

    def is_left_clean(self) -> None:
        """Batches end, and no folder is left of a run without a record."""
        deadline = time.monotonic() + 60
        while self.store.open_batches.ids():
            assert time.monotonic() < deadline, self.store.open_batches.ids()
            start_missing_supervisors(self.store, wait_s=0)
            time.sleep(0.1)
        left = [one.name for one in self.store.runs_dir.iterdir() if not (one / "record.json").exists()]
        assert left == []

    def close(self) -> None:
        if self._loop is not None and self._loop.poll() is None:
            self._loop.kill()
            self._loop.wait()


@pytest.fixture
def place(shapes: Path) -> Iterator[Place]:
    found = Place(shapes)
    yield found
    found.close()


def points(count: int, seed: int) -> list[int]:
    assert count < CHANGES
    everything = range(1, count + 1)
    return list(everything) if count <= ROUNDS else random.Random(seed).sample(everything, ROUNDS)


@pytest.mark.slow
@pytest.mark.timeout(300 + 20 * ROUNDS)
def test_any_change_may_be_the_last_one(place: Place, seed: int) -> None:
    place.begin("three", 0)
    place.dies(surely=False)
    place.check("three", ["succeeded"] * 3)
    count = len(place.changes())
    print(f"{count} changes")
    for nth in points(count, seed):
        place.begin("three", nth)
        place.dies(surely=False)  # a loaded machine makes fewer looks, and fewer changes
        place.resume("three")
        place.check("three", ["succeeded"] * 3)
        print(nth, place.changes()[-1])
    place.is_left_clean()


@pytest.mark.slow
@pytest.mark.timeout(300 + 20 * ROUNDS)
def test_any_change_of_a_stop_may_be_the_last_one(place: Place, seed: int) -> None:
    count = stopped(place, 0)
    place.resume("long")
    place.check("long", ["succeeded"] * 2)
    for nth in points(count, seed):
        stopped(place, nth)
        place.resume("long")
        place.check("long", ["succeeded"] * 2)
        print(nth, place.changes()[-1])
    place.is_left_clean()


def stopped(place: Place, nth: int) -> int:
    """Stops the sweep while its second trial waits, and kills its loop before the ``nth`` change from then on."""
    place.begin("long", nth, stopping=True)
    folder = place.folder("long")
    states: list[RunState] = []
    deadline = time.monotonic() + 60
    while states != [RunState.RUNNING, RunState.QUEUED]:
        assert time.monotonic() < deadline, states
        with contextlib.suppress(TaorunnerError):
            states = [place.store.load(str(trial.run)).state for trial in folder.trials() if trial.run]
        time.sleep(0.02)
    stop(place.store, folder, at_once=False)
    place.dies(surely=False)
    return len(place.changes())


def test_a_run_that_its_batch_does_not_list_is_recorded_again(place: Place) -> None:
    """Killed after its record was written, and before it joined the batch of the sweep."""
    place.begin("three", 2, r"rename .*/batch\.json$")  # the first one is that of a new batch
    place.dies()
    last = place.folder("three").trials()[-1]
    record = place.store.load(str(last.run))
    assert (record.state, record.id in place.store.load_batch(record.batch).runs) == (RunState.QUEUED, False)
    place.resume("three")
    place.check("three", ["succeeded"] * 3)
    assert not place.store.paths(record.id).directory.exists()


def test_runs_of_a_batch_that_was_never_complete_are_recorded_again(place: Place) -> None:
    """Killed after their records were written, and before ``batch.json`` was; somebody's command has undone it."""
    place.begin("three", 1, r"rename .*/batch\.json$")
    place.dies()
    first, second = (place.store.load(str(trial.run)) for trial in place.folder("three").trials())
    assert (first.state, first.batch) == (RunState.QUEUED, second.batch)
    start_missing_supervisors(place.store)
    assert {place.store.load(one.id).reason for one in (first, second)} == {NEVER_STARTED}
    place.resume("three")
    place.check("three", ["succeeded"] * 3)


@pytest.mark.parametrize(("nth", "number"), [(1, 0), (2, 1), (3, 2)], ids=["first", "second", "joining"])
def test_a_folder_without_a_record_is_no_obstacle(place: Place, nth: int, number: int) -> None:
    """Killed in the folder of a run that was being made."""
    place.begin("three", nth, r"rename .*/plan\.json$")
    place.dies()
    trial = place.folder("three").trials()[number]
    paths = place.store.paths(str(trial.run))
    assert (paths.input_dir.is_dir(), paths.record.exists()) == (True, False)
    place.resume("three")
    place.check("three", ["succeeded"] * 3)
    assert not paths.directory.exists()


def test_values_that_do_not_meet_the_conditions_are_not_trained_after_a_kill(place: Place) -> None:
    place.begin("unmet", 3, r"write .*/trials\.jsonl$")
    place.dies()
    assert place.folder("unmet").trials()[1].ending is None
    place.resume("unmet")
    place.check("unmet", ["succeeded", "failed"])
    assert place.folder("unmet").trials()[1].reason == "its values do not meet the conditions"
