"""Earlier results that ``--overwrite`` set aside: found, put back into their place, or removed.

They lie beside their place, with the time in the name: ``models/<experiment>.<time>/``,
``data/tfrecords_<experiment>.<time>/``,
``models/<experiment>/export/<file>.<time>``. Links are never followed, and nothing outside of the workspace is touched.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from taorunner.contained_files import (
    link_on_the_way,
    make_folder,
    move,
    opened_folder,
    remove_empty_folder,
)
from taorunner.errors import MachineError, RunStateError
from taorunner.project.workspace import ProjectPaths
from taorunner.runs.outputs.scan import size_of_folder
from taorunner.runs.state.folders import is_name, remove_folder_in
from taorunner.values.value import Value

_TIMED = re.compile(r"(.+)\.([0-9]{8}-[0-9]{6})\Z", re.DOTALL)
TRAINING, RECORDS, MODEL = "training", "records", "model"


class SetAside(Value):
    """``path`` was in ``place`` until ``at`` (aware UTC). ``kind`` is training, records or model.

    ``newest_s`` is the time of its newest file in seconds of the epoch; ``bytes`` and ``files`` stop at a limit.
    ``root`` is the folder below which no link is followed.
    """

    experiment: str
    kind: str
    path: Path
    place: Path
    at: datetime
    bytes: int
    files: int
    newest_s: float
    root: Path

    def to_json(self) -> dict[str, object]:
        return {
            "experiment": self.experiment, "kind": self.kind, "path": str(self.path), "place": str(self.place),
            "set_aside_at": self.at.isoformat(), "bytes": self.bytes,
        }  # fmt: skip


class NamedAside(Value):
    """As ``SetAside``, but not measured: what its name says."""

    kind: str
    path: Path
    place: Path
    at: datetime
    root: Path


def find_set_aside(paths: ProjectPaths, experiment: str, experiments: Collection[str] = ()) -> list[SetAside]:
    """As ``list_set_aside``, measured: every file of each is counted."""
    listed = list_set_aside(paths, experiment, experiments)
    return [one for named in listed for one in _measured(experiment, named)]


def list_set_aside(
    paths: ProjectPaths, experiment: str, experiments: Collection[str] = ()
) -> list[NamedAside]:
    """What was set aside for ``experiment``, the newest first. ``experiments`` are the names that are in use: their
    results are never counted, whatever their name looks like."""
    root = paths.root.parent.parent
    results, records = paths.results_dir(experiment), paths.tfrecords_dir(experiment)
    found: list[NamedAside] = []
    if _is_inside(paths.models_dir, root):
        taken = {paths.results_dir(name).name for name in experiments}
        found += _beside(TRAINING, results, taken)
        for folder in (results, *_folders(results)):
            if _is_inside(folder, root):
                found += _inside_results(folder, results)
    if _is_inside(paths.data_dir, root):
        taken = {paths.tfrecords_dir(name).name for name in experiments}
        found += _beside(RECORDS, records, taken)
    return sorted(found, key=lambda one: (one.at, str(one.path)), reverse=True)


def names_set_aside(paths: ProjectPaths) -> list[str]:
    """The experiments that have trainings set aside, also those that are in experiments.yml no more."""
    if not _is_inside(paths.models_dir, paths.root.parent.parent):
        return []
    found = [
        _TIMED.match(entry.name)
        for entry in _entries(paths.models_dir)
        if entry.is_dir(follow_symlinks=False)
    ]
    return list(dict.fromkeys(match[1] for match in found if match is not None and is_name(match[1])))


def put_back(chosen: SetAside, own: Callable[[Path], Sequence[Path]], at: datetime) -> Path | None:
    """Puts ``chosen`` into its place. What is there is set aside itself; gives where, None if nothing was there.

    ``own`` gives the entries of a results folder that a training wrote; others stay. Nothing is deleted. When a step
    fails or is interrupted, the steps before it are undone.

    Raises:
        RunStateError: one of the folders is a link, or what was set aside is gone.
        MachineError: something cannot be moved.
    """
    for path in (chosen.path, chosen.place):
        link = link_on_the_way(chosen.root.parent, path)
        if link is not None:
            raise RunStateError(f'"{link}" is a symbolic link, and taorunner does not follow it')
    if not os.path.lexists(chosen.path):
        raise RunStateError(
            f'"{chosen.path}" is no longer there', hint="taorunner runs restore shows what is"
        )
    aside = free_name(chosen.place, at)
    moves = _Moves(chosen.root)
    try:
        if chosen.kind == TRAINING:
            return _exchange_training(chosen, own, aside, moves)
        was_there = os.path.lexists(chosen.place)
        if was_there:
            moves.move(chosen.place, aside)
        moves.move(chosen.path, chosen.place)
        return aside if was_there else None
    except OSError as error:
        moves.undo()
        reason = (error.strerror or str(error)).lower()
        raise MachineError(
            f"{error.filename} cannot be moved: {reason}", hint="nothing was changed"
        ) from error
    except BaseException:
        moves.undo()
        raise


def remove(chosen: SetAside) -> None:
    """Removes what was set aside. Links in it are removed, not their targets. Raises MachineError, RunStateError."""
    if _TIMED.match(chosen.path.name) is None or chosen.path == chosen.place:
        raise RunStateError(f'"{chosen.path}" was not set aside')
    try:
        with opened_folder(chosen.root, chosen.path.parent) as inside:
            if stat.S_ISDIR(os.lstat(chosen.path.name, dir_fd=inside).st_mode):
                remove_folder_in(inside, chosen.path)
            else:
                os.unlink(chosen.path.name, dir_fd=inside)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MachineError(f"{error.filename or chosen.path} cannot be removed: {reason}") from error


class _Moves:
    """Changes below ``root`` that can be undone. How to undo each is noted before it is made: Ctrl-C may come at any
    time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._back: list[Callable[[], object]] = []

    def move(self, source: Path, target: Path) -> None:
        self._back.append(
            lambda: None if os.path.lexists(source) else move(self._root, target, self._root, source)
        )
        move(self._root, source, self._root, target)

    def make(self, folder: Path) -> None:
        self._back.append(lambda: remove_empty_folder(self._root, folder))
        make_folder(self._root, folder)

    def drop(self, folder: Path) -> None:
        """Removes an empty folder."""
        self._back.append(lambda: make_folder(self._root, folder))
        remove_empty_folder(self._root, folder)

    def undo(self) -> None:
        for back in reversed(self._back):
            with suppress(OSError):
                back()


def _exchange_training(
    chosen: SetAside, own: Callable[[Path], Sequence[Path]], aside: Path, moves: _Moves
) -> Path | None:
    """Entry by entry: what other actions wrote into the results folder stays there."""
    coming = sorted(entry.name for entry in chosen.path.iterdir())
    going: list[str] = []
    if chosen.place.is_dir():
        present = {entry.name for entry in chosen.place.iterdir()}
        wrote = own(chosen.place)  # the whole folder, or some of its entries
        names = present if chosen.place in wrote else {path.name for path in wrote}
        going = sorted(present.intersection({*names, *coming}))
    else:
        moves.make(chosen.place)
    if going:
        moves.make(aside)
    for name in going:
        moves.move(chosen.place / name, aside / name)
    for name in coming:
        moves.move(chosen.path / name, chosen.place / name)
    moves.drop(chosen.path)
    return aside if going else None


def free_name(place: Path, at: datetime) -> Path:
    """Where to set aside what is in ``place``: beside it, with the time in the name, or the next free second."""
    while os.path.lexists(aside := place.with_name(f"{place.name}.{at:%Y%m%d-%H%M%S}")):
        at += timedelta(seconds=1)
    return aside


def _beside(kind: str, place: Path, taken: Collection[str]) -> Iterator[NamedAside]:
    for entry in _entries(place.parent):
        match = _TIMED.match(entry.name)
        if match is None or match[1] != place.name or entry.name in taken:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _named(kind, Path(entry.path), place, match[2], place.parent)


def _inside_results(folder: Path, results: Path) -> Iterator[NamedAside]:
    for entry in _entries(folder):
        match = _TIMED.match(entry.name)
        if match is not None and not entry.is_symlink():
            yield from _named(MODEL, Path(entry.path), folder / match[1], match[2], results)


def _named(kind: str, path: Path, place: Path, time: str, root: Path) -> Iterator[NamedAside]:
    with suppress(ValueError):
        at = datetime.strptime(time, "%Y%m%d-%H%M%S").replace(tzinfo=timezone.utc)
        yield NamedAside(kind, path, place, at, root)


def _measured(experiment: str, one: NamedAside) -> Iterator[SetAside]:
    try:
        facts = os.lstat(one.path)
    except OSError:
        return
    if stat.S_ISDIR(facts.st_mode):
        size, files, newest_s = size_of_folder(one.path)
    elif stat.S_ISREG(facts.st_mode):
        size, files, newest_s = facts.st_size, 1, facts.st_mtime
    else:
        return
    yield SetAside(experiment, one.kind, one.path, one.place, one.at, size, files, newest_s, one.root)


def _folders(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False) and _TIMED.match(entry.name) is None:
            yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _is_inside(folder: Path, root: Path) -> bool:
    """Whether ``folder`` is there, is no link, and lies in the workspace once links above it are followed."""
    try:
        return not folder.is_symlink() and folder.is_dir() and folder.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False
