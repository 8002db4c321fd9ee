"""The parts of an image's name."""

from __future__ import annotations

import pytest

from taorunner.errors import UsageError
from taorunner.image_names import (
    checked_name,
    is_digest,
    is_image_name,
    is_pinned,
    pinned,
    registry_of,
    short_digest,
    split_reference,
    with_tag,
)

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
        ("nvcr.io", ("docker.io", "library/nvcr.io")),
        ("[::1]:5000/x", ("[::1]:5000", "x")),
        ("host:5000/tao", ("host:5000", "tao")),
        ("localhost/tao", ("localhost", "tao")),
        ("127.0.0.1:5000/tao:1", ("127.0.0.1:5000", "tao")),
    ],
)
def test_the_registry_of_a_name(reference: str, parts: tuple[str, str]) -> None:
    assert registry_of(reference) == parts


def test_a_digest_is_shortened_for_people() -> None:
    assert short_digest(DIGEST) == "sha256:abababababab"


def test_a_long_text_is_shortened_in_the_message() -> None:
    for length, shown in ((80, "X" * 80), (81, "X" * 80 + "…")):
        with pytest.raises(UsageError) as caught:
            checked_name("X" * length)
        assert caught.value.message == f'"{shown}" is not the name of an image'


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:ab", "ab" * 32, DIGEST.upper(), DIGEST + "a", 5, None]
)
def test_what_is_no_digest(text: object) -> None:
    assert is_digest(DIGEST)
    assert not is_digest(text)


@pytest.mark.parametrize(
    "text",
    [
        "busybox", "a.b/c:1", "localhost:5000/tao/toolkit:5.5.0-pyt", f"nvcr.io/nvidia/tao/tao-toolkit@{DIGEST}",
        f"a__b/c-d.e:X_y@{DIGEST}", "x:" + "t" * 128, "x" * 255 + ":1", "[::1]:5000/x", "Registry.Example:80/x", "x" * 255,
    ],
)  # fmt: skip
def test_names_of_images(text: str) -> None:
    assert is_image_name(text)
    assert checked_name(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "a b", "http://x/y:1", "UPPER:1", "x:tag:tag", "x@sha256:12", "-x", "x/", "/x", "a//b", "x:", "x:.tag",
        "x\n", "a..b", "x" * 256, "x" * 100_000, "x:" + "t" * 129, "\x1b[2J",
    ],
)  # fmt: skip
def test_what_is_no_name_of_an_image(text: str) -> None:
    assert not is_image_name(text)
    with pytest.raises(UsageError) as caught:
        checked_name(text)
    assert "is not the name of an image" in caught.value.message and caught.value.message.isprintable()
