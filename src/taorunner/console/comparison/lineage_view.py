"""``runs lineage``: the tree of a run, with accuracy and size at each stage."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean, metric_label, number
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import (
    LEAST_WIDTH,
    Symbols,
    make_console,
    state_style,
    symbols_of,
    width_in_pipes,
)
from taorunner.events import RunState
from taorunner.runs.lineage.links import Link, Match
from taorunner.runs.lineage.tree import Node
from taorunner.runs.state.lookup.short_ids import short_ids
from taorunner.runs.state.store import RunStore
from taorunner.text import size

_DIGEST = 6
_PRETRAINED = "repositories/"


def print_lineage(store: RunStore, nodes: Sequence[Node], run: str, *, json: bool) -> None:
    """``run`` is the one that was asked for."""
    named = [link.run for node in nodes for link in node.stage.links if link.run is not None]
    ids = short_ids([*(node.record.id for node in nodes), *named], store.folder_names())
    if json:
        body = {
            "run": run,
            "root": nodes[0].record.id,
            "stages": [one.to_json(ids[one.record.id]) for one in nodes],
        }
        write_json(body, sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    width = max(LEAST_WIDTH, console.width) if console.is_terminal else width_in_pipes(os.environ)
    for line in lineage_lines(nodes, run, ids, width, symbols_of(console)):
        console.print(line, soft_wrap=True)


def lineage_lines(
    nodes: Sequence[Node], run: str, ids: Mapping[str, str], width: int, symbols: Symbols
) -> list[Text]:
    """Above the root what it was made from, where no run on record made it."""
    columns = [
        Column(""), Column("experiment", drop=2, shrinks_to=10), Column("accuracy"),
        Column("made", drop=3, shrinks_to=14), Column("size", drop=4, right=True),
        Column("from", drop=1, shrinks_to=16),
    ]  # fmt: skip
    rows = [_row(node, node.record.id == run, ids, symbols) for node in nodes]
    return [*_origin(nodes[0], ids, symbols), *laid_out(columns, rows, width, symbols)]


def _origin(root: Node, ids: Mapping[str, str], symbols: Symbols) -> list[Text]:
    """What the root was made from: files that no run on record made, and data that a conversion made."""
    lines = []
    for link in root.stage.links:
        if link.is_data:
            why = f"data, by {ids[link.run]}" if link.run is not None else ""
        elif link.run is None or link.run not in ids:
            why = "pretrained" if link.path.startswith(_PRETRAINED) else "no run on record made it"
        else:
            continue
        lines.append(Text.assemble(f"{symbols.dot} {_file(link)}", (f"  {why}", "quiet")))
    return lines


def _row(node: Node, is_asked: bool, ids: Mapping[str, str], symbols: Symbols) -> Row:
    record = node.record
    head = Text.assemble(
        _branches(node.lasts, symbols),
        (f"{symbols.states[record.state]} ", state_style(record.state)),
        (f"{clean(record.action)} {ids[record.id]}", "title" if is_asked else ""),
    )
    if record.state is not RunState.SUCCEEDED:
        head.append(f" {record.state.value.lower()}", style=state_style(record.state))
    at = f" at {node.epoch}" if node.epoch is not None else ""
    accuracy = (
        f"{clean(metric_label(node.metric or ''))} {number(node.value)}{at}" if node.value is not None else ""
    )
    made = node.made
    return Row((
        head, Text(clean(record.experiment)), Text(accuracy), Text(clean(made.path.name) if made is not None else ""),
        Text(size(made.bytes) if made is not None else ""), Text(_from(node, ids)),
    ))  # fmt: skip


def _branches(lasts: Sequence[bool], symbols: Symbols) -> str:
    down, through, end, none = (
        ("│  ", "├─ ", "└─ ", "   ") if symbols.is_unicode else ("|  ", "|- ", "`- ", "   ")
    )
    if not lasts:
        return ""
    return "".join(none if last else down for last in lasts[:-1]) + (end if lasts[-1] else through)


def _from(node: Node, ids: Mapping[str, str]) -> str:
    """The file by which it hangs on its parent, and what else it was made from."""
    main = node.stage.main_link
    parts = [_linked(main)] if main is not None and node.lasts else []
    for link in node.others if node.lasts else ():
        of = f" of {ids[link.run]}" if link.run is not None else ""
        parts.append(f"also {_file(link)}{of}")
    return ", ".join(part for part in parts if part)


def _linked(link: Link) -> str:
    if link.match is Match.RESUMED and not link.path:
        return "resumed"
    changed = " (changed since)" if link.match is Match.CHANGED else ""
    return f"{_file(link)}{changed}"


def _file(link: Link) -> str:
    """``model_epoch_030.pth 9a129a``"""
    digest = f" {link.sha256[:_DIGEST]}" if link.sha256 else ""
    return f"{clean(link.path.rpartition('/')[2])}{digest}"
