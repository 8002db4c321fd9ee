"""``quickstart``: the whole way on this machine's CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taorunner.cli.options import PlainOption


def register(app: typer.Typer) -> None:
    app.command("quickstart", help="The whole way on the CPU: no GPU, no Docker.")(_quickstart)


def _quickstart(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of the workspace to make.")] = Path(
        "taorunner-quickstart"
    ),
    images: Annotated[
        int, typer.Option("--images", min=40, max=5000, help="How many pictures to make.")
    ] = 320,
    epochs: Annotated[int, typer.Option("--epochs", min=1, max=200, help="How long to train.")] = 12,
    plain: PlainOption = False,
) -> int:
    from taorunner.console.quickstart import run_quickstart

    context.obj.refuse_extra()
    return run_quickstart(folder, images=images, epochs=epochs, plain=plain)
