"""The table of clusters, the page of one, and the lines of its check."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean, shown_path
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console, symbols_of
from taorunner.errors import Finding, Severity
from taorunner.project.clusters.cluster_file import Cluster
from taorunner.text import amount, duration, size

_WIDTH_IN_PIPES, _LEAST_LABEL = 100_000, 16
_EVERY_S, _EVERY_IN_PIPES_S = 0.3, 60.0


def cluster_json(cluster: Cluster) -> dict[str, Any]:
    """The shape ``clusters``."""
    limits = cluster.limits
    return {
        "name": cluster.name,
        "backend": cluster.backend,
        "host": cluster.host,
        "file": str(cluster.file),
        "line": cluster.line,
        "settings": dict(cluster.settings),
        "nodes": limits.nodes,
        "cpus": limits.cpus,
        "memory_bytes": limits.memory_bytes,
        "time_s": limits.time_s,
    }


def print_clusters(clusters: Sequence[Cluster], *, json: bool) -> None:
    """One line each: name, backend, where its commands run, and where it is written."""
    if json:
        write_json([cluster_json(cluster) for cluster in clusters], sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    rows = [
        Row((Text(one.name, "name"), Text(one.backend), Text(_where(one)), Text(_written(one))))
        for one in clusters
    ]
    columns = [Column("name"), Column("backend"), Column("where"), Column("defined in")]
    width = console.width if console.is_terminal else _WIDTH_IN_PIPES
    console.print(Text("\n").join(laid_out(columns, rows, width, symbols_of(console))), soft_wrap=True)


def print_cluster(cluster: Cluster, *, json: bool) -> None:
    """Everything that its entry says."""
    if json:
        write_json([cluster_json(cluster)], sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    limits = cluster.limits
    facts = [
        ("name", cluster.name),
        ("backend", cluster.backend),
        ("where", _where(cluster)),
        ("defined in", _written(cluster)),
        ("nodes", str(limits.nodes or "")),
        ("cpus", str(limits.cpus or "")),
        ("memory", size(limits.memory_bytes) if limits.memory_bytes is not None else ""),
        ("time", duration(limits.time_s) if limits.time_s is not None else ""),
    ]
    known = {label for label, _ in facts}
    facts += [(key, _value(value)) for key, value in cluster.settings.items() if key not in known]
    shown = [(label, value) for label, value in facts if value]
    wide = max(_LEAST_LABEL, *(len(label) for label, _ in shown))
    for label, value in shown:
        console.print(Text.assemble((f"{label:<{wide}} ", "quiet"), clean(value)), soft_wrap=True)


def verdict_text(name: str, findings: Sequence[Finding]) -> str:
    """The last line of a check."""
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    warnings = sum(finding.severity is Severity.WARNING for finding in findings)
    counts = [amount(count, word) for count, word in ((errors, "error"), (warnings, "warning")) if count]
    if errors:
        return f"{', '.join(counts)}; a run with --cluster {name} would not start"
    return f"{', '.join(counts)}; {name} can be used" if counts else f"{name} can be used"


class CopyProgress:
    """How far a copy is: one line that changes on a terminal, in a pipe a line a minute. To standard error.

    ``clock`` gives seconds.
    """

    def __init__(
        self,
        total_bytes: int,
        stream: TextIO,
        *,
        is_quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._stream, self._clock = total_bytes, stream, clock
        self._is_quiet, self._is_terminal = is_quiet, stream.isatty()
        self._began_s = self._shown_s = clock()
        self._wide = 0

    def report(self, copied_bytes: int) -> None:
        now_s = self._clock()
        if self._is_quiet or now_s - self._shown_s < (_EVERY_S if self._is_terminal else _EVERY_IN_PIPES_S):
            return
        self._shown_s = now_s
        text = self._text(copied_bytes, now_s - self._began_s)
        if self._is_terminal:
            self._stream.write("\r" + text.ljust(self._wide))
            self._wide = len(text)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def end(self) -> None:
        """Removes the line."""
        if self._wide:
            self._stream.write("\r" + " " * self._wide + "\r")
            self._stream.flush()
            self._wide = 0

    def _text(self, copied: int, seconds: float) -> str:
        share = f" ({copied * 100 // self._total} %)" if self._total else ""
        text = f"{size(copied)} of {size(self._total)}{share}"
        if seconds < 1 or not copied:
            return text
        speed = copied / seconds
        return f"{text}, {size(int(speed))}/s, {duration(max(0, self._total - copied) / speed)} left"


def _where(cluster: Cluster) -> str:
    """The machine that takes the commands, or what of a program's own configuration names the place."""
    if cluster.host is not None:
        return f"ssh {cluster.host}"
    if "context" in cluster.target.settings:
        named = cluster.settings.get("context")
        return f"context {named}" if named else "the current context"
    return "this machine"


def _written(cluster: Cluster) -> str:
    return f"{shown_path(cluster.file, Path.cwd())}:{cluster.line}" if cluster.file is not None else ""


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_value(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
