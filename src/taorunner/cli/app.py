"""The Typer app and the one boundary where errors become text and exit codes.

At the top, the modules of this package import only typer, typing, pathlib and ``taorunner.errors``, so that help is
instant. A command imports everything else inside its function.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taorunner.cli.fast.parsing import light_command
from taorunner.cli.fast.scripts import answer_with_script, is_asked
from taorunner.cli.help_pages import RootPage
from taorunner.cli.options import Invocation, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, TaorunnerError
from taorunner.version import __version__

if TYPE_CHECKING:
    from taorunner.console.base.typed_commands import Place
    from taorunner.runs.control.spawn import Supervisor

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "init_project": ("init-project", "add"),
    "projects": ("projects", "validate", "schema"),
    "actions": ("convert", "train", "evaluate", "prune", "export", "inference", "run"),
    "resume": ("resume",),
    "rerun": ("rerun",),
    "sweeps.sweep": ("sweep",),
    "results.track": ("track",),
    "results.tensorboard": ("tensorboard",),
    "runs": ("ps", "runs", "logs", "attach", "stop"),
    "results.report": ("report",),
    "results.bundle": ("bundle",),
    "networks": ("networks",),
    "pretrained": ("pretrained",),
    "dataset": ("dataset",),
    "image": ("image",),
    "clusters": ("clusters",),
    "specs": ("specs",),
    "quickstart": ("quickstart",),
    "doctor": ("doctor",),
    "shell": ("shell",),
    "manual.pages_and_codes": ("docs", "explain"),
}
"""The modules of ``cli/commands``, each with its commands and groups."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"taorunner {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    quiet: Annotated[bool, option("--quiet", "-q", "Drop progress, notes and next steps")] = False,
    verbose: Annotated[bool, option("--verbose", "-v", "Add infos, and every place of a finding")] = False,
    version: Annotated[
        bool, option("--version", "-V", "Print the version", callback=_version, is_eager=True)
    ] = False,
) -> None:
    invocation: Invocation = context.obj
    invocation.project, invocation.workspace = project, workspace
    invocation.is_quiet, invocation.is_verbose = quiet, verbose


def make_app(modules: Iterable[str] = tuple(_COMMANDS)) -> typer.Typer:
    """The app with the commands of these modules of ``cli/commands``, of all by default."""
    app = typer.Typer(
        cls=RootPage,
        help="Train computer-vision models with NVIDIA TAO Toolkit.",
        epilog="\n".join(
            (
                "taorunner quickstart                      try the whole way on this CPU",
                "taorunner init-project parts --head rtdetr --from-dataset ~/exports/parts",
                "taorunner train rtdetr_01                 train one experiment and watch it",
            )
        ),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_root)
    for module in modules:
        import_module(f"taorunner.cli.commands.{module}").register(app)
    return app


@dataclass(frozen=True)
class _Split:
    """``head`` is read by taorunner; ``extra``, after the first ``--``, is passed on to TAO unchanged."""

    head: list[str]
    extra: tuple[str, ...]


def run(argv: list[str], supervisor: Supervisor | None = None) -> int:
    """Runs one command line; returns its exit code. No exception leaves this function.

    ``supervisor`` was started in advance for an action. It is dismissed if it gets no batch.
    """
    split = _split(argv)
    invocation = Invocation(extra=split.extra, has_extra="--" in argv, supervisor=supervisor)
    try:
        return _reported(lambda: _answered(split, invocation), split, invocation)
    finally:
        if supervisor is not None:
            supervisor.dismiss()


def failed(error: BaseException, argv: list[str]) -> int:
    """Reports what ended a command that ``run`` did not run; returns the exit code."""

    def again() -> int:
        raise error

    return _reported(again, _split(argv), None)


def _answered(split: _Split, invocation: Invocation) -> int:
    if is_asked(split.head):
        return answer_with_script(split.head)
    command = light_command(app_for(split.head))
    code = command(args=split.head, prog_name="taorunner", standalone_mode=False, obj=invocation)
    sys.stdout.flush()
    return int(code or 0)


def _reported(work: Callable[[], int], split: _Split, invocation: Invocation | None) -> int:
    as_json = "--json" in split.head
    try:
        return work()
    except TaorunnerError as error:
        return _report(_explained(error, split.head, invocation), invocation, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader closed the pipe: no message at exit
        return 128 + 13
    except typer.Exit as ending:
        return ending.exit_code
    except OSError as error:
        return _os_error(error, as_json=as_json)
    except Exception as error:  # the boundary: an internal error becomes a file and three lines
        code = _usage_error(error, split.head, as_json=as_json)
        return code if code is not None else _crash(error, as_json=as_json)


def app_for(words: list[str]) -> typer.Typer:
    """The app with the command in ``words`` alone: to import and build all of them takes 0.1 s.

    The list of commands and an unknown command need the whole app.
    """
    name = _command_name(words)
    needed = make_app([module for module, commands in _COMMANDS.items() if name in commands])
    needed.registered_commands = [command for command in needed.registered_commands if command.name == name]
    needed.registered_groups = [group for group in needed.registered_groups if group.name == name]
    return needed if needed.registered_commands or needed.registered_groups else make_app()


def _command_name(words: list[str]) -> str | None:
    """The first word that is neither a root option nor the value of one."""
    rest = iter(words)
    for word in rest:
        if word in ("-p", "--project", "--workspace"):
            next(rest, None)
        elif word in ("-h", "--help"):
            return None
        elif not word.startswith("-"):
            return word
    return None


def _split(argv: list[str]) -> _Split:
    if "--" not in argv:
        return _Split(argv, ())
    at = argv.index("--")
    return _Split(argv[:at], tuple(argv[at + 1 :]))


def _usage_error(error: Any, words: list[str], *, as_json: bool) -> int | None:
    """The exit code if Typer's parser raised this. Typer has a private copy of Click's classes."""
    if not (hasattr(error, "show") and hasattr(error, "format_message") and hasattr(error, "exit_code")):
        return None
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return int(error.exit_code)
    from taorunner.cli.usage_errors import usage_error

    return _report(_explained(usage_error(error, words), words, None), as_json=as_json)


def _explained(error: TaorunnerError, words: list[str], invocation: Invocation | None) -> TaorunnerError:
    from taorunner.cli.hints.misplaced_words import with_meaning
    from taorunner.cli.hints.repeated_options import with_typed_options

    meant = with_meaning(error, words, None if invocation is None else invocation.root)
    return with_typed_options(meant, words, () if invocation is None else invocation.extra)


def _os_error(error: OSError, *, as_json: bool) -> int:
    from taorunner.cli.os_errors import machine_error

    found = machine_error(error)
    if found is None:
        return _crash(error, as_json=as_json)
    if error.filename is None:  # stdout failed: do not flush the rest of it at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _report(found, as_json=as_json)


def _report(error: TaorunnerError, invocation: Invocation | None = None, *, as_json: bool) -> int:
    """Prints a refusal on stderr. With ``--json`` its findings are one line on stdout instead, and not on stderr."""
    from taorunner.console.base.findings_text import print_error
    from taorunner.console.base.theme import make_console

    if Path(sys.argv[0]).name == "tao_pt" and error.hint is not None:
        error.hint = error.hint.replace("taorunner shell", "tao_pt")
    with_infos, place = invocation is not None and invocation.is_verbose, None
    if invocation is not None and invocation.root is not None:
        from taorunner.console.base.typed_commands import Place

        place = Place(invocation.root, invocation.project_found)
    if as_json:
        _print_findings_line(error, place)
        error.findings = ()
    print_error(make_console(sys.stderr, os.environ), error, with_infos=with_infos, place=place)
    return error.exit_code


def _print_findings_line(error: TaorunnerError, place: Place | None) -> None:
    from taorunner.console.base.findings_text import findings_json
    from taorunner.console.base.json_output import write_json_line
    from taorunner.console.base.typed_commands import hints_as_typed

    with suppress(OSError):  # stdout is closed or full: stderr and the exit code still say it
        sys.stdout.flush()
        write_json_line(findings_json(hints_as_typed(error.as_findings(), place)), sys.stdout.buffer)


def _crash(error: Exception, *, as_json: bool) -> int:
    import traceback
    from datetime import datetime, timezone

    from taorunner.console.base.typed_commands import near

    at = datetime.now(timezone.utc)
    text = "".join(traceback.format_exception(error))
    try:
        descriptor, path = _crash_file(f"crash-{at:%Y%m%d-%H%M%S}-")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"taorunner {__version__}\n{text}")
        where, what_to_send = near(path), "that file"
    except OSError:
        where, what_to_send = f"\n{text.rstrip()}", "it"
    reason = " ".join(str(error).split())
    message = f"internal error: {type(error).__name__}: {reason}"
    if as_json:
        _print_findings_line(TaorunnerError(message, hint=f"traceback: {where}"), None)
    print(
        f"{message} [internal]\n  traceback: {where}\n"
        f"  runs are not affected; send {what_to_send} with the bug report",
        file=sys.stderr,
    )
    return ExitCode.BUG


def _crash_file(name: str) -> tuple[int, Path]:
    """A new file for its owner alone, in the user's own ``.taorunner`` or the temporary folder. Raises OSError."""
    import tempfile

    for folder in (Path.cwd(), *Path.cwd().parents):
        state = folder / ".taorunner"
        if state.is_dir() and not state.is_symlink() and state.stat().st_uid == os.geteuid():
            with suppress(OSError):
                descriptor, path = tempfile.mkstemp(".log", name, state)
                return descriptor, Path(path)
    descriptor, path = tempfile.mkstemp(".log", f"taorunner-{name}")
    return descriptor, Path(path)
