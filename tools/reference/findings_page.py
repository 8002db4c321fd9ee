"""The pages of codes: ``reference/findings.md`` by area, and ``troubleshooting.md`` by the text that people see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from taorunner.manual.codes import Explanation

_FINDINGS = """\
# Findings

A finding is one line: `file:line:column: severity: message [code]`, and below it the next step. Its code in brackets never
changes. `taorunner explain CODE` prints the section of a code in the terminal, without a network.

Errors stop a command, warnings and infos do not. Words in CAPITALS stand for names and numbers of the moment.
Why a run failed is said with codes, too: those are in [Troubleshooting](../troubleshooting.md).
"""
_TROUBLE = """\
# Troubleshooting

When a run fails, taorunner says why in one sentence, with the next step. Search this page for the sentence that you see, or type
`taorunner explain CODE` with the code behind it. Words in CAPITALS stand for names and numbers of the moment.

Nothing here fits? `taorunner logs RUN` prints the whole log, `taorunner runs show RUN` what is known of the run, and
`taorunner doctor` checks this machine. Findings of `validate` and of other commands are in
[Findings](reference/findings.md).
"""


def findings(every: Iterable[Explanation]) -> str:
    """The page of findings: a list of areas with their codes, then a section for each code."""
    rows = [one for one in every if one.kind == "finding"]
    areas = sorted({one.area for one in rows})
    lines = [_FINDINGS, "| where it is about | codes |", "|---|---|"]
    for area in areas:
        named = ", ".join(f"[`{one.code}`](#{one.code})" for one in rows if one.area == area)
        lines.append(f"| {area} | {named} |")
    return "\n".join([*lines, "", *_sections(rows)])


def troubleshooting(every: Iterable[Explanation]) -> str:
    """The page of causes of failures: a table by what is seen, then a section for each code."""
    rows = sorted((one for one in every if one.kind == "failure"), key=lambda one: one.says[0][0].lower())
    lines = [_TROUBLE, "| what you see | code |", "|---|---|"]
    for one in rows:
        lines += [f"| {_cell(message)} | [`{one.code}`](#{one.code}) |" for message, _ in one.says[:1]]
    return "\n".join([*lines, "", *_sections(rows)])


def _sections(rows: Iterable[Explanation]) -> Iterator[str]:
    for one in rows:
        yield f"## {one.code}"
        yield ""
        yield one.markdown()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
