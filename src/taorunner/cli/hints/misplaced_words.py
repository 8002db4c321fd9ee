"""What a person meant whose command line was refused because a word in it names nothing: ``train help``, a run in the
place of an experiment, ``run list``. Asked only after the refusal, so a thing that has such a name is found first.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from taorunner.errors import (
    NoSuchRunError,
    RunStateError,
    TaorunnerError,
    UnknownNameError,
    UsageError,
    UserFilesError,
)
from taorunner.values.value import replace


def with_meaning(error: TaorunnerError, words: Sequence[str], root: Path | None) -> TaorunnerError:
    """``error`` with the hint that says what to type instead, where one is known. ``words`` are the command line
    without the program; ``root`` is the workspace that the command has found."""
    from taorunner.planning.model.fault import UNKNOWN_EXPERIMENT

    unknown = [one for one in error.findings if one.code == UNKNOWN_EXPERIMENT]
    if not unknown and not isinstance(error, UsageError | UnknownNameError | NoSuchRunError):
        return error
    command, rest = _command_of(words)
    if not command:
        return error
    if rest and rest[-1] == "help":
        return _hinted(error, f"taorunner {' '.join(command)} --help")
    if (
        command == ["run"]
        and (meant := _of_runs(words, rest)) is not None
        and _is_about_action(error, rest[0])
    ):
        return _hinted(error, meant)
    if isinstance(error, NoSuchRunError):
        return _of_no_run(error, words, root)
    for finding in unknown:
        name = finding.message.partition('"')[2].partition('"')[0]
        meant = _instead_of(name, command, words, root)
        if meant is not None:
            error.findings = tuple(
                replace(one, hint=meant) if one == finding else one for one in error.findings
            )
    return error


def _of_no_run(error: NoSuchRunError, words: Sequence[str], root: Path | None) -> TaorunnerError:
    """The error for a name of no run: with the command that starts one, where it is the name of an experiment."""
    if root is None:
        return error
    from taorunner.console.base.typed_commands import Place, as_typed
    from taorunner.planning.first_steps import first_steps
    from taorunner.project.load import load_project
    from taorunner.project.workspace import Workspace, nearest_project

    workspace = Workspace(root)
    named = [after for word, after in pairwise(words) if word in ("-p", "--project")]
    within, _, name = error.name.partition("@")[0].rpartition("/")
    wanted = named[-1] if named else within
    near = nearest_project(workspace, Path.cwd(), os.environ)
    for project in sorted(workspace.project_names(), key=lambda one: one != near):
        if wanted in ("", project) and name in load_project(workspace, project).names:
            step = first_steps(workspace, project, name)[0]
            hint = as_typed(f"taorunner {step}", Place(root, project))
            said = error.message if " run of " in error.message else f'no run of "{name}" yet'
            return RunStateError(said, hint=hint)
    return error


def _hinted(error: TaorunnerError, hint: str) -> TaorunnerError:
    from taorunner.planning.model.fault import UNKNOWN_EXPERIMENT

    if isinstance(error, UserFilesError) and error.findings:
        known = (UNKNOWN_EXPERIMENT, "unknown-action")
        error.findings = tuple(
            replace(one, hint=hint) if one.code in known else one for one in error.findings
        )
    else:
        error.hint = hint
    return error


def _command_of(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command, and the plain words after it. Values of options count as plain words."""
    from taorunner.cli.fast.words import TABLE

    rest = list(words)
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in ("-p", "--project", "--workspace") else rest[1:]
    plain = [word for word in rest if not word.startswith("-")]
    for length in (2, 1):
        if " ".join(plain[:length]) in TABLE:
            return plain[:length], plain[length:]
    groups = {name.partition(" ")[0] for name in TABLE}
    return (plain[:1], plain[1:]) if plain[:1] and plain[0] in groups else ([], plain)


def _of_runs(words: Sequence[str], rest: Sequence[str]) -> str | None:
    """``run list`` is nearly ``runs list``."""
    from taorunner.cli.fast.words import TABLE

    if not rest or f"runs {rest[0]}" not in TABLE:
        return None
    typed = ["runs" if at == words.index("run") else shlex.quote(word) for at, word in enumerate(words)]
    return f"taorunner {' '.join(typed)}"


def _is_about_action(error: TaorunnerError, word: str) -> bool:
    """Whether ``word`` is no action of the experiment, or no experiment was named."""
    texts = [error.message, *(one.message for one in error.findings if one.code == "unknown-action")]
    return any(f'"{word}"' in text or text.startswith("missing argument") for text in texts)


def _instead_of(name: str, command: Sequence[str], words: Sequence[str], root: Path | None) -> str | None:
    typed = " ".join(command)
    if name == "all":
        line = ["--all" if word == "all" else shlex.quote(word) for word in words]
        return f"taorunner {' '.join(line)}"
    if root is None:
        return None
    from taorunner.runs.state.store import RunStore

    try:
        store = RunStore(root / ".taorunner")
        run = store.find(name)
    except TaorunnerError:
        return None
    what = f'"{name}" is a run of "{run.experiment}"'
    if typed == "train":
        if run.action == "train":
            return f"{what}: taorunner train {run.experiment}, or taorunner rerun {store.short_id(run.id)}"
        return f"{what}: taorunner rerun {store.short_id(run.id)} repeats it"
    return f"{what}: taorunner {typed} {run.experiment}"
