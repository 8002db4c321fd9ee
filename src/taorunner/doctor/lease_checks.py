"""Checks of the folder of GPU leases: whether every user can take one, and who could remove those of others."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from taorunner.doctor.check import Area, Check, error, info, ok, warning
from taorunner.doctor.host import Machine
from taorunner.errors import Finding
from taorunner.gpu.leases import default_directory


def look_at_leases(machine: Machine) -> Iterator[Finding]:
    """Prepared is a folder of root with the sticky bit: then only root and the owner of a lock can remove it."""
    view = machine.engine_or_none()
    if not machine.needs.wants_gpus or (view is not None and view.is_remote):
        return
    folder = default_directory(machine.environ)
    prepare = f"{machine.sudo}install -d -o root -g root -m 1777 {shlex.quote(str(folder))}"
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        text = f'"{folder}" for GPU leases will belong to the first user of a GPU, who can remove the locks of others'
        yield info("leases-unprepared", text, prepare)
        return
    except OSError as failure:
        yield error("leases-unusable", f'"{folder}" for GPU leases: {(failure.strerror or "").lower()}')
        return
    if not stat.S_ISDIR(found.st_mode):
        text = f'"{folder}" for GPU leases is not a folder'
        yield error("leases-unusable", text, f"{machine.sudo}rm {shlex.quote(str(folder))} && {prepare}")
        return
    problems = [*_mode(folder, found, prepare), *_planted(machine, folder)]
    yield from problems
    if problems:
        return
    if found.st_uid != 0:
        text = (
            f'"{folder}" for GPU leases belongs to {_name(found.st_uid)}, who can remove the locks of others'
        )
        yield info("leases-unprepared", text, prepare)
    else:
        yield ok("leases", f'"{folder}" for GPU leases belongs to root')


def _mode(folder: Path, found: os.stat_result, prepare: str) -> Iterator[Finding]:
    if not os.access(folder, os.W_OK | os.X_OK):
        yield error("leases-unusable", f'you may not write into "{folder}", where GPUs are leased', prepare)
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX:
        text = f'"{folder}" for GPU leases has no sticky bit: users can remove the locks of others'
        yield warning("leases-open", text, prepare)


def _planted(machine: Machine, folder: Path) -> Iterator[Finding]:
    """What has the name of a lock and is none: its GPU is given to nobody."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith(".lock") and not entry.is_file(follow_symlinks=False):
            text = f'"{entry.path}" is not a file: its GPU cannot be leased'
            yield error("leases-unusable", text, f"{machine.sudo}rm -r {shlex.quote(entry.path)}")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


CHECKS = (Check("leases", Area.GPUS, look_at_leases),)
