"""The supervisor: a process in a session of its own that owns a batch from the first moment.

The terminal only watches. A closed terminal, a dropped connection or ``kill -9`` of the viewer does not reach it.
It is started before anything is checked (importing takes as long as checking the user's files) and waits on its
standard input for one line, ``BATCH<tab>STATE_DIR``. An end of input before that means that nothing is to be done.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from taorunner.runs.store import BatchPaths, RunStore


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
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    gc.disable()
    known_gpus = _get_ready()
    gc.freeze()  # modules are no garbage, now or ever
    gc.enable()
    batch_id, _, state_dir = os.fsdecode(sys.stdin.buffer.readline()).rstrip("\n").partition("\t")
    if state_dir:
        _own(RunStore(Path(state_dir)), batch_id, known_gpus)


def _get_ready() -> list[str] | None:
    """All that takes time and needs no batch: imports, and a look at this machine's GPUs. Gives their ids."""
    import taorunner.backends.docker_engine
    import taorunner.engine.client
    import taorunner.engine.containers
    import taorunner.engine.images
    import taorunner.runs.runner  # noqa: F401
    from taorunner import gpus

    found = gpus.inventory().gpus
    return [str(gpu.index) for gpu in found] if found else None


def _own(store: RunStore, batch_id: str, known_gpus: list[str] | None) -> None:
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
                known_gpus=known_gpus,
                environ=os.environ,
            )
            signal.signal(signal.SIGTERM, lambda *_: runner.stop_all())
            runner.run()
        except BaseException:
            traceback.print_exc()
            raise


@contextlib.contextmanager
def _locked(paths: BatchPaths) -> Iterator[int]:
    """Holds the batch's lock; gives the descriptor of the supervisor's own log. Ends at once if another one has it."""
    with paths.lock.open("ab") as lock, paths.supervisor_log.open("ab") as log:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(0) from None
        yield log.fileno()
