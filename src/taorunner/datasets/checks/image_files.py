"""Are the image files themselves fit? Contents, extensions, names that collide, the same picture twice."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.datasets.checks.image_facts import SUFFIXES_OF_FORMAT, ImageFacts
from taorunner.datasets.checks.near_duplicates import Look, look_of, similar_findings
from taorunner.datasets.files.image_header import SELDOM_READ
from taorunner.datasets.files.pixels import needs_pillow
from taorunner.errors import Finding, Severity
from taorunner.text import amount, printable

if TYPE_CHECKING:
    from taorunner.datasets.checks.report import Progress


def file_findings(path: Path, facts: ImageFacts, *, is_repaired: bool = False) -> Iterator[Finding]:
    """What the header says of one picture."""
    if facts.problem is not None:
        hint = "bring the image anew, or delete it with its label"
        yield Finding(Severity.ERROR, facts.problem_code, facts.problem, hint, path)
        return
    header = facts.header
    if header is None:
        return
    fitting = SUFFIXES_OF_FORMAT[header.format]
    if path.suffix.lower() not in fitting:
        message = f'the content is {header.format.upper()}, the name says "{path.suffix}"'
        named = f'"{printable(path.stem)}{fitting[0]}"'
        hint = f"--fix names it {named}" if is_repaired else f"name it {named}, and so in the labels"
        yield Finding(Severity.ERROR, "image-wrong-extension", message, hint, path)
    if header.format in SELDOM_READ:
        message = f"{header.format.upper()} is passed over by loaders of TAO that read JPEG, PNG and BMP"
        yield _warning("image-format", message, path, "save it as PNG or JPEG, and name it so in the labels")
    if header.bits > 8:
        message = f"{header.bits} bits a channel; TAO's networks read 8"
        yield _warning("image-16-bit", message, path, "convert it to 8 bits")
    if header.format == "jpeg" and header.channels == 4:
        yield _warning("image-cmyk", "the colours are CMYK, not RGB", path, "convert it to RGB")
    if facts.has_alpha:
        yield _warning("image-alpha", "there is an alpha channel", path, "remove it, unless it is meant")
    if header.orientation != 1:
        message = (
            f"EXIF asks to turn the picture (orientation {header.orientation}); TF networks do not turn it"
        )
        yield _warning("image-exif-rotation", message, path, "taorunner dataset resize turns the pixels")


def grayscale_findings(grays: Sequence[Path], total: int) -> Iterator[Finding]:
    """One finding on all of them: a dataset that is gray throughout is an ordinary thing, a mixed one seldom meant."""
    if grays and len(grays) < total:
        message = f"{len(grays)} of {total} pictures are grayscale, the others have colours"
        yield _warning(
            "image-grayscale", message, grays[0], "is that meant? output_channel of the spec must fit"
        )
    elif grays:
        message = f"all {total} pictures are grayscale"
        yield Finding(
            Severity.INFO, "image-grayscale", message, "output_channel of the spec must be 1", grays[0].parent
        )


def name_findings(folder: Path, names: Sequence[str]) -> Iterator[Finding]:
    """Names of one folder of pictures: extensions, stems, characters.

    Source: tao/tensorflow.md section 7: one image_extension a run, case matters; arguments pass a shell.
    """
    by_stem: dict[str, list[str]] = {}
    by_suffix: dict[str, list[str]] = {}
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        by_stem.setdefault(stem, []).append(name)
        by_suffix.setdefault(dot + suffix, []).append(name)
        if not name.isascii() or any(c.isspace() for c in name):
            message = f'the name "{printable(name)}" has blanks or characters beyond ASCII'
            yield _warning("image-name", message, folder / name, "rename it, with its label")
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
                hint = "a TAO run reads one extension and leaves the others out: convert or rename them"
                yield Finding(Severity.ERROR, "mixed-extensions", message, hint, folder / files[0])
    for suffix, files in by_suffix.items():
        if suffix != suffix.lower():
            message = f'{amount(len(files), "name")} with "{suffix}" at the end: TAO takes case into account'
            yield _warning("extension-case", message, folder / files[0], "--fix renames them")


def duplicate_findings(prints: Mapping[str, list[tuple[str, Path]]]) -> Iterator[Finding]:
    """The same bytes in two subsets, or twice in one. Whole files are read only where size and ends agree."""
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
                message = f'the same picture is in "{other}" ({other_path.name}) and in "{subset}"'
                hint = "what is trained on says nothing when it validates: keep it in one of them"
                yield Finding(Severity.ERROR, "same-image-in-subsets", message, hint, path)
            else:
                yield _warning(
                    "image-twice", f"the same picture as {other_path.name}", path, "keep one of them"
                )


def deep_findings(pictures: Sequence[tuple[str, Path]], progress: Progress) -> Iterator[Finding]:
    """Decodes every picture, given with its subset; Pillow releases the interpreter while it does.

    Raises UserFilesError without Pillow.
    """
    needs_pillow("--deep")
    looks: list[tuple[str, Path, Look]] = []
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        decoded = pool.map(_decode, (path for _, path in pictures))
        for done, ((subset, path), (look, problem)) in enumerate(zip(pictures, decoded, strict=True), 1):
            if look is not None:
                looks.append((subset, path, look))
            if problem is not None:
                hint = "bring the image anew, or delete it with its label"
                yield Finding(Severity.ERROR, "image-undecodable", problem, hint, path)
            if done % 50 == 0:
                progress(done, len(pictures))
    if len({subset for subset, _, _ in looks}) > 1:
        yield from similar_findings(looks)


def _decode(path: Path) -> tuple[Look | None, str | None]:
    """What it looks like, and why it could not be decoded."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
            return look_of(picture), None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return None, f"the picture cannot be decoded: {printable(str(error))[:200]}"


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
