"""Parses the values of ``--port``, ``--ulimit`` and ``--gpus`` of ``shell``. Pure.

The formats are those of tao_pt, which passes them to ``docker run`` unchanged. Every function raises ``ValueError``
with two texts for a wrong value: the problem and the hint. Source: NVIDIA/tao_pytorch_backend runner/tao_pt.py
(6.25.10); Docker CLI reference, docker run.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from taorunner.container_options import PublishedPort
from taorunner.project.keys import MAX_GPUS, MIN_SHM_BYTES
from taorunner.project.limits import SIZE_PATTERN, size_bytes
from taorunner.project.mounts_file import ULIMITS
from taorunner.text import did_you_mean

LOOPBACK = "127.0.0.1"
MOST_PORTS = 200

_PORT = re.compile(r"(?:(\[[^\]]*\]|[^:\[\]]*):)?(?:([0-9-]*):)?([0-9-]+)(?:/([A-Za-z]+))?\Z")
_GPU = re.compile(r"[0-9]{1,4}\Z|(?:GPU|MIG)-[A-Za-z0-9/_-]+\Z")


def read_ulimit(word: str) -> tuple[str, int, int]:
    """``NAME=SOFT[:HARD]`` to name, soft and hard limit; -1 means unlimited."""
    name, equals, value = word.partition("=")
    if name not in ULIMITS:
        raise ValueError(f'there is no limit "{name}"', did_you_mean(name, ULIMITS))
    soft_text, _, hard_text = value.partition(":")
    limits = [
        int(text) if re.fullmatch(r"-1|[0-9]{1,19}", text) else None
        for text in (soft_text, hard_text or soft_text)
    ]
    soft, hard = limits
    if not equals or soft is None or hard is None:
        raise ValueError("not NAME=SOFT:HARD with whole numbers", "for example --ulimit nofile=65536:65536")
    if hard != -1 and (soft > hard or soft == -1):
        raise ValueError(
            f"the soft limit {soft} is above the hard limit {hard}", f"--ulimit {name}={hard}:{hard}"
        )
    return name, soft, hard


def read_ports(word: str, free_port: Callable[[], int]) -> tuple[PublishedPort, ...]:
    """``[ADDRESS:][OUTSIDE:]INSIDE[/tcp|udp]``, also with ranges. The default address is loopback, the default outside
    port that of ``free_port``."""
    match = _PORT.match(word)
    if match is None:
        raise ValueError("not [ADDRESS:][PORT:]PORT", "for example --port 8888:8888")
    first, outside, inside, protocol = match[1], match[2], match[3], (match[4] or "tcp").lower()
    if first is not None and outside is None and re.fullmatch(r"[0-9-]*", first):
        first, outside = None, first
    if protocol not in ("tcp", "udp"):
        raise ValueError(f'"{protocol}" is not a protocol', "use tcp or udp")
    address = _address(first)
    within = _range(inside)
    beyond = _range(outside) if outside else tuple(free_port() for _ in within)
    if len(within) != len(beyond):
        raise ValueError(
            "the ranges have different lengths", f"{outside} and {inside} need equally many ports"
        )
    return tuple(
        PublishedPort(here, there, address, protocol) for here, there in zip(within, beyond, strict=True)
    )


def read_shm_size(word: str) -> int:
    """``16G`` to bytes."""
    found = size_bytes(word) if re.fullmatch(SIZE_PATTERN, word) else None
    if found is None or found < MIN_SHM_BYTES:
        raise ValueError("not a size of at least 1 MiB", "for example --shm-size 16G")
    return found


def read_gpus(word: str) -> tuple[str, ...] | int | None:
    """Ids for ``0,1``; a number for ``auto`` or ``auto:2``; 0 for ``none``; None for ``all``."""
    if word == "all":
        return None
    if word == "none":
        return 0
    if word == "auto" or re.fullmatch(r"auto:[0-9]{1,4}", word):
        count = int(word.partition(":")[2] or 1)
        if not 1 <= count <= MAX_GPUS:
            raise ValueError(f"not 1 to {MAX_GPUS} GPUs", "for example --gpus auto:2")
        return count
    ids = tuple(part.strip() for part in word.split(","))
    if not all(_GPU.match(part) for part in ids) or len(set(ids)) != len(ids):
        raise ValueError(
            "not a list of distinct GPUs", "use all, none, auto, auto:2, or ids as in nvidia-smi: 0,1"
        )
    return ids


def _address(text: str | None) -> str:
    if not text:
        return LOOPBACK
    plain = text.strip("[]")
    try:
        return str(ipaddress.ip_address("127.0.0.1" if plain == "localhost" else plain))
    except ValueError:
        raise ValueError(
            f'"{plain}" is not an address of this machine', "use 127.0.0.1, 0.0.0.0 for all, or [::1]"
        ) from None


def _range(text: str) -> tuple[int, ...]:
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise ValueError(f'"{text}" is not a port', "use 1 to 65535")
    if last - first >= MOST_PORTS:
        raise ValueError(
            f"{last - first + 1} ports are too many", f"use at most {MOST_PORTS} with one --port"
        )
    return tuple(range(first, last + 1))
