"""Leaves out of what is handed over where it was made: the name of the machine, and folders outside the workspace."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from taorunner.runs.inputs.run_lock import RunLock

WORKSPACE = "$workspace"
ELSEWHERE = "..."
_PATH = re.compile(r"(?<![\w$./:*-])/(?:[^\s/,;:=\"'\[\](){}]+/)+")
"""The folders of an absolute path, with the last slash. The path after ``://`` of an address is none."""


def without_places(lock: RunLock, workspace: Path) -> RunLock:
    """The lock with the workspace as ``$workspace`` and other absolute paths as ``.../NAME``, without the host. Digests
    and values do not change."""
    masked: dict[str, Any] = _masked(lock.to_json(), str(workspace))
    return RunLock.from_json({**masked, "host": ""})


def scores_without_places(evaluation: bytes, workspace: Path) -> str:
    """An ``evaluation.json`` with the folder of its dataset as in ``without_places``."""
    body = json.loads(evaluation)
    return json.dumps({**body, "data": _masked(body.get("data"), str(workspace))}, ensure_ascii=False)


def _masked(value: Any, root: str) -> Any:
    if isinstance(value, str):
        return _text(value, root)
    if isinstance(value, dict):
        return {key: _masked(one, root) for key, one in value.items()}
    return [_masked(one, root) for one in value] if isinstance(value, list | tuple) else value


def _text(text: str, root: str) -> str:
    text = re.sub(rf"{re.escape(root)}(?=/|[\s,;:\"'\])}}]|\Z)", WORKSPACE.replace("\\", r"\\"), text)
    if text.startswith("/") and "\n" not in text:  # the whole value is a path, which may have any sign in it
        folder, _, name = text.rstrip("/").rpartition("/")
        return f"{ELSEWHERE}/{name}" if folder else text
    return _PATH.sub(f"{ELSEWHERE}/", text)
