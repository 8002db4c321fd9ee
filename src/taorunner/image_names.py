"""Parses image names: registry, repository, tag, digest. Pure."""

from __future__ import annotations

import re

from taorunner.errors import UsageError
from taorunner.text import printable

DOCKER_HUB = "docker.io"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_NAME = re.compile(
    r"(?:(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?"
    rf"{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?\Z"
)
_LONGEST = 255
"""Characters of a repository."""


def split_reference(reference: str) -> tuple[str, str]:
    """Repository, and tag or digest (``latest`` by default). A port is not a tag.

    >>> split_reference("localhost:5000/tao/toolkit:5.5.0-pyt")
    ('localhost:5000/tao/toolkit', '5.5.0-pyt')
    """
    name, at, digest = reference.partition("@")
    if at:
        head, _, tail = name.rpartition(":")
        return (head if head and "/" not in tail else name), digest
    head, _, tag = reference.rpartition(":")
    if head and "/" not in tag:
        return head, tag
    return reference, "latest"


def with_tag(reference: str) -> str:
    """The name with its tag written out; a name with a digest is unchanged.

    >>> with_tag("busybox")
    'busybox:latest'
    """
    return reference if is_pinned(reference) else ":".join(split_reference(reference))


def pinned(reference: str, digest: str) -> str:
    """``repository@sha256:…`` without the tag, because not every engine accepts both."""
    return f"{split_reference(reference)[0]}@{digest}"


def is_pinned(reference: str) -> bool:
    """True when the name has a digest, so that it always means the same image."""
    return "@" in reference


def is_image_name(text: str) -> bool:
    """True for a name that engines accept. Source: the distribution project's reference grammar."""
    return len(text) < 1000 and bool(_NAME.match(text)) and len(split_reference(text)[0]) <= _LONGEST


def checked_name(text: str) -> str:
    """Returns the name. Raises UsageError for an invalid one."""
    if not is_image_name(text):
        what = text if len(text) <= 80 else text[:80] + "…"
        hint = "write REPOSITORY:TAG in lower case, such as nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt"
        raise UsageError(f'"{printable(what)}" is not the name of an image', hint=hint)
    return text


def is_digest(text: object) -> bool:
    return isinstance(text, str) and bool(_DIGEST.match(text))


def short_digest(digest: str) -> str:
    """The digest shortened for people: ``sha256:0123456789ab``.

    >>> short_digest("sha256:" + "ab" * 32)
    'sha256:abababababab'
    """
    return digest[: len("sha256:") + 12]


def registry_of(reference: str) -> tuple[str, str]:
    """The registry's host (``docker.io`` when none is named), and the repository's path there.

    >>> registry_of("nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt")
    ('nvcr.io', 'nvidia/tao/tao-toolkit')
    """
    repository, _ = split_reference(reference)
    host, slash, path = repository.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return host, path
    return DOCKER_HUB, repository if slash else f"library/{repository}"
