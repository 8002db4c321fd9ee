"""The entry point of ``taorunner``, ``tao-runner`` and ``python -m taorunner``.

Completion, the first help page, the version, lists of runs and ``validate`` are answered before any slow import.
"""

from __future__ import annotations

import gc
import os
import sys

from taorunner.version import __version__

TYPE_CHECKING = False  # importing typing would double the start time
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from taorunner.runs.control.spawn import Supervisor


_ACTIONS = frozenset({"convert", "train", "evaluate", "prune", "export", "inference", "run", "resume"})
_NO_RUN = frozenset({
    "--help", "-h", "--dry-run", "--version", "validate", "init-project", "networks", "runs", "logs", "dataset",
    "specs",
})  # fmt: skip


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    _open_closed_streams()
    request = os.environ.get("_TAORUNNER_COMPLETE") or os.environ.get("_TAO_RUNNER_COMPLETE") or ""
    if request.startswith("complete_"):
        from taorunner.cli.fast.completion import answer

        sys.exit(answer(request.removeprefix("complete_"), os.environ))
    gc.disable()  # objects of imports and plans live to the end; collecting costs 5 % of the time
    if len(sys.argv) == 2 and _print_text_of(sys.argv[1]):
        _leave(0)
    answered = quick_answer(sys.argv[1:])
    if answered is not None:
        _leave(answered)
    supervisor = _early_supervisor(sys.argv[1:])
    from taorunner.cli.app import run

    _leave(run(sys.argv[1:], supervisor))


def tao_pt() -> None:
    """The entry point of ``tao_pt``."""
    request = os.environ.get("_TAO_PT_COMPLETE") or ""
    if request.startswith("complete_"):
        from taorunner.cli.fast.completion import answer

        sys.exit(answer(request.removeprefix("complete_"), os.environ, "shell"))
    from pathlib import Path

    from taorunner.cli.fast.scripts import is_asked
    from taorunner.cli.tao_pt import HELP, asks_for_help, shell_words
    from taorunner.gpu.inventory import inventory

    if asks_for_help(sys.argv[1:]):
        sys.stdout.write(HELP)
        _leave(0)
    if not is_asked(sys.argv[1:]):
        sys.argv[1:] = shell_words(sys.argv[1:], os.environ, Path.cwd(), lambda: bool(inventory().gpus))
    main()


def _print_text_of(flag: str) -> bool:
    """Prints the first help page or the version. False when the full command line must answer, which also reports
    an output that cannot be written."""
    if flag in ("-h", "--help"):
        from taorunner.cli.fast.root_page import PAGE

        text = PAGE
    elif flag in ("-V", "--version"):
        text = f"taorunner {__version__}\n"
    else:
        return False
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:
        return False
    return True


def quick_answer(argv: list[str]) -> int | None:
    """The exit code of a command that needs no Typer. None when the full command line must answer.

    What fails after something was printed is reported here: the full command line would print that again.
    """
    try:
        printing = _quick_printing(argv)
        if printing is None:
            return None
        code = printing()
        sys.stdout.flush()
        return code
    except (Exception, KeyboardInterrupt) as error:
        from taorunner.cli.app import failed

        return failed(error, argv)


def _quick_printing(argv: list[str]) -> Callable[[], int] | None:
    if argv[:2] == ["runs", "diff"]:
        from taorunner.cli.fast.comparisons import quick as quick_diff

        return quick_diff(argv)
    if argv[:1] in (["ps"], ["runs"]):
        from taorunner.cli.fast.lists import quick

        return quick(argv)
    if argv[:1] == ["validate"]:
        from taorunner.cli.fast.validation import quick as quick_validate

        return quick_validate(argv)
    return None


def _open_closed_streams() -> None:
    """Opens closed standard streams on /dev/null; otherwise the next opened file would get their number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _leave(exit_code: int) -> NoReturn:
    """Ends the process at once, after flushing the streams.

    The regular shutdown of a few hundred modules takes 50 ms, and nothing depends on it: all files are closed.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # None if the shell closed it
                stream.flush()
        except OSError:  # the reader closed the pipe, or the disk is full
            exit_code = exit_code or 1
    os._exit(exit_code)


def _early_supervisor(argv: list[str]) -> Supervisor | None:
    """Starts the supervisor while this process still imports, when the words look like an action.

    After a wrong guess the extra process ends by itself.
    """
    if not _ACTIONS.intersection(argv) or _NO_RUN.intersection(argv):
        return None
    from taorunner.runs.control.spawn import Supervisor

    return Supervisor()


if __name__ == "__main__":
    main()
