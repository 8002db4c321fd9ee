"""OfflineFiles: writes one ended run as the files of an offline run of Weights & Biases. The one home of ``wandb``.

Nothing leaves this machine: ``wandb sync FOLDER`` is what a person types. W&B cannot resume an offline run, so each
time the whole run is written again, with the same id.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from taorunner.errors import RunStateError
from taorunner.events import MetricReported
from taorunner.project.tracking.words import WANDB, WandbTarget
from taorunner.runs.inputs.run_lock import read_lock
from taorunner.runs.state.folders import remove_folder
from taorunner.runs.state.lookup.run_metrics import metrics_of
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.state.tracking_state import TrackingState, read_tracking, save_tracking
from taorunner.tracking.mapping import STATUS, end_tags, lock_tags
from taorunner.tracking.mlflow import TrackingError
from taorunner.values.value import replace

FOLDER = "wandb"
"""Below the folder of the run."""
_BEING_WRITTEN = "wandb.new"
_MISSING = "wandb is not installed: pip install 'taorunner[wandb]'"


class OfflineFiles:
    """Of one run. Not thread-safe."""

    def __init__(
        self, store: RunStore, run_id: str, target: WandbTarget, now: Callable[[], datetime]
    ) -> None:
        self._store, self.run_id, self._target, self._now = store, run_id, target, now
        self.state = read_tracking(store, run_id, WANDB) or TrackingState(
            "", target.project or store.load(run_id).project, WANDB
        )

    def send_new(self) -> bool:
        """True when the run has ended and its files are written. Before its end nothing is written.

        Raises:
            TrackingError: wandb is not installed or did not write them. RunStateError: the run is gone.
        """
        record = self._store.load(self.run_id)
        if not record.state.is_final:
            return False
        try:
            folder, points, epoch = self._write(record)
        except RunStateError:
            raise
        except Exception as error:  # of the library: whatever it raises, it is no fault of the run
            text = _MISSING if isinstance(error, ImportError) else f"wandb did not write its files: {error}"
            self.state = replace(self.state, problem=text, at=self._now())
            save_tracking(self._store, self.run_id, self.state)
            raise TrackingError(text, is_refusal=True) from error
        size = self._store.paths(self.run_id).events.stat().st_size
        self.state = replace(
            self.state, server=folder, experiment=self._project(record), remote=self.run_id, offset=size,
            points=points, epoch=epoch, end=record.state.value, problem=None, at=self._now(),
        )  # fmt: skip
        save_tracking(self._store, self.run_id, self.state)
        return True

    def _project(self, record: RunRecord) -> str:
        return self._target.project or record.project

    def _write(self, record: RunRecord) -> tuple[str, int, int | None]:
        """The folder to sync, how many points it has, and the last epoch."""
        directory = self._store.paths(self.run_id).directory
        remove_folder(directory, _BEING_WRITTEN)
        place = directory / _BEING_WRITTEN
        place.mkdir(mode=0o700)
        try:
            rows = list(_rows(self._store, self.run_id))
            run = self._begun(record, place)
            for row in rows:
                run.log(row)
            tags = end_tags(record, ((name, one.value, one.epoch) for name, one in self._best(record)))
            run.summary.update(tags)
            run.finish(exit_code=0 if STATUS[record.state] == "FINISHED" else 1)
            made = _only_files(place / FOLDER)
            remove_folder(directory, FOLDER)
            (place / FOLDER).rename(directory / FOLDER)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        points = sum(len(row) - ("epoch" in row) for row in rows)
        epochs = [row["epoch"] for row in rows if "epoch" in row]
        return str(directory / FOLDER / made), points, max(epochs, default=None)

    def _best(self, record: RunRecord) -> Sequence[tuple[str, Any]]:
        return list(metrics_of(self._store, record).best.items())

    def _begun(self, record: RunRecord, place: Path) -> Any:
        """Source of the settings: ``wandb.Settings`` of 0.31. No code, console, host or packages are recorded."""
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            del os.environ[name]  # a mode, a folder or a key of the caller's shell
        os.environ["WANDB_CACHE_DIR"] = os.environ["WANDB_DATA_DIR"] = str(place)
        os.environ["WANDB_CONFIG_DIR"] = str(place)
        import wandb

        lock = read_lock(self._store, self.run_id)
        settings = wandb.Settings(
            console="off", disable_git=True, disable_code=True, silent=True, x_disable_stats=True,
            x_disable_meta=True, x_disable_machine_info=True, x_save_requirements=False, host="taorunner",
            username="taorunner", program=f"taorunner {record.action}", root_dir=str(place),
        )  # fmt: skip
        run = wandb.init(
            mode="offline", dir=str(place), id=self.run_id, project=self._project(record),
            entity=self._target.entity, name=record.experiment, job_type=record.action, settings=settings,
            config={**({} if lock is None else dict(lock.spec)), **lock_tags(record, lock)},
            tags=[record.action, record.state.value.lower()],
        )  # fmt: skip
        run.define_metric("*", step_metric="epoch")
        return run


def _rows(store: RunStore, run_id: str) -> Iterator[dict[str, Any]]:
    """What was reported for each epoch, in the order of the first report; of one metric the last value counts."""
    by_epoch: dict[int | None, dict[str, Any]] = {}
    for event in store.read_events(run_id)[0]:
        if isinstance(event, MetricReported):
            row = by_epoch.setdefault(event.epoch, {} if event.epoch is None else {"epoch": event.epoch})
            row[event.name] = event.value
    yield from by_epoch.values()


def _only_files(folder: Path) -> str:
    """Removes links and logs that wandb leaves beside its run. Returns the name of the run's folder there."""
    (made,) = (path.name for path in folder.glob("offline-run-*") if not path.is_symlink())
    for path in folder.iterdir():
        if path.name == made:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name in ("logs", "tmp"):
        shutil.rmtree(folder / made / name, ignore_errors=True)
    return made
