"""The supervisor: a process in a session of its own that owns a batch from the first moment.

The terminal only watches. A closed terminal, a dropped connection or ``kill -9`` of the viewer does not reach it.
It is started early (importing takes as long as checking the user's files) and waits on its standard input
for the batch's id; an end of input before that means that nothing is to be done.

    python -m taorunner.runs.supervise STATE_DIR      (then one line: the batch id)
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from taorunner.runs.store import BatchPaths, RunStore


class Supervisor:
    """The viewer's end: a process that waits for its batch. A context manager: without ``give`` it ends by itself."""

    def __init__(self, state_dir: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "taorunner.runs.supervise", str(state_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            close_fds=True,
        )

    def give(self, batch_id: str) -> None:
        """Hands the batch over. From here on the supervisor owns it, whatever happens to this process."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead: is_alive tells
            self._process.stdin.write(batch_id.encode() + b"\n")
            self._process.stdin.flush()
        self._close_pipe()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_pipe()
        self._process.returncode = (
            self._process.poll() or 0
        )  # it outlives us on purpose: no warning about that

    def _close_pipe(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()


def is_supervised(paths: BatchPaths) -> bool:
    """True while a supervisor of this batch lives: it holds the lock, and the kernel frees it with the process."""
    try:
        with paths.lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
            return False
    except OSError:
        return False


def main() -> None:
    state_dir = Path(sys.argv[1])
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    _import_what_will_be_needed()
    batch_id = sys.stdin.readline().strip()
    if batch_id:
        _own(RunStore(state_dir), batch_id)


def _import_what_will_be_needed() -> None:
    import taorunner.backends.docker_engine
    import taorunner.engine.client
    import taorunner.runs.runner  # noqa: F401


def _own(store: RunStore, batch_id: str) -> None:
    from taorunner import gpus
    from taorunner.backends.registry import load_backend
    from taorunner.runs.runner import BatchRunner

    with _locked(store.batch_paths(batch_id)) as log:
        os.dup2(log, sys.stdout.fileno())
        os.dup2(log, sys.stderr.fileno())
        try:
            runner = BatchRunner(
                store,
                store.load_batch(batch_id),
                make_backend=load_backend,
                known_gpus=_known_gpus(gpus.inventory()),
                environ=os.environ,
            )
            signal.signal(signal.SIGTERM, lambda *_: runner.stop_all())
            runner.run()
        except BaseException:
            traceback.print_exc()
            raise


def _known_gpus(inventory: object) -> list[str] | None:
    found = getattr(inventory, "gpus", None)
    return [str(gpu.index) for gpu in found] if found else None


@contextlib.contextmanager
def _locked(paths: BatchPaths) -> Iterator[int]:
    """Holds the batch's lock; gives the descriptor of the supervisor's own log. Ends at once if another one has it."""
    with paths.lock.open("ab") as lock, paths.supervisor_log.open("ab") as log:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(0) from None
        yield log.fileno()


if __name__ == "__main__":
    main()
