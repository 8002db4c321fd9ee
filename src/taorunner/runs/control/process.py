"""The supervisor: a process in a session of its own that owns a batch from the first moment.

The terminal only watches. A closed terminal, a dropped connection or ``kill -9`` of the viewer does not reach it.
It is started before anything is checked (importing takes as long as checking the user's files) and waits on its
standard input for one line, ``BATCH<tab>STATE_DIR<tab>PURPOSE``. An end of input before that means that nothing is
to be done. Another one for the same batch ends at once while the first lives.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.disk_room import is_no_room, no_room
from taorunner.runs.state.batch_lock import owning, say_ready
from taorunner.runs.state.store import RunStore
from taorunner.state_files import open_state

if TYPE_CHECKING:
    from taorunner.runs.supervisor.batch_runner import BatchRunner

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
"""Source: malloc.h of glibc."""


def main() -> None:
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    _keep_memory_flat()
    gc.disable()
    _get_ready()
    gc.freeze()  # modules are no garbage, now or ever
    gc.enable()
    batch_id, _, rest = os.fsdecode(sys.stdin.buffer.readline()).rstrip("\n").partition("\t")
    state_dir, _, purpose = rest.rpartition("\t")
    if state_dir:
        _own(RunStore(Path(state_dir)), batch_id, is_recovery=purpose == "recovery")


def _keep_memory_flat() -> None:
    """Each read takes 256 KiB and keeps the few bytes that came. Among what other threads allocate that would leave
    holes, and memory would grow for days: so one heap for all threads, and large pieces outside of it. Only glibc
    can be told."""
    import ctypes
    from contextlib import suppress

    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 64 * 1024)


def _get_ready() -> None:
    """All that takes time and needs no batch: imports."""
    import taorunner.backends.docker.backend
    import taorunner.engine.client
    import taorunner.engine.containers
    import taorunner.engine.images
    import taorunner.runs.supervisor.batch_runner  # noqa: F401


def _own(store: RunStore, batch_id: str, *, is_recovery: bool) -> None:
    from taorunner.backends.contract import Backend
    from taorunner.backends.registry import load_backend
    from taorunner.gpu.leases import Leases
    from taorunner.runs.control.recovery import look_after
    from taorunner.runs.state.batch_index import environ_of_runs
    from taorunner.runs.supervisor.batch_runner import (
        BatchRunner,  # what takes long was imported before there was a batch
    )
    from taorunner.scheduling.allocator import AllocatorPerBackend
    from taorunner.scheduling.delegated import Delegated
    from taorunner.scheduling.gpu_allocator import FreeGpus
    from taorunner.targets import GpuSource, target_of

    paths = store.batch_paths(batch_id)

    def ready() -> None:
        say_ready(paths)
        if not is_recovery:
            look_after(store, wait_s=0)

    log_flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with owning(paths) as is_owner, os.fdopen(open_state(paths.supervisor_log, log_flags), "ab") as log:
        if not is_owner:
            return
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
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
            if isinstance(error, OSError) and is_no_room(error):  # whoever looks next goes on with the runs
                sys.exit(no_room(error, store.state_dir).message)
            traceback.print_exc()
            raise


def _is_over(store: RunStore, batch_id: str, runner: BatchRunner) -> bool:
    """Runs what there is to run. False if more was added at the last moment."""
    from taorunner.runs.control.join_batch import alone
    from taorunner.runs.state.run_repair import undo_half_joined

    is_done = runner.run()
    with alone(store, batch_id):
        if runner.take_in():
            return False
        undo_half_joined(store, batch_id)
        if is_done:
            store.open_batches.end(batch_id)
        return True
