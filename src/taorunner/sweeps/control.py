"""Starts, continues and stops sweeps. The loop is a process of its own, which no terminal takes along."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from taorunner.errors import RunStateError, UnknownNameError, UserFilesError
from taorunner.events import now
from taorunner.project.load import SWEEP, Project, load_project
from taorunner.project.sweeps.definition import Sweep
from taorunner.project.workspace import Workspace
from taorunner.runs.state.store import RunStore
from taorunner.state_files import open_state
from taorunner.sweeps.checks.preflight import Prepared
from taorunner.sweeps.choosing import chooser_of
from taorunner.sweeps.folder import StoredSweep, SweepFolder, changed_keys
from taorunner.sweeps.names import results_folder
from taorunner.text import did_you_mean, printable
from taorunner.values.value import replace

STARTED_WITHIN_S = 300.0
"""On a loaded machine importing takes a minute."""
_POLL_S = 0.05
_CODE = """import sys
sys.path[:] = [*filter(None, sys.path), sys.argv[1]]
from taorunner.sweeps.process import main
main()"""
"""Not ``-m``, which would put the current folder first on the import path."""


def defined(workspace: Workspace, project_name: str, name: str, environ: Mapping[str, str]) -> Sweep:
    """The sweep of experiments.yml.

    Raises:
        UnknownNameError: there is none of this name.
        UserFilesError: it has errors, with all findings.
    """
    project = load_project(workspace, project_name, environ)
    sweep = project.sweeps.get(name)
    if sweep is not None:
        return sweep
    findings = tuple(one for one in project.findings if _concerns(one.line, project, name))
    if findings:
        from taorunner.sweeps.checks.validation import findings_of_draft

        everything = tuple(findings_of_draft(workspace, project, name, environ, findings))
        raise UserFilesError(f'sweep "{printable(name)}" has errors', findings=everything)
    hint = did_you_mean(name, project.sweeps) or 'write it below "sweeps:" of experiments.yml'
    raise UnknownNameError(f'there is no sweep "{printable(name)}" in project "{project_name}"', hint=hint)


def _concerns(line: int | None, project: Project, name: str) -> bool:
    return line is None or project.owner_of_line(line) in (None, f"{SWEEP}{name}")


def begin(folder: SweepFolder, models: Path, prepared: Prepared, *, new: bool = False) -> list[str]:
    """Writes the definition of a sweep that starts, or goes on with changed keys; returns those that were changed.

    ``models`` is the folder of all results. With ``new`` what an earlier sweep of that name left is kept aside.

    Raises:
        RunStateError: it is being run, or its definition is another one by now.
    """
    sweep = prepared.sweep
    chooser_of(sweep, maximize=prepared.maximize)  # the library is there
    if folder.is_owned:
        raise RunStateError(
            f'sweep "{sweep.name}" is being run', hint=f"taorunner sweep show {sweep.name} shows it"
        )
    stored = folder.stored()
    if stored is not None and new:
        folder.set_aside(now())
        stored = None
    fresh = StoredSweep(
        body=sweep.body(), metric=prepared.metric, maximize=prepared.maximize, started_at=now().isoformat(),
        results=_free_results(models, sweep),
    )  # fmt: skip
    if stored is None:
        folder.save(fresh)
        return []
    changed = changed_keys(stored, sweep)
    if changed or (stored.metric, stored.maximize) != (prepared.metric, prepared.maximize):
        raise RunStateError(
            f'sweep "{sweep.name}" was started with another {" and ".join(changed) or "metric"}: '
            "its trials would not compare",
            hint=f"taorunner sweep run {sweep.name} --new begins again and keeps the old trials aside",
        )
    grown = [key for key, value in sweep.body().items() if stored.body.get(key) != _as_json(value)]
    folder.save(replace(fresh, started_at=stored.started_at, results=stored.results))
    return grown


def _free_results(models: Path, sweep: Sweep) -> str:
    """A folder without the results of an earlier sweep of that name."""
    results = results_folder(sweep.base, sweep.name)
    return f"{results}.{now():%Y%m%d-%H%M%S}" if os.path.lexists(models / results) else results


def start_process(folder: SweepFolder, workspace: Workspace, environ: Mapping[str, str]) -> None:
    """Starts the loop and returns when it owns the sweep.

    Raises:
        RunStateError: it ended at once; the text is the end of its log.
    """
    folder.withdraw_stop()
    package = os.path.abspath(__file__).rsplit(os.sep, 3)[0]  # noqa: PTH100
    words = [sys.executable, "-c", _CODE, package, str(workspace.root), folder.project, folder.name]
    log = open_state(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        begins = os.fstat(log).st_size
        nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        copies = ((os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2))
        pid = os.posix_spawn(sys.executable, words, environ, file_actions=[nothing, *copies])
    finally:
        os.close(log)
    deadline = time.monotonic() + STARTED_WITHIN_S
    while not folder.is_owned:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended and status:
            raise RunStateError(f"the sweep ended at once: {_last_line(folder.log, begins)}")
        if ended:
            return
        if time.monotonic() >= deadline:
            raise RunStateError(
                f"the sweep has not begun within {STARTED_WITHIN_S:.0f} s",
                hint=f"taorunner sweep show {folder.name} shows whether it does",
            )
        time.sleep(_POLL_S)
    threading.Thread(target=_reap, args=(pid,), daemon=True).start()


def _reap(pid: int) -> None:
    """In a caller that lives long, no dead process stays behind."""
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def stop(store: RunStore, folder: SweepFolder, *, at_once: bool) -> list[str]:
    """No further trial starts; with ``at_once`` those that run are stopped too. Returns the ids of those.

    Raises:
        RunStateError: the sweep was never started.
    """
    if folder.stored() is None:
        raise RunStateError(
            f'sweep "{folder.name}" was never started', hint=f"taorunner sweep run {folder.name}"
        )
    folder.ask_to_stop()
    running = [trial.run for trial in folder.trials() if trial.run is not None and not trial.is_over]
    if at_once and running:
        from taorunner.runs.control.stop import stop_runs

        stop_runs(store, running)
    return running


def _last_line(log: Path, begins: int) -> str:
    with suppress(OSError):
        lines = [
            line for line in log.read_bytes()[begins:].decode("utf-8", "replace").splitlines() if line.strip()
        ]
        if lines:
            return printable(lines[-1][:500])
    return "no reason is known"


def _as_json(value: object) -> object:
    import json

    return json.loads(json.dumps(value))
