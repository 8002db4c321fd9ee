"""Which GPUs of this host a container gets, under leases. Runs on another host, see ``keeper``."""

from __future__ import annotations

import os
import pwd

from .common import RefusedError, amount, plain
from .engine import GPUS_LABEL
from .gpus import Gpu, computing, in_containers, known_gpus
from .leases import Leases


class Choice:
    """``count`` GPUs for a run. ``leases`` holds those that ``attempt`` gives."""

    def __init__(self, leases: Leases, count: int, run_id: str) -> None:
        self.leases, self.count, self._run_id = leases, count, run_id
        self._gpus: list[Gpu] = []

    def begin(self) -> None:
        """Raises RefusedError where there are not that many, or none can be leased."""
        self._gpus = known_gpus()
        if self.count > len(self._gpus):
            raise RefusedError(f"{amount(self.count)} asked for, there are {len(self._gpus)}")
        self.leases.check()

    def attempt(self) -> tuple[list[Gpu], list[str]]:
        """The GPUs, all leased; or none, and what is in the way."""
        avoided = {uuid: "used by process " + ", ".join(pids[:3]) for uuid, pids in computing().items()}
        while True:
            taken, blocked = self._lease(avoided)
            if not taken:
                return [], blocked
            used = in_containers(self._gpus)  # asked once nobody else can take them
            lost = [gpu.uuid for gpu in taken if used.get(gpu.uuid, self._run_id) != self._run_id]
            if not lost:
                return taken, blocked
            self.leases.release()
            avoided.update({uuid: f"run {plain(used[uuid])}, whose keeper was killed" for uuid in lost})

    @property
    def holder(self) -> dict[str, str]:
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = f"user {os.getuid()}"
        return {"run": self._run_id, "user": user, "backend": "docker"}

    def _lease(self, avoided: dict[str, str]) -> tuple[list[Gpu], list[str]]:
        """The first free ones, as many as are needed, or none; and why others are not."""
        taken: list[Gpu] = []
        blocked: list[str] = []
        for gpu in self._gpus:
            if len(taken) == self.count:
                break
            holder = self.leases.holder(gpu.uuid) or avoided.get(gpu.uuid)
            if holder is None and self.leases.take(gpu.uuid, self.holder):
                taken.append(gpu)
            else:
                blocked.append(f"GPU {gpu.number} ({holder or 'just taken by another process'})")
        if len(taken) < self.count:
            self.leases.release()
            return [], blocked
        return taken, blocked


def docker_words(words: list[str], chosen: list[Gpu]) -> list[str]:
    """The words of ``docker create`` with these GPUs, and with the user of this login where they ask for it."""
    found = [f"{os.getuid()}:{os.getgid()}" if word == LOGIN else word for word in words]
    if not chosen:
        return found
    ids = ",".join(gpu.uuid for gpu in chosen)
    device = f'"device={ids}"' if len(chosen) > 1 else f"device={ids}"  # a line of CSV
    return ["--gpus", device, "--label", f"{GPUS_LABEL}={ids}", *found]


LOGIN = "@LOGIN@"
"""Stands for the user and group of the login."""
