"""The caller's terminal and streams, joined to a container's: raw mode, size, signals, bytes both ways.

Whatever happens, the terminal is as it was when a function here returns or raises. Knows nothing of engines: the other
side is a ``Peer``.
"""

from __future__ import annotations

import os
import signal
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Protocol

STDIN, STDOUT, STDERR = 0, 1, 2
_READ_BYTES = 64 * 1024


class Peer(Protocol):
    def __iter__(self) -> Iterator[tuple[str, bytes]]: ...
    def send(self, data: bytes) -> None: ...
    def end_input(self) -> None: ...


class EndedBySignal(BaseException):
    """SIGTERM or SIGHUP came: what is under way ends, and everything is put in order on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def has_terminal() -> bool:
    """True where both what is typed and what is shown go to a terminal."""
    return os.isatty(STDIN) and os.isatty(STDOUT)


def size() -> tuple[int, int]:
    """Rows and columns of the terminal on standard output; what terminals have always had where it does not say."""
    try:
        columns, rows = os.get_terminal_size(STDOUT)
    except OSError:
        columns, rows = 0, 0
    return rows or 24, columns or 80


@contextmanager
def restored() -> Iterator[None]:
    """The terminal's settings are afterwards what they were before, whoever changed them."""
    try:
        before = termios.tcgetattr(STDIN)
    except (termios.error, OSError):
        yield
        return
    try:
        yield
    finally:
        with suppress(termios.error, OSError), _ignoring(signal.SIGTTOU):
            termios.tcsetattr(STDIN, termios.TCSADRAIN, before)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise ``EndedBySignal`` in the main thread, once; more of them are ignored.

    What the caller has ignored, as nohup does, stays ignored."""
    numbers = _not_ignored(signal.SIGTERM, signal.SIGHUP)

    def end(number: int, _frame: FrameType | None) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        raise EndedBySignal(number)

    with _handlers(dict.fromkeys(numbers, end)):
        yield


@contextmanager
def left_to_a_child() -> Iterator[None]:
    """Ctrl-C and Ctrl-\\ are a child's, which has the terminal. Not ignored: that it would inherit."""
    with _handlers({signal.SIGINT: _nothing, signal.SIGQUIT: _nothing}):
        yield


def talk_on_terminal(peer: Peer, resize: Callable[[int, int], object]) -> None:
    """Every key goes to the peer, all of its output to the terminal, until it has ended. ``resize`` gets rows and
    columns whenever they change; it is called from another thread and may take its time."""
    changed = threading.Event()
    over = threading.Event()

    def follow_size() -> None:
        while True:
            changed.wait()
            changed.clear()
            if over.is_set():
                return
            resize(*size())

    with restored(), _handlers({signal.SIGWINCH: lambda _number, _frame: changed.set()}):
        tty.setraw(STDIN, termios.TCSANOW)
        changed.set()  # it may have changed since the container was made
        threading.Thread(target=follow_size, daemon=True).start()
        threading.Thread(target=_send_keys, args=(peer,), daemon=True).start()
        try:
            for _, data in peer:
                _write(STDOUT, data)
        finally:
            over.set()
            changed.set()


def talk_through_pipes(peer: Peer, send_signal: Callable[[str], object]) -> None:
    """Standard input to the peer, its two streams to ours, until it has ended. SIGINT and its like go to the peer;
    the third raises KeyboardInterrupt, for a program that does not listen."""
    count = 0

    def hand_on(number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 2:
            raise KeyboardInterrupt
        name = signal.Signals(number).name.removeprefix("SIG")
        threading.Thread(target=send_signal, args=(name,), daemon=True).start()

    numbers = _not_ignored(signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    with _handlers(dict.fromkeys(numbers, hand_on)):
        threading.Thread(target=_send_pipe, args=(peer,), daemon=True).start()
        for stream, data in peer:
            _write(STDERR if stream == "stderr" else STDOUT, data)


def _send_keys(peer: Peer) -> None:
    """Until there is no terminal any more: then whoever reads inside reads the end."""
    with suppress(OSError):
        while data := os.read(STDIN, _READ_BYTES):
            peer.send(data)
    peer.end_input()


def _send_pipe(peer: Peer) -> None:
    with suppress(OSError):  # nobody reads inside: what comes out of it is still wanted
        while data := os.read(STDIN, _READ_BYTES):
            peer.send(data)
    peer.end_input()


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def _ignoring(number: int) -> Iterator[None]:
    """From the background, setting a terminal stops a process unless it ignores that."""
    with _handlers({number: signal.SIG_IGN}):
        yield


def _not_ignored(*numbers: int) -> tuple[int, ...]:
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    return


@contextmanager
def _handlers(wanted: dict[int, Any]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
