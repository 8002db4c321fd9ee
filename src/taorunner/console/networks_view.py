"""``networks``: what the catalog knows, as a table, as a page, or as JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from taorunner.catalog.models import Contract
from taorunner.catalog.network import Network
from taorunner.console.json_view import write_json
from taorunner.console.tables import network_lines, network_table_lines
from taorunner.console.theme import make_console, symbols_of


def print_networks(networks: Sequence[Network], *, json: bool) -> None:
    if json:
        write_json([_summary(network, None) for network in networks], sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for line in network_table_lines(networks, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)


def print_network(network: Network, release: str | None, *, json: bool) -> None:
    """Raises UserFilesError for an unknown release."""
    if json:
        write_json(_details(network, release), sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for line in network_lines(network, release, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)


def _summary(network: Network, release: str | None) -> dict[str, object]:
    return {
        "name": network.name,
        "title": network.title,
        "purpose": network.purpose,
        "framework": network.framework.value,
        "release": release or network.default_release,
        "releases": list(network.releases),
        "needs": list(network.needs),
        "optional": list(network.optional),
        "actions": list(network.actions(release)),
    }


def _details(network: Network, release: str | None) -> dict[str, object]:
    contracts = {name: network.contract(name, release) for name in network.actions(release)}
    return {
        **_summary(network, release),
        "contracts": {name: _contract(contract) for name, contract in contracts.items()},
        "traps": list(network.traps),
        "sources": list(network.sources),
    }


def _contract(contract: Contract) -> dict[str, object]:
    spec = contract.spec
    return {
        "group": contract.group,
        "framework": contract.framework.value,
        "release": contract.release,
        "image": contract.image,
        "command": list(contract.command),
        "spec": {"format": spec.format, "stems": list(spec.stems), "keys": dict(spec.keys)} if spec else None,
        "gpus": contract.gpu_use.value,
        "needs": list(contract.needs),
        "traps": list(contract.traps),
    }
