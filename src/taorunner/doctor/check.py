"""A check: a name, an area, a time limit, and a function that yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from taorunner.doctor.host import Machine
from taorunner.errors import Finding, Severity

USUAL_LIMIT_S = 5.0


class Area(str, Enum):
    """Sections of the report, in this order."""

    SYSTEM = "system"
    ENGINE = "container engine"
    GPUS = "GPUs"
    ROOM = "memory and disk"
    NETWORK = "registry and network"
    WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True)
class Check:
    """``look`` may block and may raise; ``runner`` handles both. ``name`` is the code of the "ok" finding."""

    name: str
    area: Area
    look: Callable[[Machine], Iterable[Finding]]
    limit_s: float = USUAL_LIMIT_S


def ok(code: str, message: str) -> Finding:
    return Finding(Severity.OK, code, message)


def info(code: str, message: str, repair: str | None = None) -> Finding:
    return Finding(Severity.INFO, code, message, repair)


def warning(code: str, message: str, repair: str | None = None) -> Finding:
    return Finding(Severity.WARNING, code, message, repair)


def error(code: str, message: str, repair: str | None = None) -> Finding:
    return Finding(Severity.ERROR, code, message, repair)


def problem(matters: bool, code: str, message: str, repair: str | None = None) -> Finding:
    """An error if the experiments need it, else an info."""
    return (error if matters else info)(code, message, repair)
