"""Verifies downloaded weights against the published checksums. Writes nothing.

The checksums are the registry's if there is a network, else those of the manifest that a pull left in the folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from taorunner.errors import UserFilesError
from taorunner.pretrained.download import sha256_of
from taorunner.pretrained.names import MANIFEST
from taorunner.pretrained.ngc import RemoteFile
from taorunner.pretrained.pull import Pulled, Watcher, read_manifest
from taorunner.text import printable, size


def verify_local(model: str, folder: Path) -> Pulled:
    """Compares ``folder`` with the manifest of its pull; without one, only checks that the folder exists.

    Raises UserFilesError when the folder is missing or differs from what was pulled.
    """
    if not folder.is_dir():
        raise UserFilesError(
            f'"{model}" is not in {folder}', hint="pull it with a network, or copy it with --from DIR"
        )
    files = read_manifest(folder)
    if found := differences(folder, files):
        raise UserFilesError(
            f"{folder} differs from what was pulled: {', '.join(found[:5])}",
            hint="pull it again, or copy it with --from DIR",
        )
    return Pulled(model, folder, tuple(files), 0)


def may_be_pulled(folder: Path, files: Sequence[RemoteFile], watcher: Watcher) -> bool:
    """False, with a message, when other files of these names exist that no pull made; they are not changed."""
    if (folder / MANIFEST).is_file():
        return True
    there = [file for file in files if (folder / file.path).exists()]
    found = differences(folder, there)
    if found:
        watcher.tells(
            f"{folder} differs from NGC's list and was not pulled by taorunner: {', '.join(found[:5])}; "
            "it is not changed (delete it to pull it)"
        )
    return not found


def differences(folder: Path, files: Iterable[RemoteFile]) -> list[str]:
    """One line for each of ``files`` that is missing or differs in size or, if known, checksum."""
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
                found.append(f'"{name}" has a different checksum')
        except FileNotFoundError:
            found.append(f'"{name}" is missing')
        except OSError as error:
            found.append(f'"{name}" cannot be read: {(error.strerror or "").lower()}')
    return found
