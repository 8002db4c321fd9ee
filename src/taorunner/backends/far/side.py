"""What a backend does for runs whose workspace only their cluster sees; for all other runs it does nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from taorunner.backends.contract import EngineState, EngineStatus, Handle
from taorunner.backends.far.run import Delivery, FarRun
from taorunner.backends.far.runs import FarRuns, Host
from taorunner.backends.run_folder import RunFolder
from taorunner.errors import EngineRefusedError, TaorunnerError
from taorunner.values.value import Value


class Place(Value):
    """A far run: its folder here, its login host, and where it is there."""

    folder: RunFolder
    host: str | None
    far: FarRun


Find = Callable[[Path], "Place | None"]
"""From a run's folder here; None for a run whose folder is seen here, or that is none of the backend."""


class FarSide:
    """All login hosts of a backend. ``host_of`` gives that of a name. Thread-safe."""

    def __init__(self, host_of: Callable[[str | None], Host], find: Find) -> None:
        self._host_of, self._find = host_of, find
        self._hosts: dict[str | None, FarRuns] = {}
        self._lock = threading.Lock()

    def refresh(self, run_dirs: Sequence[Path]) -> None:
        """Brings what far runs have written into their folders here, one call for each host.

        Raises SilentError, MachineError where it cannot be read now.
        """
        by_host: dict[str | None, list[tuple[RunFolder, FarRun]]] = {}
        for place in map(self._find, run_dirs):
            if place is not None:
                by_host.setdefault(place.host, []).append((place.folder, place.far))
        for host, known in by_host.items():
            self.runs(host).refresh_all(known)

    def completed(
        self, handles: Sequence[Handle], found: Mapping[str, EngineStatus]
    ) -> dict[str, EngineStatus]:
        """The same states; a far run has ended once all that it left was read."""
        states = dict(found)
        for handle in handles:
            status = states.get(handle.run_id)
            if status is None or status.state is not EngineState.EXITED:
                continue
            place = self._find(handle.run_dir)
            if place is None:
                continue
            try:
                self.runs(place.host).finish(place.folder, place.far)
            except TaorunnerError as error:
                states[handle.run_id] = EngineStatus(
                    EngineState.RUNNING, started_at=status.started_at, silent=error.message
                )
        return states

    def reader(self, run_dir: Path) -> Callable[[], None] | None:
        """What brings the newest output of a far run here; None for a run whose folder is seen here."""
        place = self._find(run_dir)
        if place is None:
            return None
        runs, folder, far = self.runs(place.host), place.folder, place.far

        def read() -> None:
            if folder.kept_end() is not None:  # then what is here is not yet all of it
                runs.finish(folder, far)
            elif self._find(run_dir) is not None:
                runs.refresh(folder, far)

        return read

    @contextmanager
    def delivered(
        self, host: str | None, folder: RunFolder, scripts: Mapping[str, str], delivery: Delivery
    ) -> Iterator[None]:
        """The inputs are on the far side. Earlier results that were moved there are moved back when it refuses.

        Raises:
            EngineRefusedError: something is missing there, or in the way.
        """
        runs = self.runs(host)
        moves = runs.deliver(folder, scripts, delivery)
        try:
            yield
        except EngineRefusedError:
            with suppress(TaorunnerError):
                runs.put_back(moves)
            raise

    def request_stop(self, run_dir: Path) -> None:
        if (place := self._find(run_dir)) is not None:
            self.runs(place.host).request_stop(place.folder, place.far)

    def remove(self, run_dir: Path) -> None:
        if (place := self._find(run_dir)) is not None:
            self.runs(place.host).remove(place.folder, place.far)

    def runs(self, name: str | None) -> FarRuns:
        """Those of a login host."""
        host = self._host_of(name)
        with self._lock:
            return self._hosts.setdefault(name, FarRuns(host))
