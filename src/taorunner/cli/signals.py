"""Lets SIGTERM and SIGHUP end a command as Ctrl-C does, so that it removes its containers and temporary files."""

from __future__ import annotations

import signal


def end_as_by_ctrl_c() -> None:
    """For the rest of the process. Signals that the caller ignores, as under nohup, stay ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
