"""Long work, ended politely by signals, and on datasets with hints that name them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from taorunner.errors import Finding, TaorunnerError
from taorunner.text import for_dataset
from taorunner.values.value import replace


def named(findings: Iterable[Finding], dataset: str) -> tuple[Finding, ...]:
    """With hints that name the dataset as it was typed."""
    return tuple(replace(one, hint=_named(one.hint, dataset)) for one in findings)


def _named(hint: str | None, dataset: str) -> str | None:
    """Outside of a project, commands that write a dataset say where to."""
    if hint is None or "DATASET" not in hint:
        return hint
    import os
    import re

    from taorunner.console.base.typed_commands import place_of

    given = Path(os.path.abspath(Path(dataset).expanduser()))  # noqa: PTH100 (resolve() would follow links)
    if given.exists() and place_of(given / "file") is None:
        output = f"{re.sub(r'[^A-Za-z0-9._-]+', '_', given.name)}_new"
        hint = re.sub(r"(taorunner dataset (?:convert|split|resize) DATASET)", rf"\1 -o {output}", hint)
    return for_dataset(hint, dataset)


@contextmanager
def cleaning_up(*, dataset: str, code: str | None = None) -> Iterator[None]:
    """For long work: SIGTERM and SIGHUP clean up as Ctrl-C does. Hints of errors name the ``dataset`` as it was typed;
    ``code`` is the code of an error as a finding."""
    import signal

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    polite = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]
    for number in polite:
        signal.signal(number, end)
    try:
        yield
    except TaorunnerError as error:
        error.hint, error.findings = _named(error.hint, dataset), named(error.findings, dataset)
        if code is not None:
            error.code = code
        raise
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)  # Typer would exit without a message
        raise
    finally:
        for number in polite:
            signal.signal(number, signal.SIG_DFL)


def end_as_by_ctrl_c() -> None:
    """Lets SIGTERM and SIGHUP end a command as Ctrl-C does, so that it removes its containers and temporary files, for
    the rest of the process. Signals that the caller ignores, as under nohup, stay ignored."""
    import signal

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
