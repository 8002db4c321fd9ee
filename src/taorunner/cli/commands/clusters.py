"""``clusters``: lists the clusters of clusters.yml, shows one, checks whether it can be used, copies files there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.help_pages import ShowByDefault, add_command, make_group
from taorunner.cli.options import Invocation, JsonOption, VerboseOption, WorkspaceOption, option
from taorunner.errors import ExitCode, UnknownNameError, UserFilesError

if TYPE_CHECKING:
    from pathlib import Path

    from taorunner.project.clusters.cluster_file import Cluster, Clusters
    from taorunner.project.workspace import Workspace

_Name = Annotated[str, typer.Argument(help="A name of clusters.yml", metavar="CLUSTER", show_default=False)]


def register(app: typer.Typer) -> None:
    group = make_group("List, check and sync clusters", cls=ShowByDefault)
    add_command(
        group, "show", _show, "List clusters, or show one", "taorunner clusters", "taorunner clusters dgx"
    )
    add_command(group, "check", _check, "Check whether a cluster can be used", "taorunner clusters check dgx")
    add_command(
        group, "sync", _sync, "Copy projects to a cluster, or results back",
        "taorunner clusters sync dgx parts", "taorunner clusters sync dgx parts --results",
    )  # fmt: skip
    app.add_typer(group, name="clusters")


def _show(
    context: typer.Context,
    name: Annotated[
        Optional[str],
        typer.Argument(help="One cluster [default: all]", metavar="CLUSTER", show_default=False),
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.clusters_view import print_cluster, print_clusters

    context.obj.refuse_extra()
    _, clusters = _loaded(context.obj, workspace)
    if name is not None:
        print_cluster(known_cluster(clusters, name), json=json)
        return ExitCode.DONE
    if clusters.findings:
        if clusters.usable and not json:
            print_clusters(list(clusters.usable.values()), json=False)
        raise UserFilesError("clusters.yml has errors", findings=clusters.findings)
    if not clusters.usable and not json:
        from pathlib import Path

        from taorunner.console.base.formatting import shown_paths

        typer.echo(f"no clusters: {shown_paths(clusters.hint_for(''), Path.cwd())}", err=True)
        return ExitCode.DONE
    print_clusters(list(clusters.usable.values()), json=json)
    return ExitCode.DONE


def _check(
    context: typer.Context,
    name: _Name,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
    json: JsonOption = False,
) -> int:
    import os
    import sys

    from taorunner.backends.cluster_check import check_cluster
    from taorunner.console.base.theme import make_console
    from taorunner.console.pages.clusters_view import verdict_text
    from taorunner.console.pages.doctor_view import DoctorView
    from taorunner.errors import has_errors

    context.obj.refuse_extra()
    place, clusters = _loaded(context.obj, workspace)
    cluster = known_cluster(clusters, name)
    findings = []
    if json:
        from taorunner.console.base.json_output import write_json

        findings = list(check_cluster(cluster, place, os.environ))
        write_json([finding.to_json() for finding in findings], sys.stdout.buffer)
    else:
        view = DoctorView(make_console(sys.stdout, os.environ), with_infos=True)
        with view.waiting(is_quiet=context.obj.is_quiet):
            for finding in check_cluster(cluster, place, os.environ):
                findings.append(finding)
                view.show(f"{cluster.name} ({cluster.backend})", [finding])
        print(verdict_text(name, findings))
    return ExitCode.MACHINE if has_errors(findings) else ExitCode.DONE


def _sync(
    context: typer.Context,
    name: _Name,
    projects: Annotated[
        Optional[list[str]],
        typer.Argument(help="Projects [default: all]", metavar="PROJECT", show_default=False),
    ] = None,
    results: Annotated[bool, option("--results", "Copy results from there to here")] = False,
    dry_run: Annotated[bool, option("--dry-run", "Show what would be copied")] = False,
    yes: Annotated[bool, option("--yes", "Copy without asking")] = False,
    workspace: WorkspaceOption = None,
) -> int:
    import os
    import sys

    from taorunner.backends.cluster_sync import copy, measure, transfer
    from taorunner.console.pages.clusters_view import CopyProgress
    from taorunner.project.workspace import known_project
    from taorunner.text import amount, size

    context.obj.refuse_extra()
    place, clusters = _loaded(context.obj, workspace)
    if place is None:
        place = context.obj.open_workspace(workspace)
    cluster = known_cluster(clusters, name)
    names = [known_project(place, one, "clusters sync") for one in projects or place.project_names()]
    job = transfer(cluster, place, names, os.environ, results=results)
    found = measure(job, os.environ)
    far = f"{job.host}:{job.folder}"
    way = f"from {far}" if results else f"to {far}"
    if not found.files:
        print(f"nothing to copy {way}: all of it is there")
        return ExitCode.DONE
    what = f"{amount(found.files, 'file')}, {size(found.size_bytes)}"
    print(f"{', '.join(job.what)}: {what} {way}")
    if dry_run:
        return ExitCode.DONE
    if not yes:
        if not sys.stdin.isatty():
            typer.echo("not copied; add --yes", err=True)
            return ExitCode.DONE
        if not typer.confirm("copy?", err=True):
            return ExitCode.DONE
    progress = CopyProgress(found.size_bytes, sys.stderr, is_quiet=context.obj.is_quiet)
    try:
        copy(job, os.environ, progress.report)
    finally:
        progress.end()
    print(f"copied {what}")
    return ExitCode.DONE


def _loaded(invocation: Invocation, folder: Path | None) -> tuple[Workspace | None, Clusters]:
    """Outside of a workspace only the user's own clusters."""
    import os
    from pathlib import Path

    from taorunner.project.clusters.cluster_file import load_clusters
    from taorunner.project.workspace import Workspace

    try:
        place = invocation.open_workspace(folder)
    except UserFilesError:
        return None, load_clusters(Workspace(Path.cwd()), os.environ)
    return place, load_clusters(place, os.environ)


def known_cluster(clusters: Clusters, name: str) -> Cluster:
    """Raises UnknownNameError for a name that there is not, UserFilesError for an entry with errors."""
    from taorunner.text import printable

    cluster = clusters.usable.get(name)
    if cluster is not None:
        return cluster
    errors = clusters.findings_of(name)
    if errors:
        raise UserFilesError(f'the cluster "{printable(name)}" cannot be used', findings=errors)
    raise UnknownNameError(f'there is no cluster "{printable(name)}"', hint=clusters.hint_for(name))
