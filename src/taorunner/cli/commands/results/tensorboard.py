"""``tensorboard``: starts the TensorBoard of this machine on what trainings wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import OfProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, MachineError, RunStateError, UsageError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from taorunner.runs.tensorboard.board import Board

_PORT = 6006
_REFRESHED_EVERY_S = 15.0
_GRACE_S = 5.0


def register(app: typer.Typer) -> None:
    add_command(
        app, "tensorboard", _tensorboard, "Show curves in TensorBoard, on this machine only", "taorunner tensorboard",
        "taorunner tensorboard 'rtdetr_*' --port 6007",
    )  # fmt: skip


def _tensorboard(
    context: typer.Context,
    experiments: Annotated[
        Optional[list[str]],
        typer.Argument(help="Names or patterns [default: all]", metavar="EXPERIMENT", show_default=False),
    ] = None,
    port: Annotated[
        Optional[int],
        option("--port", "Listen here [default: 6006, or a free one]", word="PORT", min=1, max=65535),
    ] = None,
    from_events: Annotated[
        bool, option("--from-events", "Show recorded metrics where no event files are")
    ] = False,
    project: OfProjectOption = None,
    workspace: WorkspaceOption = None,
) -> int:
    from taorunner.runs.state.lookup.run_filter import RunFilter, records_of
    from taorunner.runs.tensorboard.board import Board

    context.obj.refuse_extra()
    program = _program()
    asked = context.obj.asked_runs(workspace, project)
    wanted = [RunFilter(asked.project, word) for word in experiments or (None,)]
    records = {record.id: record for one in wanted for record in records_of(asked.store, one)}
    if not records:
        raise RunStateError("no run yet" if not experiments else "no run of these experiments")
    board = Board(asked.store, list(records.values()))
    try:
        shown = board.refresh()
        shown += board.add_recorded() if from_events else []
        if not shown:
            raise RunStateError(
                "no event files in the results",
                hint="--from-events shows recorded metrics; TF1 networks write files with visualizer { enabled: true }",
            )
        return _shown(context, program, board, shown, port)
    finally:
        board.close()


def _program() -> Path:
    """The one on PATH, or beside this Python."""
    import shutil
    import sys
    from pathlib import Path

    beside = Path(sys.executable).parent / "tensorboard"
    found = shutil.which("tensorboard") or (str(beside) if beside.is_file() else None)
    if found is None:
        raise MachineError("TensorBoard is not installed", hint="pip install tensorboard")
    return Path(found)


def _shown(
    context: typer.Context, program: Path, board: Board, names: Sequence[str], port: int | None
) -> int:
    """Runs it until it ends, or Ctrl-C."""
    import getpass
    import signal
    import socket
    import subprocess

    from taorunner.text import amount

    chosen = _free(port or _PORT, is_asked=port is not None)
    words = [str(program), "--logdir", str(board.folder), "--host", "127.0.0.1", "--port", str(chosen)]
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: nothing stays behind
        signal.signal(number, signal.default_int_handler)
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    try:
        typer.echo(f"{amount(len(names), 'experiment')}: http://127.0.0.1:{chosen} (Ctrl-C ends it)")
        there = f"{getpass.getuser()}@{socket.gethostname()}"
        context.obj.note(f"from another machine: ssh -N -L {chosen}:127.0.0.1:{chosen} {there}")
        while True:
            try:
                code = process.wait(_REFRESHED_EVERY_S)
            except subprocess.TimeoutExpired:
                board.refresh()  # a resumed training writes another file
            else:
                break
    except KeyboardInterrupt:
        return ExitCode.DONE
    finally:
        _end(process)
    if code:
        raise MachineError(f"tensorboard ended with code {code}")
    return ExitCode.DONE


def _end(process: subprocess.Popen[bytes]) -> None:
    import subprocess

    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free(port: int, *, is_asked: bool) -> int:
    """``port``, or another one where it is taken and was not asked for."""
    import socket

    for number in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                if is_asked:
                    raise UsageError(
                        f"port {port} is taken", hint="without --port a free one is chosen"
                    ) from None
                continue
            return int(probe.getsockname()[1])
    raise MachineError("no port is free on 127.0.0.1")
