"""Prepares folders and files right before a run starts, and undoes it if the run does not start.

``--overwrite`` moves earlier results aside last: after the files are checked, the GPUs leased and the image pulled.
Each move is recorded in the run's folder before it is made, so it can be undone after a crash. If the run never starts,
the results are moved back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from taorunner import contained_files
from taorunner.atomic_files import write_bytes
from taorunner.backends.contract import Backend, Launch
from taorunner.backends.secrets import INPUT_DIR
from taorunner.contained_files import root_of
from taorunner.disk_room import reserve
from taorunner.errors import MachineError
from taorunner.events import now
from taorunner.planning.model.plan import RunPlan
from taorunner.project.workspace import Workspace
from taorunner.runs.outputs.set_aside import free_name
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.poller import Statuses
from taorunner.runs.supervisor.retries import clear_earlier
from taorunner.state_files import read_json_state, write_new
from taorunner.values.value import Value

MOVES_FILE = "set_aside.json"
_SHOWN = 3


class Move(Value):
    """``path`` was, or is about to be, renamed to ``aside``."""

    path: Path
    aside: Path


def make_room(plan: RunPlan, run_dir: Path, at: datetime) -> list[str]:
    """Moves aside what ``--overwrite`` replaces and creates the action's folders. Deletes nothing. Returns a report.

    Raises:
        OSError: the results folder cannot be created or moved.
    """
    present = [path for path in plan.set_aside if os.path.lexists(path)]
    moves = _chosen(plan, present, at)
    if moves:
        _record(run_dir, [*recorded_moves(run_dir), *moves])
    roots = _roots(plan)
    for one in moves:
        above = root_of(one.aside, roots)
        contained_files.make_folders(above, one.aside.parent)
        contained_files.move(root_of(one.path, roots), one.path, above, one.aside)
    make_folders(plan)
    return _descriptions(plan, moves)


def make_folders(plan: RunPlan) -> None:
    """Creates mounted and output folders, which the engine would create as root. Raises OSError."""
    plan.results_dir.mkdir(parents=True, exist_ok=True)
    for folder in plan.make_dirs:
        if not folder.is_dir():
            contained_files.make_folders(root_of(folder, _roots(plan)), folder)
    inside = Workspace(plan.workspace).inside_dir
    if inside.is_dir():
        with suppress(FileExistsError), (inside / ".gitignore").open("x", encoding="utf-8") as file:
            file.write("*\n")


def put_back(plan: RunPlan, run_dir: Path) -> list[str]:
    """Undoes ``make_room`` of a run that never started. Idempotent. Returns a report.

    Nothing is overwritten: if the original path exists again, the earlier results stay where they are.
    """
    back: list[Path] = []
    left: list[str] = []
    roots = _roots(plan)
    for move in reversed(recorded_moves(run_dir)):
        if not os.path.lexists(move.aside):
            continue
        made = (folder for folder in (plan.results_dir, *plan.make_dirs) if _is_in(folder, move.path))
        _remove_empty(made, roots)
        above = root_of(move.path, roots)
        try:
            if os.path.lexists(move.path):
                raise FileExistsError(0, "the path exists again")
            contained_files.make_folders(above, move.path.parent)
            contained_files.move(root_of(move.aside, roots), move.aside, above, move.path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            left.append(f"{move.path} could not be put back from {move.aside}: {reason}")
            continue
        back.append(move.path)
        _remove_empty([move.aside.parent], roots)
    if not left:
        with suppress(OSError):
            (run_dir / MOVES_FILE).unlink()
    report = f"put {_listed(back[::-1])} back: the run never started"
    return [report, *left] if back else left


def recorded_moves(run_dir: Path) -> list[Move]:
    """The moves in their order. Empty if nothing was moved or the record is damaged."""
    try:
        body = read_json_state(run_dir / MOVES_FILE)
        moves = [Move(Path(item["path"]), Path(item["aside"])) for item in body["moves"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    workspace = run_dir.parent.parent.parent
    return (
        moves if all(_is_ours(path, workspace) for move in moves for path in (move.path, move.aside)) else []
    )


def prepare_attempt(
    backend: Backend, statuses: Statuses, plan: RunPlan, launch: Launch, store: RunStore, *, is_retry: bool
) -> list[str]:
    """Prepares the run's files last, in the worker's thread right before the start request, and records what it reads.
    Returns a report.

    Raises:
        MachineError: the results cannot be prepared, or the engine does not answer. OSError: the disk is full.
    """
    paths = store.paths(launch.run_id)
    from taorunner.runs.inputs.taking import take_lock  # parses specs: not needed until a run starts

    if is_retry:
        clear_earlier(backend, statuses, launch.run_id, paths)
    write_spec(plan, launch)
    reserve(paths.directory)
    try:
        report = make_room(plan, launch.run_dir, now())
    except OSError as error:
        raise MachineError(f"the results cannot be prepared: {error}") from error
    with suppress(OSError, ValueError):  # a run without it cannot be compared as well, and runs all the same
        take_lock(store, launch.run_id, plan)
    return report


def write_spec(plan: RunPlan, launch: Launch) -> None:
    """Writes the rendered spec, without secrets, into the run's folder."""
    if plan.spec is not None:
        write_new(launch.run_dir, f"{INPUT_DIR}/{plan.spec.file_name}", plan.spec.text.encode())


def _chosen(plan: RunPlan, paths: Iterable[Path], at: datetime) -> list[Move]:
    """The target of each path: next to it, with the time appended to its name.

    Parts of a training's results are moved together into ``models/<experiment>.<time>/``.
    """
    moves: list[Move] = []
    for path in paths:
        is_part = _is_part(plan, path)
        moved = plan.results_dir if is_part else path
        aside = free_name(moved, at)
        moves.append(Move(path, aside / path.relative_to(moved) if is_part else aside))
    return moves


def _record(run_dir: Path, moves: list[Move]) -> None:
    """Writes the moves atomically and durably, before anything is moved."""
    body = {"moves": [{"path": str(move.path), "aside": str(move.aside)} for move in moves]}
    write_bytes(run_dir / MOVES_FILE, json.dumps(body, ensure_ascii=False, indent=1).encode(), durable=True)


def _descriptions(plan: RunPlan, moves: list[Move]) -> list[str]:
    parts = [move for move in moves if _is_part(plan, move.path)]
    report = [f"earlier results set aside as {move.aside.name}" for move in moves if move not in parts]
    if parts:
        new = parts[0].aside.relative_to(plan.results_dir.parent).parts[0]
        names = _listed([move.path.relative_to(plan.results_dir) for move in parts])
        report.append(f"earlier results set aside as {new} (only {names}; what other actions wrote stays)")
    return report


def _is_part(plan: RunPlan, path: Path) -> bool:
    """Whether ``path`` is one of several parts of a training's results."""
    return plan.action == "train" and path != plan.results_dir and _is_in(path, plan.results_dir)


def _listed(paths: list[Path]) -> str:
    names = [str(paths[0]), *(path.name for path in paths[1:_SHOWN])] if paths else []
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(names) + more


def _roots(plan: RunPlan) -> tuple[Path, ...]:
    """Folders that no container can exchange: below them no link is followed."""
    models = plan.results_dir.parent
    return plan.results_dir, models, models.parent / "data"


def _remove_empty(folders: Iterable[Path], roots: Sequence[Path]) -> None:
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):  # not there, or not empty
            contained_files.remove_empty_folder(root_of(folder, roots), folder)


def _is_in(path: Path, folder: Path) -> bool:
    return path == folder or path.is_relative_to(folder)


def _is_ours(path: Path, workspace: Path) -> bool:
    return ".." not in path.parts and path != workspace and path.is_relative_to(workspace)
