"""Versions in tags, and which driver and which GPU each asks for."""

from __future__ import annotations

import pytest

from taorunner.doctor.requirements import capability_floor
from taorunner.gpu.driver_floors import (
    DriverFloor,
    driver_floor,
    image_version,
    is_older,
    parse_version,
)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("nvcr.io/nvidia/tao/tao-toolkit:5.0.0-tf1.15.5", (5, 0, 0)),
        ("nvcr.io/nvidia/tao/tao-toolkit-tf:v3.21.08-py3", (3, 21, 8)),
        ("localhost:5000/mirror/tao-toolkit:7.1.0-pyt@sha256:aa", (7, 1, 0)),
        ("localhost:5000/tao", None),
        ("ubuntu:22.04", None),
        ("our/tao-dev:latest", None),
        ("nvcr.io/nvidia/tao/tao-toolkit@sha256:aa", None),
    ],
)
def test_the_version_in_a_tag(image: str, version: tuple[int, ...] | None) -> None:
    assert image_version(image) == version


@pytest.mark.parametrize(
    ("version", "floor"),
    [
        ((7, 0, 1), DriverFloor("580", "580")),
        ((7,), DriverFloor("580", "580")),
        ((5,), DriverFloor("525.85", "525.85")),
        ((4,), DriverFloor("520", "520")),
        ((6, 26, 3), DriverFloor("525.85", "550")),
        ((5, 5, 0), DriverFloor("525.85", "550")),
        ((5, 2, 0), DriverFloor("525.85", "535")),
        ((5, 0, 0), DriverFloor("525.85", "525.85")),
        ((4, 0, 1), DriverFloor("520", "520")),
        ((3, 21, 8), DriverFloor("465", "465")),
        (None, DriverFloor("465", "465")),
    ],
)
def test_the_driver_of_an_image(version: tuple[int, ...] | None, floor: DriverFloor) -> None:
    assert driver_floor(version) == floor


@pytest.mark.parametrize(
    ("version", "floor", "older"),
    [
        ("525.60.13", "525.85", True),
        ("525.85.12", "525.85", False),
        ("580", "580.65", False),
        ("19.03.15", "19.03.5", False),
        ("20.10.24+dfsg1", "19.03.5", False),
        ("1.3.0~rc.1", "1.3.0", False),
        ("dev", "1.3.0", False),
    ],
)
def test_older_or_not(version: str, floor: str, older: bool) -> None:
    assert is_older(version, floor) is older


def test_gpus_of_a_generation() -> None:
    assert [capability_floor(version) for version in ((7, 0), (5, 5), None)] == [(7, 5), (6, 0), (6, 0)]


def test_a_version_in_any_text() -> None:
    assert [parse_version(text) for text in ("v470.10-beta", "", "none")] == [(470, 10), (), ()]
