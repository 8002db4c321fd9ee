"""Turns the experiments of a command line into orders: names, patterns, ``PROJECT/EXPERIMENT`` and ``--all``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from taorunner.errors import UsageError
from taorunner.text import is_pattern, printable
from taorunner.values.value import replace

if TYPE_CHECKING:
    from taorunner.cli.options import Invocation
    from taorunner.planning.model.request import ActionRequest, Order
    from taorunner.planning.selection import Selection
    from taorunner.project.workspace import Workspace

_SHOWN = 5


def check_words(words: Sequence[str], command: str, *, everything: bool) -> None:
    """Raises UsageError for no experiment, for experiments beside ``--all``, for ``KEY=VALUE``, as TAO's own
    commands take settings, and for names with commas. ``command`` is what was typed."""
    if words and everything:
        raise UsageError(f'--all cannot be combined with "{words[0]}"', hint="leave out one of them")
    setting = next((word for word in words if "=" in word), None)
    if setting is not None:
        raise UsageError(
            f'"{printable(setting)}" is no experiment',
            hint=f"--set {shlex.quote(setting)} sets a key of the spec",
        )
    listed = next((word for word in words if "," in word and not is_pattern(word)), None)
    if listed is not None:
        apart = " ".join(shlex.quote(one) for word in words for one in word.split(",") if one)
        raise UsageError(
            f'"{printable(listed)}" is no experiment',
            hint=f"names stand apart: taorunner {command} {apart}",
        )
    if not words and not everything:
        raise UsageError(
            'missing argument "EXPERIMENT"',
            hint=f"taorunner {command} EXPERIMENT; --all takes every experiment that has the spec",
        )


def orders_of(
    invocation: Invocation, workspace: Workspace, request: ActionRequest, words: Sequence[str], *,
    project: str | None, everything: bool,
) -> list[Order]:  # fmt: skip
    """The orders for ``words``, in their order. ``request`` is that of each, ``project`` what follows ``-p``.

    Says on stderr which experiments ``--all`` leaves out.
    """
    import os

    from taorunner.planning.model.request import Order
    from taorunner.planning.selection import select, select_all
    from taorunner.runs.control.startable import not_startable

    if everything:
        name = invocation.project_name(workspace, project)
        selection = select_all(workspace, name, request)
        asked = replace(request, experiments=tuple(experiment for _, experiment in selection.chosen))
        reasons = not_startable(workspace, name, asked, os.environ)
        selection = selection.without(reasons, "resume" if request.resume else request.action)
        _say_left_out(invocation, selection)
    else:
        selection = select(
            workspace, words, current=lambda: invocation.project_name(workspace, project, words),
            named=project or invocation.project,
        )  # fmt: skip
    return [Order(name, replace(request, experiments=names)) for name, names in selection.by_project()]


def _say_left_out(invocation: Invocation, selection: Selection) -> None:
    by_reason: dict[str, list[str]] = {}
    for name, reason in selection.left_out:
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        invocation.note(f"left out: {', '.join(names[:_SHOWN])}{more} ({reason})")


def with_container_words(request: ActionRequest, env: Sequence[str], volumes: Sequence[str]) -> ActionRequest:
    """``request`` with ``--env`` and ``--volume``, which are read as for ``shell``.

    A variable without a value counts as a secret: the run takes it from the caller's environment, and no record has it.
    Raises UsageError with every problem.
    """
    import os
    from pathlib import Path

    from taorunner.project.container_words import read_each, read_env, read_volume

    def variable(word: str) -> tuple[str, str]:
        name, value = read_env(word, os.environ)
        return name, value if "=" in word else f"env:{name}"

    home = Path(os.environ.get("HOME") or Path.home())
    mounts, problems = read_each("--volume", volumes, lambda word: read_volume(word, Path.cwd(), home))
    variables, others = read_each("--env", env, variable)
    problems += others
    if len(problems) == 1:
        raise UsageError(problems[0].message, hint=problems[0].hint)
    if problems:
        raise UsageError(f"nothing was started: {len(problems)} problems", findings=problems)
    return replace(request, env=dict(variables), volumes=tuple(mounts))
