"""What a sweep has found: ``sweep show``, ``best``, ``report`` and ``rm``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.commands.sweeps.place import Name, never_started, place_of, started_sweep
from taorunner.cli.help_pages import add_command
from taorunner.cli.options import JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, RunStateError

if TYPE_CHECKING:
    from taorunner.sweeps.folder import SweepFolder


def register_results(group: typer.Typer) -> None:
    add_command(
        group, "show", _show, "List sweeps, or the trials of one", "taorunner sweep show lr_search",
        "taorunner sweep show lr_search --follow",
    )  # fmt: skip
    add_command(
        group, "best", _best, "Print the best trial, or make an experiment of it", "taorunner sweep best lr_search",
        "taorunner sweep best lr_search --as dino_best",
    )  # fmt: skip
    add_command(
        group, "report", _report, "Write a sweep as one HTML file", "taorunner sweep report lr_search",
        "taorunner sweep report lr_search -o lr_search.html --open",
    )  # fmt: skip
    add_command(
        group, "rm", _remove, "Remove a sweep, or the checkpoints of trials that lost",
        "taorunner sweep rm lr_search --losers", "taorunner sweep rm lr_search --yes",
    )  # fmt: skip


def _show(
    context: typer.Context,
    name: Annotated[
        Optional[str], typer.Argument(help="One sweep [default: all]", metavar="SWEEP", show_default=False)
    ] = None,
    follow: Annotated[bool, option("--follow", "-f", "Watch it until it is over")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.cli.commands.sweeps.watching import say_state, watch
    from taorunner.console.sweeps.sweep_view import print_json, print_trials, summary
    from taorunner.runs.state.store import RunStore

    if name is None:
        return _list(context, project, workspace, json=json)
    root, project_name, folder = place_of(context, name, project, workspace)
    sweep, stored = started_sweep(root, project_name, folder)
    if follow:
        store, earlier = RunStore(root.state_dir), folder.trials()
        return watch(context, store, folder, sweep, stored, json=json, earlier=earlier)
    trials = folder.seen_trials()
    if json:
        print_json(sweep, stored, trials)
        return ExitCode.DONE
    print_trials(sweep, stored, trials)
    typer.echo(summary(sweep, trials))
    say_state(context, folder, sweep, stored, trials)
    return ExitCode.DONE


def _list(context: typer.Context, project: str | None, workspace: Path | None, *, json: bool) -> int:
    import os

    from taorunner.console.sweeps.sweep_view import print_sweeps
    from taorunner.project.load import load_project
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.folder import SweepFolder, stored_sweeps

    context.obj.refuse_extra()
    root = context.obj.open_workspace(workspace)
    found = context.obj.project_name(root, project)
    written, store = load_project(root, found, os.environ), RunStore(root.state_dir)
    known = {**written.draft_sweeps, **written.sweeps}
    folders = {folder.name: folder for folder in stored_sweeps(store, found)}
    damaged = {}
    for name, folder in folders.items():
        try:
            stored = folder.stored()
            if stored is not None:
                known[name] = folder.definition_of(stored)
            folder.trials()
        except RunStateError as error:
            damaged[name] = error
    whole = {name: sweep for name, sweep in known.items() if name not in damaged}
    print_sweeps(
        [(sweep, SweepFolder(store, found, name).trials(), name in folders) for name, sweep in whole.items()],
        json=json,
    )
    for damage in damaged.values():
        context.obj.note(f"{damage.message}; {damage.hint}")
    if not known and not damaged:
        context.obj.note(
            'no sweeps: write "sweeps:" into experiments.yml; taorunner sweep suggest EXPERIMENT'
        )
    return ExitCode.DONE


def _best(
    context: typer.Context,
    name: Name,
    experiment: Annotated[
        Optional[str], option("--as", "Write it into experiments.yml as this experiment", word="EXPERIMENT")
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.sweeps.sweep_view import print_json, print_trials
    from taorunner.sweeps.best import add_experiment_of
    from taorunner.sweeps.loop import best_of

    root, project_name, folder = place_of(context, name, project, workspace)
    sweep, stored = started_sweep(root, project_name, folder)
    best = best_of(folder.trials(), maximize=stored.maximize)
    if best is None:
        raise RunStateError(f'no trial of sweep "{name}" has a value', hint=f"taorunner sweep show {name}")
    if experiment is not None:
        line = add_experiment_of(root, project_name, sweep, best, experiment)
        typer.echo(f"wrote {experiment} into projects/{project_name}/experiments.yml, line {line}")
        context.obj.next_steps([f"taorunner train {experiment}"])
        return ExitCode.DONE
    if json:
        print_json(sweep, stored, [best])
    else:
        print_trials(sweep, stored, [best])
        context.obj.next_steps([f"taorunner sweep best {name} --as EXPERIMENT"])
    return ExitCode.DONE


def _report(
    context: typer.Context,
    name: Name,
    output: Annotated[
        Optional[Path],
        option("--output", "-o", "File to write [default: beside its results]", word="FILE"),
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", "Replace a file that is no report")] = False,
    show: Annotated[bool, option("--open", "Open it in a browser")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
) -> int:
    from taorunner.cli.commands.results.report import open_in_browser
    from taorunner.console.base.formatting import clean, shown_path
    from taorunner.console.sweeps.sweep_view import summary
    from taorunner.events import now
    from taorunner.reports.page import sweep_page
    from taorunner.reports.swept import swept_of
    from taorunner.reports.write import check_place, write_report
    from taorunner.text import size

    root, project_name, folder = place_of(context, name, project, workspace)
    sweep, stored = started_sweep(root, project_name, folder)
    path = output.expanduser().absolute() if output is not None else (
        root.project(project_name).models_dir / f"{stored.results}.html"
    )  # fmt: skip
    check_place(path, overwrite=overwrite, makes_folder=output is None)
    trials = folder.seen_trials()
    page = sweep_page(f"{project_name}: {name}", swept_of(sweep, stored, trials), now())
    written = write_report(path, page, overwrite=overwrite, makes_folder=output is None)
    typer.echo(f"wrote {clean(shown_path(path, Path.cwd()))}: {summary(sweep, trials)}, {size(written)}")
    if show:
        open_in_browser(context.obj, path)
    return ExitCode.DONE


def _remove(
    context: typer.Context,
    name: Name,
    losers: Annotated[bool, option("--losers", "Select the checkpoints of all trials but the best")] = False,
    keep: Annotated[int, option("--keep", "With --losers: keep those of the best N", word="N", min=1)] = 1,
    yes: Annotated[bool, option("--yes", "-y", "Remove them instead of only showing them")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
) -> int:
    from taorunner.runs.state.store import RunStore
    from taorunner.sweeps.losers import checkpoints_of_trials, remove
    from taorunner.sweeps.losers import losers as found_losers
    from taorunner.text import amount, size

    root, _, folder = place_of(context, name, project, workspace)
    if not losers and folder.directory.is_dir():  # a damaged one, too
        return _remove_sweep(context, folder, yes=yes)
    stored = folder.stored()
    if stored is None:
        raise never_started(name)
    trials = folder.trials()
    found = checkpoints_of_trials(
        RunStore(root.state_dir), found_losers(trials, keep, maximize=stored.maximize)
    )
    for trial, results, one in found:
        typer.echo(f"{trial.name}  {size(one.bytes):>10}  {one.path.relative_to(results)}")
    total = f"{amount(len(found), 'checkpoint')} ({size(sum(one.bytes for _, _, one in found))})"
    if yes:
        context.obj.note(f"removed {total}: {size(remove(found))} are free")
    else:
        context.obj.note(f"{total}; nothing was removed (--yes removes them)")
    return ExitCode.DONE


def _remove_sweep(context: typer.Context, folder: SweepFolder, *, yes: bool) -> int:
    from taorunner.text import amount

    try:
        trials = amount(len(folder.trials()), "trial")
    except RunStateError:
        trials = "its trials"
    if folder.is_owned:
        raise RunStateError(
            f'sweep "{folder.name}" is being run', hint=f"taorunner sweep stop {folder.name} ends it"
        )
    said = f"what sweep {folder.name} knows of {trials}; their runs and results stay"
    if not yes:
        typer.echo(said)
        context.obj.note("nothing was removed (--yes removes it)")
        return ExitCode.DONE
    folder.remove()
    typer.echo(f"removed {said}")
    return ExitCode.DONE
