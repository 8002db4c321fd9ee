"""``validate``, ``plan`` and ``start``: the actions of the command line, with the same checks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from typing_extensions import Unpack

from taorunner.api.runs import Batch
from taorunner.api.workspaces import Project, Workspace
from taorunner.backends.dry_run import dry_run_sites, simulate
from taorunner.container_options import Mount
from taorunner.errors import Finding, UsageError, UserFilesError
from taorunner.planning.model.knobs import read_knobs
from taorunner.planning.model.request import ActionRequest
from taorunner.project.container_words import read_each, read_volume
from taorunner.project.limits import read_limits
from taorunner.runs.control.launch import LaunchOptions, launch, plan_request
from taorunner.runs.state.record import RunPolicy
from taorunner.runs.supervisor.event_sinks.hooks import parse_hook
from taorunner.sweeps.checks.validation import all_findings


class RequestOptions(TypedDict, total=False):
    """What a run is, as on the command line of an action. Everything is optional.

    ``cluster`` is a name of clusters.yml. ``gpus`` is their number or ``"all"``, ``gpu_ids`` are ids as in nvidia-smi.
    ``nodes``, ``cpus``, ``memory`` and ``time`` are as in experiments.yml: ``"64G"``, ``"12:00:00"``. ``overrides``
    sets dotted keys of the spec; ``epochs``, ``batch_size`` (of one GPU), ``lr``, ``seed`` and ``min_score`` set the
    keys that the network has for them. ``extra`` are arguments that TAO gets as they are. ``checkpoint`` is a path, a
    name in the results, ``best``, ``latest`` or ``epoch=N``. ``overwrite`` sets earlier results aside; ``resume``
    continues a training from its newest checkpoint. ``env`` are further variables (a secret as ``env:NAME`` or
    ``file:PATH``), ``volumes`` are further mounts, each ``SRC:DST[:ro]``. ``then`` are actions that follow, each on the
    result of the one before.
    """

    backend: str
    cluster: str
    gpus: int | Literal["all"]
    gpu_ids: Sequence[str]
    nodes: int
    cpus: int
    memory: str | int
    time: str
    release: str
    image: str
    overrides: Mapping[str, object]
    epochs: int
    batch_size: int
    lr: float
    seed: int
    min_score: float
    extra: Sequence[str]
    checkpoint: str | os.PathLike[str]
    overwrite: bool
    resume: bool
    force: bool
    env: Mapping[str, str]
    volumes: Sequence[str]
    then: Sequence[str]


class StartOptions(RequestOptions, total=False):
    """What a run is, and how it is started.

    ``parallel`` is the maximum number of concurrent runs. ``grace_s`` are the seconds between a stop and a kill.
    ``retries`` is the maximum number of restarts after an external failure. ``on_finish`` is a command that gets the
    run as JSON on its standard input. ``keep_checkpoints`` is ``last:N`` or ``best:N``: a training removes the other
    checkpoints. ``join`` names a run whose batch gets the new runs.
    """

    parallel: int
    grace_s: float
    retries: int
    stop_on_nan: bool
    on_finish: str
    keep_checkpoints: str
    join: str


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """What a run would be: the exact request, with ``***`` in the place of secrets.

    ``request`` is what ``taorunner ACTION --dry-run --json`` prints: ``env``, ``mounts``, ``gpus``, ``user`` …
    ``spec`` is the rendered text that the network would read, None where the action has none. ``command_line`` is a
    line for the shell that does the same. ``findings`` are warnings.
    """

    project: str
    experiment: str
    action: str
    backend: str
    image: str | None
    argv: tuple[str, ...]
    spec: str | None
    results: Path
    command_line: str
    request: dict[str, Any]
    findings: tuple[Finding, ...]


def validate(
    workspace: Workspace, projects: Sequence[str | Project] | None = None, strict: bool = False
) -> list[Finding]:
    """Every problem in the files of ``projects``, by default of all. ``strict`` turns warnings into errors.

    Never raises for what is wrong in a file: a finding says what, where, and what to do.

    Raises:
        TaorunnerError: there is no project of a given name.

    Example:
        >>> [finding.code for finding in taorunner.validate(workspace, ["shapes"]) if finding.is_error]
        []
    """
    inner = workspace._inner
    if projects is None:
        names: Sequence[str] = inner.project_names()
    else:
        names = [_project_name(workspace, project) for project in projects]
    return all_findings(inner, names, os.environ, strict=strict)


def plan(
    workspace: Workspace, project: str | Project, action: str, experiments: str | Sequence[str],
    **options: Unpack[StartOptions],
) -> list[PlannedRun]:  # fmt: skip
    """What ``start`` would run. Starts nothing and asks no engine; rendered specs are written below
    ``.taorunner/dry-run``. Options of ``start`` that do not change the request are accepted and ignored.

    Raises:
        TaorunnerError: the request cannot be run; ``findings`` of the error has every problem.

    Example:
        >>> (run,) = taorunner.plan(workspace, "shapes", "train", "tiny", overwrite=True)
        >>> run.backend, "num_epochs: 16" in run.spec
        ('embedded', True)
    """
    inner, name = workspace._inner, _project_name(workspace, project)
    request = replace(_request(action, experiments, options), dry_run=True)
    with _naming_the_first_problem():
        planned = plan_request(inner, name, request, os.environ, dry_run_sites(inner.dry_run_dir, name))
    found = [simulate(item.plan, item.site) for item in planned.items]
    return [
        PlannedRun(
            project=name, experiment=one.plan.experiment, action=one.plan.action, backend=one.plan.backend,
            image=one.plan.image, argv=tuple(one.request.argv), spec=one.spec.read_text() if one.spec else None,
            results=one.plan.results_dir, command_line=one.command_line, request=one.to_json(),
            findings=planned.findings,
        )
        for one in found
    ]  # fmt: skip


def start(
    workspace: Workspace, project: str | Project, action: str, experiments: str | Sequence[str],
    **options: Unpack[StartOptions],
) -> Batch:  # fmt: skip
    """Starts one run for each of ``experiments``. Returns when they are recorded; they go on by themselves.

    Raises:
        TaorunnerError: nothing was started. The request cannot be run (``findings`` has every problem), an experiment
            is being trained already, or runs cannot be recorded here.

    Example:
        >>> batch = taorunner.start(workspace, "shapes", "train", ["tiny"], overwrite=True, overrides=two_epochs)
        >>> batch.wait(timeout_s=120)
        True
    """
    name = _project_name(workspace, project)
    hook = parse_hook(options["on_finish"]) if "on_finish" in options else ()
    how = LaunchOptions(
        options.get("parallel"), options.get("grace_s", 30.0),
        RunPolicy(
            options.get("retries"), options.get("stop_on_nan", False), hook, options.get("keep_checkpoints")
        ),
        options.get("join"),
    )  # fmt: skip
    request = _request(action, experiments, options)
    with _naming_the_first_problem():
        launched = launch(workspace._inner, name, request, how, os.environ)
    if launched.supervisor is not None:
        launched.supervisor.wait_aside()
    return Batch(
        workspace._store(), launched.batch.id, launched.batch.runs, launched.findings, launched.is_owned
    )


@contextmanager
def _naming_the_first_problem() -> Iterator[None]:
    """A traceback shows the message only: the command line prints the findings below it."""
    try:
        yield
    except UserFilesError as error:
        errors = [finding for finding in error.findings if finding.is_error]
        if not errors:
            raise
        first = errors[0]
        text = f"{error.message}: {first.message}"
        raise type(error)(text, hint=first.hint, findings=error.findings) from None


def _request(action: str, experiments: str | Sequence[str], options: RequestOptions) -> ActionRequest:
    """Raises TypeError for a keyword that there is not."""
    unknown = sorted(set(options) - StartOptions.__optional_keys__)
    if unknown:
        raise TypeError(
            f"unexpected option {unknown[0]!r}; there are {sorted(StartOptions.__optional_keys__)}"
        )
    names = _names(experiments)
    gpu_ids, checkpoint = options.get("gpu_ids"), options.get("checkpoint")
    gpus = options.get("gpus")
    limits = read_limits(
        options.get("nodes"), options.get("cpus"), options.get("memory"), options.get("time")
    )
    return ActionRequest(
        action=action, experiments=names, backend=options.get("backend"),
        cluster=options.get("cluster"),
        gpus=None if gpus == "all" else gpus, all_gpus=gpus == "all",
        gpu_ids=tuple(map(str, gpu_ids)) if gpu_ids is not None else None,
        limits=limits, release=options.get("release"), image=options.get("image"),
        overrides={key: _spec_text(value) for key, value in options.get("overrides", {}).items()},
        knobs=read_knobs(
            options.get("epochs"), options.get("batch_size"), options.get("lr"), options.get("seed"),
            options.get("min_score"),
        ),
        extra=tuple(options.get("extra", ())),
        checkpoint=os.fspath(checkpoint) if checkpoint is not None else None,
        overwrite=options.get("overwrite", False), resume=options.get("resume", False),
        force=options.get("force", False), env=dict(options.get("env", {})),
        volumes=_volumes(options.get("volumes", ())), then=_names(options.get("then", ())),
    )  # fmt: skip


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    """One name or several."""
    return (given,) if isinstance(given, str) else tuple(given)


def _volumes(words: str | Sequence[str]) -> tuple[Mount, ...]:
    """Raises UsageError with every problem."""
    mounts, problems = read_each(
        "--volume", _names(words), lambda word: read_volume(word, Path.cwd(), Path.home())
    )
    if problems:
        raise UsageError(problems[0].message, hint=problems[0].hint, findings=problems)
    return tuple(mounts)


def _spec_text(value: object) -> str:
    """A value as it is typed behind ``--set KEY=``."""
    return value if isinstance(value, str) else json.dumps(value)


def _project_name(workspace: Workspace, project: str | Project) -> str:
    return workspace.project(project.name if isinstance(project, Project) else project).name
