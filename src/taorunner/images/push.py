"""Pushes an image to a registry, and writes its digest into the source tree's manifest file."""

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
    """``reference``: the name in the registry; ``manifest``: the updated manifest file."""

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
    """``repository``: the name to push as, with or without a tag; by default the image's own.

    The manifest file is read before the push, and written when the registry has returned the digest.

    Raises:
        UsageError: a name that cannot be pushed to. UserFilesError: the manifest file cannot be used.
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
        file.with_push(
            target, _NO_DIGEST, here.architecture
        )  # fails early if the manifest file cannot be updated
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
    digest = digest or remote_digest(engine, target)  # podman's engine does not report it
    if digest is None:
        raise EngineRefusedError(f'"{target}" was pushed, but its registry does not have it')
    if file is not None:
        file.with_push(target, digest, here.architecture).write()
    return Pushed(target, digest, manifest)


def _target(image: str, name: str) -> str:
    """``name`` with its own tag, else the image's tag."""
    if is_pinned(name):
        what = "has a digest but no tag" if name == image else "has a digest"
        hint = "the registry computes the digest: give a tag with --repository NAME:TAG"
        raise UsageError(f'"{name}" {what}', hint=hint)
    if name == image or ":" in name.rpartition("/")[2]:
        return with_tag(name)
    return f"{name}:{'latest' if is_pinned(image) else split_reference(image)[1]}"
