"""Shows what ``specs refresh`` would write, and asks."""

from __future__ import annotations

import os
import sys

from rich.text import Text

from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console
from taorunner.planning.spec_refresh import Refreshed
from taorunner.text import amount, printable

_STYLES = {"-": "red", "+": "green", "@": "quiet"}


def print_refresh(refreshed: Refreshed, *, is_quiet: bool) -> None:
    """The difference alone on stdout, so that ``patch`` can read it; everything else on stderr."""
    notes = make_console(sys.stderr, os.environ)
    for line in () if is_quiet else (refreshed.data, *refreshed.notes):
        notes.print(Text(printable(line)), soft_wrap=True)
    text = "".join(file.difference() for file in refreshed.files)
    sys.stdout.flush()
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
        return
    console = make_console(sys.stdout, os.environ)
    for line in text.removesuffix("\n").split("\n"):
        is_heading = line.startswith(("--- ", "+++ "))
        style = "" if is_heading else _STYLES.get(line[:1], "")
        console.print(Text(printable(line.rstrip("\r")), style=style), soft_wrap=True)


def asks_to_write(refreshed: Refreshed) -> bool | None:
    """Asks on the terminal. None where there is none to ask on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    sys.stderr.write(f"{kept_text(refreshed)} Write this change? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def kept_text(refreshed: Refreshed) -> str:
    verb = "stays as it is" if refreshed.kept == 1 else "stay as they are"
    return f"{amount(refreshed.kept, 'key')} of your own {verb}."


def print_refresh_json(refreshed: Refreshed, *, is_written: bool) -> None:
    """What changes, as JSON."""
    write_json(
        {
            "experiment": refreshed.experiment,
            "data": refreshed.data,
            "changes": [
                {"file": one.file or None, "line": one.line or None, "key": one.key, "old": one.old, "new": one.new,
                 "reason": one.reason}
                for one in refreshed.changes
            ],
            "files": [{"file": str(one.path), "also_used_by": list(one.others)} for one in refreshed.files],
            "kept": refreshed.kept,
            "written": is_written,
        },
        sys.stdout.buffer,
    )  # fmt: skip
