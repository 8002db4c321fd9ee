"""``networks``: the catalog as a table, a page or JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.network import WHOLE_CONTRACT, Network
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console, symbols_of
from taorunner.console.pages.layout_page import layout_json
from taorunner.console.pages.network_page import network_lines, network_table_lines
from taorunner.contracts import Contract

Layouts = Callable[[str], DataLayout | None]
"""What a network reads, by its name."""


def print_networks(networks: Sequence[Network], layouts: Layouts, *, json: bool) -> None:
    if json:
        write_json([_facts(network, layouts, None) for network in networks], sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for line in network_table_lines(networks, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)


def print_network(network: Network, layouts: Layouts, release: str | None, *, json: bool) -> None:
    """Raises UserFilesError for a release that the network is not in."""
    if json:
        write_json(_facts(network, layouts, release), sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for line in network_lines(network, layouts(network.name), release, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)


def _facts(network: Network, layouts: Layouts, release: str | None) -> dict[str, Any]:
    contracts = network.contracts(release)
    unknown = network.unknown_actions(release)
    shown = network.release_name(release)
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
        "file": None if network.file is None else str(network.file),
        "layout": layout_json(layouts(network.name)),
        "actions": {
            action: _action(contracts[action])
            if action in contracts
            else {
                **dict.fromkeys(_NAMES_OF_ACTION),
                "group": group,
                "image": network.image(group, shown),
                "release": shown,
                "unknown": {WHOLE_CONTRACT: unknown[action]},
            }
            for action, group in network.actions(release).items()
        },
        "by_release": {
            name: {
                "images": {
                    group: network.image(group, name)
                    for group in dict.fromkeys(network.actions(name).values())
                },
                "actions": list(network.actions(name)),
                "unknown_actions": network.unknown_actions(name),
            }
            for name in network.releases
        },
    }


_NAMES_OF_ACTION = (
    "group", "image", "release", "command", "spec", "gpus", "status_files", "checkpoints", "exit_code_lies", "traps",
    "unknown", "kpi",
)  # fmt: skip


def _action(contract: Contract) -> dict[str, Any]:
    values = (
        contract.group,
        contract.image,
        contract.release,
        list(contract.command),
        _spec(contract.spec),
        contract.gpu_use.value,
        list(contract.progress.status_files),
        list(contract.checkpoints.globs),
        not contract.verdict.exit_zero_means_success,
        list(contract.traps),
        dict(contract.unknown),
        [
            {
                "name": metric.name,
                "pattern": metric.pattern,
                "direction": metric.direction.value,
                "scale": metric.scale.value,
                "ranks": metric.ranks,
            }
            for metric in contract.kpi
        ],
    )
    return dict(zip(_NAMES_OF_ACTION, values, strict=True))


def _spec(spec: Any) -> dict[str, Any] | None:
    if spec is None:
        return None
    return {
        "format": spec.format,
        "names": list(spec.stems),
        "required": spec.required,
        "keys": dict(spec.keys),
        "knobs": dict(spec.knobs),
    }
