"""``docker/manifest.json``, in which a TAO source tree keeps the digest of its base image.

Keys: ``registry``, ``repository``, ``digest``, in newer trees ``tag``; in TAO Deploy's tree ``digests`` with one for
``x86`` and one for ``arm``. All other keys, their order and the indentation are preserved.
Source: docker/manifest.json of NVIDIA/tao_pytorch_backend, tao_tensorflow2_backend and tao_deploy.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taorunner.atomic_files import write_text
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.image_names import registry_of, split_reference
from taorunner.project.text_files import read_text_file
from taorunner.values.bounded_reading import JsonError, parse_json

_MAX_BYTES = 1024 * 1024
_INDENT = re.compile(r"\{\r?\n([ \t]+)\"")
_KEYS = {"amd64": "x86", "arm64": "arm"}
"""The engine's names of processors, and the keys in ``digests``."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    path: Path
    body: dict[str, Any]
    indent: str = "    "

    def with_push(self, reference: str, digest: str, architecture: str | None) -> ManifestFile:
        """The file's content after ``reference`` was pushed as ``digest``.

        Raises UserFilesError when it has digests by processor, but none for this one.
        """
        registry, repository = registry_of(reference)
        body = {**self.body, "registry": registry, "repository": repository}
        digests = body.get("digests")
        if isinstance(digests, dict):
            key = _KEYS.get(architecture or "", architecture or "")
            if key not in digests:
                raise _damaged(self.path, f'"digests" has no "{key}": {", ".join(sorted(digests))}', 1, 1)
            body["digests"] = {**digests, key: digest}
        else:
            body["digest"] = digest
        if "tag" in body:
            body["tag"] = split_reference(reference)[1]
        return ManifestFile(self.path, body, self.indent)

    def write(self) -> None:
        """Writes atomically. Raises OSError."""
        place = Path(os.path.realpath(self.path))
        mode = place.stat().st_mode & 0o777 if place.exists() else None
        write_text(place, json.dumps(self.body, indent=self.indent, ensure_ascii=False) + "\n", mode=mode)


def read_manifest_file(path: Path) -> ManifestFile:
    """A missing file counts as empty.

    Raises UserFilesError with the position of an error.
    """
    if not os.path.lexists(path):
        if not path.parent.is_dir():
            raise UserFilesError(f'there is no folder "{path.parent}" to write "{path.name}" into')
        return ManifestFile(path, {})
    read = read_text_file(path, max_bytes=_MAX_BYTES)
    if read.text is None:
        raise UserFilesError(f'"{path}" cannot be used', findings=read.findings)
    try:
        body = parse_json(read.text)
    except JsonError as error:
        message = f"not valid JSON: {error.message}"
        raise _damaged(path, message, error.line or 1, error.column or 1) from error
    if not isinstance(body, dict):
        raise _damaged(path, 'not a mapping with "registry", "repository" and "digest"', 1, 1)
    indent = _INDENT.search(read.text)
    return ManifestFile(path, body, indent[1] if indent else "    ")


def _damaged(path: Path, message: str, line: int, column: int) -> UserFilesError:
    finding = Finding(Severity.ERROR, "manifest-damaged", message, None, path, line, column)
    return UserFilesError("nothing was pushed", findings=(finding,))
