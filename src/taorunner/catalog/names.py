"""The names of all networks, from a folder listing alone, because completion needs them at each key press."""

from __future__ import annotations

import os

NETWORKS_DIR = os.path.join(os.path.dirname(__file__), "data", "networks")  # noqa: PTH118, PTH120 (pathlib takes 9 ms)


def own_network_names(folder: str) -> tuple[str, ...]:
    """The networks in a workspace's ``networks/``, sorted; none if the folder is unreadable. Reads no file."""
    try:
        return tuple(
            sorted(name[:-4] for name in os.listdir(folder) if name.endswith(".yml") and name[0] != ".")
        )
    except OSError:
        return ()


def network_names() -> tuple[str, ...]:
    """All networks of the catalog, sorted. Reads no file."""
    return tuple(sorted(name[:-4] for name in os.listdir(NETWORKS_DIR) if name.endswith(".yml")))
