"""A source tree of a TAO backend: its path in the container and its base image.

Source: NVIDIA/tao_pytorch_backend runner/tao_pt.py, scripts/envsetup.sh, docker/manifest.json (6.25.10).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taorunner.errors import UserFilesError
from taorunner.project.text_files import read_text_file
from taorunner.values.bounded_reading import parse_json

INSIDE = "/tao-pt"
MANIFEST = Path("docker", "manifest.json")
_CORE = "tao-core"
_MAX_BYTES = 64 * 1024
_WORD = re.compile(r"[a-z0-9][a-z0-9._:/-]*\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class SourceTree:
    root: Path

    @property
    def python_path(self) -> str:
        """The start of PYTHONPATH: the tree, and TAO's core if it is a submodule."""
        return f"{INSIDE}:{INSIDE}/{_CORE}" if (self.root / _CORE).is_dir() else INSIDE

    def base_image(self, tag: str | None = None) -> str:
        """The image in the manifest, by its digest or with ``tag``.

        Raises:
            UserFilesError: the manifest is missing or has no image.
        """
        file = self.root / MANIFEST
        hint = "add --head HEAD, --group GROUP or --image IMAGE"
        read = read_text_file(file, max_bytes=_MAX_BYTES)
        if read.text is None:
            problem = read.findings[0]
            raise UserFilesError(f'"{file}" names no base image: {problem.message}', hint=hint)
        try:
            body: Any = parse_json(read.text)
        except ValueError as error:
            raise UserFilesError(f'"{file}" is not valid JSON: {error}', hint=hint) from error
        words = {}
        for key, pattern in (("registry", _WORD), ("repository", _WORD), ("digest", _DIGEST)):
            value = body.get(key) if isinstance(body, dict) else None
            if tag is not None and key == "digest":
                continue
            if not isinstance(value, str) or not pattern.match(value):
                raise UserFilesError(f'"{file}" has no "{key}" that names an image', hint=hint)
            words[key] = value
        name = f"{words['registry']}/{words['repository']}"
        return f"{name}:{tag}" if tag is not None else f"{name}@{words['digest']}"
