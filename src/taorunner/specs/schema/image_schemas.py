"""Stores the schemas that were read from images, in the workspace: one folder per image digest.

``images.json`` maps each reference to the image that it named when its schemas were read. Nothing here contacts an
engine. A folder is written under another name and then renamed, so it is complete or absent.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from taorunner.atomic_files import write_json
from taorunner.specs.memory import Answers, SpecMemory
from taorunner.specs.schema.schema import SchemaSet
from taorunner.specs.schema.storage import SchemaFile, write_schemas
from taorunner.values.bounded_reading import read_json
from taorunner.values.value import Value, field

_MAX_BYTES = 64 * 1024**2
_INDEX = "images.json"
_VERSION = 1
"""Format version of the stored files; files of another version are ignored."""


class _Indexes(Answers[tuple[Path, int], Mapping[str, str]]):
    """``images.json`` by folder and time of change."""


class KeptSchemas(Value):
    """``folder`` need not exist. ``memory`` is that of the command: each file is read once for it."""

    folder: Path
    memory: SpecMemory = field(default_factory=SpecMemory, compare=False, repr=False)

    def of_image(self, reference: str) -> SchemaSet | None:
        """None for an image whose schemas were never read. A digest in the reference takes precedence over its tag."""
        images = self._images()
        entry = images.get(_key(reference))
        if entry is None:
            return None
        folder = self.folder / entry
        label = f"the image {reference.rpartition('/')[2]}"
        return SchemaSet(folder, label, self.memory) if (folder / "index.json").is_file() else None

    def keep(
        self, reference: str, image_id: str, digest: str | None, found: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Writes the output of ``in_image``; returns the names of the schemas. Raises OSError."""
        schemas: dict[str, SchemaFile] = {}
        for spec_format in ("yaml", "prototxt"):
            for name, tree in found[spec_format].items():
                schemas[name] = SchemaFile(spec_format)
                schemas[name].add(image_id, tree)
        self.folder.mkdir(parents=True, exist_ok=True)
        name = image_id.replace(":", "-")
        partial = Path(mkdtemp(prefix=f".{name[:20]}-", dir=self.folder))
        try:
            partial.chmod(0o755)
            facts = {"image": image_id, "packages": found["packages"], "without": found["failed"]}
            write_schemas(partial, schemas, facts)
            shutil.rmtree(
                self.folder / name, ignore_errors=True
            )  # read again: the stored files may be from an older reader
            partial.rename(self.folder / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        keys = {_key(reference): name}
        if digest is not None:
            keys[_key(f"{reference.partition('@')[0]}@{digest}")] = name
        self._write({**self._images(), **keys})
        return tuple(sorted(schemas))

    def _images(self) -> Mapping[str, str]:
        """Key → folder, of what this version has written. Empty without a file, or when it cannot be read."""
        try:
            stamp = (self.folder / _INDEX).stat().st_mtime_ns
        except OSError:
            return {}
        return self.memory.table(_Indexes).get((self.folder, stamp), lambda: _read(self.folder))

    def _write(self, images: Mapping[str, str]) -> None:
        write_json(self.folder / _INDEX, {"version": _VERSION, "images": images}, sort_keys=True)


def _key(reference: str) -> str:
    """``name:tag@sha256:…`` and ``name@sha256:…`` are the same image; a name alone has the tag ``latest``."""
    name, at, digest = reference.partition("@")
    head, colon, tail = name.rpartition(":")
    has_tag = bool(colon) and "/" not in tail
    if at:
        return f"{head if has_tag else name}@{digest}"
    return name if has_tag else f"{name}:latest"


def _read(folder: Path) -> Mapping[str, str]:
    try:
        body = read_json(folder / _INDEX, most_bytes=_MAX_BYTES)
        if body["version"] != _VERSION:
            return {}
        return {str(key): str(name) for key, name in body["images"].items() if "/" not in str(name)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
