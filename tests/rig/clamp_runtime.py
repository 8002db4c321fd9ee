"""An OCI runtime in front of runc that asks the kernel only for what this machine may give.

A root without CAP_SYS_RESOURCE (a CI machine, a container) cannot raise hard limits or grant that capability, so
``--ulimit memlock=-1`` and ``--privileged``, which TAO users need, would fail before a test begins. On ``create``
the bundle's config.json is lowered to what is possible; then runc does the work. Started by a shell wrapper
that leaves all other calls to runc itself. Runs once for each container, so it does without site and pathlib.
"""
# ruff: noqa: PTH118, PTH123

from __future__ import annotations

import json
import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def lower(config: dict[str, Any], available: set[str]) -> None:
    """Limits not above the hard limits of this process, capabilities not beyond its own."""
    process = config["process"]
    for limit in process.get("rlimits") or []:
        number = getattr(resource, limit["type"], None)
        hard = resource.RLIM_INFINITY if number is None else resource.getrlimit(number)[1]
        if hard != resource.RLIM_INFINITY:
            limit["hard"] = min(limit["hard"], hard)
            limit["soft"] = min(limit["soft"], hard)
    for names in (process.get("capabilities") or {}).values():
        names[:] = [name for name in names if name in available]


def own_capabilities(wanted: dict[str, Any]) -> set[str]:
    """The capabilities of ``wanted`` that this process holds; only CAP_SYS_RESOURCE (bit 24) is known to be missing."""
    with open("/proc/self/status") as status:
        held = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    names = {name for group in wanted.values() for name in group}
    return names if held >> 24 & 1 else names - {"CAP_SYS_RESOURCE"}


def main(arguments: list[str]) -> None:
    bundle = arguments[arguments.index("--bundle") + 1] if "--bundle" in arguments else "."
    path = os.path.join(bundle, "config.json")
    with open(path) as source:
        config = json.load(source)
    lower(config, own_capabilities(config["process"].get("capabilities") or {}))
    with open(path, "w") as target:
        json.dump(config, target)
    os.execvp("runc", ["runc", *arguments])


main(sys.argv[1:])
