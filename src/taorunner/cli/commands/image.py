"""``image``: lists, pulls, locks (by digest), builds and pushes container images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.commands import image_build
from taorunner.cli.help_pages import add_command, make_group
from taorunner.cli.options import Invocation, JsonOption, PlainOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, Finding, MachineError, Severity, UsageError, UserFilesError, has_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taorunner.console.base.image_pull_progress import ImagePullView
    from taorunner.engine.client import Engine
    from taorunner.planning.spec.required_images import NeededImages
    from taorunner.project.workspace import Workspace


def register(app: typer.Typer) -> None:
    group = make_group("List, pull, lock and build container images")
    add_command(group, "ls", _ls, "List the images that experiments need", "taorunner image ls")
    summary = "Pull images [default: those that experiments need]"
    add_command(group, "pull", _pull, summary, "taorunner image pull -p parts")
    summary = "Pin the digest of each tag in taorunner.lock"
    add_command(group, "lock", _lock, summary, "taorunner image lock", "taorunner image lock --check")
    image_build.register(group)
    app.add_typer(group, name="image")


def _ls(
    context: typer.Context,
    projects: Annotated[
        Optional[list[str]],
        typer.Argument(help="Projects, all by default", metavar="PROJECT", show_default=False),
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from datetime import datetime, timezone

    from taorunner.console.pages.images_view import print_images
    from taorunner.images.listing import ListedImage, list_images

    context.obj.refuse_extra()
    needed = _needed(context, workspace, projects or ())
    silent: list[Finding] = []
    try:
        listed = list_images(_engine(), needed.images) if needed.images else []
    except MachineError as error:  # the files say what is needed; only the engine knows what is here
        listed = [ListedImage(image, None, was_asked=False) for image in needed.images]
        silent = [Finding(Severity.ERROR, error.code, error.message, error.hint)]
    print_images(listed, datetime.now(timezone.utc), json=json)
    if not listed:
        context.obj.note("no experiment here needs an image")
    code = _report([*needed.findings, *silent])
    return ExitCode.MACHINE if silent and not has_errors(needed.findings) else code


def _pull(
    context: typer.Context,
    images: Annotated[
        Optional[list[str]],
        typer.Argument(help="Names of images", metavar="IMAGE", show_default=False),
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    parallel: Annotated[
        int, option("--parallel", "Pull at most N images at once", word="N", min=1, max=16)
    ] = 2,
    force: Annotated[bool, option("--force", "Pull even if the disk looks too small")] = False,
    json: JsonOption = False,
    plain: PlainOption = False,
) -> int:
    import sys

    from taorunner.console.base.json_output import write_json
    from taorunner.image_names import checked_name
    from taorunner.images.pull import pull_images

    context.obj.refuse_extra()
    findings: Sequence[Finding] = ()
    if images and project:
        raise UsageError("image names cannot be combined with -p", hint="leave out one of them")
    if images:
        wanted, engine = [checked_name(image) for image in images], _engine()
    else:
        needed = _needed(context, workspace, [project] if project else ())
        findings, engine = needed.findings, _engine()
        wanted = _absent(engine, needed, None if json else context.obj)
    with _watcher(plain=plain, quiet=json or context.obj.is_quiet) as watcher:
        try:
            done = pull_images(engine, wanted, watcher, parallel=parallel, force=force)
        except KeyboardInterrupt:
            watcher.tells("interrupted: complete layers are kept; the same command continues")
            return ExitCode.INTERRUPTED
        for pulled in done:
            state = "pulled" if pulled.is_new else "already present"
            watcher.tells(f"{pulled.reference} {state}: {pulled.image.digest or pulled.image.id}")
    if json:
        write_json([pulled.to_json() for pulled in done], sys.stdout.buffer)
    return _report(findings)


def _lock(
    context: typer.Context,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    check: Annotated[
        bool, option("--check", "Write nothing; fail when a tag moved or is not locked")
    ] = False,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.images_view import print_locked
    from taorunner.images.lock import lock_images

    context.obj.refuse_extra()
    root = context.obj.open_workspace(workspace)
    project = project or context.obj.project
    needed = _needed(context, workspace, [project] if project else ())
    if check:
        return _check(needed, json=json)
    whole = project is None
    problems = [one for one in needed.findings if not whole or one.file != needed.lock.file]
    if has_errors(problems):  # a damaged lock file may be replaced when all images are locked
        raise UserFilesError("nothing was locked: the files have errors", findings=problems)
    changes = lock_images(_engine(), needed.images, needed.lock, whole=whole)
    print_locked(changes, str(root.lock_file), json=json)
    return ExitCode.DONE


def _check(needed: NeededImages, *, json: bool) -> int:
    import os
    import sys

    from taorunner.console.base.findings_text import findings_json, print_findings
    from taorunner.console.base.json_output import write_json
    from taorunner.console.base.theme import make_console
    from taorunner.images.lock import check_lock

    damaged = has_errors(needed.lock.findings)
    findings = [*needed.findings, *([] if damaged else check_lock(_engine(), needed.images, needed.lock))]
    if json:
        write_json(findings_json(findings), sys.stdout.buffer)
    else:
        print_findings(make_console(sys.stdout, os.environ), findings)
    errors = {finding.code for finding in findings if finding.is_error}
    if errors == {"registry-silent"}:
        return ExitCode.MACHINE
    return ExitCode.USER_FILES if errors else ExitCode.DONE


def _needed(context: typer.Context, workspace: object, projects: Sequence[str]) -> NeededImages:
    """The images of the named projects; without names of ``-p``, without ``-p`` of all projects."""
    from taorunner.planning.spec.required_images import needed_images

    root: Workspace = context.obj.open_workspace(workspace)
    if not projects and context.obj.project:
        projects = [context.obj.project]
    names = [context.obj.project_name(root, name) for name in projects] or list(root.project_names())
    if not names:
        raise UserFilesError(
            f'no project in "{root.projects_dir}"', hint="taorunner init-project NAME makes one"
        )
    return needed_images(root, names)


def _absent(engine: Engine, needed: NeededImages, invocation: Invocation | None) -> list[str]:
    """The images to pull, by the names that runs use. Those already present are noted on ``invocation``."""
    from taorunner.images.listing import list_images

    listed = list_images(engine, needed.images)
    if invocation is not None:
        for each in listed:
            if each.here is not None:
                invocation.note(f"{each.needed.reference} already present")
        if not listed:
            invocation.note("no experiment here needs an image")
    return [each.needed.runs_as for each in listed if each.here is None]


def _report(findings: Sequence[Finding]) -> int:
    """Prints problems in the files, which may hide an image; returns the exit code."""
    if not findings:
        return ExitCode.DONE
    import os
    import sys

    from taorunner.console.base.findings_text import print_findings
    from taorunner.console.base.theme import make_console

    print_findings(make_console(sys.stderr, os.environ), findings)
    return ExitCode.USER_FILES if has_errors(findings) else ExitCode.DONE


def _engine() -> Engine:
    from taorunner.engine.client import connect

    return connect()


def _watcher(*, plain: bool, quiet: bool) -> ImagePullView:
    import os
    import sys

    from taorunner.console.base.image_pull_progress import ImagePullView

    return ImagePullView(sys.stderr, os.environ, plain=plain, quiet=quiet)
