"""One run on the whole screen: everything that is known of it, or its log."""

from __future__ import annotations

from dataclasses import replace

from rich.text import Text

from taorunner.console.base.cells import fit
from taorunner.console.base.formatting import clean
from taorunner.console.live.log_lines import is_error
from taorunner.console.live.run_view import RunView
from taorunner.console.runs import run_panel, run_rows
from taorunner.console.runs.live_view import keys_line
from taorunner.events import Notice, RunState

KEYS = ("Esc back", "l log", "{arrows} next run", "s stop", "q detach")
LOG_KEYS = ("Esc back", "{arrows} scroll", "End newest", "q detach")


def one_run_lines(view: RunView, width: int, height: int) -> list[Text]:
    """At most ``height`` lines of at most ``width`` cells: state, position, all metrics, GPUs, notices, log lines."""
    view = replace(view, has_all_metrics=True)
    head = _head(view, width)
    body: list[Text] = []
    above: Notice | None = None
    if view.run.state in (RunState.STARTING, RunState.RUNNING):
        body += run_panel.progress_rows(view, width)
        body += run_panel.gpu_rows(view, width, 8)
        body += run_panel.warning_row(view, width)
        above = run_panel.shown_warning(view)
    else:
        body += _why(view, width)
    metrics = _metrics(view, width)
    notices = _notices(view, width, above)
    room = height - 2 - len(body) - 1
    metrics = metrics[: max(0, room - min(room // 3, 6))]
    room -= len(metrics)
    notices = notices[: max(0, min(3, room - 4))]
    room -= len(notices)
    logs = run_panel.log_texts(view, width, max(0, room))
    rule = [Text(view.symbols.edge * width, style="border")] if logs else []
    lines = [head, *body, *metrics, *notices, *rule, *logs][: max(1, height - 1)]
    lines.append(keys_line(KEYS, width, view.symbols))
    return _cut(lines, width, height)


def log_lines(view: RunView, width: int, height: int, scrolled: int = 0) -> list[Text]:
    """The last lines of the log, ``scrolled`` lines above its end, on at most ``height`` lines of ``width`` cells."""
    room = max(1, height - 2)
    lines = list(view.tail)
    end = max(min(len(lines), room), len(lines) - scrolled)
    shown = [
        Text(fit(clean(line), width, view.symbols), style="state.failed" if is_error(line) else "")
        for line in lines[max(0, end - room) : end]
    ]
    head = _head(view, width)
    if not shown:
        shown = [Text("no output yet", style="quiet")]
    below = len(lines) - end
    keys = keys_line(LOG_KEYS, width, view.symbols)
    if below > 0:
        keys = Text.assemble(keys, (f"   {below:,} newer lines below", "quiet"))
    return _cut([head, *shown, keys], width, height)


def scroll_limit(view: RunView, height: int) -> int:
    """By how many lines the log can be scrolled up."""
    return max(0, len(view.tail) - max(1, height - 2))


def _head(view: RunView, width: int) -> Text:
    run = view.run
    symbol, style = run_rows.mark(view)
    labelled = view.label.replace("/", " ").split()  # it has the project or action where names would be alike
    parts = [*(clean(one) for one in (run.project, run.action) if one not in labelled), view.short_id]
    if view.notes.attempt > 1:
        parts.append(f"attempt {view.notes.attempt}")
    dot = f" {view.symbols.dot} "
    head = Text.assemble(
        (f"{symbol} ", style), (clean(view.label), "title"), (dot + dot.join(part for part in parts if part), "quiet"),
        "  ", (run.state.value.lower(), style),
    )  # fmt: skip
    head.truncate(width)
    return head


def _why(view: RunView, width: int) -> list[Text]:
    run = view.run
    facts = [
        ("waiting", run.waiting or ""),
        ("queue", view.notes.queue if run.state is RunState.QUEUED else ""),
        ("reason", run.reason if run.reason and run.state is not RunState.SUCCEEDED else ""),
        ("hint", run.hint or ""),
        ("warning", view.caution.text if view.caution is not None else ""),
    ]
    room = width - run_panel.label_width(view) - 2
    return [
        run_panel.labelled(view, label, Text(fit(clean(text), room, view.symbols)))
        for label, text in facts
        if text
    ]


def _metrics(view: RunView, width: int) -> list[Text]:
    main = view.shown_metrics
    names = [*main, *(name for name in view.run.metrics if name not in main)]
    return run_panel.metric_rows(view, width, names)


def _notices(view: RunView, width: int, above: Notice | None) -> list[Text]:
    """The newest first, without the one that is shown ``above``."""
    newest = [notice for notice in reversed(view.run.notices) if notice.level in ("warning", "error")]
    newest = [notice for notice in newest if above is None or notice.text != above.text]
    return [
        Text(fit(f"{notice.level}: {notice.text}", width, view.symbols), style=f"severity.{notice.level}")
        for notice in newest
    ]


def _cut(lines: list[Text], width: int, height: int) -> list[Text]:
    lines = lines[: max(1, height)]
    for line in lines:
        line.truncate(width)
    return lines
