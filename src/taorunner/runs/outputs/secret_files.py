"""Finds files in the results that hold a secret of the run, and makes them readable by their owner alone; and paths
that have one in their names.

TAO writes its whole configuration into the results, with the key in it (PyTorch: ``experiment.yaml``), readable by all.
Source: tao/pytorch.md section 2. What a container wrote can be anything: no link is followed, the search has limits.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path

from taorunner.backends.contract import FarSearch, SearchesResults
from taorunner.backends.masking import Masking
from taorunner.contained_files import opened_folders
from taorunner.errors import TaorunnerError
from taorunner.planning.checks.secret_exposure import PUBLIC_KEYS
from taorunner.planning.model.plan import RunPlan
from taorunner.project.clusters.far_place import FarPlace, far_place
from taorunner.runs.outputs.recorded import RunResults
from taorunner.runs.results import CLOCK_SLACK_S
from taorunner.text import amount, printable

MOST_FILES = 20_000
MOST_BYTES, _MOST_OF_LARGE = 256 * 1024**2, 128 * 1024**2
"""Of the smaller files together, and of the larger ones: some seconds of work, as a secret has many forms."""
_LARGE = 32 * 1024**2
"""A larger file is searched after all others. Of a binary one, which is weights, only its ends are: what PyTorch
stores of the configuration in a checkpoint (``hyper_parameters``) is the first entry of the archive."""
_HEAD = 8 * 1024**2
_BLOCK = 1024**2
_SHOWN = 3
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def secured_files(
    plan: RunPlan, secrets: tuple[str, ...], since_s: float, far: SearchesResults | None = None
) -> list[tuple[str, str]]:
    """Searches what was written since ``since_s`` (seconds of the epoch). Gives ``(code, text)`` of each notice.

    Keys that NVIDIA publishes are no secrets. ``far`` is for results that this machine does not see. Never raises
    OSError.
    """
    masking = _masking(secrets)
    if not masking.has_secrets:
        return []
    since_s -= CLOCK_SLACK_S
    place = far_place(plan.workspace, plan.backend, plan.backend_options)
    if place is not None:
        return _secured_there(plan, place, masking, since_s, far)
    closed: list[Path] = []
    left: list[Path] = []
    unsearched: list[Path] = []
    for path, found in _found(plan.results_dir, masking, since_s):
        {_Found.CLOSED: closed, _Found.OPEN: left, _Found.NOT_SEARCHED: unsearched}[found].append(path)
    top = plan.results_dir
    notices = _notices(top, masking, list(_with_secret_names(top, masking, since_s)), closed, left)
    if unsearched:
        was = "was" if len(unsearched) == 1 else "were"
        text = (
            f"{_named(unsearched, top)} {was} not searched for secrets of the run: there is too much to read"
        )
        notices.append(("secrets-not-searched", text))
    return notices


def _secured_there(
    plan: RunPlan, place: FarPlace, masking: Masking, since_s: float, far: SearchesResults | None
) -> list[tuple[str, str]]:
    """Files are searched where they are; names are known from the view."""
    top = Path(place.path(plan.results_dir))
    there, why = f"{place.host}:{top}", "it is not seen from here"
    found = FarSearch(is_whole=False)
    if far is not None:
        try:
            found = far.held(place.host, str(top), masking.line_forms, since_s)
            why = "there is too much to read"
        except TaorunnerError as error:
            why = error.message
    view = place.seen(plan.results_dir)
    named = [top / path.relative_to(view) for path in _with_secret_names(view, masking, since_s)]
    closed, left = (
        [Path(path) for path in paths if Path(path).is_relative_to(top)]
        for paths in (found.closed, found.left)
    )
    notices = [
        (code, f"on {place.host}: {text}") for code, text in _notices(top, masking, named, closed, left)
    ]
    if not found.is_whole:
        whole = "" if far is None or closed or left else " whole"
        text = f"{there} was not searched{whole} for secrets of the run: {why}"
        notices.append(("secrets-not-searched", text))
    return notices


def _notices(
    top: Path, masking: Masking, named: list[Path], closed: list[Path], left: list[Path]
) -> list[tuple[str, str]]:
    """Of files with a secret in their names, and of those that hold one."""
    notices = []
    if named:
        paths = masking.masked_text(_named(named, top))
        has, names = ("has", "its name") if len(named) == 1 else ("have", "their names")
        text = f"{paths} {has} a secret of the run in {names}, which others may see: rename it or remove it"
        notices.append(("secret-in-results", text))
    if closed:
        holds = "holds" if len(closed) == 1 else "hold"
        text = f"{_named(closed, top)} {holds} a secret of the run: only their owner may read them now (mode 0600)"
        notices.append(("secret-in-results", text))
    if left:
        repair = f"sudo chmod 600 {' '.join(shlex.quote(str(path)) for path in left[:_SHOWN])}"
        holds = "holds" if len(left) == 1 else "hold"
        text = f"{_named(left, top)} {holds} a secret of the run, and others may read it: {repair}"
        notices.append(("secret-in-results", text))
    return notices


def without_secret_names(found: RunResults, plan: RunPlan, secrets: tuple[str, ...]) -> RunResults:
    """The outputs whose paths can be recorded."""
    masking, top = _masking(secrets), plan.results_dir
    outputs = (one for one in found.outputs if not masking.is_in(os.fsencode(os.path.relpath(one.path, top))))
    return RunResults(found.folder, tuple(outputs), found.there)


def _masking(secrets: tuple[str, ...]) -> Masking:
    return Masking(secret for secret in secrets if secret not in PUBLIC_KEYS and len(secret) >= 6)


def _with_secret_names(folder: Path, masking: Masking, since_s: float) -> Iterator[Path]:
    """The new files, folders and links below ``folder`` with a secret in their path or in the path that a link holds,
    without what is below them."""
    if not folder.is_dir():
        return
    for place, at, folders, names in opened_folders(folder, folder):
        folders.sort()
        before = os.fsencode(os.path.relpath(place, folder))
        for name in sorted((*folders, *names)):
            with suppress(OSError):
                facts = os.stat(name, dir_fd=at, follow_symlinks=False)
                path = before + b"/" + os.fsencode(name)
                if stat.S_ISLNK(facts.st_mode):
                    path += b"/" + os.fsencode(os.readlink(name, dir_fd=at))
                # a renamed file keeps the time of its content
                if facts.st_ctime >= since_s and masking.is_in(path):
                    yield place / name
                    if name in folders:
                        folders.remove(name)


class _Found(Enum):
    CLOSED = "it holds a secret, and only its owner may read it now"
    OPEN = "it holds a secret, and others may read it"
    NOT_SEARCHED = "it was not searched"


def _found(folder: Path, masking: Masking, since_s: float) -> Iterator[tuple[Path, _Found]]:
    """Each file that is reported. The smallest files of a folder first, large ones after all others."""
    for is_large in (False, True):
        files = budget = 0
        most_bytes = _MOST_OF_LARGE if is_large else MOST_BYTES
        skipped: list[Path] = []
        for place, at, _, names in opened_folders(folder, folder, skipped.append):
            for size, name in sorted(_sized(names, at, since_s)):
                if (size > _LARGE) is not is_large:
                    continue
                files += 1
                if files > MOST_FILES or budget > most_bytes:
                    yield place / name, _Found.NOT_SEARCHED
                    continue
                with suppress(OSError):
                    count, found = _secured(name, at, masking, most_bytes - budget)
                    budget += count
                    if found is not None:
                        yield place / name, found
        if not is_large and os.path.lexists(folder):
            yield from ((place, _Found.NOT_SEARCHED) for place in skipped)


def _sized(names: list[str], at: int, since_s: float) -> Iterator[tuple[int, str]]:
    for name in names:
        with suppress(OSError):
            facts = os.stat(name, dir_fd=at, follow_symlinks=False)
            # its other time can be set, also to one before the run
            if stat.S_ISREG(facts.st_mode) and facts.st_ctime >= since_s:
                yield facts.st_size, name


def _secured(name: str, at: int, masking: Masking, most_bytes: int) -> tuple[int, _Found | None]:
    """Bytes read, and what was found; None for nothing. Raises OSError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return 0, None
        is_large = facts.st_size > _LARGE
        size, end = 0, b""
        while block := file.read(_BLOCK):
            size += len(block)
            data = end + block
            if masking.is_in(data):
                return size, _Found.CLOSED if _is_closed(descriptor, facts) else _Found.OPEN
            end = data[-masking.longest :]
            if is_large and size == len(block):
                is_binary = b"\0" in block
            if is_large and is_binary and _HEAD <= size < _HEAD + _BLOCK:
                file.seek(-_BLOCK, os.SEEK_END)
                end = b""
            elif is_large and size > most_bytes:
                return size, _Found.NOT_SEARCHED
        return size, None


def _is_closed(descriptor: int, facts: os.stat_result) -> bool:
    if not facts.st_mode & _OTHERS:
        return True
    if facts.st_nlink > 1:  # another name of a file that may lie elsewhere
        return False
    try:
        os.fchmod(descriptor, 0o600)
    except OSError:  # another user's, as a container writes it that runs as root
        return False
    return True


def _named(paths: list[Path], top: Path) -> str:
    names = [printable(str(path.relative_to(top))) for path in paths[:_SHOWN]]
    more = f" and {amount(len(paths) - _SHOWN, 'more file')}" if len(paths) > _SHOWN else ""
    return ", ".join(names) + more
