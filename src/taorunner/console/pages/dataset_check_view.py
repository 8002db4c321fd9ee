"""Shows the result of ``dataset check``: findings by place, at most ten of a kind, and counts per subset."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.findings_text import count_text, findings_json, print_findings, without_infos
from taorunner.console.base.formatting import clean
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console, symbols_of
from taorunner.datasets.checks.report import CheckReport
from taorunner.datasets.repair.run import Repair
from taorunner.errors import Finding, Severity
from taorunner.text import amount

MANY = 10
"""Findings shown of one kind; the others are counted. ``--json`` has all of them."""


def print_check(report: CheckReport, *, json: bool, full: bool, with_infos: bool = False) -> None:
    """``full`` prints every finding of a kind; ``with_infos`` prints infos too."""
    if json:
        write_json(findings_json(report.findings), sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    wanted, _ = without_infos(report.findings, with_infos=with_infos)
    shown, left = (wanted, Counter[tuple[Severity, str]]()) if full else _first_of_each(wanted)
    print_findings(console, shown, counts=False)
    for (severity, code), count in left.items():
        console.print(Text(f"and {count} more {severity.value}s [{code}] (-v shows them)"), soft_wrap=True)
    rows = [_row(part.name or ".", part.images, part.backgrounds, part.classes) for part in report.subsets]
    columns = [
        Column("subset"),
        Column("images", right=True),
        Column("background", right=True, drop=1),
        Column(
            "in classes" if report.kind in ("classification", "segmentation") else "boxes", right=True, drop=2
        ),
        Column("classes", shrinks_to=12, drop=3),
    ]
    for line in laid_out(columns, rows, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)
    console.print(Text(f"read as {report.kind}"), soft_wrap=True)
    console.print(Text(count_text(wanted)))


def print_repair(repair: Repair) -> None:
    """On stderr; stdout has the findings that are left."""
    console = make_console(sys.stderr, os.environ)
    console.print(Text(_repair_text(repair)), soft_wrap=True)
    console.print(Text(f"made {clean(str(repair.output))}"), soft_wrap=True)
    if repair.backup is not None:
        console.print(Text(f"backup: {clean(str(repair.backup))}"), soft_wrap=True)


def repair_finding(repair: Repair) -> Finding:
    """The repair as a finding, for ``--json``."""
    hint = f"backup: {repair.backup}" if repair.backup is not None else None
    return Finding(Severity.INFO, "repaired", _repair_text(repair), hint, repair.output)


def _repair_text(repair: Repair) -> str:
    facts = [f"{amount(repair.labels, 'label file')} corrected", f"{amount(repair.empty_labels, 'empty one')} written",
             f"{amount(len(repair.renamed), 'image')} renamed"]  # fmt: skip
    return "; ".join(facts)


def _first_of_each(findings: Sequence[Finding]) -> tuple[list[Finding], Counter[tuple[Severity, str]]]:
    shown: list[Finding] = []
    seen: Counter[tuple[Severity, str]] = Counter()
    for finding in findings:
        kind = (finding.severity, finding.code)
        seen[kind] += 1
        if seen[kind] <= MANY:
            shown.append(finding)
    return shown, Counter({kind: count - MANY for kind, count in seen.items() if count > MANY})


def _row(name: str, images: int, backgrounds: int, classes: Counter[str]) -> Row:
    listed = ", ".join(f"{clean(label)} {count}" for label, count in classes.most_common())
    numbers = (str(images), str(backgrounds) if backgrounds else "", str(classes.total()))
    return Row((Text(clean(name)), *(Text(text) for text in numbers), Text(listed)))
