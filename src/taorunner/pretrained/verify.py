"""Are the weights that stand in their folder those that were published? Compared with a list; nothing is written.

The list is the registry's where a network is, else the record that a pull left in the folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from taorunner.errors import UserFilesError
from taorunner.pretrained.download import sha256_of
from taorunner.pretrained.ngc import RemoteFile
from taorunner.pretrained.pull import MANIFEST, Pulled, Watcher, read_manifest
from taorunner.text import printable, size


def standing(model: str, folder: Path) -> Pulled:
    """What a pull left in ``folder``, compared with its record; without one, only that the folder is there.

    Raises UserFilesError where there is no folder, or one that is not as it was pulled.
    """
    if not folder.is_dir():
        raise UserFilesError(
            f'"{model}" is not in {folder}', hint="pull it where a network is, or copy it with --from DIR"
        )
    files = read_manifest(folder)
    if found := differences(folder, files):
        raise UserFilesError(
            f"{folder} is not as it was pulled: {', '.join(found[:5])}",
            hint="pull it again, or copy it with --from DIR",
        )
    return Pulled(model, folder, tuple(files), 0)


def may_be_pulled(folder: Path, files: Sequence[RemoteFile], watcher: Watcher) -> bool:
    """False where a person put other files of these names: they are told, and left as they are."""
    if (folder / MANIFEST).is_file():
        return True
    there = [file for file in files if (folder / file.path).exists()]
    found = differences(folder, there)
    if found:
        watcher.tells(
            f"{folder} is not what NGC lists, and no pull made it: {', '.join(found[:5])}; it is left as it is "
            "(delete it to pull it)"
        )
    return not found


def differences(folder: Path, files: Iterable[RemoteFile]) -> list[str]:
    """One line for each of ``files`` that is missing or another one, by size and, where it is known, checksum."""
    found = []
    for file in files:
        path, name = folder / file.path, printable(file.path)
        try:
            have = path.stat().st_size
            if have != file.size:
                found.append(
                    f'"{name}" has {size(have)} ({have} bytes), not {size(file.size)} ({file.size} bytes)'
                )
            elif file.sha256 is not None and sha256_of(path) != file.sha256:
                found.append(f'"{name}" has another checksum')
        except FileNotFoundError:
            found.append(f'"{name}" is missing')
        except OSError as error:
            found.append(f'"{name}" cannot be read: {(error.strerror or "").lower()}')
    return found
