"""A terminal or pipes connected to a peer, in a process of their own; what becomes of keys, sizes and signals."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from taorunner.shell.terminal import EndedBySignal, ended_by_signals, left_to_a_child

PEER = """\
import queue, signal, sys, time
from taorunner.shell import terminal
class Peer:
    '''Prints in brackets what it gets, up to a "q" or the end of its input.'''
    def __init__(self):
        self.parts = queue.Queue()
    def __iter__(self):
        yield "stdout", b"ready;"
        while data := self.parts.get():
            yield ("stderr" if b"e" in data else "stdout"), b"[" + data + b"]"
            if b"q" in data:
                return
        yield "stdout", b"end;"
    def send(self, data):
        self.parts.put(data)
    def end_input(self):
        self.parts.put(b"")
"""
ON_TERMINAL = f"{PEER}terminal.talk_on_terminal(Peer(), lambda rows, columns: print(rows, columns, file=sys.stderr, flush=True))"
THROUGH_PIPES = (
    f"{PEER}terminal.talk_through_pipes(Peer(), lambda name: print(name, file=sys.stderr, flush=True))"
)


class Terminal:
    """One end of a terminal whose other end a process has as its standard input and output."""

    def __init__(self, code: str, rows: int = 30, columns: int = 90) -> None:
        self.end, self.inside = pty.openpty()
        self.resize(rows, columns)
        self.settings = termios.tcgetattr(self.inside)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=self.inside, stdout=self.inside, stderr=subprocess.PIPE
        )

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.inside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_up_to(self, mark: bytes) -> bytes:
        read, until_s = b"", time.monotonic() + 100
        while mark not in read and time.monotonic() < until_s:
            if select.select([self.end], [], [], 0.1)[0]:
                read += os.read(self.end, 1000)
        return read


@contextmanager
def terminal(code: str) -> Iterator[Terminal]:
    one = Terminal(code)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
        if one.process.stderr is not None:
            one.process.stderr.close()
        os.close(one.end)
        os.close(one.inside)


def test_keys_go_to_the_peer_as_they_are_and_the_terminal_is_restored() -> None:
    with terminal(ON_TERMINAL) as one:
        assert one.read_up_to(b"ready;") == b"ready;"
        assert termios.tcgetattr(one.inside) != one.settings
        os.write(one.end, b"a\x03\r")
        assert one.read_up_to(b"\r]") == b"[a\x03\r]"  # neither a signal nor echoed nor translated
        one.resize(31, 91)
        one.process.send_signal(signal.SIGWINCH)
        assert one.process.stderr is not None
        assert [one.process.stderr.readline() for _ in range(2)] == [b"30 90\n", b"31 91\n"]
        os.write(one.end, b"q")
        assert one.read_up_to(b"]") == b"[q]"
        assert one.process.wait(120) == 0
        assert termios.tcgetattr(one.inside) == one.settings


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_size_of_the_terminal(is_terminal: bool) -> None:
    code = "from taorunner.shell import terminal; print(terminal.has_terminal(), *terminal.size(), end=';')"
    if is_terminal:
        with terminal(code) as one:
            assert one.read_up_to(b";") == b"True 30 90;"
    else:
        done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True)
        assert done.stdout == b"False 24 80;"


def test_a_terminal_is_one_only_for_input_and_output() -> None:
    code = "from taorunner.shell import terminal; print(terminal.has_terminal(), end='')"
    end, inside = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], stdin=inside, stdout=subprocess.PIPE)
    os.close(end)
    os.close(inside)
    assert done.stdout == b"False"


def test_pipes_are_passed_on_to_their_end() -> None:
    command = [sys.executable, "-c", THROUGH_PIPES]
    done = subprocess.run(command, input=b"in", capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ready;[in]end;", b"")
    done = subprocess.run(command, input=b"err", capture_output=True, timeout=30)
    assert (done.stdout, done.stderr) == (b"ready;end;", b"[err]")


def test_signals_go_to_the_peer_and_the_third_ends_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", THROUGH_PIPES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(6) == b"ready;"
        for number, name in ((signal.SIGTERM, b"TERM\n"), (signal.SIGUSR1, b"USR1\n")):
            time.sleep(0.5)  # Python sees a signal that comes just before it begins to wait only after that
            process.send_signal(number)
            assert process.stderr.readline() == name
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_block_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(EndedBySignal) as caught, ended_by_signals():
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGTERM)  # the clean-up is not ended by another
            signal.raise_signal(signal.SIGHUP)
    assert caught.value.number == number
    assert signal.getsignal(number) is before


def test_a_signal_that_the_caller_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_is_left_to_a_child() -> None:
    before = signal.getsignal(signal.SIGINT)
    with left_to_a_child():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGQUIT)
        assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # a child would inherit that
    assert signal.getsignal(signal.SIGINT) is before
