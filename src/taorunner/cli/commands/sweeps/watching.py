"""Watching a sweep until its end, and what is said then. Leaving it harms nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from taorunner.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taorunner.project.sweeps.definition import Sweep
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.folder import StoredSweep, SweepFolder
    from taorunner.sweeps.trial import Trial


def watch(
    context: typer.Context, store: RunStore, folder: SweepFolder, sweep: Sweep, stored: StoredSweep, *, json: bool,
    earlier: Sequence[Trial],
) -> int:  # fmt: skip
    """Until the sweep is over, or the viewer leaves. Returns the exit code.

    ``earlier`` are the trials as they were before: of those that were over only the end is said.
    """
    from taorunner.console.sweeps.follow import follow
    from taorunner.console.sweeps.sweep_view import print_json, print_trials, summary
    from taorunner.sweeps.loop import best_of

    over = {trial.number for trial in earlier if trial.is_over}
    if follow(store, folder, sweep, stored, earlier=over, is_silent=json):
        if folder.is_owned:
            context.obj.note(
                f"the sweep goes on: taorunner sweep show {folder.name}; taorunner sweep stop {folder.name}"
            )
        return ExitCode.INTERRUPTED
    trials = folder.seen_trials()
    if json:
        print_json(sweep, stored, trials)
    else:
        print_trials(sweep, stored, trials, most=10)
        typer.echo(summary(sweep, trials))
        say_state(context, folder, sweep, stored, trials)
    if best_of(trials, maximize=stored.maximize) is not None:
        return ExitCode.DONE
    if json:
        context.obj.note(f"no trial has a value; ended: {folder.end() or 'its process was killed'}")
    return ExitCode.RUN_FAILED


def say_state(
    context: typer.Context, folder: SweepFolder, sweep: Sweep, stored: StoredSweep, trials: Sequence[Trial]
) -> None:
    from taorunner.sweeps.loop import best_of

    reason = folder.end()
    if folder.is_owned:
        context.obj.note(f"runs; taorunner sweep stop {folder.name} ends it")
        return
    if reason is None:
        context.obj.note(f"its process has ended; taorunner sweep resume {folder.name} goes on")
        return
    context.obj.note(f"ended: {reason}")
    if best_of(trials, maximize=stored.maximize) is not None:
        context.obj.next_steps([f"taorunner sweep best {folder.name} --as {sweep.base}_best"])
