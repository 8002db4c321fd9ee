"""Puts an image into a registry, and its digest into the manifest file that the source tree keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taorunner.engine import images
from taorunner.engine.client import Engine
from taorunner.engine.registry import remote_digest
from taorunner.errors import EngineRefusedError, UsageError
from taorunner.image_names import checked_name, is_pinned, split_reference, with_tag
from taorunner.images.manifest_file import read_manifest_file
from taorunner.images.transfer import Patience, Watcher, follow, with_patience
from taorunner.text import did_you_mean

_NO_DIGEST = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True)
class Pushed:
    """``reference`` is the name in the registry, ``manifest`` the file that tells of it now."""

    reference: str
    digest: str
    manifest: Path | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "image": self.reference,
            "digest": self.digest,
            "manifest": str(self.manifest) if self.manifest else None,
        }


def push_image(
    engine: Engine,
    image: str,
    watcher: Watcher,
    *,
    repository: str | None = None,
    manifest: Path | None = None,
    patience: Patience | None = None,
) -> Pushed:
    """``repository`` is the name to push as, with or without a tag; by default the image's own.

    The manifest file is read before anything is sent, and written after the registry has told the digest.

    Raises:
        UsageError: a name that nothing can be pushed as. UserFilesError: the manifest file cannot be used.
        MachineError, EngineRefusedError: no such image, no login, no registry.
    """
    patience = patience or Patience()
    target = _target(image, checked_name(image if repository is None else repository))
    here = images.find_image(engine, image)
    if here is None:
        names = images.image_names(engine)
        raise EngineRefusedError(f'the engine has no image "{image}"', hint=did_you_mean(image, names))
    file = read_manifest_file(manifest) if manifest is not None else None
    if file is not None:
        file.with_push(target, _NO_DIGEST, here.architecture)  # what would fail afterwards fails now
    if target != with_tag(image):
        images.tag_image(engine, image, target)
    watcher.begins(target, None)
    try:
        digest = with_patience(
            target,
            lambda: follow(images.push_events(engine, target), target, watcher, patience.stop),
            watcher,
            patience,
        )
    finally:
        watcher.ends(target)
    digest = digest or remote_digest(engine, target)  # podman's engine does not tell
    if digest is None:
        raise EngineRefusedError(f'"{target}" was sent, and its registry does not have it')
    if file is not None:
        file.with_push(target, digest, here.architecture).write()
    return Pushed(target, digest, manifest)


def _target(image: str, name: str) -> str:
    """``name`` with a tag: its own, else the image's."""
    if is_pinned(name):
        what = "has a digest and no tag" if name == image else "has a digest"
        hint = "the push makes the digest: --repository NAME:TAG says what to push it as"
        raise UsageError(f'"{name}" {what}', hint=hint)
    if name == image or ":" in name.rpartition("/")[2]:
        return with_tag(name)
    return f"{name}:{'latest' if is_pinned(image) else split_reference(image)[1]}"
