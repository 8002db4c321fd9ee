"""``networks``: what the catalog knows."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from taorunner.cli.options import JsonOption
from taorunner.errors import UserFilesError


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
    from taorunner.console.networks_view import print_network, print_networks

    context.obj.refuse_extra()
    networks = context.obj.networks()
    if name is not None:
        print_network(networks.load(name), release, json=json)
        return 0
    findings = networks.check()
    if findings:
        raise UserFilesError("the workspace's own networks have problems", findings=findings)
    print_networks([networks.load(known) for known in networks.names], json=json)
    return 0
