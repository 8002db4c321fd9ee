"""Pure functions on text: nearest names, durations, sizes, redaction of secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MASK = "***"

SIZE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_MAX_NAME, _MAX_COMPARED = 200, 2000
"""Of names that may come from others: comparing two takes time with the square of their length."""
_SHORT_NAME = 3
_OF_DATASET = re.compile(r"taorunner dataset (?:check|convert|resize)(?=`| --)")
_MOST_DIGITS = 18
_NO_SECRETS = frozenset({"true", "false", "True", "False", "null", "~", ""})
# compiled when they are first used: most commands redact nothing
_SECRET_NAME = r"(?i)(^|_)(KEY|API_?KEY|TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIALS?)(_|$)"
_BLOCK_ENTRY = r"""^\s*(?:- )?["']?(?P<name>[A-Za-z0-9_]+)["']?\s*:\s+(?P<value>[^\s\[{"'].*)"""
_ENTRY = (
    r"""(?<![A-Za-z0-9_])(?P<name>[A-Za-z0-9_]+)["']?\s*[:=]\s*"""
    r"""(?P<value>"[^"]*"?|'[^']*'?|[^\s,{}\[\]#][^,{}\[\]]*)"""
)

_USER_OF_URL = r"://(?P<user>[^\s/@\"']+)@"


def is_plain_name(name: str) -> bool:
    """True for a name that TAO's shell passes on unchanged: projects, experiments, datasets, runs.

    Source: tao/tensorflow.md section 2.2: arguments are re-split by a shell inside the container.
    """
    return bool(_NAME.match(name))


def version_text(parts: Iterable[int]) -> str:
    """``4.3.1``."""
    return ".".join(map(str, parts))


def whole_number(text: str) -> int | None:
    """The number, written in digits alone; None for anything else, and for a number that no count or id reaches.

    Digits of other scripts are none, and ``int`` refuses more than 4300 of them.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def is_pattern(word: str) -> bool:
    """Whether ``word`` has a wildcard of the shell: ``*``, ``?`` or ``[``."""
    return any(sign in word for sign in "*?[")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``word``, or None when none is close.

    >>> nearest("backbome", ["head", "backbone"])
    'backbone'
    """
    import difflib  # imported only after a misspelling

    by_lower = {name.lower(): name for name in known if len(name) <= _MAX_NAME}
    if word.lower() in by_lower:
        return by_lower[word.lower()]
    names = list(by_lower)[:_MAX_COMPARED]
    close = difflib.get_close_matches(word.lower()[:_MAX_NAME], names, n=1)
    if not close and len(word) <= _SHORT_NAME:  # one wrong letter weighs more in a short name
        alike = [name for name in names if abs(len(name) - len(word)) <= 1]
        close = difflib.get_close_matches(word.lower(), alike, n=1, cutoff=0.5)
    return by_lower[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """``did you mean "x"?``, or a short list of the known names, or None if there are none."""
    names = list(known)
    best = nearest(word, names)
    if best is not None:
        return f'did you mean "{best}"?'
    if not names:
        return None
    shown = ", ".join(names[:12])
    return f"known: {shown}, …" if len(names) > 12 else f"known: {shown}"


def for_dataset(hint: str | None, dataset: str) -> str | None:
    """A hint whose commands name ``DATASET``, with the name or path of the dataset.

    >>> for_dataset("taorunner dataset check DATASET says it", "my parts")
    "taorunner dataset check 'my parts' says it"
    """
    if hint is None or "DATASET" not in hint:
        return hint
    import shlex

    return hint.replace(" DATASET", f" {shlex.quote(dataset)}")


def naming_dataset(hint: str, dataset: str) -> str:
    """``hint`` with ``dataset`` in its commands for datasets that name none.

    >>> naming_dataset("`taorunner dataset check --deep` reads every image", "parts")
    '`taorunner dataset check parts --deep` reads every image'
    """
    import shlex

    return _OF_DATASET.sub(lambda call: f"{call[0]} {shlex.quote(dataset)}", hint)


def duration(seconds: float) -> str:
    """``42s``, ``3m 05s``, ``2h 07m``, ``1d 04h``: at most two units, never negative."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours:02d}h"


def size(count_bytes: float) -> str:
    """``512 B``, ``1.5 KiB``, ``20.3 GiB``."""
    value = float(max(0, count_bytes))
    for unit in SIZE_UNITS:
        if value < 1024 or unit == SIZE_UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def amount(number: int, noun: str, plural: str = "") -> str:
    """
    >>> amount(1, "box", "boxes"), amount(5000, "image")
    ('1 box', '5,000 images')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def runs_go_on(count: int) -> str:
    """
    >>> runs_go_on(1), runs_go_on(2)
    ('1 run goes on', '2 runs go on')
    """
    return f"{amount(count, 'run')} {'goes' if count == 1 else 'go'} on"


def detached_text(count: int) -> str:
    """What a command says that leaves ``count`` runs under way."""
    return f"detached; {runs_go_on(count)}. taorunner attach watches, taorunner stop --all ends"


def redact(text: str, secrets: Sequence[str]) -> str:
    """``text`` with every secret replaced by ``***``; longer secrets first, empty ones ignored."""
    for secret in sorted({s for s in secrets if s}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def is_secret_name(name: str) -> bool:
    """True for the name of a secret key or variable: ``NGC_API_KEY``, ``WANDB_TOKEN``, ``model_key``."""
    return re.search(_SECRET_NAME, name) is not None


def masked_line(line: str, more_names: Sequence[str] = (), plain_names: Sequence[str] = ()) -> str:
    """A line of a YAML or JSON file with the values of secrets masked, for display, and with the user of an address.
    ``more_names`` have secrets too, ``plain_names`` have none.

    Columns do not change. ``env:NAME`` and ``file:PATH`` name the place of a secret and stay readable, and so do a
    mark of what is still to be written, true, false and null.

    >>> masked_line('{model_key: tlt_encode, gpus: 1}')
    '{model_key: ***       , gpus: 1}'
    """

    def hidden(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        is_secret = name not in plain_names and (is_secret_name(name) or name in more_names)
        shown = value.partition(" #")[0].strip(" \"'")
        if not is_secret or shown.startswith(("env:", "file:", "$FILL_IN")) or shown in _NO_SECRETS:
            return match[0]
        return match[0][: -len(value)] + MASK.ljust(len(value))[: max(len(value), 1)]

    line = re.sub(
        _USER_OF_URL, lambda url: f"://{MASK.ljust(len(url['user']), '*')[: len(url['user'])]}@", line
    )
    return re.sub(_ENTRY, hidden, re.sub(_BLOCK_ENTRY, hidden, line))


def printable(text: str) -> str:
    """``text`` without control characters, so that it cannot control the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)
