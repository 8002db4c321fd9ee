"""``rerun``: repeats a run with the same inputs, or says what is different now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import (
    ComparedRunArgument,
    JsonOption,
    OfProjectOption,
    PlainOption,
    WorkspaceOption,
    option,
)
from taorunner.errors import ExitCode, Finding, RunStateError, Severity, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taorunner.runs.rerun.check import Check
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore


def register(app: typer.Typer) -> None:
    add_command(
        app, "rerun", _rerun, "Repeat an earlier run with the same inputs", "taorunner rerun eaf22b --check",
        "taorunner rerun rtdetr_01 --allow data",
    )  # fmt: skip


def _rerun(
    context: typer.Context,
    run: ComparedRunArgument,
    check: Annotated[
        bool, option("--check", "Only say what is different now; exit 1 if anything is")
    ] = False,
    allow: Annotated[
        Optional[str],
        option("--allow", "Start it although these differ: data,weights,gpus,image", word="KINDS"),
    ] = None,
    detach: Annotated[bool, option("--detach", "-d", "Return when the run has started")] = False,
    plain: PlainOption = False,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import os

    from taorunner.console.comparison.rerun_view import print_check
    from taorunner.gpu.inventory import inventory
    from taorunner.runs.comparison.chosen import chosen_runs
    from taorunner.runs.rerun.check import Surroundings, check_run
    from taorunner.runs.rerun.repeat import next_name
    from taorunner.runs.rerun.start import readable_inputs

    context.obj.refuse_extra()
    allowed = _allowed(allow)
    asked = context.obj.asked_runs(workspace, project)
    store = asked.store
    (record,) = chosen_runs(store, [run], project=asked.project, near=asked.near)
    context.obj.project_found = record.project
    lock, plan = readable_inputs(store, record)
    surroundings = Surroundings(asked.workspace, inventory(), os.environ, _local_digest(record, os.environ))
    found = check_run(store, record, lock, plan, surroundings)
    name = next_name(plan)
    if check:
        print_check(record, found, name, json=json)
        if found.deviations and not json:
            needed = found.blocking()
            said = f": --allow {','.join(needed)} starts it as {name}" if needed else f"; a rerun is {name}"
            context.obj.note(f"not the same{said}")
        return ExitCode.RUN_FAILED if found.deviations else ExitCode.DONE
    _refuse(store, record, found, allowed, name)
    if not json:
        for one in found.deviations:
            context.obj.note(f"{one.kind}: {one.text}")
    return _start(context, store, record, name, detach=detach, plain=plain, json=json)


def _start(
    context: typer.Context,
    store: RunStore,
    record: RunRecord,
    name: str,
    *,
    detach: bool,
    plain: bool,
    json: bool,
) -> int:
    import os

    from taorunner.console.runs.watch import watch_batch
    from taorunner.project.workspace import Workspace
    from taorunner.runs.rerun.start import start_rerun

    launched = start_rerun(store, Workspace(store.state_dir.parent), record, name, os.environ)
    (new,) = launched.batch.runs
    if detach:
        from taorunner.text import detached_text

        if json:
            import json as json_text

            typer.echo(json_text.dumps([{"run": new}]))
        else:
            typer.echo(new)
            context.obj.note(detached_text(1))
        return ExitCode.DONE
    code = watch_batch(
        store,
        launched.batch,
        json=json,
        plain=plain,
        is_owned=launched.is_owned,
        is_quiet=context.obj.is_quiet,
    )
    if not json and store.load(new).state.is_final:
        from taorunner.console.comparison.print_comparison import print_diff
        from taorunner.runs.comparison.compare import compare

        typer.echo("")
        comparison = compare(store, [record, store.load(new)])
        print_diff(store, comparison, everything=False, json=False, is_quiet=context.obj.is_quiet)
    return code


def _allowed(text: str | None) -> frozenset[str]:
    from taorunner.runs.rerun.check import ALLOWABLE
    from taorunner.text import did_you_mean

    names = [part.strip() for part in (text or "").split(",") if part.strip()]
    for name in names:
        if name not in ALLOWABLE:
            raise UsageError(
                f'--allow takes {", ".join(ALLOWABLE)}, not "{name}"', hint=did_you_mean(name, ALLOWABLE)
            )
    return frozenset(names)


def _refuse(store: RunStore, record: RunRecord, check: Check, allowed: frozenset[str], name: str) -> None:
    needed = check.blocking(allowed)
    if not needed:
        return
    short = store.short_id(record.id)
    allow = ",".join(sorted({*needed, *allowed}))
    raise RunStateError(
        f"run {short} cannot be repeated with the same inputs",
        hint=f"taorunner rerun {short} --allow {allow} starts it as {name}",
        findings=[
            Finding(Severity.ERROR, f"rerun-{one.kind}", f"{one.kind}: {one.text}")
            for one in check.deviations
            if one.kind in needed and one.is_blocking
        ],
    )


def _local_digest(record: RunRecord, environ: Mapping[str, str]) -> Callable[[str], str | None]:
    """Of an image that the Docker engine of this machine has; None where the engine does not answer."""

    def digest(image: str) -> str | None:
        from taorunner.engine.client import connect
        from taorunner.engine.images import find_image
        from taorunner.errors import TaorunnerError
        from taorunner.targets import GpuSource, target_of

        try:
            target = target_of(record.backend)
            if not target.needs_image or target.gpus is not GpuSource.LEASED:
                return None  # its containers are on another machine, or it has none
            found = find_image(connect(environ), image)
        except TaorunnerError:
            return None
        return found.digest if found is not None else None

    return digest
