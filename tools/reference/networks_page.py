"""The page of networks, and one page for each: what it reads, its actions, releases, keys, metrics and traps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from commands_page import cell

from taorunner.catalog.load import Catalog, load_network
from taorunner.catalog.names import network_names
from taorunner.catalog.network import Network
from taorunner.console.base.theme import UNICODE
from taorunner.console.pages.network_page import network_lines

_HEAD = """\
# Networks and layouts

The networks that taorunner knows, and which layout of files each reads below `data/DATASET`. `taorunner networks NAME` prints
the page of one. A network of your own: [Add a network](../add-a-network.md).
"""
_WIDTH = 120


def index() -> str:
    """The page of all networks."""
    lines = [_HEAD, "| network | for | framework | releases | reads |", "|---|---|---|---|---|"]
    for network in _networks():
        layout = Catalog().layout(network.name)
        releases = f"{network.releases[0]} to {network.releases[-1]}" if network.releases else "built in"
        lines.append(
            f"| [{network.title}](networks/{network.name}.md) (`{network.name}`) | {cell(network.purpose)} "
            f"| {network.framework.value} | {releases} | {_put(layout)} |"
        )
    return "\n".join(lines) + "\n"


def pages() -> Iterator[tuple[str, str]]:
    """``(name, text)`` of each network."""
    for network in _networks():
        shown = [
            line.plain
            for line in network_lines(network, Catalog().layout(network.name), None, _WIDTH, UNICODE)
        ]
        lines = [
            f"# {network.title}", "",
            f"{network.purpose[0].upper()}{network.purpose[1:]}. `taorunner networks {network.name}` prints this page.", "",
            "```sh", f"taorunner init-project NAME --head {network.name}" if network.trainable
            else f"taorunner networks {network.name}", "```", "",
            "```text", *(line.rstrip() for line in shown), "```",
        ]  # fmt: skip
        yield network.name, "\n".join(lines) + "\n"


def _networks() -> list[Network]:
    return [load_network(name) for name in network_names()]


def _put(layout: Any) -> str:
    return ", ".join(f"`{place}`" for place in layout.put) if layout is not None else ""
