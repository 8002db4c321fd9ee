"""What the folders of a project hold, each read once for all experiments that are checked together."""

from __future__ import annotations

import os

from taorunner.values.value import MutableValue, field


class FolderListing(MutableValue):
    """``names`` has those in each folder that was read, by the text of its path. ``_links`` has those that are links,
    None for a folder that cannot be listed."""

    names: dict[str, frozenset[str]] = field(default_factory=dict)
    _links: dict[str, frozenset[str] | None] = field(default_factory=dict)
    _with_link: dict[tuple[str, int], bool] = field(default_factory=dict)

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

    def has_link(self, path: str, start: int) -> bool:
        """Whether ``path`` or a folder above it is a link. Only what follows after ``start`` characters counts."""
        if len(path) <= start:
            return False
        folder = path.rpartition("/")[0]
        asked = (folder, start)
        if asked not in self._with_link:
            self._with_link[asked] = self.has_link(folder, start)
        return self._with_link[asked] or self.is_link(path)

    def _read(self, folder: str) -> None:
        found: dict[str, bool] | None = {}
        try:
            with os.scandir(folder) as entries:
                found = {entry.name: entry.is_symlink() for entry in entries}
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:
            found = None
        self.names[folder] = frozenset(found or ())
        self._links[folder] = None if found is None else frozenset(name for name in found if found[name])
