"""Which GPUs this container was given, as nvidia-smi would tell: out of NVIDIA_VISIBLE_DEVICES.

The engine's GPU request sets that variable; on a real machine the NVIDIA runtime then mounts the devices.
"""

from __future__ import annotations

import os
import sys


def visible() -> list[str]:
    """Host ids (index or UUID) of the GPUs in here."""
    asked = os.environ.get("NVIDIA_VISIBLE_DEVICES")
    if asked in (None, "", "void", "none"):
        count = os.environ.get("FAKE_GPUS", "0") if asked is None else "0"
        return [str(index) for index in range(int(count))]
    if asked == "all":
        return [str(index) for index in range(int(os.environ.get("FAKE_GPUS", "2")))]
    return [word.strip() for word in str(asked).split(",") if word.strip()]


def nvidia_smi(arguments: list[str]) -> int:
    """``nvidia-smi -L``; dense numbers, as inside a container."""
    if not visible():
        print("NVIDIA-SMI couldn't find any devices.", file=sys.stderr)
        return 6
    for number, identity in enumerate(visible()):
        uuid = (
            identity
            if identity.startswith("GPU-")
            else f"GPU-{int(identity):08x}-0000-4000-8000-000000000000"
        )
        print(f"GPU {number}: NVIDIA H100 80GB HBM3 (UUID: {uuid})")
    return 0
