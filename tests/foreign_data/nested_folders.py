"""Folders that are nested deeper than a path can name and a program may recurse: any container can make them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def nested_folders(
    top: Path, *, levels: int = 1500, name: str = "d", last: str = "last.pth"
) -> Iterator[None]:
    """In ``top``, with a file ``last`` in the innermost one. Removed at the end by a program that does not recurse."""
    descriptor = os.open(top, os.O_RDONLY)
    try:
        for _ in range(levels):
            os.mkdir(name, dir_fd=descriptor)
            below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        os.close(os.open(last, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=descriptor))
        yield
    finally:
        os.close(descriptor)
        subprocess.run(["rm", "-rf", str(top / name)], check=True)
