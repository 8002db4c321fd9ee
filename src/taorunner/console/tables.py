"""What is there? One run in full, the networks of the catalog, one network's page.

Lines that fit ``width``; facts that a person copies (paths, digests, reasons) are whole and may be longer.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from rich.text import Text

from taorunner.catalog.network import Network
from taorunner.console.cells import bar, pad, percent
from taorunner.console.columns import Column, Row, laid_out
from taorunner.console.theme import Symbols, state_style
from taorunner.console.words import clean, number, of
from taorunner.contracts import Contract, ResumeRule
from taorunner.runs.snapshot import RunSnapshot
from taorunner.text import duration

_BAR = 30
_RESUMES = {
    ResumeRule.NONE: "",
    ResumeRule.AUTO: "by itself, when the results folder has a checkpoint",
    ResumeRule.ARGUMENT: "from a checkpoint that is named on the command line",
    ResumeRule.SPEC_KEY: "from a checkpoint that is named in the spec",
}


def run_detail_lines(
    run: RunSnapshot, directory: Path, width: int, symbols: Symbols, now: datetime, zone: tzinfo | None = None
) -> list[Text]:
    """Everything that is known of one run. ``zone`` is for the times, the machine's own by default."""
    style = state_style(run.state)
    head = Text.assemble(
        (f"{symbols.states[run.state]} ", style), (clean(run.experiment or run.id), "title"),
        (f" {symbols.dot} {clean(run.action)}" if run.action else "", "quiet"), "  ",
        (run.state.value.lower(), style),
    )  # fmt: skip
    facts: list[tuple[str, Text | str]] = []
    if run.reason:
        facts.append(("reason", clean(run.reason)))
    if run.hint:
        facts.append(("hint", clean(run.hint)))
    fraction, left = run.fraction(now), run.eta_s(now)
    if run.epoch is not None:
        epoch = Text(of(run.epoch, run.epochs))
        if fraction is not None and not run.state.is_final:
            epoch.append("  ").append_text(bar(fraction, min(_BAR, width - 40), symbols))
            epoch.append(f" {percent(fraction)}")
        if left is not None:
            epoch.append(f"  {duration(left)} left", style="quiet")
        facts.append(("epoch", epoch))
    facts += [
        ("run", clean(run.id)),
        ("project", clean(run.project)),
        ("backend", clean(run.backend)),
        ("image", clean(run.image or "")),
        ("digest", clean(run.image_digest or "")),
        ("gpus", clean(", ".join(run.gpus))),
        ("exit code", str(run.exit_code) if run.exit_code is not None else ""),
        ("queued", _time(run.queued_at, zone)),
        ("started", _time(run.started_at, zone)),
        ("finished", _time(run.finished_at, zone)),
        ("duration", _duration(run.elapsed_s(now))),
        ("checkpoints", _checkpoints(run)),
        ("directory", clean(str(directory))),
    ]
    lines = [head, *(_fact(label, value) for label, value in facts if value)]
    if run.metrics:
        lines += [Text(), *_metric_lines(run, width, symbols)]
    if run.notices:
        lines.append(Text())
        lines += [
            Text.assemble(
                (f"{n.at.astimezone(zone):%H:%M:%S}  ", "quiet"), (n.level, f"severity.{_level(n.level)}"),
                f": {clean(n.text)}", (f" [{clean(n.code)}]", "quiet"),
            )
            for n in run.notices
        ]  # fmt: skip
    return lines


def network_table_lines(networks: Iterable[Network], width: int, symbols: Symbols) -> list[Text]:
    """One line a network: what it is for, and what can be done with it in its newest release."""
    columns = [
        Column("network"),
        Column("framework", drop=1),
        Column("release", drop=2),
        Column("purpose", drop=4, shrinks_to=30),
        Column("actions", drop=3, shrinks_to=24),
    ]
    rows = [
        Row(
            (
                Text(network.name, style="name"),
                Text(network.framework.value, style="quiet"),
                Text(network.default_release, style="quiet"),
                Text(clean(network.purpose)),
                Text(" ".join(network.actions()), style="quiet"),
            )
        )
        for network in networks
    ]
    return laid_out(columns, rows, width, symbols)


def network_lines(network: Network, release: str | None, width: int, symbols: Symbols) -> list[Text]:
    """One network's page: image and command of every action, keys it needs, traps. Raises UserFilesError."""
    actions = network.actions(release)
    contracts = [(name, network.contract(name, release)) for name in actions]
    shown = contracts[0][1].release if contracts else network.default_release
    lines = [
        Text.assemble((clean(network.title), "title"), f"  {clean(network.purpose)}"),
        _fact("network", network.name),
        _fact("framework", network.framework.value),
        _fact("release", shown),
        *_folded_fact("images", network.registry if network.releases else "", width),
        *_folded_fact("releases", " ".join(network.releases), width),
        *_folded_fact("resumes", _RESUMES[_resume_rule(contracts)], width),
    ]
    if network.needs:
        lines += _folded_fact("needs", ", ".join(network.needs), width)
    if network.optional:
        lines += _folded_fact("may have", ", ".join(network.optional), width)
    columns = [
        Column("action"),
        Column("spec", drop=2),
        Column("gpus", drop=1),
        Column("image tag", drop=3, shrinks_to=14),
    ]
    rows = [
        Row(
            (
                Text(name, style="name"),
                Text(_spec_name(contract.spec.stems[0], contract.spec.format) if contract.spec else ""),
                Text(contract.gpu_use.value),
                Text((contract.image or "").rpartition(":")[2], style="quiet"),
                Text(
                    "" if contract.checkpoints.resume.value == "none" else contract.checkpoints.resume.value
                ),
            )
        )
        for name, contract in contracts
    ]
    lines += [Text(), *laid_out(columns, rows, width, symbols)]
    keys = {
        role: key for _, contract in contracts if contract.spec for role, key in contract.spec.keys.items()
    }
    if keys:
        lines += [Text(), *laid_out([Column("spec key for"), Column("key")], _key_rows(keys), width, symbols)]
    traps = list(
        dict.fromkeys([*network.traps, *(trap for _, contract in contracts for trap in contract.traps)])
    )
    if traps:
        lines += [Text(), Text("worth knowing", style="label")]
        for trap in traps:
            first, *more = _folded(clean(trap), width - 4)
            lines += [Text(f"  {symbols.dot} {first}"), *(Text(f"    {line}") for line in more)]
    if network.sources:
        lines += [Text(), *_folded_fact("sources", ", ".join(network.sources), width)]
    return lines


def _metric_lines(run: RunSnapshot, width: int, symbols: Symbols) -> list[Text]:
    columns = [
        Column("metric", shrinks_to=16),
        Column("newest", right=True),
        Column("best", drop=2, right=True),
        Column("at epoch", drop=1, right=True),
    ]
    rows = []
    for name, value in run.metrics.items():
        best = run.best.get(name)
        rows.append(
            Row(
                (
                    Text(clean(name)),
                    Text(number(value)),
                    Text(number(best.value) if best else "", style="best"),
                    Text(str(best.epoch) if best and best.epoch is not None else ""),
                )
            )
        )
    return laid_out(columns, rows, width, symbols)


def _checkpoints(run: RunSnapshot) -> str:
    return f"{run.checkpoints}, the last {clean(run.last_checkpoint or '')}" if run.checkpoints else ""


def _fact(label: str, value: Text | str) -> Text:
    return Text.assemble("  ", (pad(label, 11), "label"), "  ", value)


def _key_rows(keys: dict[str, str]) -> list[Row]:
    return [Row((Text(role.replace("_", " ")), Text(key, style="name"))) for role, key in keys.items()]


def _spec_name(stem: str, format_: str) -> str:
    return f"{stem}.{'yaml' if format_ == 'yaml' else 'txt'}"


def _folded_fact(label: str, value: str, width: int) -> list[Text]:
    """Nothing for an empty value."""
    if not value:
        return []
    first, *more = _folded(value, width - 15)
    return [_fact(label, first), *(Text(" " * 15 + line) for line in more)]


def _folded(text: str, width: int) -> list[str]:
    """At least one line; a word that is longer than ``width`` stays whole."""
    return textwrap.wrap(text, max(20, width), break_long_words=False, break_on_hyphens=False) or [""]


def _resume_rule(contracts: Sequence[tuple[str, Contract]]) -> ResumeRule:
    rules = {name: contract.checkpoints.resume for name, contract in contracts}
    return rules.get("train", ResumeRule.NONE)


def _duration(seconds: float | None) -> str:
    return duration(seconds) if seconds is not None else ""


def _time(at: datetime | None, zone: tzinfo | None) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if at is not None else ""


def _level(level: str) -> str:
    return level if level in ("info", "warning", "error") else "info"
