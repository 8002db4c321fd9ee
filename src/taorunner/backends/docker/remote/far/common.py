"""What the modules here share: refusals, texts, files that are written whole. Runs on another host, see ``keeper``."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

NEW = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class RefusedError(Exception):
    """The container cannot be started, with what the engine or the driver says."""


class SilentError(Exception):
    """The engine does not answer."""


def now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


def in_micros(text: str) -> str:
    """A time of docker, which has nanoseconds."""
    head, _, rest = text.rstrip("Z").partition(".")
    return f"{head}.{rest[:6].ljust(6, '0')}Z"


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def amount(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"


def plain(value: object) -> str:
    """Text of another user, without control characters."""
    return "".join(letter for letter in str(value)[:80] if letter.isprintable())


def write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, NEW | os.O_TRUNC, 0o600)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)
    beside.replace(path)


def write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
