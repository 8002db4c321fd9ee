"""``resume``: continues a training from its newest checkpoint, as a new run."""

from __future__ import annotations

from dataclasses import replace

import typer

from taorunner.cli.action_options import ActionOptions
from taorunner.cli.commands.actions import ON_HOST, act
from taorunner.cli.help_pages import add_command
from taorunner.cli.option_sets import with_options
from taorunner.cli.options import ExperimentsArgument


def register(app: typer.Typer) -> None:
    command = with_options(_resume, without=("checkpoint", "overwrite", "resume", "min_score", *ON_HOST))
    summary = "Continue a training from its newest checkpoint"
    add_command(app, "resume", command, summary, "taorunner resume rtdetr_01", passes_on=True)


def _resume(
    context: typer.Context, experiments: ExperimentsArgument = None, *, options: ActionOptions
) -> int:
    return act(context.obj, "train", experiments or [], replace(options, resume=True), typed="resume")
