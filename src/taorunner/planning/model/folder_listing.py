"""What the folders of a project hold, each read once for all experiments that are checked together."""

from __future__ import annotations

import os

from taorunner.values.value import MutableValue, field


class FolderListing(MutableValue):
    """``names`` has those in each folder that was read, by the text of its path."""

    names: dict[str, frozenset[str]] = field(default_factory=dict)
    _links: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def names_in(self, folder: str) -> frozenset[str]:
        """Empty for a folder that is not there, or cannot be read."""
        if folder not in self.names:
            self._read(folder)
        return self.names[folder]

    def is_link(self, path: str) -> bool:
        """As ``os.path.islink``, with one look at each folder instead of one at each path."""
        folder, _, name = path.rpartition("/")
        if folder not in self._links:
            self._read(folder)
        links = self._links[folder]
        return name in links if links is not None else os.path.islink(path)  # noqa: PTH114 (a str is faster)

    def _read(self, folder: str) -> None:
        names, links = [], []
        is_read = True
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    names.append(entry.name)
                    if entry.is_symlink():
                        links.append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:
            is_read = False
        self.names[folder] = frozenset(names) if is_read else frozenset()
        self._links[folder] = frozenset(links) if is_read else None
