"""Long work on datasets, ended politely by signals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from taorunner.errors import TaorunnerError


@contextmanager
def cleaning_up(*, code: str | None = None) -> Iterator[None]:
    """For long work: SIGTERM and SIGHUP clean up as Ctrl-C does. ``code`` is the code of an error as a finding."""
    import signal

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    polite = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]
    for number in polite:
        signal.signal(number, end)
    try:
        yield
    except TaorunnerError as error:
        if code is not None:
            error.code = code
        raise
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)  # Typer would exit without a message
        raise
    finally:
        for number in polite:
            signal.signal(number, signal.SIG_DFL)
