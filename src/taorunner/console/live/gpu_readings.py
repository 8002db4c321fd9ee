"""The newest readings of this machine's GPUs, asked for no more often than a person looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from taorunner.console.live.run_view import GpuReading
from taorunner.gpu.inventory import Inventory, inventory

_EVERY_S = 1.0
_LONGEST_PAUSE_S = 5.0
_WITHOUT_GPU_EVERY_S = 60.0
_SHARE = 0.005
"""The part of the time that the questions may take, up to the longest pause: some drivers take long to answer."""


class GpuReadings:
    """``ask`` queries the driver, ``clock`` is monotonic, in seconds."""

    def __init__(
        self, ask: Callable[[], Inventory] = inventory, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask, self._clock = ask, clock
        self._due_s = float("-inf")
        self._known: dict[str, GpuReading] = {}
        self.all: list[GpuReading] = []
        """The readings of the last question, in order; empty without a driver."""

    def by_id(self) -> Mapping[str, GpuReading]:
        """Readings by index and by UUID. Cheap: the driver is asked once a second at most."""
        began_s = self._clock()
        if began_s < self._due_s:
            return self._known
        gpus = self._ask().gpus
        self._known, self.all = {}, []
        for gpu in gpus:
            reading = GpuReading(
                str(gpu.index), gpu.name, gpu.memory_used_bytes, gpu.memory_total_bytes, gpu.load_percent,
                tuple(process.pid for process in gpu.processes),
            )  # fmt: skip
            self.all.append(reading)
            self._known[reading.index] = self._known[gpu.uuid] = reading
        took_s = self._clock() - began_s
        pause_s = min(_LONGEST_PAUSE_S, max(_EVERY_S, took_s / _SHARE))
        self._due_s = began_s + (pause_s if gpus else _WITHOUT_GPU_EVERY_S)
        return self._known
