"""Shows the result of ``dataset check``: counts per subset, then findings by place, a few of each kind."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.findings_text import findings_json, print_findings, without_infos
from taorunner.console.base.formatting import clean, shown_path
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console, symbols_of
from taorunner.datasets.checks.report import CheckReport, SubsetReport
from taorunner.datasets.repair.run import Repair
from taorunner.errors import Finding, Severity
from taorunner.text import amount

MOST_PLACES = 3
"""Findings shown of one kind; the others are counted. ``-v`` and ``--json`` have all of them."""


def print_check(report: CheckReport, *, json: bool, full: bool, with_infos: bool = False) -> None:
    """The counts of each subset come first, the findings last. ``full`` prints every finding of a kind; ``with_infos``
    prints infos, and as what the dataset was read."""
    if json:
        write_json(findings_json(report.findings), sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for line in laid_out(
        _columns(report),
        [_row(part, report.kind) for part in report.subsets],
        console.width,
        symbols_of(console),
    ):
        console.print(line, soft_wrap=True)
    if with_infos:
        console.print(Text(f"read as {report.kind}"), soft_wrap=True)
    wanted, _ = without_infos(report.findings, with_infos=with_infos)
    if wanted and report.subsets:
        console.print()
    most = None if full else MOST_PLACES
    left = print_findings(console, wanted, counts=False, most=most, see_all="", by_kind=True)
    console.print(Text(_last_line(wanted) + ("; all: -v or --json" if left else "")), soft_wrap=True)


def _last_line(findings: Sequence[Finding]) -> str:
    """``1 error (15 places), 1 warning``: kinds, and their places where there are more."""
    texts = []
    for severity in (Severity.ERROR, Severity.WARNING):
        codes = [one.code for one in dict.fromkeys(findings) if one.severity is severity]
        if codes:
            kinds = amount(len(set(codes)), severity.value)
            places = f" ({amount(len(codes), 'place')})" if len(codes) > len(set(codes)) else ""
            texts.append(kinds + places)
    return ", ".join(texts) or "no problems"


def _columns(report: CheckReport) -> list[Column]:
    counted = "in classes" if report.kind in ("classification", "segmentation") else "boxes"
    return [
        Column("subset"), Column("images", right=True), Column("empty", right=True, drop=1),
        Column(counted, right=True, drop=2), Column("classes", shrinks_to=12, drop=3),
    ]  # fmt: skip


def print_repair(repair: Repair) -> None:
    """On stderr; stdout has the findings that are left."""
    console = make_console(sys.stderr, os.environ)
    console.print(Text(_repair_text(repair)), soft_wrap=True)
    console.print(Text(f"made {shown_path(repair.output, Path.cwd())}"), soft_wrap=True)
    if repair.backup is not None:
        console.print(Text(f"backup: {shown_path(repair.backup, Path.cwd())}"), soft_wrap=True)


def repair_finding(repair: Repair) -> Finding:
    """The repair as a finding, for ``--json``."""
    hint = f"backup: {repair.backup}" if repair.backup is not None else None
    return Finding(Severity.INFO, "repaired", _repair_text(repair), hint, repair.output)


def _repair_text(repair: Repair) -> str:
    facts = [f"{amount(repair.labels, 'label file')} corrected", f"{amount(repair.empty_labels, 'empty one')} written",
             f"{amount(len(repair.renamed), 'image')} renamed"]  # fmt: skip
    return "; ".join(facts)


def _row(part: SubsetReport, kind: str) -> Row:
    listed = ", ".join(f"{clean(label)} {count:,}" for label, count in part.classes.most_common())
    empty = f"{part.backgrounds:,}" if part.backgrounds else ""
    is_counted = kind != "segmentation" or part.classes  # what masks hold is not counted
    numbers = (f"{part.images:,}", empty, f"{part.classes.total():,}" if is_counted else "")
    return Row((Text(clean(part.name or ".")), *(Text(text) for text in numbers), Text(listed)))
