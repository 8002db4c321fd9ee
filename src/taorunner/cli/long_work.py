"""Long work on datasets: ended politely by signals, its errors also as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from taorunner.errors import TaorunnerError


@contextmanager
def cleaning_up(*, json: bool, as_findings: bool = False) -> Iterator[None]:
    """For long work: SIGTERM and SIGHUP clean up as Ctrl-C does, and with --json an error is printed as JSON."""
    import signal
    import sys

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    polite = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]
    for number in polite:
        signal.signal(number, end)
    try:
        yield
    except TaorunnerError as error:
        if json:
            from taorunner.console.pages.dataset_view import print_error_json

            print_error_json(error, sys.stdout.buffer, as_findings=as_findings)
            error.findings = ()  # printed above; its own line still goes to stderr
        raise
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)  # Typer would exit without a message
        raise
    finally:
        for number in polite:
            signal.signal(number, signal.SIG_DFL)
