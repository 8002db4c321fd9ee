"""``quickstart``: convert, train, evaluate and export a small network on this CPU, with the usual commands."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taorunner.cli.commands.actions import ViewOptions, start_and_watch
from taorunner.cli.help_pages import add_command
from taorunner.cli.options import PlainOption, option
from taorunner.console.base.formatting import shown_path
from taorunner.errors import ExitCode, MachineError, UsageError

if TYPE_CHECKING:
    from taorunner.project.workspace import Workspace

PROJECT = "shapes"
EXPERIMENTS = ("small", "tiny")
HELD_OUT = 80
CHECKPOINT_INTERVAL = 4


def register(app: typer.Typer) -> None:
    summary = "Train and export a small network, no GPU or Docker"
    add_command(app, "quickstart", _quickstart, summary, "taorunner quickstart demo")


def _quickstart(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Workspace to make", metavar="DIR")] = Path(
        "taorunner-quickstart"
    ),
    images: Annotated[
        int, option("--images", "Train on this number of images", word="N", min=40, max=5000)
    ] = 320,
    epochs: Annotated[
        int, option("--epochs", "Train for this number of epochs", word="N", min=1, max=500)
    ] = 16,
    plain: PlainOption = False,
) -> int:
    from taorunner.planning.model.request import ActionRequest, Order
    from taorunner.runs.control.launch import LaunchOptions

    context.obj.refuse_extra()
    if str(folder) == "help":
        raise UsageError('"help" is no name for a workspace', hint="taorunner quickstart --help")
    say = _Chatter(context.obj.is_quiet)
    workspace = _make_workspace(folder.absolute(), images, say)
    options = LaunchOptions(parallel=2)
    view = ViewOptions(plain=plain, is_quiet=context.obj.is_quiet)
    for action, following in pairwise(("convert", "train", "evaluate", "export")):
        say.command(f"taorunner -p {PROJECT} {action} {' '.join(EXPERIMENTS)}")
        overrides = _training(epochs) if action == "train" else {}
        request = ActionRequest(action, EXPERIMENTS, overrides=overrides)
        code = start_and_watch(workspace, [Order(PROJECT, request)], options, view)
        if code != ExitCode.DONE:
            return code
        if _goes_on(workspace):
            line = f"{_enter(workspace)}taorunner {following} {' '.join(EXPERIMENTS)}"
            say.note(f"when they have ended:  {line}")
            return code
    scores = _scores(workspace)
    better = max(scores, key=lambda name: scores[name])
    say.command(f"taorunner -p {PROJECT} export {better}")
    export = Order(PROJECT, ActionRequest("export", (better,)))
    code = start_and_watch(workspace, [export], options, view)
    if code == ExitCode.DONE:
        _conclude(workspace, scores, better, say)
    return code


def _make_workspace(folder: Path, images: int, say: _Chatter) -> Workspace:
    """Raises UserFilesError when the folder is not empty, MachineError when the extra is not installed."""
    from taorunner.api.example_workspace import make_example_workspace

    data = folder / "projects" / PROJECT / "data" / "shapes"
    workspace = make_example_workspace(folder, images=images, held_out=HELD_OUT)
    say.note(f"{images} training images of circles, squares and triangles, {HELD_OUT} held-out ones:")
    say.note(f"  {shown_path(data, Path.cwd())}")
    return workspace


def _enter(workspace: Workspace) -> str:
    """``cd demo && ``, for the line of a shell; empty where the person is."""
    place = shown_path(workspace.root, Path.cwd())
    return "" if place == "." else f"cd {place if place.startswith('~/') else shlex.quote(place)} && "


def _training(epochs: int) -> dict[str, str]:
    """Spec keys for ``epochs`` epochs. The checkpoint interval must not exceed the number of epochs."""
    return {
        "train.num_epochs": str(epochs),
        "train.checkpoint_interval": str(min(epochs, CHECKPOINT_INTERVAL)),
    }


def _goes_on(workspace: Workspace) -> bool:
    """Whether a run has not ended, because the viewer left before: what follows would read half of it."""
    from taorunner.runs.state.store import RunStore

    return bool(RunStore(workspace.state_dir).unfinished())


def _scores(workspace: Workspace) -> dict[str, float]:
    """mAP@0.5 on the held-out images per experiment, as reported by the evaluation."""
    from taorunner.runs.state.event_reader import EventReader
    from taorunner.runs.state.store import RunStore

    store = RunStore(workspace.state_dir)
    feed = EventReader(store, [record.id for record in store.records() if record.action == "evaluate"])
    feed.poll()
    scores = {
        run.experiment: run.metrics["test_mAP50"] for run in feed.snapshots() if "test_mAP50" in run.metrics
    }
    if not scores:
        raise MachineError(
            "the evaluation reported no mAP", hint=f"taorunner --workspace {workspace.root} logs small"
        )
    return scores


def _conclude(workspace: Workspace, scores: dict[str, float], better: str, say: _Chatter) -> None:
    exported = sorted((workspace.project(PROJECT).results_dir(better) / "export").glob("*.onnx"))
    typer.echo("")
    for name, score in sorted(scores.items(), key=lambda item: -item[1]):
        typer.echo(
            f"{name:<8} mAP@0.5 {score:.3f} on {HELD_OUT} held-out images{'  (better)' if name == better else ''}"
        )
    for path in exported:
        typer.echo(f"exported {shown_path(path, Path.cwd())}")
    say.note("")
    say.note(f"look around:  {_enter(workspace)}taorunner runs list")
    say.note("your own:     taorunner networks; taorunner init-project NAME --head HEAD")


@dataclass(frozen=True)
class _Chatter:
    """The commands and notes between the results, on stdout. ``-q`` drops them."""

    is_quiet: bool

    def command(self, line: str) -> None:
        self.note(f"\n$ {line}")

    def note(self, text: str) -> None:
        if not self.is_quiet:
            typer.echo(text)
            sys.stdout.flush()
