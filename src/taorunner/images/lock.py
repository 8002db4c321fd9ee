"""Writes ``taorunner.lock``, and checks that it has every needed image and that tags still have their digests.

Registries are queried through the engine, so nothing is pulled.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from taorunner.atomic_files import write_text
from taorunner.engine import images
from taorunner.engine.client import Engine
from taorunner.engine.registry import remote_digest
from taorunner.errors import EngineRefusedError, Finding, Severity, TaorunnerError, UserFilesError
from taorunner.image_names import is_pinned
from taorunner.planning.spec.required_images import NeededImage
from taorunner.project.image_lock import ImageLock, lock_text

_AT_A_TIME = 4
_LOCK = "taorunner image lock"


class Change(str, Enum):
    ADDED = "added"
    MOVED = "moved"
    KEPT = "kept"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class LockedImage:
    """``digest`` is None for an entry that was removed; ``note`` is a remark for the user."""

    reference: str
    digest: str | None
    previous: str | None
    change: Change
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "image": self.reference,
            "digest": self.digest,
            "previous": self.previous,
            "change": self.change.value,
            "note": self.note,
        }


def lock_images(
    engine: Engine, needed: Sequence[NeededImage], lock: ImageLock, *, whole: bool
) -> list[LockedImage]:
    """Writes the current digest of each tag: the registry's, or the engine's when the registry does not answer.
    ``whole``: entries that are not needed are removed.

    Raises:
        UserFilesError: an image is in no registry; nothing is written.
        MachineError, EngineRefusedError: a registry does not answer for an image that the engine does not have; nothing
            is written.
    """
    asked = [image.reference for image in needed if not is_pinned(image.reference)]
    answers = _ask(engine, asked)
    silent = {name: answer for name, answer in answers.items() if isinstance(answer, TaorunnerError)}
    for name in silent:
        here = images.find_image(engine, name)
        answers[name] = here.digest if here is not None and here.digest is not None else answers[name]
    _raise_all([answer for answer in answers.values() if isinstance(answer, TaorunnerError)], len(asked))
    absent = [image for image in needed if image.reference in answers and answers[image.reference] is None]
    if absent:
        findings = [_not_in_registry(engine, image) for image in absent]
        raise UserFilesError("nothing was locked", findings=findings)
    digests = {reference: str(answer) for reference, answer in answers.items()}
    kept = {} if whole else {name: digest for name, digest in lock.digests.items() if name not in digests}
    changes = [
        _changed(engine, reference, digest, lock, silent.get(reference))
        for reference, digest in digests.items()
    ]
    if whole:
        for name, digest in lock.digests.items():
            if name not in digests:
                changes.append(LockedImage(name, None, digest, Change.REMOVED))
    _write(lock.file, {**kept, **digests})
    return changes


def check_lock(engine: Engine, needed: Sequence[NeededImage], lock: ImageLock) -> list[Finding]:
    """An error for each image that is not locked and each tag that moved; an "ok" for each of the others.

    A registry that does not answer has the code ``registry-silent``.
    """
    findings: list[Finding] = []
    asked = [image.reference for image in needed if lock.digest_of(image.reference) is not None]
    answers = _ask(engine, asked)
    for image in needed:
        reference = image.reference
        if is_pinned(reference):
            findings.append(
                _at(image, Severity.OK, "image-pinned", f'"{reference}" is pinned by digest where it is used')
            )
        elif reference not in answers:
            needed_by = f", which {image.experiments[0]} needs," if image.experiments else ""
            message = f'"{reference}"{needed_by} is not in {lock.file.name}'
            findings.append(_at(image, Severity.ERROR, "image-not-locked", message, _LOCK))
        else:
            findings.append(_compared(reference, answers[reference], lock))
    return findings


def _compared(reference: str, answer: str | TaorunnerError | None, lock: ImageLock) -> Finding:
    line, column = lock.place(reference)
    locked = str(lock.digest_of(reference))
    at = Finding(Severity.ERROR, "", "", None, lock.file, line, column)
    if isinstance(answer, TaorunnerError):
        return replace(at, code="registry-silent", message=answer.message, hint=answer.hint)
    if answer is None:
        message = f'"{reference}" is no longer in its registry; its locked digest is {locked}'
        return replace(
            at, code="tag-gone", message=message, hint="runs use the locked digest as long as it is available"
        )
    if answer != locked:
        message = f'"{reference}" moved from {locked} to {answer}'
        hint = f"runs use the first; to lock the second: {_LOCK}"
        return replace(at, code="tag-moved", message=message, hint=hint)
    return replace(at, severity=Severity.OK, code="image-locked", message=f'"{reference}" is {locked}')


def _ask(engine: Engine, references: Sequence[str]) -> dict[str, str | TaorunnerError | None]:
    """The current digest of each name, or the error of its registry."""

    def one(reference: str) -> str | TaorunnerError | None:
        try:
            return remote_digest(engine, reference)
        except TaorunnerError as error:
            return error

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return dict(zip(references, pool.map(one, references), strict=True))


def _raise_all(errors: Sequence[TaorunnerError], asked: int) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        findings = [Finding(Severity.ERROR, "registry-silent", error.message, error.hint) for error in errors]
        whole = EngineRefusedError(f"nothing was locked: {len(errors)} of {asked} images", findings=findings)
        whole.exit_code = min(error.exit_code for error in errors)
        raise whole


def _changed(
    engine: Engine, reference: str, digest: str, lock: ImageLock, silence: TaorunnerError | None
) -> LockedImage:
    previous = lock.digest_of(reference)
    change = Change.KEPT if previous == digest else Change.MOVED if previous else Change.ADDED
    here = images.find_image(engine, reference)
    note = None
    if silence is not None:
        note = f"{silence.message}: locked the engine's digest"
    elif here is not None and here.digest != digest:
        had = here.digest or "an image built here"
        note = f"the engine has {had} under this tag; runs will pull the locked one"
    return LockedImage(reference, digest, previous, change, note)


def _not_in_registry(engine: Engine, image: NeededImage) -> Finding:
    if images.find_image(engine, image.reference) is not None:
        message = f'"{image.reference}" is only on this engine: an image must be in a registry to be locked'
        return _at(image, Severity.ERROR, "image-only-here", message, "push it: taorunner image push")
    message = f'"{image.reference}" is not in its registry'
    return _at(
        image, Severity.ERROR, "image-unknown", message, "correct image or release: see taorunner networks"
    )


def _at(image: NeededImage, severity: Severity, code: str, message: str, hint: str | None = None) -> Finding:
    return replace(image.asked_at, severity=severity, code=code, message=message, hint=hint)


def _write(file: Path, digests: Mapping[str, str]) -> None:
    """Writes atomically (temporary file, then rename)."""
    text = lock_text(digests)
    with suppress(OSError, UnicodeDecodeError):
        if file.read_text(encoding="utf-8") == text:
            return
    write_text(Path(os.path.realpath(file)), text)
