"""Whole files or none: written beside the target, then renamed over it, so that a reader never sees half a file.

The one place where a file of ours replaces another. Append-only files (events, console logs) and files that are created
once (``O_EXCL``) do not pass through here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_bytes(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Replaces ``path``, keeping nothing of what it was. ``mode``: permission bits, by default those of a new file.

    A symbolic link at ``path`` is itself replaced. Raises OSError; nothing is left behind then.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(data)
        if mode is not None:
            beside.chmod(mode)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str, *, mode: int | None = None) -> None:
    """``write_bytes`` in UTF-8."""
    write_bytes(path, text.encode("utf-8"), mode=mode)


def write_json(path: Path, value: Any, *, indent: int | None = 1, sort_keys: bool = False) -> None:
    """``write_text`` of the value and a line feed, with letters of all scripts as they are."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=sort_keys) + "\n")
