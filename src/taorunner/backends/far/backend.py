"""What the backends share whose runs may be on a disk that this machine does not see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from taorunner.backends.contract import FarSearch
from taorunner.backends.far.runs import Host
from taorunner.backends.far.side import FarSide, Find
from taorunner.backends.scheduled_backend import ScheduledBackend

H = TypeVar("H", bound=Host)


class FarBackend(ScheduledBackend, Generic[H]):
    """Answers the contract's questions about results there, and keeps one object for each host. Thread-safe.

    ``make_host`` gives that of a name, None for this machine; ``find`` as in ``FarSide``.
    """

    def __init__(self, make_host: Callable[[str | None], H], find: Find) -> None:
        super().__init__()
        self._make_host = make_host
        self._hosts: dict[str | None, H] = {}
        self._lock = threading.Lock()
        self._far = FarSide(self._host, find)

    def _host(self, name: str | None) -> H:
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = self._make_host(name)
            return self._hosts[name]

    def held(self, host: str, folder: str, forms: Sequence[bytes], since_s: float) -> FarSearch:
        return self._far.runs(host).held(folder, forms, since_s)

    def digests(self, host: str, paths: Sequence[str]) -> Mapping[str, str]:
        return self._far.runs(host).digests(paths)
