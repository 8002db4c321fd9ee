"""``specs show``, ``diff``, ``explain`` and ``refresh``: the spec as TAO reads it, its keys, and what follows from the
data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.action_options import Release, Sets
from taorunner.cli.help_pages import add_command, make_group
from taorunner.cli.options import JsonOption, ProjectOption, WorkspaceOption, option, split_pairs
from taorunner.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from taorunner.cli.options import Invocation
    from taorunner.planning.inspect.resolved_spec import ShownSpec


def register(app: typer.Typer) -> None:
    group = make_group("Show, compare, explain and refresh specs")
    add_command(group, "show", _show, "Print a spec as TAO reads it", "taorunner specs show rtdetr_01 train")
    summary = "Compare the specs of two experiments, key by key"
    add_command(group, "diff", _diff, summary, "taorunner specs diff rtdetr_01 rtdetr_02")
    summary = "Explain a key: type, default, releases, what sets it"
    add_command(group, "explain", _explain, summary, "taorunner specs explain train.num_epochs --head rtdetr")
    summary = "Compute again what follows from the data"
    add_command(group, "refresh", _refresh, summary, "taorunner specs refresh rtdetr_01")
    app.add_typer(group, name="specs")


_ExperimentArgument = Annotated[
    str,
    typer.Argument(
        help="Name from experiments.yml, or PROJECT/EXPERIMENT", metavar="EXPERIMENT", show_default=False
    ),
]
_ActionOption = Annotated[
    str,
    option("--action", "Use the spec of this action [default: train]", word="ACTION"),
]


def _show(
    context: typer.Context,
    experiment: _ExperimentArgument,
    action: Annotated[
        str,
        typer.Argument(
            help="Use the spec of this action [default: train]", metavar="ACTION", show_default=False
        ),
    ] = "",
    release: Release = None,
    sets: Sets = None,
    cluster: Annotated[
        Optional[str], option("--cluster", "As a run on this cluster of clusters.yml", word="NAME")
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.specs_view import print_spec

    spec = _shown(context, experiment, action, release, sets, project, workspace, cluster)
    print_spec(spec, json=json)
    return ExitCode.DONE


def _diff(
    context: typer.Context,
    first: Annotated[str, typer.Argument(help="An experiment", metavar="A", show_default=False)],
    second: Annotated[str, typer.Argument(help="Another experiment", metavar="B", show_default=False)],
    action: _ActionOption = "",
    all_: Annotated[bool, option("--all", "Also show differences that are only names")] = False,
    exit_code: Annotated[bool, option("--exit-code", "Exit with 1 when there are differences")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.specs_view import print_differences
    from taorunner.planning.inspect.spec_diff import spec_differences

    one, other = _both(context, (first, second), action, project, workspace)
    found = spec_differences(one, other)
    print_differences(one, other, found, by_name_too=all_, json=json)
    differ = any(all_ or not difference.by_name for difference in found)
    return 1 if exit_code and differ else ExitCode.DONE


def _both(
    context: typer.Context, names: tuple[str, str], action: str, project: str | None, workspace: object
) -> list[ShownSpec]:
    """Raises UserFilesError; an unknown name counts before an error in the files of the other experiment."""
    from taorunner.errors import UnknownNameError, UserFilesError

    specs: list[ShownSpec] = []
    refused: UserFilesError | None = None
    for name in names:
        try:
            specs.append(_shown(context, name, action, None, None, project, workspace))
        except UnknownNameError:
            raise
        except UserFilesError as error:
            refused = refused or error
    if refused is not None:
        raise refused
    return specs


def _explain(
    context: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            help="A key such as train.num_epochs, or a section", metavar="KEY", show_default=False
        ),
    ] = "",
    head: Annotated[Optional[str], option("--head", "Explain a key of this network", word="HEAD")] = None,
    experiment: Annotated[
        Optional[str],
        option("--experiment", "-e", "Explain a key as this experiment sets it", word="EXPERIMENT"),
    ] = None,
    action: _ActionOption = "",
    release: Release = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import os

    from taorunner.console.pages.specs_view import print_explained
    from taorunner.planning.inspect.key_help import explain_for_experiment, explain_for_network
    from taorunner.planning.model.request import ActionRequest

    context.obj.refuse_extra()
    if head is not None and experiment is not None:
        raise UsageError("--head cannot be combined with --experiment", hint="leave out one of them")
    if head is None and experiment is None:
        experiment = _only_experiment(context.obj, key, project, workspace)
    if head is not None:
        explained = explain_for_network(
            context.obj.networks().load(head), key, action, release, context.obj.kept_schemas()
        )
    else:
        place = context.obj.open_workspace(workspace)
        name, asked = context.obj.experiment_named(place, str(experiment), project)
        request = ActionRequest(action, (), release=release)
        explained = explain_for_experiment(place, name, asked, key, request, os.environ)
    print_explained(explained, json=json)
    return ExitCode.DONE


def _only_experiment(invocation: Invocation, key: str, project: str | None, workspace: Path | None) -> str:
    """The one experiment of the project. Raises UsageError where there is none or there are several."""
    from taorunner.errors import UserFilesError
    from taorunner.project.load import load_project
    from taorunner.project.workspace import UnnamedProjectError

    command = f"taorunner specs explain {shlex.quote(key)}".removesuffix(" ''")
    try:
        place = invocation.open_workspace(workspace)
        name = invocation.project_name(place, project)
    except (UserFilesError, UnnamedProjectError):
        raise UsageError("give either --head or --experiment", hint=f"{command} --head HEAD") from None
    names = load_project(place, name).names
    if len(names) == 1:
        return names[0]
    if not names:
        raise UsageError("give either --head or --experiment", hint=f"{command} --head HEAD")
    raise UsageError(
        f"no experiment named, and there are {len(names)}: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}",
        hint=f"{command} -e {names[0]}",
    )


def _refresh(
    context: typer.Context,
    experiment: _ExperimentArgument,
    yes: Annotated[bool, option("--yes", "Write without a question")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import os

    from taorunner.console.pages.refresh_view import (
        asks_to_write,
        kept_text,
        print_refresh,
        print_refresh_json,
    )
    from taorunner.planning.spec_refresh import refresh

    context.obj.refuse_extra()
    place = context.obj.open_workspace(workspace)
    name, experiment = context.obj.experiment_named(place, experiment, project)
    found = refresh(place, name, experiment, os.environ)
    if json:
        if yes and found.files:
            found.write()
        print_refresh_json(found, is_written=yes and bool(found.files))
        return ExitCode.DONE
    if not found.files:
        typer.echo(f"{experiment} is up to date")
        return ExitCode.DONE
    print_refresh(found, is_quiet=context.obj.is_quiet)
    answer = True if yes else asks_to_write(found)
    if yes or answer is None:
        context.obj.note(kept_text(found))
    if answer:
        found.write()
        context.obj.note(f"changed {', '.join(one.name for one in found.files)}")
    else:
        context.obj.note("not written; add --yes" if answer is None else "not written")
    return ExitCode.DONE


def _shown(
    context: typer.Context,
    experiment: str,
    action: str,
    release: str | None,
    sets: list[str] | None,
    project: str | None,
    workspace: object,
    cluster: str | None = None,
) -> ShownSpec:
    import os

    from taorunner.planning.inspect.resolved_spec import shown_spec
    from taorunner.planning.model.request import ActionRequest

    context.obj.refuse_extra()
    place = context.obj.open_workspace(workspace)
    name, experiment = context.obj.experiment_named(place, experiment, project)
    request = ActionRequest(
        action, (experiment,), cluster=cluster, release=release, overrides=split_pairs(sets or ())
    )
    return shown_spec(place, name, experiment, request, os.environ)
