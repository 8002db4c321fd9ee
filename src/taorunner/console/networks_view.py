"""``networks``: the catalog as a table, a page or JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from taorunner.catalog.network import Network
from taorunner.console.json_view import write_json
from taorunner.console.tables import network_lines, network_table_lines
from taorunner.console.theme import make_console, symbols_of


def print_networks(networks: Sequence[Network], *, json: bool) -> None:
    if json:
        write_json([_facts(network, None) for network in networks], sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for line in network_table_lines(networks, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)


def print_network(network: Network, release: str | None, *, json: bool) -> None:
    """Raises UserFilesError for a release that the network is not in."""
    if json:
        write_json(_facts(network, release), sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for line in network_lines(network, release, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)


def _facts(network: Network, release: str | None) -> dict[str, Any]:
    contracts = {action: network.contract(action, release) for action in network.actions(release)}
    return {
        "name": network.name,
        "title": network.title,
        "purpose": network.purpose,
        "framework": network.framework.value,
        "trainable": network.trainable,
        "needs": list(network.needs),
        "optional": list(network.optional),
        "default_release": network.default_release,
        "releases": list(network.releases),
        "traps": list(network.traps),
        "sources": list(network.sources),
        "actions": {
            action: {
                "group": contract.group,
                "image": contract.image,
                "release": contract.release,
                "command": list(contract.command),
                "spec": _spec(contract.spec),
                "gpus": contract.gpu_use.value,
                "status_files": list(contract.progress.status_files),
                "checkpoints": list(contract.checkpoints.globs),
                "exit_code_lies": not contract.verdict.exit_zero_means_success,
                "traps": list(contract.traps),
            }
            for action, contract in contracts.items()
        },
    }


def _spec(spec: Any) -> dict[str, Any] | None:
    if spec is None:
        return None
    return {
        "format": spec.format,
        "names": list(spec.stems),
        "required": spec.required,
        "keys": dict(spec.keys),
    }
