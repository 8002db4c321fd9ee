"""Extra mounts that set read or write access of single project folders, whatever surrounds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from taorunner.container_options import Mount
from taorunner.project.mounts import Mounts


def data_mounts(data_dir: Path, mounts: Mounts, *, read_only: bool) -> tuple[Mount, ...]:
    """The project's ``data/`` once more, over each place where a mount shows it.

    None where ``data/`` is a link: the engine would follow it out of the mounts. A mounts file is kept to the letter.
    """
    if mounts.file is not None or data_dir.is_symlink() or not data_dir.is_dir():
        return ()
    return tuple(mounted_again(data_dir, mounts, read_only=read_only))


def mounted_again(folder: Path, mounts: Mounts, *, read_only: bool = False) -> Iterator[Mount]:
    """``folder`` over each place where a mount shows it. A volume of the command line is kept to the letter."""
    for entry in mounts.entries:
        if entry not in mounts.volumes and folder.is_relative_to(entry.source):
            inside = f"{entry.destination}/{folder.relative_to(entry.source).as_posix()}"
            yield Mount(folder, inside, read_only)
