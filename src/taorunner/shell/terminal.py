"""Connects the terminal or pipes of this process to a container: raw mode, size, signals, data in both directions.

The terminal settings are restored whenever a function returns or raises. The other side is a ``Peer``; engines are not
known here.
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
    """Raised on SIGTERM or SIGHUP, so that the clean-up runs."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def has_terminal() -> bool:
    """True when standard input and output are both a terminal."""
    return os.isatty(STDIN) and os.isatty(STDOUT)


def size() -> tuple[int, int]:
    """Rows and columns of the terminal on standard output; 24 and 80 when unknown."""
    try:
        columns, rows = os.get_terminal_size(STDOUT)
    except OSError:
        columns, rows = 0, 0
    return rows or 24, columns or 80


@contextmanager
def restored() -> Iterator[None]:
    """Restores the terminal settings after the block."""
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
    """SIGTERM and SIGHUP raise ``EndedBySignal`` in the main thread once; later ones are ignored.

    Signals that the caller ignores, as under nohup, stay ignored."""
    numbers = _not_ignored(signal.SIGTERM, signal.SIGHUP)

    def end(number: int, _frame: FrameType | None) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        raise EndedBySignal(number)

    with _handlers(dict.fromkeys(numbers, end)):
        yield


@contextmanager
def left_to_a_child() -> Iterator[None]:
    """Leaves Ctrl-C and Ctrl-\\ to a child that uses the terminal. Not ignored, because a child inherits that."""
    with _handlers({signal.SIGINT: _nothing, signal.SIGQUIT: _nothing}):
        yield


def talk_on_terminal(peer: Peer, resize: Callable[[int, int], object]) -> None:
    """Sends keys to the peer and its output to the terminal until it ends. ``resize`` gets rows and columns at every
    change; it is called from another thread and may block."""
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
        changed.set()  # it may have changed since the container was created
        threading.Thread(target=follow_size, daemon=True).start()
        threading.Thread(target=_send_keys, args=(peer,), daemon=True).start()
        try:
            for _, data in peer:
                _write(STDOUT, data)
        finally:
            over.set()
            changed.set()


def talk_through_pipes(peer: Peer, send_signal: Callable[[str], object]) -> None:
    """Sends standard input to the peer and its streams to stdout and stderr until it ends. Signals such as SIGINT go to
    the peer; the third raises KeyboardInterrupt, for a program that ignores them."""
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
    """Sends keys until the terminal is closed; the program inside then reads the end of its input."""
    with suppress(OSError):
        while data := os.read(STDIN, _READ_BYTES):
            peer.send(data)
    peer.end_input()


def _send_pipe(peer: Peer) -> None:
    with suppress(OSError):  # the program closed its input; its output is still needed
        while data := os.read(STDIN, _READ_BYTES):
            peer.send(data)
    peer.end_input()


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def _ignoring(number: int) -> Iterator[None]:
    """Ignores a signal. Without it, setting the terminal from the background stops the process."""
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
