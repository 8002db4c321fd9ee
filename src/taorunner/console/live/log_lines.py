"""Which lines of a log a panel shows: the newest ones, without banners; an error stays for a while."""

from __future__ import annotations

import re
from collections.abc import Sequence

from taorunner.progress.causes.cause import Place
from taorunner.progress.console.line_kind import is_banner, place_of

ERRORS_KEPT = 3
_CONSIDERED = 40
"""Lines from the end in which an error is looked for."""
_EXCEPTION = re.compile(r"^(?:[\w.]{1,80})?(?:Error|Exception): |^Traceback \(most recent call last\)")
_ERROR_PLACES = (Place.TOOL_ERROR, Place.LOGGED_ERROR)


def is_error(line: str) -> bool:
    """True for a line in which a program reports an error."""
    return _EXCEPTION.search(line) is not None or place_of(line) in _ERROR_PLACES


def line_count(tail: Sequence[str], most: int) -> int:
    """How many lines ``shown_lines`` gives; cheaper."""
    count = 0
    for line in reversed(tail):
        if count == most:
            break
        count += bool(line.strip()) and not is_banner(line)
    return count


def shown_lines(tail: Sequence[str], count: int) -> list[tuple[str, bool]]:
    """At most ``count`` lines of ``tail``, the oldest first, each with whether it is an error.

    The newest lines are shown. An error line that would have left stays until there are three newer ones, in at most
    half of the lines.
    """
    if count <= 0:
        return []
    lines = [(line, is_error(line)) for line in tail[-_CONSIDERED:] if line.strip() and not is_banner(line)]
    if len(lines) <= count:
        return lines
    errors = [place for place, (_, is_bad) in enumerate(lines) if is_bad][-ERRORS_KEPT:]
    kept: list[int] = []
    while True:  # each kept error takes the place of the oldest of the newest lines
        first_new = len(lines) - (count - len(kept))
        leaving = [place for place in errors if place < first_new and place not in kept]
        if not leaving or len(kept) >= count // 2:
            break
        kept.append(leaving[-1])
    return [lines[place] for place in [*sorted(kept), *range(first_new, len(lines))]]
