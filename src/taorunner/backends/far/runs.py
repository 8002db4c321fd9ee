"""Keeps what far runs of one login host have written, as far as it was read, in their folders and views here.

The folder of a run on the far side is the truth. Here is a copy of what was read of it, so that all who read a run's
folder read a far one as any other. A line that drops changes nothing: what is new is read later.
"""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from taorunner.backends.contract import FarSearch
from taorunner.backends.far.files import FarFile, Look, look, packed, read_pieces
from taorunner.backends.far.run import Delivery, FarRun
from taorunner.backends.far.search import digests, held
from taorunner.backends.far.view import forget, show
from taorunner.backends.login_host import LoginHost
from taorunner.backends.run_folder import RunFolder
from taorunner.backends.secrets import INPUT_DIR
from taorunner.backends.shared_call import GatheredCall
from taorunner.backends.silence import SilentError
from taorunner.errors import EngineRefusedError, MachineError
from taorunner.host_commands import CommandResult
from taorunner.state_files import open_state, read_state, write_new
from taorunner.values.value import Value

LIST_EVERY_S = 10.0
"""How often the results of a run that goes on are listed. What it prints is read more often."""
_PIECE_BYTES = 4 << 20
_MESSAGE_BYTES = 16 * 1024
_SMALL_SKEW_S = 2.0
_DELIVERED_S = 300.0
_FETCHED = "fetched"
RECORD = "record.json"
"""What every run's folder here has, and none on a far side."""
_MOST_AT_ONCE = 50
_GATHER_S = 0.02
"""The first run of a batch waits this long for others, which are carried with it."""
T = TypeVar("T")

Moves = tuple[tuple[str, str], ...]
"""Paths of the far side, and where they were moved."""


class Host(Protocol):
    """A login host. ``reach`` raises SilentError while it does not answer, and then asks rarely."""

    @property
    def host(self) -> str | None: ...
    @property
    def login(self) -> LoginHost: ...
    def run(self, argv: Sequence[str]) -> CommandResult: ...
    def reach(self, call: Callable[[], T]) -> T: ...


class _Question(Value):
    """``is_whole``: everything that is there, also the results."""

    folder: RunFolder
    far: FarRun
    is_whole: bool = False


class _Package(Value):
    folder: RunFolder
    scripts: Mapping[str, str]
    delivery: Delivery
    moves: Moves


class FarRuns:
    """The far runs of one login host. Thread-safe."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._read = GatheredCall(self._read_all)
        self._deliver = GatheredCall(self._deliver_all, gather_s=_GATHER_S)
        self._listed_s: dict[Path, float] = {}
        self._turn = threading.Lock()
        self._skew_s = 0.0

    def refresh(self, folder: RunFolder, far: FarRun) -> None:
        """Reads what is new of a run. Raises SilentError, MachineError."""
        self._read(_Question(folder, far))

    def refresh_all(self, runs: Sequence[tuple[RunFolder, FarRun]]) -> None:
        """As ``refresh``, for many in one call. What keeps one from being read is said when that one is asked for."""
        self._read_all([_Question(folder, far) for folder, far in runs])

    def finish(self, folder: RunFolder, far: FarRun) -> None:
        """Reads all that an ended run has left. Once is enough."""
        if not (folder.path / _FETCHED).exists():
            self._read(_Question(folder, far, is_whole=True))
            write_new(folder.run_dir, f"{folder.folder}/{_FETCHED}", b"")

    def deliver(self, folder: RunFolder, scripts: Mapping[str, str], delivery: Delivery) -> Moves:
        """Carries the inputs of a run to the far side. Gives what it moved aside there.

        Raises:
            EngineRefusedError: something that it needs is not there, or results are in its way; nothing was changed.
            SilentError, MachineError: it could not be carried.
        """
        stamp = time.strftime("%Y%m%d-%H%M%S")
        moves = tuple((one, f"{one}.{stamp}") for one in delivery.aside)
        self._deliver(_Package(folder, scripts, delivery, moves))
        for view in delivery.views:  # what is written now is new, also where it has the same names
            forget(view)
        return moves

    def put_back(self, moves: Moves) -> None:
        """Undoes the moves of a run that was never started."""
        lines = [
            f"if [ -e {new} ]; then rmdir {old} 2>/dev/null; [ -e {old} ] || mv -T -- {new} {old}; fi"
            for old, new in ((shlex.quote(old), shlex.quote(new)) for old, new in reversed(moves))
        ]
        if lines:
            self._checked("\n".join(lines))

    def request_stop(self, folder: RunFolder, far: FarRun) -> None:
        self._checked(f": >{shlex.quote(f'{far.run_dir}/{folder.folder}/{folder.stop_file}')}")

    def held(self, top: str, forms: Sequence[bytes], since_s: float) -> FarSearch:
        """See ``contract.SearchesResults``. ``since_s`` is by the clock here."""
        there_s = since_s + self._skew_s
        return self._host.reach(lambda: held(self._host.login, top, forms, there_s))

    def digests(self, paths: Sequence[str]) -> Mapping[str, str]:
        return self._host.reach(lambda: digests(self._host.login, paths))

    def remove(self, folder: RunFolder, far: FarRun) -> None:
        """Removes the run's folder there, with its secrets; its results stay."""
        self._checked(f"rm -rf -- {shlex.quote(far.run_dir)}")
        self._listed_s.pop(folder.run_dir, None)

    def _checked(self, script: str) -> None:
        done = self._host.run(["sh", "-c", script])
        if not done.succeeded:
            raise MachineError(f'"{self._host.host}": {done.last_words}')

    # reading

    def _read_all(self, asked: Sequence[_Question]) -> list[Exception | None]:
        runs: dict[Path, _Question] = {}
        for one in asked:
            if one.is_whole or one.folder.run_dir not in runs:
                runs[one.folder.run_dir] = one
        with self._turn:  # runs of one experiment share a view
            faults = self._host.reach(lambda: self._update(list(runs.values())))
        return [faults.get(one.folder.run_dir) for one in asked]

    def _update(self, runs: Sequence[_Question]) -> dict[Path, MachineError]:
        """Gives what kept one run from being read; the others were."""
        login = self._host.login
        now_s = time.monotonic()
        listed = [one for one in runs if one.is_whole or self._is_due(one, now_s)]
        paths = [f"{_far_folder(one)}/{name}" for one in runs for name in _order(one.folder)]
        folders = [shown.there for one in listed for shown in one.far.shown]
        folders += [_far_folder(one) for one in runs if one.is_whole]
        asked_s = time.time()
        found = look(login, paths, folders)
        self._skew_s = _ahead_s(found.clock_s, asked_s, time.time())
        faults: dict[Path, MachineError] = {}
        for one in runs:
            try:
                self._copy(one, found)
                if one in listed:
                    self._show(one, found)
                    self._listed_s[one.folder.run_dir] = now_s
            except SilentError:
                raise
            except MachineError as error:
                faults[one.folder.run_dir] = error
            except OSError as error:
                text = f"what was read of the run cannot be written here: {(error.strerror or str(error)).lower()}"
                faults[one.folder.run_dir] = MachineError(text)
        return faults

    def _show(self, one: _Question, found: Look) -> None:
        for shown in one.far.shown:
            top = shown.there.rstrip("/") + "/"
            own = [file for file in found.files if file.path.startswith(top)]
            show(shown, own, partial(read_pieces, self._host.login), self._skew_s)

    def _is_due(self, one: _Question, now_s: float) -> bool:
        """A run that has not begun writes nothing."""
        listed_s = self._listed_s.get(one.folder.run_dir)
        has_begun = (one.folder.path / one.folder.events_file).exists()
        return listed_s is None or (has_begun and now_s - listed_s >= LIST_EVERY_S)

    def _copy(self, one: _Question, found: Look) -> None:
        far, own = _far_folder(one), one.folder
        for name in (own.events_file, own.console_file):
            self._grow(own, name, found.trusted(f"{far}/{name}"))
        if one.is_whole:
            for other in found.files:
                name = other.path.removeprefix(f"{far}/")
                is_console = name.startswith("console.") and name.endswith(".log") and "/" not in name
                if is_console and name != own.console_file:
                    self._grow(own, name, found.trusted(other.path))
        messages = found.trusted(f"{far}/{own.messages_file}")
        if messages is not None and messages.size != _size(own.path / own.messages_file):
            at = max(0, messages.size - _MESSAGE_BYTES)
            self._keep(own, own.messages_file, messages, at, messages.size - at)
        end = found.trusted(f"{far}/{own.exit_file}")
        if end is not None and end.size and not (own.path / own.exit_file).exists():
            self._keep(own, own.exit_file, end, 0, min(end.size, 200))

    def _keep(self, folder: RunFolder, name: str, file: FarFile, at: int, length: int) -> None:
        data = read_pieces(self._host.login, [(file.path, at, length)] if length else [])
        write_new(folder.run_dir, f"{folder.folder}/{name}", data[0] if data else b"", mode=0o600)

    def _grow(self, folder: RunFolder, name: str, file: FarFile | None) -> None:
        """Reads on where the copy ends. The run only ever appends."""
        path = folder.path / name
        at = _size(path) or 0
        while file is not None and at < file.size:
            length = min(_PIECE_BYTES, file.size - at)
            (data,) = read_pieces(self._host.login, [(file.path, at, length)])
            descriptor = open_state(path, os.O_WRONLY | os.O_CREAT, mode=0o600)
            try:
                os.pwrite(descriptor, data, at)
            finally:
                os.close(descriptor)
            at += length

    # delivering

    def _deliver_all(self, asked: Sequence[_Package]) -> list[Exception | None]:
        answers: list[Exception | None] = []
        for at in range(0, len(asked), _MOST_AT_ONCE):
            some = asked[at : at + _MOST_AT_ONCE]
            answers += self._host.reach(partial(self._delivered, some))
        return answers

    def _delivered(self, asked: Sequence[_Package]) -> list[Exception | None]:
        files: dict[str, tuple[bytes, int]] = {}
        script = [_BEGIN]
        for number, one in enumerate(asked):
            script.append(_steps(number, one.delivery, one.moves))
            top = f"run{number}"
            if one.delivery.is_shared:
                continue
            for name, text in one.scripts.items():
                files[f"{top}/{name}"] = (text.encode(), 0o700)
            files |= {
                f"{top}/{INPUT_DIR}/{name}": found for name, found in _inputs(one.folder.run_dir).items()
            }
        script.append(_END)
        login = self._host.login
        done = login.run_raw(["sh", "-c", "\n".join(script)], timeout_s=_DELIVERED_S, stdin=packed(files))
        said = done.stdout.decode("utf-8", "surrogateescape").split("\0")
        if said[-2:] != ["end", ""]:
            raise MachineError(f'the run could not be carried to "{login.host}": {done.as_text.last_words}')
        faults: dict[int, EngineRefusedError] = {}
        for run, what, path in zip(said[0:-2:3], said[1:-2:3], said[2:-2:3], strict=True):
            faults.setdefault(int(run), _fault(login.host or "", what, path, asked[int(run)].delivery))
        return [faults.get(number) for number in range(len(asked))]


_BEGIN = """umask 077
export LC_ALL=C
box=$(mktemp -d) || exit 1
trap 'rm -rf "$box"' EXIT
tar -xp --no-same-owner -f - -C "$box" || exit 1
say() { printf '%s\\0' "$number" "$@"; fault=yes; }"""
_END = "printf 'end\\0'"


def _steps(number: int, delivery: Delivery, moved: Moves) -> str:
    """The shell's lines for one run: nothing is changed where something is missing or in the way."""
    quote = shlex.quote
    lines = [f"number={number} fault="]
    own = quote(delivery.run_dir)
    if delivery.is_shared:
        lines.append(f"[ -d {own} ] || say unseen {own}")
    else:
        lines.append(f"[ ! -e {own}/{RECORD} ] || say same {own}")
    for here, there in delivery.needed:
        if os.path.lexists(here):
            lines.append(f"[ -e {quote(there)} ] || say missing {quote(there)}")
    if delivery.earlier and not delivery.aside:
        lines.append(
            f'for file in {" ".join(delivery.earlier)}; do [ ! -e "$file" ] || say earlier "$file"; done'
        )
    moves = [
        f"if [ -e {quote(old)} ]; then mv -T -- {quote(old)} {quote(new)} || say failed {quote(old)}; fi"
        for old, new in moved
    ]
    made = shlex.join(["mkdir", "-p", "--", *delivery.folders, f"{delivery.run_dir}/{INPUT_DIR}"])
    lines += ['if [ -z "$fault" ]; then', *moves, f"{made} || say failed {own}"]
    if not delivery.is_shared:
        lines.append(f'cp -Rp -- "$box/run{number}/." {own} || say failed {own}')
    lines.append("fi")
    return "\n".join(lines)


def _inputs(run_dir: Path) -> dict[str, tuple[bytes, int]]:
    """The files of the run's input folder, secrets among them, with their modes."""
    top = run_dir / INPUT_DIR
    found = {}
    for path in sorted(top.rglob("*")) if top.is_dir() else []:
        if path.is_file() and not path.is_symlink():
            found[str(path.relative_to(top))] = (read_state(path), path.stat().st_mode & 0o777)
    return found


def _fault(host: str, what: str, path: str, delivery: Delivery) -> EngineRefusedError:
    sync = delivery.sync
    if what == "missing":
        hint = f"{sync} copies it there" if not delivery.is_shared else "mount that disk there, too"
        return EngineRefusedError(f'there is no "{path}" on "{host}"', hint=hint)
    if what == "earlier":
        return EngineRefusedError(
            f'"{path}" of an earlier training is on "{host}"',
            hint=f"{sync} --results brings it here; then resume, or add --overwrite",
        )
    if what == "unseen":
        return EngineRefusedError(
            f'"{host}" does not see this workspace: there is no "{path}"',
            hint="workspace: its path there; or shared: false, where this machine does not see that disk",
        )
    if what == "same":
        return EngineRefusedError(
            f'"{delivery.workspace}" on "{host}" is this workspace itself',
            hint="write shared: true; or workspace: another folder there",
        )
    return EngineRefusedError(f'"{path}" cannot be written on "{host}"', hint="setting workspace")


def _order(folder: RunFolder) -> tuple[str, ...]:
    """The end is looked at first: once it is there, nothing more is written into the others."""
    names = (folder.exit_file, folder.events_file, folder.messages_file, folder.console_file)
    return tuple(name for name in names if name)


def _far_folder(one: _Question) -> str:
    return f"{one.far.run_dir}/{one.folder.folder}"


def _ahead_s(clock_s: float, asked_s: float, answered_s: float) -> float:
    """By how much a clock that said ``clock_s`` in between is ahead at least; negative where it is behind."""
    if clock_s < asked_s - _SMALL_SKEW_S:
        return clock_s - asked_s
    return clock_s - answered_s if clock_s > answered_s + _SMALL_SKEW_S else 0.0


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
