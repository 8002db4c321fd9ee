"""Finds the skills of NVIDIA's skill bank in a folder, and reads their files: bounded, and never outside of the folder.

A skill is a folder with ``references/skill_info.yaml`` and spec templates beside it. Source: NVIDIA-TAO/tao-skill-bank
49672c2, skills/models and templates/skill-skeleton.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from taorunner.errors import UnknownNameError, UserFilesError
from taorunner.project.text_files import read_text_file

INFO = "skill_info.yaml"
MAX_SKILLS = 500
MAX_DEPTH = 6
MAX_BYTES = 1024 * 1024


class SkillFolder:
    """What may be read: files below ``root`` that no link leads out of it."""

    def __init__(self, given: Path) -> None:
        path = Path(os.path.abspath(given))  # noqa: PTH100 (Path.absolute keeps "..")
        if not os.path.lexists(path):
            raise UnknownNameError(
                f'there is no "{path}"', hint="name the skill bank, a skill, or a skill_info.yaml"
            )
        self.root = path if path.is_dir() else path.parent
        self._file = None if path.is_dir() else path

    def infos(self) -> list[Path]:
        """The ``skill_info.yaml`` of each skill, sorted. Raises UserFilesError where there are too many."""
        if self._file is not None:
            return [self._file]
        found: list[Path] = []
        for path in self._walk(self.root, 0):
            found.append(path)
            if len(found) > MAX_SKILLS:
                raise UserFilesError(
                    f'"{self.root}" holds more than {MAX_SKILLS} skills', hint="name the folder of one skill"
                )
        return found

    def text(self, path: Path) -> str | None:
        """The text of a file of the folder; None where it is none, too large, or a link leads out of the folder."""
        try:
            inside = path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):
            return None
        if not inside or not path.is_file():
            return None
        return read_text_file(path, max_bytes=MAX_BYTES).text

    def _walk(self, folder: Path, depth: int) -> Iterator[Path]:
        try:
            with os.scandir(folder) as entries:
                names = sorted((one.name, one.is_dir(follow_symlinks=False)) for one in entries)
        except OSError:
            return
        for name, is_folder in names:
            if is_folder and not name.startswith(".") and depth < MAX_DEPTH:
                yield from self._walk(folder / name, depth + 1)
            elif name == INFO:
                yield folder / name
