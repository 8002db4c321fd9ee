"""What the backends share whose runs may be on a disk that this machine does not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taorunner.backends.contract import FarSearch
from taorunner.backends.far.side import FarSide
from taorunner.backends.scheduled_backend import ScheduledBackend


class FarBackend(ScheduledBackend):
    """Answers the contract's questions about results there. ``_far`` is given by each backend."""

    _far: FarSide

    def held(self, host: str, folder: str, forms: Sequence[bytes], since_s: float) -> FarSearch:
        return self._far.runs(host).held(folder, forms, since_s)

    def digests(self, host: str, paths: Sequence[str]) -> Mapping[str, str]:
        return self._far.runs(host).digests(paths)
