"""``networks``: what the catalog knows."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from taorunner.cli.options import JsonOption


def register(app: typer.Typer) -> None:
    app.command("networks", help="Show what the catalog knows.")(_networks)


def _networks(
    context: typer.Context,
    name: Annotated[
        Optional[str], typer.Argument(help="One network.", metavar="NETWORK", show_default=False)
    ] = None,
    release: Annotated[
        Optional[str], typer.Option("--release", help="As in this TAO release.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> int:
    from taorunner.catalog.load import load_network, network_names
    from taorunner.console.networks_view import print_network, print_networks

    context.obj.refuse_extra()
    if name is not None:
        print_network(load_network(name), release, json=json)
    else:
        print_networks([load_network(known) for known in network_names()], json=json)
    return 0
