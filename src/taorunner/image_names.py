"""The parts of an image's name: registry, repository, tag, digest. Pure, and without any engine."""

from __future__ import annotations

import re

DOCKER_HUB = "docker.io"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def split_reference(reference: str) -> tuple[str, str]:
    """Repository, and tag or digest (``latest`` when there is none). A port is no tag.

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
    """The same name with its tag written out; a name with a digest stays as it is.

    >>> with_tag("busybox")
    'busybox:latest'
    """
    return reference if is_pinned(reference) else ":".join(split_reference(reference))


def pinned(reference: str, digest: str) -> str:
    """``repository@sha256:…``: without the tag, because not every engine takes both."""
    return f"{split_reference(reference)[0]}@{digest}"


def is_pinned(reference: str) -> bool:
    """True when the name says by a digest which image it is, whatever becomes of its tag."""
    return "@" in reference


def is_digest(text: object) -> bool:
    return isinstance(text, str) and bool(_DIGEST.match(text))


def short_digest(digest: str) -> str:
    """As much of a digest as people compare: ``sha256:0123456789ab``.

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
