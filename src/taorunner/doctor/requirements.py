"""NVIDIA's requirements of TAO: minimum and recommended values, also per image version.

Pure data; nothing here checks a machine. A gigabyte is 10^9 bytes, as in NVIDIA's documents.
"""

from __future__ import annotations

from taorunner.gpu.driver_floors import Version
from taorunner.text import size

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

_CAPABILITY_7 = (7, 5)
_CAPABILITY = (6, 0)
"""Source: quick start guides: no GPUs before Pascal (up to 5.5), none from or before Volta (from 6.x on)."""


def capability_floor(image: Version | None) -> tuple[int, int]:
    """The lowest supported compute capability."""
    return _CAPABILITY_7 if image is not None and image >= (6,) else _CAPABILITY


def as_stated(count: int) -> str:
    """What NVIDIA writes, and the same in the unit of everything else that is shown.

    >>> as_stated(MIN_RAM_BYTES)
    '8 GB (7.5 GiB)'
    """
    return f"{count // GB} GB ({size(count)})"
