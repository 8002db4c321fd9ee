"""``docs`` and ``explain``: the manual in the terminal, without a network."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.options import JsonOption


def register(app: typer.Typer) -> None:
    add_command(
        app, "docs", _docs, "Print a page of the manual", "taorunner docs", "taorunner docs quickstart"
    )
    add_command(
        app, "explain", _explain, "Explain the code of a finding or failure",
        "taorunner explain unknown-key", "taorunner explain cuda-out-of-memory",
    )  # fmt: skip


def _docs(
    context: typer.Context,
    topic: Annotated[
        Optional[str],
        typer.Argument(help="A page [default: the list of pages]", metavar="TOPIC", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.manual.manual_view import print_page, print_pages
    from taorunner.errors import ExitCode
    from taorunner.manual.pages import page_of, pages

    context.obj.refuse_extra()
    if topic is None:
        print_pages(pages(), json=json)
    else:
        print_page(page_of(topic, pages()), json=json)
    return ExitCode.DONE


def _explain(
    context: typer.Context,
    code: Annotated[
        Optional[str],
        typer.Argument(
            help="The code, in brackets behind a message [default: all]", metavar="CODE", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.manual.manual_view import print_codes, print_explanations
    from taorunner.errors import ExitCode
    from taorunner.manual.codes import explained, explanations

    context.obj.refuse_extra()
    if code is None:
        print_codes(explanations(), json=json)
    else:
        print_explanations(explained(code), json=json)
    return ExitCode.DONE
