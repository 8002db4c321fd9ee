"""The types of known causes: their weight, and the place where one was seen.

The tables of this folder consist of ``row``s; ``table.find_cause`` compares a text with all of them.
"""

from __future__ import annotations

from enum import IntEnum

from taorunner.values.value import Value

LAST_LINES_HINT = "look at the last lines of the log"
"""Of failures that are not explained. Views that show those lines leave it out."""


class Weight(IntEnum):
    """The kind of fact behind a row. The verdict takes the strongest (the lowest) first."""

    MACHINE = 1
    """A fact of kernel, GPU or scheduler. It outranks everything that the task prints."""
    RESOURCE = 2
    """Memory, shared memory or disk ran out."""
    ASSERTION = 3
    """A failed assertion on the GPU."""
    SPECIFIC = 4
    GENERAL = 5
    """Rewords an exception."""
    PEERS = 6
    """A consequence of another failed process: NCCL, Horovod, mpirun."""
    SIGNAL = 7
    BACKGROUND = 8
    """Also printed by good runs. Counts only when the exception itself is uninformative."""


class Place(IntEnum):
    """Where a text was seen."""

    EXCEPTION = 1
    """In the exception that ended the run, or in its detail lines."""
    TOOL_ERROR = 2
    """A line that a tool marks as its error: ``[TRT] [E]``, ``- ERROR -``."""
    LOGGED_ERROR = 3
    """Marked as an error by the logger of a library, which also marks harmless messages."""
    LINE = 4
    STATUS = 5
    """In a message of status.json."""
    WARNING = 6
    HOLLOW = 7
    """In an exception that only refers to another one."""


class Cause(Value):
    """``pattern`` is searched in a text; its groups ``path`` (or ``bare``), ``what`` and ``line`` fill the
    placeholders of the same name. Placeholders that are empty when unknown: ``{at_epoch}`` (" at epoch 3"),
    ``{at_line}`` (" (line 3)"), ``{on_path}`` (' on "/x"'), ``{of_path}`` (': "/x"'), ``{at_path}`` (' at "a.b"'),
    ``{batch_key}`` (the spec's name of the batch size); ``{host}`` is a name in quotes or "the network".
    ``path`` is a path in the container. ``frame``, if given, must be found in the innermost frame of the traceback; its
    groups count too.
    """

    code: str
    needles: tuple[str, ...]
    pattern: str
    reason: str
    hint: str
    weight: Weight = Weight.SPECIFIC
    frame: str = ""


class SeenCause(Value):
    """``rank`` is the row's position in the table. Of two equal causes, the lower rank explains more."""

    cause: Cause
    rank: int
    path: str | None = None
    what: str | None = None
    line: str | None = None
    epoch: int | None = None
    place: Place = Place.LINE

    def reason(self) -> str:
        return self._fill(self.cause.reason)

    def hint(self, batch_key: str | None = None) -> str:
        return self._fill(self.cause.hint, batch_key)

    def _fill(self, template: str, batch_key: str | None = None) -> str:
        filled = template.format(
            path=self.path or "",
            what=self.what or "",
            host=f'"{self.what}"' if self.what else "the network",
            at_line=f" (line {self.line})" if self.line else "",
            on_path=f' on "{self.path}"' if self.path else "",
            of_path=f': "{self.path}"' if self.path else "",
            at_path=f' at "{self.path}"' if self.path else "",
            at_epoch=f" at epoch {self.epoch}" if self.epoch else "",
            batch_key=f' ("{batch_key}")' if batch_key else "",
        )
        return " ".join(filled.split()).strip(" :.")


def row(
    code: str,
    needles: str,
    pattern: str,
    reason: str,
    hint: str,
    *,
    weight: Weight = Weight.SPECIFIC,
    frame: str = "",
) -> Cause:
    """``needles`` are separated by ``|``. Every text that matches ``pattern`` must contain one of them."""
    return Cause(code, tuple(needles.split("|")), pattern, reason, hint, weight, frame)


QUOTED_PATH = r"['\"](?P<path>/?[^'\"\n]{1,300})['\"]"
BARE_PATH = r"(?<![^\s'\"=:(\[,])(?P<bare>/[^\s'\";:,()\[\]]{1,300})"
