"""The parts of an image's name."""

from __future__ import annotations

import pytest

from taorunner.image_names import is_digest, is_pinned, pinned, registry_of, split_reference, with_tag

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("busybox", ("busybox", "latest")),
        ("nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt", ("nvcr.io/nvidia/tao/tao-toolkit", "5.5.0-pyt")),
        ("localhost:5000/tao", ("localhost:5000/tao", "latest")),
        ("localhost:5000/tao:1", ("localhost:5000/tao", "1")),
        (f"nvcr.io/tao@{DIGEST}", ("nvcr.io/tao", DIGEST)),
        (f"localhost:5000/tao:1@{DIGEST}", ("localhost:5000/tao", DIGEST)),
        (f"localhost:5000/tao@{DIGEST}", ("localhost:5000/tao", DIGEST)),
    ],
)
def test_reference_parts(reference: str, parts: tuple[str, str]) -> None:
    assert split_reference(reference) == parts


def test_a_pinned_name_has_no_tag() -> None:
    assert pinned("localhost:5000/tao:5.5", DIGEST) == f"localhost:5000/tao@{DIGEST}"
    assert pinned("busybox", DIGEST) == f"busybox@{DIGEST}"
    assert [is_pinned(name) for name in ("busybox", "a.b/c:1", f"a.b/c@{DIGEST}")] == [False, False, True]


def test_a_tag_is_written_out() -> None:
    assert with_tag("localhost:5000/tao") == "localhost:5000/tao:latest"
    assert with_tag("a.b/c:1") == "a.b/c:1"
    assert with_tag(f"a.b/c@{DIGEST}") == f"a.b/c@{DIGEST}"


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("busybox", ("docker.io", "library/busybox")),
        ("somebody/tool:1", ("docker.io", "somebody/tool")),
        ("nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt", ("nvcr.io", "nvidia/tao/tao-toolkit")),
        ("localhost/tao", ("localhost", "tao")),
        ("127.0.0.1:5000/tao:1", ("127.0.0.1:5000", "tao")),
    ],
)
def test_the_registry_of_a_name(reference: str, parts: tuple[str, str]) -> None:
    assert registry_of(reference) == parts


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:ab", "ab" * 32, DIGEST.upper(), DIGEST + "a", 5, None]
)
def test_what_is_no_digest(text: object) -> None:
    assert is_digest(DIGEST)
    assert not is_digest(text)
