"""The process of a sweep: it ends when the sweep is over, is told to stop, or fails; its log has the reason."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from taorunner.disk_room import is_unwritable, unwritable
from taorunner.errors import ExitCode, MachineError, TaorunnerError
from taorunner.project.workspace import Workspace
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.checks.preflight import prepare
from taorunner.sweeps.control import defined
from taorunner.sweeps.folder import SweepFolder
from taorunner.sweeps.loop import SweepLoop


def main() -> None:
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    root, project, name = sys.argv[2:5]
    workspace = Workspace(Path(root))
    store = RunStore(workspace.state_dir)
    folder = SweepFolder(store, project, name)
    signal.signal(signal.SIGTERM, lambda *_: folder.ask_to_stop())
    with folder.owning() as is_owner:
        if not is_owner:
            return
        try:
            sys.exit(_run(workspace, store, folder))
        except TaorunnerError as error:
            errors = [finding.message for finding in error.findings if finding.is_error]
            said = "; ".join(errors[:3]) or error.message
            sys.stderr.write(f"{said}\n")
            with suppress(OSError):
                folder.say_end(said)
            sys.exit(int(error.exit_code))


def _run(workspace: Workspace, store: RunStore, folder: SweepFolder) -> int:
    sweep = defined(workspace, folder.project, folder.name, os.environ)
    prepared, findings = prepare(workspace, folder.project, sweep, os.environ, is_confirmed=True)
    stored = folder.stored()
    if prepared is None or stored is None:
        errors = "; ".join(finding.message for finding in findings if finding.is_error)
        sys.stderr.write(f"{errors or 'it was not started'}\n")
        return int(ExitCode.USER_FILES)
    loop = SweepLoop(
        workspace, store, folder, sweep, stored, os.environ, gpus=prepared.gpus, parallel=prepared.parallel
    )
    try:
        reason = loop.run(folder.is_asked_to_stop)
        folder.say_end(reason)
    except OSError as error:
        if is_unwritable(error):
            raise unwritable(error, folder.directory) from None
        raise MachineError(f"a file of the sweep cannot be read or written: {error}") from None
    with suppress(OSError, TaorunnerError):
        _export(folder, loop, prepared.maximize, sweep)
    return 0


def _export(folder: SweepFolder, loop: SweepLoop, maximize: bool, sweep: object) -> None:
    from taorunner.project.sweeps.definition import WITHOUT_LIBRARY, Sweep

    if isinstance(sweep, Sweep) and sweep.sampler not in WITHOUT_LIBRARY:
        from taorunner.sweeps.study import Study

        Study(sweep, maximize=maximize).export_journal(folder.study, loop.trials)
