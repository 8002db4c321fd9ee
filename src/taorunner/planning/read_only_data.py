"""Which mounts keep an action from writing into the datasets it only reads?"""

from __future__ import annotations

from pathlib import Path

from taorunner.planning.plan import Mount
from taorunner.project.mounts import Mounts


def read_only_data(data_dir: Path, mounts: Mounts) -> tuple[Mount, ...]:
    """The project's ``data/`` once more, read-only, over each place where a mount shows it.

    None where ``data/`` is a link: the engine would follow it out of the mounts. A mounts file is kept to the letter.
    """
    if mounts.file is not None or data_dir.is_symlink() or not data_dir.is_dir():
        return ()
    return tuple(
        Mount(
            data_dir, f"{entry.destination}/{data_dir.relative_to(entry.source).as_posix()}", read_only=True
        )
        for entry in mounts.entries
        if data_dir.is_relative_to(entry.source)
    )
