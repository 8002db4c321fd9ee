"""Reads and writes ``taorunner.lock`` of the workspace: the digest of each image tag.

The file is meant for version control: one line per image, sorted, without times.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from taorunner.errors import Finding, Severity
from taorunner.image_names import is_digest, is_pinned, pinned, with_tag
from taorunner.project.diagnostics import FindingList, shown
from taorunner.project.text_files import read_text_file
from taorunner.project.workspace import Workspace
from taorunner.values.value import Value, field
from taorunner.yaml_reader import MAX_BYTES, Place, YamlDocument, read_yaml

VERSION = 1
_HEAD = '# Written by "taorunner image lock": every run uses these digests. Keep it under version control.\n'
_AGAIN = "taorunner image lock writes it again"


class ImageLock(Value):
    """``digests`` by name with tag. Empty without a file, and when ``findings`` has an error."""

    file: Path
    digests: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    _document: YamlDocument = field(default_factory=YamlDocument, repr=False, compare=False)

    def digest_of(self, reference: str) -> str | None:
        return self.digests.get(with_tag(reference))

    def resolved(self, reference: str) -> str:
        """The name that a run uses: with the locked digest instead of the tag, if there is one."""
        digest = self.digest_of(reference)
        return reference if digest is None else pinned(reference, digest)

    def place(self, reference: str) -> Place:
        """The place of its digest in the file."""
        return self._document.place(("images", with_tag(reference)))


def read_image_lock(workspace: Workspace) -> ImageLock:
    """Reads the lock; without a file it is empty. Never raises for bad content."""
    file = workspace.lock_file
    if not os.path.lexists(file):
        return ImageLock(file)
    read = read_text_file(file, max_bytes=MAX_BYTES)
    if read.text is None:
        return ImageLock(file, {}, read.findings)
    document = read_yaml(read.text)
    found = FindingList(file, document.place)
    conflict = re.search(r"^(?:<{7}|={7}|>{7})(?= |$)", read.text, re.MULTILINE)
    if conflict is not None:
        line = read.text.count("\n", 0, conflict.start()) + 1
        message = f'"{conflict.group()}" is a conflict mark of an unfinished merge'
        return ImageLock(
            file, {}, (Finding(Severity.ERROR, "merge-conflict", message, _AGAIN, file, line, 1),)
        )
    found.take(document.problems)
    if not found.findings:
        _check(document.value, found)
    if found.findings:
        return ImageLock(file, {}, found.sorted())
    images: Mapping[str, str] = (document.value or {}).get("images") or {}
    return ImageLock(file, dict(images), (), document)


def lock_text(digests: Mapping[str, str]) -> str:
    """The text of the file. The same digests give the same text."""
    lines = [f"  {json.dumps(name)}: {digest}\n" for name, digest in sorted(digests.items())]
    return f"{_HEAD}version: {VERSION}\nimages:{''.join([chr(10), *lines]) if lines else ' {}' + chr(10)}"


def _check(value: object, found: FindingList) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        found.error("not-a-mapping", 'the file needs "version" and "images"', hint=_AGAIN)
        return
    for key in value:
        if key not in ("version", "images"):
            hint = found.suggestion(key, ("version", "images"))
            found.error(
                "unknown-key", f'"{shown(key)}" is not a key of this file', (key,), hint=hint, of_key=True
            )
    version = value.get("version")
    if "version" not in value:
        found.error("missing-key", f'"version: {VERSION}" is missing', hint=_AGAIN)
    elif version != VERSION or isinstance(version, bool):
        message = f'"version" must be {VERSION}, not "{shown(version)}"'
        hint = (
            "a newer taorunner wrote it: update" if isinstance(version, int) and version > VERSION else _AGAIN
        )
        found.error("wrong-version", message, ("version",), hint=hint)
    images = value.get("images")
    if images is None:
        return
    if not isinstance(images, dict):
        found.error("not-a-mapping", '"images" maps names of images to digests', ("images",), hint=_AGAIN)
        return
    for name, digest in images.items():
        at = ("images", name)
        if not isinstance(name, str) or is_pinned(name) or with_tag(name) != name or name != name.strip():
            message = f'"{shown(name)}" is not the name of an image with its tag'
            found.error("wrong-image", message, at, hint="REPOSITORY:TAG", of_key=True)
        elif not is_digest(digest):
            message = f'"{shown(digest)}" is not a digest: "sha256:" and 64 digits from 0 to f'
            found.error("wrong-digest", message, at, hint=_AGAIN)
