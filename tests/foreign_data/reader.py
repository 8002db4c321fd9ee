"""A parser of data that others write, and what the lists of them share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from taorunner.errors import TaorunnerError

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "tests" / "assets"
AT = datetime(2026, 1, 2, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Reader:
    """``read`` takes one changed form of ``seeds``. It may raise ``errors`` and nothing else."""

    name: str
    seeds: Sequence[bytes]
    read: Callable[[bytes], object]
    errors: tuple[type[BaseException], ...] = (TaorunnerError,)

    @property
    def inputs_a_round(self) -> int:
        """Parsers of whole files take milliseconds, the others a tenth of that."""
        return 1 if self.name.startswith(("dataset", "spec", "network", "what the engine", "console")) else 4


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def from_file(file: Path, read: Callable[[], object]) -> Callable[[bytes], object]:
    def written(data: bytes) -> object:
        file.write_bytes(data)
        return read()

    return written


def assets(name: str) -> list[bytes]:
    found = sorted((ASSETS / "workspace_0_1_0").rglob(name))
    return [path.read_bytes() for path in found[:6]]


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
