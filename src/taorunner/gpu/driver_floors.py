"""Which version of the NVIDIA driver each image of TAO needs.

Pure data; nothing here checks a machine.
"""

from __future__ import annotations

import re

from taorunner.values.value import Value

Version = tuple[int, ...]

_DRIVERS: tuple[tuple[Version, str, str], ...] = (
    ((7,), "580", "580"),
    ((5, 5), "525.85", "550"),
    ((5, 2), "525.85", "535"),
    ((5,), "525.85", "525.85"),
    ((4,), "520", "520"),
    ((0,), "465", "465"),
)
"""By first image version: below the first driver version nothing works, below the second NVIDIA gives no support.

Source: quick start guides 4.0.1 (520), 5.2 and 5.3 (535), 5.5 (550); 525.85 for 5.x is required by 5.0; tao/peers.md
section 5 (580); the launcher's page on PyPI, 5.0 to 5.3 (465). 6.x is not documented; it is treated as 5.5.
"""


class DriverFloor(Value):
    """Versions of the NVIDIA driver for one image."""

    minimum: str
    stated: str


def image_version(reference: str) -> Version | None:
    """The TAO version in an image's tag; None for names other than NVIDIA's.

    >>> image_version("nvcr.io/nvidia/tao/tao-toolkit:5.0.0-tf1.15.5")
    (5, 0, 0)
    """
    repository, _, tag = reference.partition("@")[0].rpartition(":")
    if "tao" not in repository.rpartition("/")[2]:
        return None
    match = re.match(r"v?(\d+(?:\.\d+)+)", tag)
    return parse_version(match[1]) if match else None


def parse_version(text: str) -> Version:
    """The leading numbers: ``(470, 10)`` of ``470.10-beta``; empty when there are none."""
    match = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def is_older(version: str, floor: str) -> bool:
    """Compares only as many parts as both have, as requirements may say just "580". An unreadable version is not
    older."""
    found, wanted = parse_version(version), parse_version(floor)
    length = min(len(found), len(wanted))
    return found[:length] < wanted[:length]


def driver_floor(image: Version | None) -> DriverFloor:
    """For an image of unknown version, the lowest requirement of all versions."""
    version = (0,) if image is None else image
    for since, minimum, stated in _DRIVERS:
        if version >= since:
            return DriverFloor(minimum, stated)
    return DriverFloor(*_DRIVERS[-1][1:])
