"""The supervisor's entry point: a process in its own session that owns one batch.

The terminal only watches. A closed terminal, a dropped connection or ``kill -9`` of the viewer does not affect it.
It is started before the request is checked, because its imports take as long as the checks. It reads one line,
``BATCH<tab>STATE_DIR<tab>PURPOSE``, from standard input, and exits at end of input. A second supervisor of the same
batch exits while the first one lives.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.disk_room import is_unwritable, probe, unwritable
from taorunner.runs.state.batch_lock import owning, say_ready
from taorunner.runs.state.store import RunStore
from taorunner.state_files import open_state

if TYPE_CHECKING:
    from taorunner.runs.supervisor.batch_runner import BatchRunner

_PROBED_EVERY_S = 10.0
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
"""Source: malloc.h of glibc."""


def main() -> None:
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    _keep_memory_flat()
    gc.disable()
    _get_ready()
    gc.freeze()  # modules are never garbage
    gc.enable()
    batch_id, _, rest = os.fsdecode(sys.stdin.buffer.readline()).rstrip("\n").partition("\t")
    state_dir, _, purpose = rest.rpartition("\t")
    if state_dir:
        _own(RunStore(Path(state_dir)), batch_id, is_recovery=purpose == "recovery")


def _keep_memory_flat() -> None:
    """Prevents heap fragmentation over days.

    Each read allocates 256 KiB and keeps few bytes. So all threads use one heap, and large blocks are mapped outside
    of it. Only glibc has these settings.
    """
    import ctypes
    from contextlib import suppress

    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 64 * 1024)


def _get_ready() -> None:
    """Imports the slow modules, before the batch is known."""
    import taorunner.backends.docker.backend
    import taorunner.engine.client
    import taorunner.engine.containers
    import taorunner.engine.images
    import taorunner.runs.supervisor.batch_runner  # noqa: F401


def _own(store: RunStore, batch_id: str, *, is_recovery: bool) -> None:
    from taorunner.backends.contract import Backend
    from taorunner.backends.registry import load_backend
    from taorunner.gpu.leases import Leases
    from taorunner.runs.control.recovery import start_missing_supervisors
    from taorunner.runs.state.batch_index import environ_of_runs
    from taorunner.runs.supervisor.batch_runner import (
        BatchRunner,  # already imported by _get_ready
    )
    from taorunner.scheduling.allocator import AllocatorPerBackend
    from taorunner.scheduling.delegated import Delegated
    from taorunner.scheduling.gpu_allocator import FreeGpus
    from taorunner.targets import GpuSource, target_of

    paths = store.batch_paths(batch_id)

    def ready() -> None:
        say_ready(paths)
        if not is_recovery:
            start_missing_supervisors(store, wait_s=0)

    log_flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with owning(paths) as is_owner, os.fdopen(open_state(paths.supervisor_log, log_flags), "ab") as log:
        if not is_owner:
            return
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
        threading.Thread(target=_watch_disk, args=(paths.lock,), name="disk", daemon=True).start()
        try:
            batch = store.load_batch(batch_id)
            of_runs = environ_of_runs(os.environ, batch.environ)

            def make_backend(name: str) -> Backend:
                return load_backend(name, of_runs)

            def schedules(name: str) -> bool:
                return target_of(name).gpus is GpuSource.SCHEDULED

            runner = BatchRunner(
                store,
                batch,
                make_backend=make_backend,
                gpus=AllocatorPerBackend(FreeGpus(Leases()), Delegated(), schedules),
                environ=os.environ,
                ready=ready,
            )
            signal.signal(signal.SIGTERM, lambda *_: runner.stop_all())
            while not _is_over(store, batch_id, runner):
                pass
        except BaseException as error:
            if isinstance(error, OSError) and is_unwritable(error):  # the next supervisor continues the runs
                sys.exit(unwritable(error, store.state_dir).message)
            traceback.print_exc()
            raise


def _watch_disk(lock: Path) -> None:
    """Ends this process when its records cannot be written any more, so that viewers say so. Runs go on.

    A run that prints nothing would seem to go on for ever: its end cannot be recorded, and nothing else is written.
    """
    while True:
        time.sleep(_PROBED_EVERY_S)
        try:
            probe(lock)
        except OSError as error:
            with suppress(OSError):  # the log is on that disk, too
                sys.stderr.write(f"{unwritable(error, lock).message}\n")
            os._exit(1)


def _is_over(store: RunStore, batch_id: str, runner: BatchRunner) -> bool:
    """Runs the batch. False if runs were added while it ended."""
    from taorunner.runs.control.join_batch import alone
    from taorunner.runs.state.run_repair import undo_half_joined

    is_done = runner.run()
    with alone(store, batch_id):
        if runner.accept_new_runs():
            return False
        undo_half_joined(store, batch_id)
        if is_done:
            store.open_batches.end(batch_id)
        return True
