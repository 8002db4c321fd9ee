"""``networks`` and ``networks sync``: what the catalog knows, and what an image says of its specs."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer
from typer.core import TyperGroup

from taorunner.cli.options import JsonOption, WorkspaceOption
from taorunner.errors import ExitCode, UserFilesError


class _ShowByDefault(TyperGroup):
    """``networks dino`` is ``networks show dino``, and ``networks`` alone shows all."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, "--help", "-h"):
            args = ["show", *args]
        return list(super().parse_args(ctx, args))


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=_ShowByDefault, help="Show what the catalog knows; ask images.", rich_markup_mode=None
    )
    group.command("show", help="Show what the catalog knows.")(_show)
    group.command("sync", help="Take from images what their specs may hold.")(_sync)
    app.add_typer(group, name="networks")


def _show(
    context: typer.Context,
    name: Annotated[
        Optional[str], typer.Argument(help="One network.", metavar="[NETWORK]", show_default=False)
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


def _sync(
    context: typer.Context,
    images: Annotated[
        list[str],
        typer.Argument(help="Names of images that the engine has.", metavar="IMAGE", show_default=False),
    ],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import os

    from taorunner.console.sync_view import print_synced
    from taorunner.engine.client import connect
    from taorunner.images.spec_sync import sync_images
    from taorunner.specs.kept_schemas import KeptSchemas

    context.obj.refuse_extra()
    place = context.obj.open_workspace(workspace)
    kept = KeptSchemas(place.spec_schemas_dir)
    user = f"{os.getuid()}:{os.getgid()}"
    synced, refused = sync_images(connect(), list(dict.fromkeys(images)), kept, user)
    print_synced(synced, json=json)
    if refused is not None:
        raise refused
    return ExitCode.DONE
