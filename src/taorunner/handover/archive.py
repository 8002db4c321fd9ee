"""A bundle as one .zip file: the same files in one folder, stored as they are, so that the same bundle gives the same
bytes."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from taorunner.datasets.files.archives.unpack import ARCHIVE_DAMAGE
from taorunner.datasets.files.output_folders import make_parent, new_folder, refuse_taken

_MODE = 0o644
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def is_archive(place: Path) -> bool:
    """Whether a bundle at ``place`` is to be a file."""
    return place.suffix.lower() == ".zip"


@contextmanager
def new_bundle(place: Path, state_dir: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to write a bundle into, that appears at ``place`` when the block succeeds, and not at all otherwise.

    Raises UsageError when ``place`` exists and must not be replaced.
    """
    if not is_archive(place):
        with new_folder(place, overwrite=overwrite) as folder:
            yield folder
        return
    refuse_taken(place, overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=state_dir) as folder:  # no container sees it there
        yield Path(folder)
        make_parent(place)
        descriptor, partial = tempfile.mkstemp(".zip", f".{place.stem}-", place.parent)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                _write(Path(folder), place.stem, file)
                os.fchmod(file.fileno(), _MODE)
            refuse_taken(place, overwrite=overwrite)  # again: writing took a while
            os.replace(partial, place)  # noqa: PTH105 (a text)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise


def holds_bundle(place: Path, mark: str) -> bool:
    """Whether the file at ``place`` is the archive of a bundle, which has a file ``mark``. A link is none."""
    if place.is_symlink() or not place.is_file():
        return False
    try:
        with zipfile.ZipFile(place) as archive:
            return any(name.count("/") == 1 and name.endswith(f"/{mark}") for name in archive.namelist())
    except ARCHIVE_DAMAGE:  # whatever lies there is no bundle
        return False


def _write(folder: Path, name: str, file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            entry = zipfile.ZipInfo(f"{name}/{path.relative_to(folder).as_posix()}", _NO_TIME)
            entry.external_attr, entry.file_size = _MODE << 16, path.stat().st_size
            with path.open("rb") as read, archive.open(entry, "w") as written:
                shutil.copyfileobj(read, written, 1024**2)
