"""``networks`` shows the catalog; ``networks sync`` reads spec schemas from images."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from taorunner.cli.help_pages import ShowByDefault, add_command, make_group
from taorunner.cli.options import JsonOption, WorkspaceOption, option
from taorunner.errors import ExitCode, UserFilesError


def register(app: typer.Typer) -> None:
    group = make_group("List networks, their actions and specs", cls=ShowByDefault)
    add_command(
        group, "show", _show, "List networks, or show one", "taorunner networks", "taorunner networks rtdetr"
    )
    summary = "Read the spec schemas of images"
    add_command(
        group, "sync", _sync, summary, "taorunner networks sync nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt"
    )
    app.add_typer(group, name="networks")


def _show(
    context: typer.Context,
    name: Annotated[
        Optional[str], typer.Argument(help="One network [default: all]", metavar="HEAD", show_default=False)
    ] = None,
    release: Annotated[
        Optional[str], option("--release", "Show it as in this TAO release", word="RELEASE")
    ] = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.networks_view import print_network, print_networks

    context.obj.refuse_extra()
    networks = context.obj.networks()
    if name is not None:
        print_network(networks.load(name), networks.layout, release, json=json)
        return 0
    findings = networks.check()
    if findings:
        raise UserFilesError("the networks of the workspace have errors", findings=findings)
    print_networks([networks.load(known) for known in networks.names], networks.layout, json=json)
    return 0


def _sync(
    context: typer.Context,
    images: Annotated[
        list[str],
        typer.Argument(help="Names of images that the engine has", metavar="IMAGE", show_default=False),
    ],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import os

    from taorunner.cli.long_work import end_as_by_ctrl_c
    from taorunner.console.pages.sync_view import print_synced
    from taorunner.engine.client import connect
    from taorunner.images.spec_sync import sync_images
    from taorunner.specs.schema.image_schemas import KeptSchemas

    context.obj.refuse_extra()
    place = context.obj.open_workspace(workspace)
    kept = KeptSchemas(place.spec_schemas_dir)
    user = f"{os.getuid()}:{os.getgid()}"
    end_as_by_ctrl_c()
    synced, refused = sync_images(connect(), list(dict.fromkeys(images)), kept, user)
    print_synced(synced, json=json)
    if refused is not None:
        raise refused
    return ExitCode.DONE
