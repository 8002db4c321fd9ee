"""A Python that has imported the command line, and forks one process per command; ``forked.py`` sends the commands.

Each command is a process of its own, with its own files, folder, environment and exit code, and starts with the modules
as they are after their import. Only what Python itself does at its start is not done again.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import taorunner

LENGTH_BYTES = 8
APART = ("taorunner.__main__", "taorunner.embedded")
"""Not imported before: the start itself, and a program of its own with large packages."""
IMPORTED_BY_MOST = ("ruamel.yaml", "typer._click.decorators", "encodings.utf_8_sig")
"""What three of four commands import when they come to it, a quarter of their time."""


def load() -> None:
    """Imports the modules of the package. Each command meets again what cannot be imported, as if it came first."""
    modules = [module.name for module in pkgutil.walk_packages(taorunner.__path__, "taorunner.")]
    for name in (*modules, *IMPORTED_BY_MOST):
        if not name.startswith(APART):
            with contextlib.suppress(ImportError, SyntaxError):
                importlib.import_module(name)
    read_catalog()
    gc.collect()
    gc.freeze()


def read_catalog() -> None:
    """Each text of the catalog is parsed here; a command has its own objects made of it."""
    catalog = importlib.import_module("taorunner.catalog.load")
    catalog.read_yaml = functools.cache(catalog.read_yaml)
    for name in catalog.network_names():
        catalog.load_network(name)


def serve(requests: socket.socket) -> list[str]:
    """Forks until ``requests`` is closed. Returns in each child, with the words of its command."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([requests, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            tell_ends(running)
        if requests not in ready:
            continue
        head, files, _, _ = socket.recv_fds(requests, LENGTH_BYTES, 4)
        if not head:
            os._exit(0)
        body = b""
        while len(body) < int(head):
            body += requests.recv(int(head) - len(body))
        *streams, result = files
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in (woken, wake, requests.detach(), result, *running.values()):
                os.close(number)
            return become(json.loads(body), streams)
        for number in streams:
            os.close(number)
        os.write(result, b"%d\n" % child)
        running[child] = result


def tell_ends(running: dict[int, int]) -> None:
    """Writes the exit code of each child that has ended, as ``subprocess`` counts them."""
    while running:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        result = running.pop(child)
        with contextlib.suppress(BrokenPipeError):  # given up after its time
            os.write(result, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(result)


def become(request: dict[str, Any], streams: list[int]) -> list[str]:
    """Makes this process what the request asks for."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    sys.path[0] = str(Path.cwd())  # as python -m has it
    return list(request["words"])


if __name__ == "__main__":
    load()
    sys.argv = [f"{taorunner.__path__[0]}/__main__.py", *serve(socket.socket(fileno=int(sys.argv[1])))]
    from taorunner.__main__ import main

    main()
