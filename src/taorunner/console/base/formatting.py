"""Formats text and numbers for every view, without a terminal library.

Text from logs, files and names goes through ``clean`` before it is shown, so that it cannot control the terminal and
its width is known.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from taorunner.text import SIZE_UNITS, amount, printable
from taorunner.text import size as size_text

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from taorunner.planning.model.looked_at import LookedAt

_ESCAPES = r"(?s)\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|.)"
_CONSIDERED = 2000
"""A longer line is cut here: no terminal is that wide."""
_MOST_PROJECTS = 12
NO_PROBLEMS = "no problems"
NO_PROJECT = "no project yet: taorunner init-project NAME makes one"


def clean(text: str) -> str:
    """One line without escape sequences or control characters; tabs and line ends become blanks."""
    text = text[:_CONSIDERED]
    if "\x1b" in text:  # few texts have one, and compiling the pattern takes time
        text = re.sub(_ESCAPES, "", text)
    return printable(" ".join(text.expandtabs(4).splitlines()))


def number(value: float) -> str:
    """Four decimals up to 1, else four significant digits: ``0.4312``, ``1.0000``, ``12.35``, ``1.20e-05``, ``nan``."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 1e3 and size < 1e6 and value == int(value):
        return str(int(value))
    if 0 < size < 1e-3 or size >= 1e6:
        return f"{value:.2e}"
    return f"{value:.4f}" if size <= 1 else f"{value:#.4g}".rstrip(".")


def beside_success(reason: str) -> str:
    """The reason of a success without what the state and the number of epochs say: ``320 records in 4 files``,
    ``after 3 of 5 epochs``, mostly nothing."""
    rest = reason.removeprefix("finished").lstrip(": ")
    return "" if rest[:1].isdecimal() and rest.endswith((" epoch", " epochs")) else rest


def metric_label(name: str) -> str:
    """The metric's name; ``mean average precision`` is shortened to ``mAP``."""
    return name.replace("mean average precision", "mAP")


def of(done: int | None, total: int | None) -> str:
    """``12/80``, ``12`` when the total is unknown, an empty string when both are."""
    if done is None:
        return ""
    return f"{done}/{total}" if total is not None else str(done)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def age(at: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """``42s ago``, ``3m ago``, ``5h ago``; from a day on ``Nov 27``, of another year ``2025-11-27``.

    Dates are those of ``zone``, the machine's by default. A time after ``now`` (a clock set back) is ``0s ago``.
    """
    seconds = max(0, int((now - at).total_seconds()))
    if seconds < 60:
        return f"{seconds}s ago"
    if seconds < 3600:
        return f"{seconds // 60}m ago"
    if seconds < 86_400:
        return f"{seconds // 3600}h ago"
    local = at.astimezone(zone)
    if local.year == now.astimezone(zone).year:
        return f"{_MONTHS[local.month - 1]} {local.day}"
    return f"{local:%Y-%m-%d}"


def minute(at: datetime, zone: tzinfo | None = None) -> str:
    """``2026-11-28 22:22`` in ``zone``, the machine's by default."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def used_of(used_bytes: float, total_bytes: float) -> str:
    """
    >>> used_of(31.2 * 2**30, 80 * 2**30)
    '31.2 of 80.0 GiB'
    """
    total = size_text(total_bytes)
    unit = total.partition(" ")[2]
    scale = 1024.0 ** SIZE_UNITS.index(unit)
    return f"{max(0.0, used_bytes) / scale:.{0 if unit == 'B' else 1}f} of {total}"


def shown_path(path: Path, here: Path) -> str:
    """The path from ``here``; one that lies elsewhere begins with ``~/``, or at the root."""
    if path.is_absolute():
        for folder, start in _starts(here):
            if path.is_relative_to(folder):
                return clean(f"{start}{path.relative_to(folder)}")
    return clean(str(path))


def shown_paths(text: str, here: Path, *, home: bool = True) -> str:
    """``text`` with the absolute paths in it as ``shown_path`` writes them. Without ``home`` only those below ``here``
    change: a shell does not expand ``~`` in quotes."""
    for folder, start in _starts(here):
        if f"{folder}/" in text and (home or not start):
            text = re.sub(rf"(?<![\w./~-]){re.escape(str(folder))}/(?=[^\s/])", start, text)
    return text


def _starts(here: Path) -> list[tuple[Path, str]]:
    """The folders that need not be named. The root is none of them."""
    home = os.path.expanduser("~")  # noqa: PTH111 (never raises)
    found = ((here, ""), (Path(home), "~/"))
    return [(folder, start) for folder, start in found if folder.is_absolute() and folder != folder.parent]


def made_lines(files: Sequence[Path], here: Path) -> list[str]:
    """``made projects/p/specs/e/{convert,train}.txt``: the files of one folder in one line, equal suffixes together."""
    groups: dict[tuple[Path, str], list[str]] = {}
    for file in files:
        groups.setdefault((file.parent, file.suffix), []).append(file.stem)
    lines = []
    for (folder, suffix), stems in groups.items():
        name = stems[0] if len(stems) == 1 else f"{{{','.join(stems)}}}"
        lines.append(f"made {shown_path(folder / f'{name}{suffix}', here)}")
    return lines


def fill_in_text(lines: Mapping[Path, Sequence[int]]) -> str:
    """``fill in: experiments.yml line 21, train.yaml lines 49, 67 (taorunner validate shows them)``."""
    each = (
        f"{path.name} {'line' if len(numbers) == 1 else 'lines'} {', '.join(map(str, numbers))}"
        for path, numbers in lines.items()
    )
    return f"fill in: {', '.join(each)} (taorunner validate shows them)"


def looked_at_lines(projects: Sequence[LookedAt]) -> list[str]:
    """``parts: 2 experiments, 2 specs, 1 dataset (2,412 images, all checked)``, a line for each project; of more than
    ``_MOST_PROJECTS`` one line with the sums."""
    if len(projects) <= _MOST_PROJECTS:
        return [
            f"{one.project}: {_looked_at(one.experiments, one.specs, one.images, one.sweeps)}"
            for one in projects
        ]
    experiments, specs = sum(one.experiments for one in projects), sum(one.specs for one in projects)
    images = [count for one in projects for count in one.images]
    sweeps = sum(one.sweeps for one in projects)
    return [f"{len(projects)} projects: {_looked_at(experiments, specs, images, sweeps)}"]


def _looked_at(experiments: int, specs: int, images: Sequence[int | None], sweeps: int) -> str:
    parts = [amount(experiments, "experiment"), amount(specs, "spec")]
    if images:
        counted = [count for count in images if count is not None]
        are_all = ", all" if len(counted) == len(images) else ""
        which = f" ({amount(sum(counted), 'image')}{are_all} checked)" if counted else ""
        parts.append(amount(len(images), "dataset") + which)
    if sweeps:
        parts.append(amount(sweeps, "sweep"))
    return ", ".join(parts)
