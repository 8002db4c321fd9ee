"""``rerun --check``: each deviation in a line, then what is the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.text import Text

from taorunner.console.base.formatting import clean
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import Symbols, make_console, symbols_of
from taorunner.errors import Severity
from taorunner.runs.rerun.check import Check, Deviation
from taorunner.runs.state.record import RunRecord

_WORDS = {"gpus": "GPU"}
_SHOWN = 12


def print_check(record: RunRecord, check: Check, name: str, *, json: bool) -> None:
    """``name`` is what a rerun would be called."""
    if json:
        body = {
            "run": record.id, "rerun": name, "same": not check.deviations,
            "deviations": [
                {"kind": one.kind, "text": one.text, "blocking": one.is_blocking} for one in check.deviations
            ],
            "unchanged": list(check.same), "unknown": list(check.unknown),
        }  # fmt: skip
        write_json(body, sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for line in check_lines(check, symbols_of(console)):
        console.print(line, soft_wrap=True)


def check_lines(check: Check, symbols: Symbols) -> list[Text]:
    """Those that have to be allowed first."""
    ordered = sorted(check.deviations, key=lambda one: not one.is_blocking)
    lines = [_line(one, symbols) for one in ordered[:_SHOWN]]
    if len(ordered) > _SHOWN:
        lines.append(Text(f"  and {len(ordered) - _SHOWN} more: --json"))
    for severity, kinds, more in (
        (Severity.OK, check.same, ""), (Severity.INFO, check.unknown, " not on record"),
    ):  # fmt: skip
        if kinds:
            sign = (f"{symbols.severities[severity]} ", f"severity.{severity.value}")
            lines.append(Text.assemble(sign, f"{_listed(kinds)}{':' if more else ''}{more}"))
    return lines


def _line(one: Deviation, symbols: Symbols) -> Text:
    severity = Severity.ERROR if one.is_blocking else Severity.WARNING
    sign = (f"{symbols.severities[severity]} ", f"severity.{severity.value}")
    return Text.assemble(sign, (f"{_WORDS.get(one.kind, one.kind):<9}", "label"), f" {clean(one.text)}")


def _listed(kinds: Sequence[str]) -> str:
    return ", ".join(_WORDS.get(kind, kind) for kind in kinds)
