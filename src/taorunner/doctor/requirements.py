"""NVIDIA's requirements of TAO: minimum and recommended values, also per image version.

Pure data; nothing here checks a machine. A gigabyte is 10^9 bytes, as in NVIDIA's documents.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, ...]
GB = 1000**3

MIN_RAM_BYTES = 8 * GB
RECOMMENDED_RAM_BYTES = 32 * GB
MIN_GPU_BYTES = 4 * GB
RECOMMENDED_GPU_BYTES = 32 * GB
MIN_CORES = 8
MIN_DISK_BYTES = 100 * GB
"""Source of the six: docs.nvidia.com/tao quick start guides 5.2 to 5.5, "Hardware Requirements" (cores and disk
have the same minimum and recommended values)."""

IMAGE_BYTES = 40 * GB
SMALL_IMAGE_BYTES = 20 * GB
"""Disk space of one image on the engine, at most and at least. Source: tao/peers.md section 6 item 8."""
USUAL_SHM_BYTES = 8 * 1024**3
"""Source: tao/pytorch.md section 7 (the docker skill's --shm-size)."""

DOCKER = "19.03.5"
DOCKER_API = "1.40"
TOOLKIT = "1.3.0"
"""Source of the three: quick start guides 4.0 to 5.5, "Software Requirements"."""
DOCKER_7 = "20.10"
TOOLKIT_7 = "1.19.0"
"""Source: tao/peers.md section 5, "Host floor"."""

STATED_SYSTEMS = {"ubuntu": ("20.04", "22.04", "24.04")}
"""Source: quick start guides 5.2 and 5.3 (20.04), 5.5 (22.04); the images of 7.x are built on
Python 3.12 (tao/pytorch.md section 6), which is that of 24.04."""

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
_CAPABILITY_7 = (7, 5)
_CAPABILITY = (6, 0)
"""Source: quick start guides: no GPUs before Pascal (up to 5.5), none from or before Volta (from 6.x on)."""


@dataclass(frozen=True, slots=True)
class DriverFloor:
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


def capability_floor(image: Version | None) -> tuple[int, int]:
    """The lowest supported compute capability."""
    return _CAPABILITY_7 if image is not None and image >= (6,) else _CAPABILITY
