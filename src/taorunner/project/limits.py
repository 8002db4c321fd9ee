"""What a run may take besides GPUs: nodes, CPUs, memory and time, as experiments.yml and the command line give them."""

from __future__ import annotations

import re

from taorunner.errors import UsageError
from taorunner.text import printable
from taorunner.values.value import Value

MAX_NODES = 512
MAX_CPUS = 1024
MIN_MEMORY_BYTES = 64 * 1024**2
"""Python with torch alone takes more. Docker's own minimum is 6 MiB."""
MIN_TIME_S = 60
MAX_TIME_S = 366 * 24 * 3600

SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)? ?([kKmMgGtT]([iI]?[bB])?|[bB])?$"
TIME_PATTERN = r"^([1-9][0-9]{0,5} ?[mhd]|([0-9]{1,3}-)?[0-9]{1,4}:[0-5][0-9]:[0-5][0-9])$"
"""``90m``, ``12h``, ``2d``; hours, minutes, seconds: ``12:00:00``; days before them: ``2-00:00:00``."""

EXPECTED = {
    "nodes": f"a whole number from 1 to {MAX_NODES}",
    "cpus": f"a whole number from 1 to {MAX_CPUS}",
    "memory": "a size of at least 64 MiB, such as 64G",
    "time": "a text such as 12:00:00, 2-00:00:00, 90m, 12h or 2d, of at least one minute",
}
"""What each key takes; the text after "must be"."""

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)(?:i?b)?\Z", re.IGNORECASE)
_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_SECONDS = {"m": 60, "h": 3600, "d": 24 * 3600}


class Limits(Value):
    """``cpus`` and ``memory_bytes`` are those of one node. None: not given."""

    nodes: int | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    time_s: int | None = None


NO_LIMITS = Limits()


def size_bytes(size: str | int) -> int | None:
    """Bytes of a size as docker reads it (``16G`` is 17179869184); None for other text.

    Source: Docker CLI reference, docker run --shm-size: b, k, m or g, bytes when left out.
    """
    if isinstance(size, int):
        return size
    match = _SIZE.match(size)
    return int(float(match[1]) * (1 << _SHIFTS[match[2].lower()])) if match and len(size) < 40 else None


def memory_bytes(size: str | int) -> int | None:
    """Bytes of a memory limit; None for other text, and for less than 64 MiB."""
    found = size_bytes(size)
    return found if found is not None and found >= MIN_MEMORY_BYTES else None


def time_limit_s(text: str) -> int | None:
    """Seconds of a time limit; None for other text, and for less than a minute or more than a year.

    ``12:00`` is none: it is twelve minutes to Slurm, and twelve hours to many people.

    >>> time_limit_s("90m"), time_limit_s("12:00:00"), time_limit_s("2-00:00:00"), time_limit_s("12:00")
    (5400, 43200, 172800, None)
    """
    if re.fullmatch(TIME_PATTERN, text) is None:
        return None
    if text[-1] in _SECONDS:
        seconds = int(text[:-1]) * _SECONDS[text[-1]]
    else:
        days, _, clock = text.rpartition("-")
        hours, minutes, rest = map(int, clock.split(":"))
        seconds = int(days or 0) * _SECONDS["d"] + hours * 3600 + minutes * 60 + rest
    return seconds if MIN_TIME_S <= seconds <= MAX_TIME_S else None


def read_limits(
    nodes: int | None = None,
    cpus: int | None = None,
    memory: str | int | None = None,
    time: str | None = None,
    *,
    dashes: str = "",
) -> Limits:
    """Limits from the command line, whose options begin with ``dashes``, or from the library.

    Raises:
        UsageError: for a value that experiments.yml would not accept.
    """
    limits = Limits(
        nodes,
        cpus,
        None if memory is None else read_memory(memory),
        None if time is None else time_limit_s(str(time)),
    )
    for key, value, is_good in (
        ("nodes", nodes, nodes is None or 1 <= nodes <= MAX_NODES),
        ("cpus", cpus, cpus is None or 1 <= cpus <= MAX_CPUS),
        ("memory", memory, memory is None or limits.memory_bytes is not None),
        ("time", time, time is None or limits.time_s is not None),
    ):
        if not is_good:
            hint = time_hint(value) if key == "time" else size_hint(value) if key == "memory" else None
            said = printable(str(value)[:60])
            raise UsageError(f'{dashes}{key} must be {EXPECTED[key]}, not "{said}"', hint=hint)
    return limits


def read_memory(value: object) -> int | None:
    """Bytes of a memory limit as experiments.yml takes it; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    is_size = isinstance(value, int) or re.fullmatch(SIZE_PATTERN, value) is not None
    return memory_bytes(value) if is_size else None


def size_hint(value: object) -> str | None:
    """The next step for a number without a unit, where GiB are meant."""
    text = str(value)
    return f'did you mean "{text}G"?' if re.fullmatch("0*[1-9][0-9]{0,2}", text) else None


def time_hint(value: object) -> str | None:
    """The next step for a value that is no time limit, when the intended one is known."""
    text = str(value)
    if re.fullmatch(r"[0-9]{1,4}:[0-5][0-9]", text):
        hours, _, minutes = text.partition(":")
        return f'hours, minutes and seconds: "{text}:00", or minutes: "{int(hours) or int(minutes)}m"'
    if re.fullmatch(r"[1-9][0-9]{0,5}", text):
        return f'with a unit: "{text}m", "{text}h" or "{text}d"'
    spelt = re.fullmatch(r"([1-9][0-9]{0,5}) ?(m|h|d)[a-z]{1,8}", text.lower())
    return f'did you mean "{spelt[1]}{spelt[2]}"?' if spelt else None
