"""Checks of image files: contents, extensions, colliding names, duplicates."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.datasets.checks.image_facts import SUFFIXES_OF_FORMAT, ImageFacts
from taorunner.datasets.checks.near_duplicates import Fingerprint, fingerprint_of, similar_findings
from taorunner.datasets.files.image_header import SELDOM_READ
from taorunner.datasets.files.pixels import needs_pillow, open_image
from taorunner.errors import Finding, Severity
from taorunner.text import amount, printable

if TYPE_CHECKING:
    from taorunner.datasets.checks.report import Progress

_ROTATES = "taorunner dataset resize DATASET --size WIDTHxHEIGHT rotates the pixels"


def file_findings(path: Path, facts: ImageFacts, *, is_repaired: bool = False) -> Iterator[Finding]:
    """Findings from the header of one image."""
    if facts.problem is not None:
        hint = "replace the image, or delete it and its label"
        yield Finding(Severity.ERROR, facts.problem_code, facts.problem, hint, path)
        return
    header = facts.header
    if header is None:
        return
    fitting = SUFFIXES_OF_FORMAT[header.format]
    if not str(path).lower().endswith(fitting):
        message = f'the content is {header.format.upper()}, the name says "{path.suffix}"'
        named = f'"{printable(path.stem)}{fitting[0]}"'
        hint = f"--fix renames it to {named}" if is_repaired else f"rename it to {named}, also in the labels"
        yield Finding(Severity.ERROR, "image-wrong-extension", message, hint, path)
    if header.format in SELDOM_READ:
        message = f"{header.format.upper()} is ignored by TAO's loaders, which read JPEG, PNG and BMP"
        yield _warning("image-format", message, path, "save it as PNG or JPEG, and rename it in the labels")
    if header.bits > 8:
        message = f"{header.bits} bits per channel; TAO's networks read 8"
        yield _warning("image-16-bit", message, path, "convert it to 8 bits")
    if header.format == "jpeg" and header.channels == 4:
        yield _warning("image-cmyk", "the colour space is CMYK, not RGB", path, "convert it to RGB")
    if facts.has_alpha:
        yield _warning("image-alpha", "there is an alpha channel", path, "remove it, unless it is intended")
    if header.orientation != 1:
        message = f"EXIF orientation {header.orientation} rotates the image; TF networks ignore it"
        yield _warning("image-exif-rotation", message, path, _ROTATES)


def grayscale_findings(grays: Sequence[Path], total: int) -> Iterator[Finding]:
    """One finding for all grayscale images: info when all are grayscale, a warning when only some are."""
    if grays and len(grays) < total:
        message = f"{len(grays)} of {total} images are grayscale, the others are in colour"
        yield _warning(
            "image-grayscale", message, grays[0], "set output_channel of the spec for what is intended"
        )
    elif grays:
        message = f"all {total} images are grayscale"
        yield Finding(
            Severity.INFO, "image-grayscale", message, "output_channel of the spec must be 1", grays[0].parent
        )


def name_findings(folder: Path, names: Sequence[str]) -> Iterator[Finding]:
    """Checks the file names in one image folder: extensions, stems, characters.

    Source: tao/tensorflow.md section 7: one image_extension per run, case-sensitive; arguments go through a
    shell.
    """
    by_stem: dict[str, list[str]] = {}
    by_suffix: dict[str, list[str]] = {}
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        by_stem.setdefault(stem, []).append(name)
        by_suffix.setdefault(dot + suffix, []).append(name)
        if not name.isascii() or any(c.isspace() for c in name):
            message = f'the name "{printable(name)}" has spaces or non-ASCII characters'
            yield _warning("image-name", message, folder / name, "rename it and its label")
    for stem, same in by_stem.items():
        if len(same) > 1:
            message = f'{" and ".join(same)} share the label "{printable(stem)}.txt"'
            yield Finding(Severity.ERROR, "stem-collision", message, "rename one of them", folder / same[1])
    if len(by_suffix) > 1:
        most = max(by_suffix, key=lambda suffix: len(by_suffix[suffix]))
        for suffix, files in by_suffix.items():
            if suffix != most:
                names = amount(len(files), "name")
                message = f'{names} with "{suffix}" at the end, {len(by_suffix[most]):,} with "{most}"'
                hint = "TAO reads one extension per run and leaves the others out: convert or rename them"
                yield Finding(Severity.ERROR, "mixed-extensions", message, hint, folder / files[0])
    for suffix, files in by_suffix.items():
        if suffix != suffix.lower():
            message = f'{amount(len(files), "name")} with "{suffix}" at the end: TAO is case-sensitive'
            yield _warning("extension-case", message, folder / files[0], "--fix renames them")


class EqualFiles:
    """Collects images, with 80 bytes for each, and finds those with the same content."""

    def __init__(self) -> None:
        self._ends = array("q")
        self._files: list[tuple[str, Path]] = []

    def add(self, ends: int, subset: str, path: Path) -> None:
        """``ends``: see ``ImageFacts``."""
        if ends:
            self._ends.append(ends)
            self._files.append((subset, path))

    def findings(self) -> Iterator[Finding]:
        """See ``duplicate_findings``."""
        seen: set[int] = set()
        twice: set[int] = set()
        for ends in self._ends:
            (twice if ends in seen else seen).add(ends)
        groups: dict[int, list[tuple[str, Path]]] = {}
        for ends, file in zip(self._ends, self._files, strict=True):
            if ends in twice:
                groups.setdefault(ends, []).append(file)
        return duplicate_findings(groups)


def duplicate_findings(prints: Mapping[int, list[tuple[str, Path]]]) -> Iterator[Finding]:
    """Identical files in two subsets, or twice in one. Whole files are compared only when size and ends agree."""
    for same in prints.values():
        if len(same) < 2:
            continue
        first: dict[tuple[object, ...], tuple[str, Path]] = {}
        for subset, path in same:
            key = _identity(path)
            if key is None:
                continue
            if key not in first:
                first[key] = (subset, path)
                continue
            other, other_path = first[key]
            if other != subset:
                message = f'the same image is in "{other}" ({other_path.name}) and in "{subset}"'
                hint = "data leak: remove it from one of them"
                yield Finding(Severity.ERROR, "same-image-in-subsets", message, hint, path)
            else:
                yield _warning(
                    "image-twice", f"the same image as {other_path.name}", path, "remove one of them"
                )


def deep_findings(images: Sequence[tuple[str, Path]], progress: Progress) -> Iterator[Finding]:
    """Decodes every image, given with its subset, in threads (Pillow releases the GIL while decoding).

    Raises UserFilesError without Pillow.
    """
    needs_pillow("--deep")
    looks: list[tuple[str, Path, Fingerprint]] = []
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        decoded = pool.map(_decode, (path for _, path in images))
        for done, ((subset, path), (look, problem)) in enumerate(zip(images, decoded, strict=True), 1):
            if look is not None:
                looks.append((subset, path, look))
            if problem is not None:
                hint = "replace the image, or delete it and its label"
                yield Finding(Severity.ERROR, "image-undecodable", problem, hint, path)
            if done % 50 == 0:
                progress(done, len(images))
    if len({subset for subset, _, _ in looks}) > 1:
        yield from similar_findings(looks)


def _decode(path: Path) -> tuple[Fingerprint | None, str | None]:
    """The fingerprint of the image, and why it could not be decoded."""
    from PIL import Image

    try:
        with open_image(path) as image:
            image.load()
            return fingerprint_of(image), None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return None, f"the image cannot be decoded: {printable(str(error))[:200]}"


def _identity(path: Path) -> tuple[object, ...] | None:
    try:
        digest = blake2b(digest_size=20)
        with path.open("rb") as file:
            while block := file.read(1024 * 1024):
                digest.update(block)
    except OSError:
        return None
    return (digest.digest(),)


def _warning(code: str, message: str, path: Path, hint: str) -> Finding:
    return Finding(Severity.WARNING, code, message, hint, path)
