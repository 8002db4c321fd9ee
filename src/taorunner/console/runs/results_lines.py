"""Renders what runs left: where the results are, the best and the newest checkpoint, models, engines, images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text

from taorunner.console.base.formatting import clean, shown_path
from taorunner.console.base.typed_commands import Place, as_typed
from taorunner.runs.control.ending import Ending
from taorunner.runs.outputs.recorded import BYPRODUCTS, CHECKPOINT, ENTRIES_READ, Output
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.text import amount, size

RUNS_SHOWN = 4
_ROWS = 4


def results_lines(
    runs: Sequence[RunSnapshot],
    ends: Mapping[str, Ending],
    names: Mapping[str, str],
    here: Path,
    place: Place | None = None,
) -> list[Text]:
    """The results of each ended run that left something to use. Paths below ``here`` are relative and never cut, a
    command is for ``place``."""
    lines: list[Text] = []
    shown = 0
    for run in runs:
        ending = ends.get(run.id)
        rows = result_rows(ending) if ending is not None and run.state.is_final else []
        if ending is None or not rows or ending.results.folder is None:
            continue
        shown += 1
        if shown > RUNS_SHOWN:
            continue
        folder = clean(ending.results.there or shown_path(ending.results.folder, here))
        lines.append(Text.assemble("results of ", (names[run.id], "name"), f": {folder}"))
        wide = max(len(label) for label, _ in rows)
        lines += [Text.assemble("  ", (label.ljust(wide), "label"), f"  {text}") for label, text in rows]
    if shown > RUNS_SHOWN:
        command = as_typed("taorunner runs show RUN", place)
        lines.append(Text(f"results of {amount(shown - RUNS_SHOWN, 'more run')}: {command}", style="quiet"))
    return lines


def result_rows(ending: Ending) -> list[tuple[str, str]]:
    """``(label, text)``: the best and the newest checkpoint, then what else is of use, largest kinds first."""
    rows = []
    best, newest = ending.best, ending.newest
    if best is not None:
        is_newest = best == newest
        rows.append(("best", _checkpoint(best, ending.counts_from, "the newest" if is_newest else None)))
    if newest is not None and newest != best:
        rows.append(("newest", clean(newest.path.name)))
    useful = [one for one in ending.results.outputs if one.kind not in {CHECKPOINT, *BYPRODUCTS}]
    rows += [(one.kind, output_text(one)) for one in useful[:_ROWS]]
    if len(useful) > _ROWS:
        rows.append(("", f"and {len(useful) - _ROWS} more"))
    return rows


def output_text(output: Output) -> str:
    """``model.onnx  84.0 MiB``, ``images_annotated  482 files, 96.2 MiB``."""
    count = f"{amount(output.files, 'file')}, " if output.files is not None else ""
    if output.files is not None and output.files >= ENTRIES_READ:
        count = f"at least {count}"
    return f"{clean(output.path.name)}  {count}{size(output.bytes)}"


def _checkpoint(output: Output, counts_from: int, more: str | None) -> str:
    """With its epoch from 1, and a word where TAO counts from 0."""
    facts = [f"epoch {output.epoch}"] if output.epoch is not None else []
    if more is not None:
        facts[-1:] = [", ".join((*facts[-1:], more))]
    if counts_from == 0 and output.epoch is not None:
        facts.append("TAO counts from 0")
    name = clean(output.path.name)
    return f"{name} ({'; '.join(facts)})" if facts else name
