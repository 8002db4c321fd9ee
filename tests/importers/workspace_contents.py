"""What an import left in a workspace, and what it said about it."""

from __future__ import annotations

from pathlib import Path


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def codes(text: str) -> list[str]:
    return [line.rpartition("[")[2].rstrip("]") for line in text.splitlines() if line.endswith("]")]
