"""Searches results on a far side for secrets, and computes digests there: no file is carried here for it.

What is searched for goes over standard input, and there into the environment of the caller's own processes: in no
command line and in no file. Files are found there by ``find``, which follows no link.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from taorunner.backends.contract import FarSearch
from taorunner.backends.login_host import LoginHost
from taorunner.errors import MachineError
from taorunner.values.bounded_reading import whole_number
from taorunner.values.value import Value

LARGE_BYTES = 32 << 20
"""Of a larger file that is binary, only the ends are searched, as of one that is here."""
_HEAD_BYTES, _TAIL_BYTES = 8 << 20, 1 << 20
_ANSWER_WITHIN_S = 120
_MODE = "[0-7]{1,6}"
_MOST_FORMS_BYTES = 100_000
"""One variable of the environment holds 128 KiB."""
_HELD = rf"""export LC_ALL=C
found() {{ find -H "$1" -type f -newerct "@$2" -size "$3" -print0; }}
count() {{ found "$1" "$2" "$3" | tr -dc '\0' | wc -c; }}
search() {{
    found "$1" "$2" -{LARGE_BYTES + 1}c | head -zn "$3" |
        xargs -0 -r -n 500 sh -c 'printf "%s\n" "$forms" | grep -FlaZ -f - -- "$@"' sh
    found "$1" "$2" +{LARGE_BYTES}c | head -zn "$4" | xargs -0 -r -n 1 sh -c '
        part() {{ exec 3<&0; printf "%s\n" "$forms" | grep -Fqa -f - /dev/fd/3; }}
        if head -c 1048576 -- "$1" | grep -Iq .; then part <"$1"
        else head -c {_HEAD_BYTES} -- "$1" | part || tail -c {_TAIL_BYTES} -- "$1" | part
        fi && printf "%s\0" "$1"' sh
}}
search "$@" 2>/dev/null | xargs -0 -r sh -c '
    find "$@" -maxdepth 0 -type f -links 1 -exec chmod go= {{}} + 2>/dev/null
    find "$@" -maxdepth 0 -type f -printf "%m\0%p\0"' sh
printf '%s\0' "$(count "$1" "$2" -{LARGE_BYTES + 1}c)" "$(count "$1" "$2" +{LARGE_BYTES}c)"
"""
_BOUNDED = """forms=$(cat)
export forms
timeout "$@"
printf 'end\\0'"""
_DIGESTS = "xargs -0 -r sha256sum -z -- 2>/dev/null; printf 'end\\0'"
_DIGEST = re.compile(r"([0-9a-f]{64}) [ *](/.*)", re.DOTALL)


class Limits(Value):
    """How much is searched: files up to ``LARGE_BYTES``, larger ones, and for how long."""

    most_small: int = 20_000
    most_large: int = 200
    within_s: float = 100


USUAL = Limits()


def held(
    login: LoginHost, folder: str, forms: Sequence[bytes], since_s: float, limits: Limits = USUAL
) -> FarSearch:
    """Searches the files below ``folder`` that were written since, by the clock there. Those that hold a form become
    readable by their owner alone. ``forms`` have no line ends. Raises MachineError."""
    asked = b"\n".join(forms)
    if not forms or len(asked) > _MOST_FORMS_BYTES:
        return FarSearch(is_whole=not forms)
    most = (limits.most_small, limits.most_large)
    search = ["sh", "-c", _HELD, "sh", folder, f"{since_s:.3f}", *map(str, most)]
    parts = _answer(login, ["sh", "-c", _BOUNDED, "sh", f"{limits.within_s:g}", *search], asked)
    pairs, counts = parts[: len(parts) // 2 * 2], []
    # The numbers of files come last; a search that was cut off gives none.
    if len(pairs) >= 2 and not pairs[-1].startswith("/"):
        pairs, counts = pairs[:-2], pairs[-2:]
    modes = dict(zip(pairs[1::2], pairs[::2], strict=True))
    closed = [path for path, mode in modes.items() if re.fullmatch(_MODE, mode) and not int(mode, 8) & 0o077]
    known = [number for count in counts if (number := whole_number(count)) is not None]
    is_whole = len(known) == 2 and all(number <= limit for number, limit in zip(known, most, strict=True))
    return FarSearch(tuple(closed), tuple(path for path in modes if path not in closed), is_whole)


def digests(login: LoginHost, paths: Sequence[str]) -> Mapping[str, str]:
    """SHA-256 in hexadecimal, by path; without files that cannot be read. Raises MachineError."""
    if not paths:
        return {}
    asked = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
    matches = map(_DIGEST.fullmatch, _answer(login, ["sh", "-c", _DIGESTS], asked))
    return {match[2]: match[1] for match in matches if match is not None and match[2] in paths}


def _answer(login: LoginHost, words: Sequence[str], stdin: bytes) -> list[str]:
    done = login.run_raw(words, timeout_s=_ANSWER_WITHIN_S, stdin=stdin)
    parts = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    if parts[-2:] != ["end", ""]:
        raise MachineError(f'"{login.host}" gave no whole answer: {done.as_text.last_words}')
    return parts[:-2]
