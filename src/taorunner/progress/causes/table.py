"""Finds the known cause in a text.

The rows are in the other modules of this folder, best explanation first; the tables are used in the order below. To add
a cause, add a row to the table of its subject: needles, one of which every match contains (a test compares both), a
reason (lower case, no full stop) and the next step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from taorunner.progress.causes.annotations import ANNOTATIONS
from taorunner.progress.causes.cause import Cause, Place, SeenCause, Weight
from taorunner.progress.causes.data import DATA
from taorunner.progress.causes.files import FILES
from taorunner.progress.causes.gpu import GPU
from taorunner.progress.causes.kinds import CALLS, KINDS
from taorunner.progress.causes.machine import MACHINE
from taorunner.progress.causes.model import MODEL
from taorunner.progress.causes.network import NETWORK
from taorunner.progress.causes.peers import PEERS
from taorunner.progress.causes.programs.cluster import CLUSTER
from taorunner.progress.causes.programs.distributed import DISTRIBUTED
from taorunner.progress.causes.programs.geometry import GEOMETRY
from taorunner.progress.causes.programs.lightning import LIGHTNING, LIGHTNING_IN_GENERAL
from taorunner.progress.causes.programs.measures import MEASURES, MEASURES_IN_GENERAL
from taorunner.progress.causes.programs.pytorch import PYTORCH, UNPICKLED
from taorunner.progress.causes.programs.tensorflow import TENSORFLOW, TENSORFLOW_IN_GENERAL
from taorunner.progress.causes.spec import SPEC
from taorunner.progress.causes.tensorrt import TENSORRT
from taorunner.progress.causes.weights import WEIGHTS
from taorunner.progress.causes.where import AROUND, WHERE
from taorunner.values.value import replace

NOT_KNOWN = "no cause known, to try: "
"""Begins the hints of rows that only say where something failed, or of which kind it is."""


def _unknown(rows: Iterable[Cause]) -> tuple[Cause, ...]:
    return tuple(replace(row, hint=NOT_KNOWN + row.hint) for row in rows)


CAUSES: tuple[Cause, ...] = (
    *UNPICKLED, *MACHINE, *DISTRIBUTED, *PYTORCH, *GPU, *CLUSTER, *LIGHTNING, *TENSORFLOW, *SPEC, *WEIGHTS, *TENSORRT,
    *NETWORK, *ANNOTATIONS, *GEOMETRY, *MEASURES, *DATA, *MODEL, *FILES, *PEERS, *CALLS, *LIGHTNING_IN_GENERAL,
    *TENSORFLOW_IN_GENERAL, *_unknown((*MEASURES_IN_GENERAL, *WHERE, *KINDS)),
)  # fmt: skip

_SCAN_LIMIT = 4096
_PLACEHOLDER = r"\{\w+\}"
_HARMLESS = re.compile(
    r"[Tt]elemetry|indicates that this is not a failure|_IncompatibleKeys|[Mm]atplotlib|MPLCONFIGDIR"
    r"|\bwandb\b(?![^\n]{0,60}api_key)"
    r"|srun: error: \S{1,80}: tasks? [\d,-]{1,40}: Exited with exit code"
    r"|dso_loader\.cc|Unable to register cu(?:FFT|DNN|BLAS) factory|SHMEM allocation limit"
)
"""Printed by successful runs. Source: tao/tensorflow.md section 2.3 (telemetry); public logs."""


def find_cause(
    text: str,
    epoch: int | None = None,
    place: Place = Place.LINE,
    frame: str = "",
    outer: Iterable[str] = (),
) -> SeenCause | None:
    """The best known cause in a text, or None.

    ``text`` is one line, or an exception with its detail lines. ``epoch`` is the epoch in which it was printed,
    ``frame`` the innermost frame of a traceback, ``outer`` those around it, the nearest first.
    """
    text = text[:_SCAN_LIMIT]
    if place is not Place.EXCEPTION and is_harmless(text):
        return None
    seen = _first(_BEFORE_KINDS, text, frame)
    for around in () if seen else outer:
        seen = seen or _first(_AROUND, text, around)
    if seen is None and place is not Place.HOLLOW:  # what points to another text is of no kind
        seen = _first(_KINDS, text, frame)
    return None if seen is None else replace(seen, epoch=epoch, place=place)


_RANKED = tuple(enumerate(CAUSES))
_BEFORE_KINDS = _RANKED[: -len(KINDS)]
_KINDS = _RANKED[-len(KINDS) :]
_AROUND = _BEFORE_KINDS[-len(AROUND) :]


def _first(rows: Iterable[tuple[int, Cause]], text: str, frame: str) -> SeenCause | None:
    """The first row that fits the text and the frame."""
    for rank, cause in rows:
        if not any(needle in text for needle in cause.needles):
            continue
        framed = re.search(cause.frame, frame[:_SCAN_LIMIT], re.ASCII) if cause.frame else None
        if cause.frame and framed is None:
            continue
        if match := re.search(
            cause.pattern, text, re.ASCII
        ):  # compiled only after one of its needles was found
            groups = {**(framed.groupdict() if framed else {}), **match.groupdict()}
            path = groups.get("path") or (groups.get("bare") or "").rstrip(".") or None
            return SeenCause(cause, rank, path, groups.get("what"), groups.get("line"))
    return None


def cause_with_reason(reason: str) -> Cause | None:
    """The known cause whose reason begins ``reason``, as ``SeenCause.reason`` filled it; the longest one that fits."""
    found = [cause for cause in CAUSES if re.match(_as_pattern(cause.reason), reason[:_SCAN_LIMIT])]
    return max(found, key=lambda cause: len(re.sub(_PLACEHOLDER, "", cause.reason)), default=None)


def _as_pattern(template: str) -> str:
    """A pattern for the filled template. Blanks and signs at a placeholder may be missing."""
    parts = re.split(_PLACEHOLDER, template.strip(" :."))
    return ".*?".join(re.escape(part.strip(" :.")) for part in parts)


def is_harmless(text: str) -> bool:
    """True for a line that is never a cause."""
    return _HARMLESS.search(text) is not None


__all__ = ["CAUSES", "Cause", "Place", "SeenCause", "Weight", "find_cause", "is_harmless"]
