"""Parses console output: raw chunks in, hints out.

Chunks are split at CR and LF; ANSI sequences and backspaces are removed. For speed, a block is searched for a few
needles as bytes, and only lines that contain one are decoded and parsed. (Measured: one ``bytes.find`` per needle is
three times faster than one regular expression with all needles.)

The hints do not depend on how the bytes are cut into chunks.
Source: tao/tensorflow.md section 6, tao/pytorch.md section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from taorunner.contracts import ProgressContract
from taorunner.progress.causes.cause import Weight
from taorunner.progress.causes.table import find_cause
from taorunner.progress.console.family import Follower, Plain
from taorunner.progress.console.line_kind import is_banner, place_of
from taorunner.progress.console.pyt import Lightning, MmEngine, PointPillars
from taorunner.progress.console.summaries import Summaries
from taorunner.progress.console.tf import Keras, SessionHook, TfStep, Unet
from taorunner.progress.hints import (
    BetrayalHint,
    CauseHint,
    CheckpointHint,
    DetailHint,
    FooterHint,
    Hint,
    MetricHint,
    OmissionHint,
    ProgressHint,
    TracebackHint,
)
from taorunner.text import printable

FAMILIES: dict[str, type[Plain]] = {
    "keras": Keras,
    "session_hook": SessionHook,
    "tf_step": TfStep,
    "unet": Unet,
    "lightning": Lightning,
    "mmengine": MmEngine,
    "pointpillars": PointPillars,
    "plain": Summaries,
}

LINE_LIMIT = 64 * 2**10
"""A longer line is cut; the rest is dropped."""

_PIECE = 32 * 2**10
_PATTERN_LIMIT = 4096
_TAIL_BYTES = 48 * 1024
_TABLE_LIMIT = 500
_TRACEBACK_LIMIT = 2000
_FRAMES_LIMIT = 40
"""The innermost frames of a traceback are kept."""

_LIVE = (b"rror", b"emory", b"illed", b"was interrupted", b"Invalid loss", b"SIGTERM")
"""Lines with one of these are compared with the tables of causes at once. Other causes are searched in the tail after
the end of the run: see ``ConsoleParser.read_tail_again``."""

_GLUED = b"Received SIGTERM"
"""Lightning prints it without a line end, so a bar may follow on the same line."""

_FOOTER = re.compile(rb"Execution status: (PASS|FAIL)")
_TRACEBACK = b"Traceback (most recent call last)"
_IGNORED = (b"Exception ignored in", b"Error in atexit", b"Error in sys.excepthook")
_IN_THREAD = b"Exception in thread"
_CHAINED = (b"direct cause of the following exception", b"During handling of the above exception")
_DETAIL_LIMIT = 40
_MARK_LIMIT = 4
_DETAILS_END = re.compile(
    r"Execution status|HYDRA_FULL_ERROR|\[TAO Toolkit\]|TAO Toolkit - |Telemetry|^terminate called"
    r"|^ {2}what\(\): "
    r"|^Segmentation fault|^Aborted|^Fatal Python error|Exception (?:ignored in|in thread)"
    r"|Error in atexit|^-{20}"
    r"|mpirun noticed|^\S{1,80}: [^\n]{0,80}: Permission denied|^\[[^\]\n]{1,60}\](?! ?:)"
    r"|^\d{4}-\d\d-\d\d |Error executing job",
)
"""Lines that end the details of an exception."""
_ANSI = re.compile(
    rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\r\n]{0,512}(?:\x07|\x1b\\)?"
    rb"|[()][A-Z0-9]|[@-Z\\^_=>78])?"
)
_PREFIX = re.compile(
    r"(?:\[rank\d{1,5}\]: ?|\[\d{1,6},\d{1,6}\]<std(?:out|err)>:)?"
    r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[,.]\d{1,9} \[[^\]\n]{1,40}\]"
    r" (?:\[[A-Z]{3,10}\] )?[^\s:]{1,200}(?: \d{1,9})?: "
    r"|(?:INFO|WARNING|ERROR):[\w.]{1,80}:)?",
    re.ASCII,
)
_EXCEPTION = re.compile(
    r"(?:[A-Za-z_]\w{0,80}\.){0,8}(?:[A-Z_]\w{0,80}|(?<=\.)\w{0,80}(?:error|timeout))"
    r"(?:: |(?:(?<=Error)|(?<=Exception)):\Z"
    r"|(?:(?<=Error)|(?<=Exception)|(?<=Interrupt)|(?<=Exit)|(?<=Iteration)|(?<=Empty)|(?<=Timeout))\Z)",
    re.ASCII,
)
_BOXED_FRAME = re.compile(r"│ (/[^\s:]{1,400}):(\d{1,9})(?: in ([\w.<>]{1,100}))?")
_BOXED_SOURCE = re.compile(r"│ ❱ {1,8}\d{1,9} (?:│ {1,8}){0,20}([^│]{1,400})")
_BAR = re.compile(r"\d%\||\d/(?:\d{1,12}|Unknown) (?:\[[=>.]{1,200}\] )?- |━━")


class ConsoleParser:
    """Parses the console of one run. Feed it all chunks of each stream in order; not thread-safe.

    ``betrayals`` and ``omissions`` are texts with a meaning of their own (see ``VerdictContract``). ``trains`` is
    False for actions without epochs: their bars become steps of one epoch.
    """

    def __init__(
        self,
        progress: ProgressContract,
        betrayals: Iterable[str] = (),
        omissions: Iterable[str] = (),
        *,
        trains: bool = True,
        compares_all: bool = False,
    ) -> None:
        self._progress, self._trains, self._compares_all = progress, trains, compares_all
        self._family = FAMILIES.get(progress.console, FAMILIES["plain"])(trains)
        self._telling: list[tuple[bytes, Hint]] = [
            (text.encode(), BetrayalHint(text)) for text in betrayals if text
        ]
        self._telling += [(text.encode(), OmissionHint(text)) for text in omissions if text]
        self._streams: dict[str, _Stream] = {}
        self._tail = bytearray()
        self.bytes_read = 0
        """Bytes of complete lines so far: a position in the log, for ``read_tail_again``."""

    @cached_property
    def _needles(self) -> tuple[bytes, ...]:
        """Found at the first output: runs that wait in a queue have none."""
        common = {b"Execution status: ", _TRACEBACK, _IN_THREAD, *(needle for needle, _ in self._telling)}
        return _without_covered({*common, *_IGNORED, *_LIVE, *self._family.needles})

    def feed(self, data: bytes, stream: str = "stdout") -> list[Hint]:
        """The hints of all lines completed by ``data``. ``stream`` separates stdout and stderr."""
        found: list[Hint] = []
        state = self._streams.setdefault(stream, _Stream())
        for start in range(0, len(data), _PIECE):
            block = state.complete(data[start : start + _PIECE] if len(data) > _PIECE else data)
            if block:
                self._scan(state, block, found)
        return found

    def flush(self) -> list[Hint]:
        """The hints of incomplete lines. Call it once, at the end of the streams."""
        found: list[Hint] = []
        for state in self._streams.values():
            if state.carry:
                self._scan(state, state.complete(b"\n"), found)
        return found

    def tail(self, lines: int = 200) -> tuple[str, ...]:
        """The last lines without blank lines and the banner of the image; of a progress bar only its last state."""
        return tuple(line for line in self._tail_lines(lines) if not is_banner(line))

    def read_tail_again(self, since: int = 0) -> list[Hint]:
        """The hints of the last 200 lines, each compared with the tables of causes.

        ``since`` is a value of ``bytes_read``; earlier lines are left out.
        """
        parser = ConsoleParser(self._progress, trains=self._trains, compares_all=True)
        lines = self._tail_lines(200, since)
        if len(lines) >= 200:  # the cut may be inside a traceback, whose frames are not separate lines
            while lines and lines[0][:1].isspace():
                del lines[0]
        return [*parser.feed("\n".join(lines).encode() + b"\n"), *parser.flush()]

    def _tail_lines(self, most: int, since: int = 0) -> list[str]:
        raw = bytes(self._tail[max(0, len(self._tail) - (self.bytes_read - since)) :])
        raw += b"\n".join(
            _clean(bytes(state.carry) + b"\n") for state in self._streams.values() if state.carry
        )
        kept: list[str] = []
        was_bar = False
        for line in reversed(raw.split(b"\n")):
            text = printable(line[:_PATTERN_LIMIT].decode("utf-8", "replace").expandtabs().rstrip())
            is_bar = bool(_BAR.search(text))
            if not text or (is_bar and was_bar):
                continue
            was_bar = is_bar
            kept.append(text)
            if len(kept) >= most:
                break
        return kept[::-1]

    def _scan(self, state: _Stream, raw: bytes, found: list[Hint]) -> None:
        block = _clean(raw)
        self.bytes_read += len(block)
        self._tail += block[-_TAIL_BYTES:]
        if len(self._tail) > 2 * _TAIL_BYTES:
            del self._tail[:-_TAIL_BYTES]
        starts = _line_starts(block, self._needles)
        place = index = 0
        while place < len(block):
            if not self._compares_all and state.follower is None and not state.in_exception:
                while index < len(starts) and starts[index] < place:
                    index += 1
                if index == len(starts):
                    return
                place = starts[index]
            end = block.find(b"\n", place)
            if end > place:
                below = _indented_below(block, end + 1) if self._compares_all else ""
                self._read_line(state, block[place:end], found, below)
            place = end + 1

    def _read_line(self, state: _Stream, line: bytes, found: list[Hint], below: str) -> None:
        short = line[:_PATTERN_LIMIT].decode("utf-8", "replace")
        text = short[match.end() :] if (match := _PREFIX.match(short)) else short
        count = len(found)
        in_details, is_ignored, is_exception = bool(state.details_left), state.is_ignored, False
        if state.in_traceback:
            self._read_traceback(state, text, found)
            is_exception = len(found) > count
            count = len(found)
        elif state.follower is not None:
            state.follow_left -= 1
            if not state.follower(text, found) or state.follow_left <= 0:
                state.follower = None
        follower = self._family.read(text, found)
        if follower is not None:
            state.follower, state.follow_left = follower, _TABLE_LIMIT
        if footer := _FOOTER.search(line):
            found.append(FooterHint(footer.group(1) == b"PASS"))
        found += [hint for needle, hint in self._telling if needle in line]
        if _TRACEBACK in line:
            state.begin_traceback(is_chained=b"Original Traceback" in line)
            return
        if in_details and (len(found) == count or footer):  # a footer ends the details
            self._read_detail(state, text, found)
        state.read_mark(line)
        is_open = len(found) == count or _GLUED in line
        if is_open and not (state.in_traceback and text[:1].isspace()) and not is_ignored:
            self._compare(line, short, below, found, is_exception)

    def _compare(self, line: bytes, short: str, below: str, found: list[Hint], is_exception: bool) -> None:
        """Compares a line with the causes; an exception, which has its own hint, only with those valid anywhere."""
        if not self._compares_all and not any(needle in line for needle in _LIVE):
            return
        seen = find_cause(short + below, self._family.current_epoch, place_of(short))
        if seen is not None and (not is_exception or seen.cause.weight < Weight.SPECIFIC):
            found.append(CauseHint(seen))

    def _read_traceback(self, state: _Stream, text: str, found: list[Hint]) -> None:
        """Reads a traceback: frames are indented, and the first other line that looks like an exception ends it."""
        state.in_traceback -= 1
        if text[:1].isspace():
            state.read_frame(text)
        elif text[:1] == "│":
            state.read_boxed_frame(text)
        elif _EXCEPTION.match(text.rstrip()):
            found.append(state.end_traceback(printable(text.strip())))

    def _read_detail(self, state: _Stream, text: str, found: list[Hint]) -> None:
        """Reads a further line of an exception's message."""
        state.details_left -= 1 if text[:1].isspace() else 5
        if _DETAILS_END.search(text):
            state.details_left = 0
        elif not any(mark.decode() in text for mark in _CHAINED) and text.strip():
            found.append(DetailHint(printable(text.rstrip())))
        state.details_left = max(0, state.details_left)


class _Stream:
    """The state of one stream: its incomplete line, and an open table, traceback or message."""

    def __init__(self) -> None:
        self.carry = bytearray()
        self.follower: Follower | None = None
        self.follow_left = 0
        self.in_traceback = 0
        self.details_left = 0
        self.is_ignored = False
        self._in_thread = self._is_chained = False
        self._mark_left = 0
        self._frames: list[list[str]] = []

    @property
    def in_exception(self) -> bool:
        return bool(self.in_traceback or self.details_left or self._mark_left)

    def begin_traceback(self, *, is_chained: bool) -> None:
        self.in_traceback, self.details_left, self._mark_left = _TRACEBACK_LIMIT, 0, 0
        self._is_chained = self._is_chained or is_chained
        self._frames = []

    def read_frame(self, text: str) -> None:
        """Keeps a line that names a file, and the source line below it."""
        if text.lstrip().startswith('File "'):
            self._frames.append([text.strip()])
            del self._frames[:-_FRAMES_LIMIT]
        elif self._frames and len(self._frames[-1]) == 1 and set(text) - set(" ^~"):
            self._frames[-1].append(text.strip())

    def read_boxed_frame(self, text: str) -> None:
        """Keeps a frame of a traceback that the library rich drew in a box."""
        if match := _BOXED_FRAME.match(text):
            file, line, function = match.groups()
            self._frames.append([f'File "{file}", line {line}' + (f", in {function}" if function else "")])
            del self._frames[:-_FRAMES_LIMIT]
        elif self._frames and len(self._frames[-1]) == 1 and (match := _BOXED_SOURCE.match(text)):
            self._frames[-1].append(match.group(1).strip())

    def end_traceback(self, line: str) -> TracebackHint:
        frame, *outer = ("\n".join(lines) for lines in reversed(self._frames or [[]]))
        hint = TracebackHint(line, frame, tuple(outer), self._is_chained, self.is_ignored, self._in_thread)
        self.in_traceback, self.details_left = 0, _DETAIL_LIMIT
        self.is_ignored = self._in_thread = self._is_chained = False
        return hint

    def read_mark(self, line: bytes) -> None:
        """Reads the line before a traceback, in which Python describes it."""
        if self._mark_left == 1:
            self.is_ignored = self._in_thread = self._is_chained = False
        self._mark_left = max(0, self._mark_left - 1)
        if any(mark in line for mark in _IGNORED):
            self.is_ignored, self._mark_left = True, _MARK_LIMIT
        elif _IN_THREAD in line:
            self._in_thread, self._mark_left = True, _MARK_LIMIT
        elif any(mark in line for mark in _CHAINED):
            self._is_chained, self._mark_left = True, _MARK_LIMIT

    def complete(self, piece: bytes) -> bytes:
        """The complete lines, each cut to the limit; the rest is kept."""
        cut = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
        if not cut:
            self.carry += piece[: LINE_LIMIT - len(self.carry)]
            return b""
        if not self.carry:
            self.carry += piece[cut:]
            return piece if cut == len(piece) else piece[:cut]
        first = re.search(rb"[\r\n]", piece)
        head = first.start() if first else 0
        self.carry += piece[: min(head, LINE_LIMIT - len(self.carry))]
        block = bytes(self.carry) + piece[head:cut]
        self.carry = bytearray(piece[cut:])
        return block


def _indented_below(block: bytes, place: int) -> str:
    """Up to three indented lines from ``place``, which belong to the line above."""
    lines: list[str] = []
    while len(lines) < 3 and block[place : place + 1] in (b" ", b"\t"):
        end = block.find(b"\n", place)
        lines.append(block[place : min(end, place + 400)].decode("utf-8", "replace"))
        place = end + 1
    return "".join("\n" + line for line in lines)


def _without_covered(needles: set[bytes]) -> tuple[bytes, ...]:
    """The needles without those that contain another needle."""
    return tuple(sorted(n for n in needles if not any(other != n and other in n for other in needles)))


def _clean(block: bytes) -> bytes:
    """Without ANSI sequences and backspaces, lines ended by LF only."""
    if b"\x1b" in block:
        block = _ANSI.sub(b"", block)
    if b"\b" in block:
        block = block.replace(b"\b", b"")
    if b"\r" in block:
        block = block.replace(b"\r", b"\n")
    return block


def _line_starts(block: bytes, needles: tuple[bytes, ...]) -> list[int]:
    """The sorted starts of lines that contain a needle. ``block`` ends with a line end."""
    starts: set[int] = set()
    for needle in needles:
        place = block.find(needle)
        while place >= 0:
            starts.add(block.rfind(b"\n", 0, place) + 1)
            place = block.find(needle, block.find(b"\n", place))
    return sorted(starts)


__all__ = [
    "LINE_LIMIT",
    "BetrayalHint",
    "CauseHint",
    "CheckpointHint",
    "ConsoleParser",
    "DetailHint",
    "FooterHint",
    "Hint",
    "MetricHint",
    "OmissionHint",
    "ProgressHint",
    "TracebackHint",
]
