"""Runs as a table, one line per run: styled on a terminal, elsewhere without importing rich.

``ps`` and ``runs list`` have the same columns in another order of importance. What does not fit is left out in this
order: columns, the middle of long names, more columns, then more of the names. Never left out: id, experiment, state
and best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo

from taorunner.console.base.columns import Column, Row, cut, laid_out, laid_out_plainly
from taorunner.console.base.formatting import age, beside_success, clean, metric_label, minute, number, of
from taorunner.console.base.theme import Symbols, state_style
from taorunner.events import RunState
from taorunner.runs.state.metric_names import kpi_name, loss_name
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.text import duration

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from rich.text import Text

_Cell = tuple[tuple[str, str], ...]
"""Pieces of text, each with its style."""

_NAME, _TEXT = 20, 18
"""The width that names and other texts keep until the first columns are left out."""
_LEAST_NAME, _LEAST_TEXT = 8, 8
_NO_TEXTS: Mapping[str, str] = {}
_NO_TIMES: Mapping[str, datetime] = {}


class RunColumns:
    """``first`` are left out in this order before names are cut, ``then`` afterwards. ``exact`` are the columns with
    which there is room for whole times instead of ages.

    No dataclass: making one at import takes longer than the table.
    """

    __slots__ = ("exact", "first", "then", "titles")

    def __init__(
        self, titles: tuple[str, ...], first: tuple[str, ...], then: tuple[str, ...], exact: tuple[str, ...]
    ) -> None:
        self.titles, self.first, self.then, self.exact = titles, first, then, exact


LIST = RunColumns(
    ("run", "project", "experiment", "action", "state", "epochs", "best", "duration", "where", "started", "backend",
     "image"),
    first=("image", "backend", "where", "duration", "epochs"), then=("started", "action", "project"),
    exact=("where", "duration", "epochs"),
)  # fmt: skip
"""``runs list``."""
LIVE = RunColumns(
    ("run", "project", "experiment", "action", "state", "epoch", "left", "where", "best", "duration", "started",
     "backend", "image"),
    first=("image", "backend", "started", "duration", "best"), then=("action", "where", "left", "epoch", "project"),
    exact=("duration", "best", "started"),
)  # fmt: skip
"""``ps``."""
_RIGHT = ("epoch", "epochs", "left", "duration")
_ELASTIC = {"experiment": _LEAST_NAME, "project": _LEAST_NAME, "best": _LEAST_TEXT, "where": _LEAST_TEXT}


class TableFacts:
    """What a table shows besides the snapshots, by run id: ``short_ids``, and ``where`` a run is or what it waits for.

    ``at`` are times for runs whose events have none, ``made`` the name of what a run without a metric made. ``zone`` is
    the machine's by default. No dataclass, as above.
    """

    __slots__ = ("at", "made", "short_ids", "where", "zone")

    def __init__(
        self,
        short_ids: Mapping[str, str] = _NO_TEXTS,
        where: Mapping[str, str] = _NO_TEXTS,
        at: Mapping[str, datetime] = _NO_TIMES,
        zone: tzinfo | None = None,
        made: Mapping[str, str] = _NO_TEXTS,
    ) -> None:
        self.short_ids, self.where, self.at, self.zone, self.made = short_ids, where, at, zone, made


def run_lines(
    snapshots: Sequence[RunSnapshot], width: int, symbols: Symbols, now: datetime, columns: RunColumns = LIST,
    facts: TableFacts | None = None,
) -> list[Text]:  # fmt: skip
    """One line per run, in the given order, none wider than ``width`` cells."""
    from rich.cells import cell_len
    from rich.text import Text

    table = _Table(snapshots, now, facts or TableFacts())
    shown, rows = table.fitted(width, symbols, columns, cell_len)
    texts = [Row(tuple(Text.assemble(*cell) for cell in row)) for row in rows]
    return laid_out(shown, texts, width, symbols)


def plain_run_lines(
    snapshots: Sequence[RunSnapshot], width: int, symbols: Symbols, now: datetime, columns: RunColumns = LIST,
    facts: TableFacts | None = None,
) -> list[str] | None:  # fmt: skip
    """The same lines without styles; None when a text has characters whose width only rich knows."""
    table = _Table(snapshots, now, facts or TableFacts())
    if not all(_text(cell).isascii() for row in table.rows for cell in row.values()):
        return None
    shown, rows = table.fitted(width, symbols, columns, len)
    return laid_out_plainly(shown, [[_text(cell) for cell in row] for row in rows], width, symbols)


class _Table:
    """The cells of every column, by its title; those of the first column depend on the encoding."""

    def __init__(self, snapshots: Sequence[RunSnapshot], now: datetime, facts: TableFacts) -> None:
        several = len({run.project for run in snapshots if run.project}) > 1
        self._snapshots, self._now, self._facts = snapshots, now, facts
        self.rows = [_cells(run, now, facts, several=several) for run in snapshots]

    def fitted(
        self, width: int, symbols: Symbols, columns: RunColumns, measure: Callable[[str], int]
    ) -> tuple[list[Column], list[list[_Cell]]]:
        """The columns that are shown, and their cells, cut to fit."""
        widths = _widths(self.rows, columns, width, measure)
        if any(title not in widths and self._has(title) for title in columns.exact):
            for run, row in zip(self._snapshots, self.rows, strict=True):
                row["started"] = ((_started(run, self._facts, self._now, is_exact=False), ""),)
            widths = _widths(self.rows, columns, width, measure)
        signs = [((symbols.states[run.state], state_style(run.state)),) for run in self._snapshots]
        cells = [
            [sign, *(_cut(row[title], title, widths[title], symbols, measure) for title in widths if title)]
            for sign, row in zip(signs, self.rows, strict=True)
        ]
        heads = {title: cut(title, widths[title], symbols.ellipsis) for title in widths}
        return [Column(heads[title], right=title in _RIGHT) for title in widths], cells

    def _has(self, title: str) -> bool:
        return any(_text(row[title]) for row in self.rows)


def _widths(
    rows: Sequence[Mapping[str, _Cell]], columns: RunColumns, width: int, measure: Callable[[str], int]
) -> dict[str, int]:
    """The width of each column that is shown, by its title and in its order."""
    whole = {"": 1}
    for title in columns.titles:
        widest = max((measure(_text(row[title])) for row in rows), default=0)
        if widest:
            whole[title] = max(len(title), widest)
    wanted = dict(whole)
    for title in ("best", "where"):
        if title in wanted:
            least = [measure(_text(row[title])) for row in rows if _is_metric(row[title])]
            wanted[title] = max([len(title), min(_TEXT, whole[title]), *least])
    _leave_out(columns.first, wanted, width)
    _shrink({"experiment": _NAME, "project": _NAME}, wanted, width)
    early = columns.then[: columns.then.index("action")]
    _leave_out(early, wanted, width)
    _shrink({"best": _TEXT}, wanted, width)  # its epoch goes before the action
    _leave_out(columns.then[len(early) :], wanted, width)
    _shrink(_ELASTIC, wanted, width)
    for title in ("best", "where"):
        if title in wanted:
            wanted[title] += max(0, min(whole[title] - wanted[title], width - _total(wanted)))
    return wanted


def _leave_out(titles: Sequence[str], widths: dict[str, int], width: int) -> None:
    for title in titles:
        if _total(widths) > width:
            widths.pop(title, None)


def _shrink(least: Mapping[str, int], widths: dict[str, int], width: int) -> None:
    """The widest ones first."""
    for _ in range(_total(widths) - width):
        able = [title for title in widths if widths[title] > least.get(title, widths[title])]
        if not able:
            return
        widths[max(able, key=lambda title: widths[title])] -= 1


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + 2 * (len(widths) - 1)


def _cut(cell: _Cell, title: str, width: int, symbols: Symbols, measure: Callable[[str], int]) -> _Cell:
    if title not in _ELASTIC or measure(_text(cell)) <= width:
        return cell
    if not _is_metric(cell):
        is_name = title in ("experiment", "project") or " " not in _text(cell)  # of a file, its end says most
        text = cut(_text(cell), width, symbols.ellipsis, measure, middle=is_name)
        return ((text, cell[0][1]),)
    (name, _), value, *_ = cell  # the epoch is left out, then the middle of the name; never a digit
    room = width - measure(value[0])
    if room >= measure(name):
        return ((name, ""), value)
    if room < 2:
        return (value,)
    short = cut(name.rstrip(), room - 1, symbols.ellipsis, measure, middle=True)
    return ((f"{short} ", ""), value)


def _cells(run: RunSnapshot, now: datetime, facts: TableFacts, *, several: bool) -> dict[str, _Cell]:
    epoch = of(run.epoch, run.epochs)
    texts = {
        "project": clean(run.project) if several else "", "action": clean(run.action), "epoch": epoch, "epochs": epoch,
        "left": _duration(run.eta_s(now)), "duration": _duration(run.elapsed_s(now)),
        "where": clean(facts.where.get(run.id, "")), "started": _started(run, facts, now, is_exact=True),
        "backend": clean(run.backend), "image": clean(run.image or ""),
    }  # fmt: skip
    return {
        "run": ((clean(facts.short_ids.get(run.id, run.id)), ""),),
        "experiment": ((clean(run.experiment), "name"),),
        "state": ((run.state.value.lower(), state_style(run.state)),),
        "best": _best(run, facts.made.get(run.id, "")),
        **{title: ((text, ""),) for title, text in texts.items()},
    }


def _best(run: RunSnapshot, made: str) -> _Cell:
    """The main metric at its best, else what came out, else the reason."""
    name = kpi_name(run.best, run.judged) or loss_name(run.best)
    if name is not None:
        best = run.best[name]
        at = f" at {best.epoch}" if best.epoch is not None else ""
        return (f"{clean(metric_label(name))} ", ""), (number(best.value), "best"), (at, "")
    if run.state is RunState.SUCCEEDED and run.last_checkpoint:
        return ((clean(run.last_checkpoint.rstrip("/").rpartition("/")[2]), ""),)
    reason = clean(run.reason or "") if run.state.is_final or run.state is RunState.DAMAGED else ""
    return ((beside_success(reason) or clean(made) if run.state is RunState.SUCCEEDED else reason, ""),)


def _is_metric(cell: _Cell) -> bool:
    return len(cell) > 1


def _started(run: RunSnapshot, facts: TableFacts, now: datetime, *, is_exact: bool) -> str:
    """Also of a run that ended before it started; empty while it has not started."""
    at = run.started_at or (run.queued_at if run.state.is_final else None) or facts.at.get(run.id)
    if at is None:
        return ""
    return minute(at, facts.zone) if is_exact else age(at, now, facts.zone)


def _text(cell: _Cell) -> str:
    return "".join(text for text, _ in cell)


def _duration(seconds: float | None) -> str:
    return duration(seconds) if seconds is not None else ""
