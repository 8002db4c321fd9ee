"""Finds paths of this machine in a spec where a container path is required.

Source: tao/peers.md (host paths passed in: "path is correct but doesn't exist").
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from taorunner.errors import Severity
from taorunner.planning.checks.spec_view import SpecReader
from taorunner.planning.checks.training_facts import Fault
from taorunner.project.mounts import Mounts
from taorunner.text import printable
from taorunner.values.value import MutableValue, field

HOMES = re.compile(r"(?:/home/[^/\s]+/|/Users/[^/\s]+/|[A-Za-z]:\\)")
CONTAINERS_OWN = (
    "/usr/", "/opt/", "/tmp/", "/etc/", "/dev/", "/proc/", "/sys/", "/bin/", "/lib/", "/var/", "/run/", "/root/",
)  # fmt: skip
"""Folders of every Linux system; their existence on this host proves nothing."""
_TRAINS = ("train", "dataset_convert")
OF_OTHERS = frozenset({
    "evaluate", "inference", "export", "gen_trt_engine", "prune", "quantize", "distill", "infer_data_sources",
    "test_data_sources", "quant_calibration_data_sources", "test_dataset", "eval_config", "inferer_config",
})  # fmt: skip
"""Parts of a spec that no training reads. Source: tao/pytorch.md section 5, tao/tensorflow.md section 4."""
_VARIABLES = "$dataset_raw, $results_dir or $pretrained_model"


class HostPaths(MutableValue):
    """``mounts`` are those of containers. One object for many specs: each path is checked once."""

    mounts: Mounts
    _known: dict[str, tuple[Severity, str, str] | None] = field(default_factory=dict)
    _needles: tuple[str, ...] | None = None

    def may_be_in(self, text: str) -> bool:
        """False where a spec cannot contain a path of this machine, decided without parsing it."""
        if self._needles is None:
            top = (f"/{name}/" for name in os.listdir("/"))
            sources = (str(entry.source) for entry in self.mounts.entries)
            own = (one for one in top if one not in CONTAINERS_OWN)
            self._needles = ("/home/", "/Users/", "\\", *own, *sources)
        return any(needle in text for needle in self._needles)

    def faults(self, action: str, spec: SpecReader) -> Iterator[Fault]:
        """An error only where the action certainly reads the path, because one spec may serve all actions."""
        over = spec.overlay
        written = [one for one in spec.outline.shape.written_out if one[0] not in over]
        written += [(key, 0, value) for key, value in over.items() if isinstance(value, str)]
        for key, index, path in written:
            if path not in self._known:
                self._known[path] = self._judged(path)
            judged = self._known[path]
            if judged is not None:
                severity, what, hint = judged
                if action not in _TRAINS or not OF_OTHERS.isdisjoint(key.split(".")):
                    severity = Severity.WARNING
                yield Fault(severity, "host-path", f'"{printable(path)}" {what}', hint, key, index)

    def _judged(self, path: str) -> tuple[Severity, str, str] | None:
        """Severity, message and hint; None for a valid path."""
        if self.mounts.to_host(path) is not None:
            return None
        what = "is a path of this machine, which the container does not have"
        for entry in self.mounts.entries:
            source = str(entry.source)
            if path == source or path.startswith(f"{source}/"):
                inside = f"{entry.destination}{path[len(source) :]}"
                return Severity.ERROR, what, f'write "{printable(inside)}", or use {_VARIABLES}'
        if HOMES.match(path):
            looks = "looks like a path of this machine"
            return (
                Severity.WARNING,
                looks,
                f"paths in a spec are those inside the container: use {_VARIABLES}",
            )
        is_rooted = path.startswith("/") and path.count("/") >= 2 and "\0" not in path
        if is_rooted and not path.startswith(CONTAINERS_OWN) and os.path.exists(path):  # noqa: PTH110 (a str)
            hint = "put it below projects/ or repositories/, or mount it in .tao_mounts.json"
            return Severity.WARNING, what, hint
        return None
