"""What the folder of a run says of its container on another host, as far as it was read.

``run_dir/docker`` holds what ``run_folder`` names, and what the keeper writes on the host: see ``far.keeper``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from taorunner.backends.contract import EngineEnd, EngineState, EngineStatus
from taorunner.backends.docker.remote.far.keeper import CONSOLE, EVENTS, EXIT, REMOVED, RESULT, STOP
from taorunner.backends.docker.remote.target import is_host
from taorunner.backends.far.run import FarRun
from taorunner.backends.run_folder import (
    CLUSTER,
    END,
    JOB,
    STOPPED_BEFORE_START,
    SUBMITTING,
    KeptEnd,
    RunFolder,
    all_fit,
    json_object,
    time_of,
)
from taorunner.state_files import write_new
from taorunner.text import printable
from taorunner.values.value import Value

FOLDER = "docker"
STARTS = "starts"
"""The reason of a run whose keeper has written nothing yet."""


class Place(Value):
    """How a run's host is reached, and what its sentences name. ``there`` is the run's folder on the host; ``far``
    where this machine does not see that."""

    host: str
    run_id: str
    there: str
    image: str
    gpus: int
    sync: str
    far: FarRun | None = None


class Folder(RunFolder):
    """The files of one run."""

    folder, events_file, console_file, exit_file, stop_file = FOLDER, EVENTS, CONSOLE, EXIT, STOP
    messages_file = RESULT

    def write(self, scripts: Mapping[str, str], place: Place) -> None:
        for name in (EXIT, RESULT, STOP, EVENTS, CONSOLE, END):
            (self.path / name).unlink(missing_ok=True)  # of an earlier attempt
        for name, text in scripts.items():
            write_new(self.run_dir, name, text.encode(), mode=0o700)
        body = {**vars(place), "far": None if place.far is None else place.far.to_json()}
        self._write(CLUSTER, json.dumps(body).encode())

    def place(self) -> Place | None:
        body = json_object(self.path / CLUSTER)
        if body is None:
            return None
        try:
            far = None if body["far"] is None else FarRun.from_json(body["far"])
            found = Place(**{**body, "far": far})
            is_sound = all_fit(_without_far(found)) and is_host(found.host)
            return found if is_sound and (far is None or far.is_below(self.run_dir)) else None
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def keep_job(self, name: str) -> None:
        self._write(JOB, json.dumps({"id": name}).encode())

    def job(self) -> str | None:
        body = json_object(self.path / JOB)
        name = None if body is None else body.get("id")
        return name if isinstance(name, str) else None

    def status(self, place: Place) -> EngineStatus:
        """What is known of it. An end is kept."""
        if (kept := self.kept_end()) is not None:
            return self.exited(kept)
        written = self.exit()
        if written is not None:
            return self.ended(self._end(place, *written))
        first, last = self.starts()
        if last is None:
            return EngineStatus(EngineState.WAITING, waiting=self._reason())
        gpus = self._last("started").get("gpus")
        where = printable(f"GPU {','.join(map(str, gpus))}") if isinstance(gpus, list) and gpus else None
        return EngineStatus(EngineState.RUNNING, started_at=first, where=where)

    def remove(self) -> None:
        """The program and the job stay for those who want to read them; the log is in the run's own ``console.log``."""
        for name in (CLUSTER, SUBMITTING, JOB, END, EXIT, RESULT, STOP, EVENTS, CONSOLE, "fetched"):
            with suppress(OSError):
                (self.path / name).unlink()

    def _end(self, place: Place, code: int, at: datetime) -> KeptEnd:
        result = json_object(self.path / RESULT) or {}
        if result.get("stopped") is True:
            return KeptEnd(None, False, at, STOPPED_BEFORE_START)
        refused = result.get("refused")
        if isinstance(refused, str):
            return KeptEnd(None, False, at, refusal(printable(refused), place))
        finished = time_of(str(result.get("finished"))) or at
        first, _ = self.starts()  # two programs write these times
        return KeptEnd(code, result.get("oom") is True, max(finished, first or finished), None)

    def _reason(self) -> str:
        reason = self._last("waits").get("reason")
        return printable(reason) if isinstance(reason, str) else STARTS

    def _last(self, name: str) -> dict[str, Any]:
        return next((one for one in reversed(self._events()) if one.get("event") == name), {})


def refusal(text: str, place: Place) -> EngineEnd:
    """Why the container did not start or is gone, from what the keeper wrote."""
    from taorunner.engine.refusals import Asked, recognised

    host = place.host
    if text == REMOVED:
        return EngineEnd(f'its container was removed on "{host}"', "resume it")
    if "no GPU can be seen there" in text:
        return EngineEnd(
            text.replace("there", f'on "{host}"', 1), f"make this work first: ssh {host} nvidia-smi"
        )
    if "asked for, there are" in text:
        return EngineEnd(f'{text} on "{host}"', "lower gpus:, or choose another cluster")
    if "cannot be leased there" in text:
        hint = "give it mode 1777 there, so that every user can write; or leases: another folder for all users of it"
        return EngineEnd(text.replace("there", f'on "{host}"', 1), hint)
    if "bind source path does not exist" in text:
        path = text.rpartition(": ")[2]
        return EngineEnd(f'there is no "{path}" on "{host}"', f"{place.sync} copies it there")
    if text == "docker: command not found":
        return EngineEnd(f'there is no docker command on "{host}"', "install the docker command line there")
    known = recognised(text, Asked(address=f"ssh://{host.replace('ssh://', '')}", image=place.image))
    if known is not None:
        return EngineEnd(f'on "{host}": {known.message}', known.hint)
    return EngineEnd(f'the docker engine on "{host}" refused: {text[:300]}')


def _without_far(place: Place) -> Place:
    """Without what has a class of its own."""
    return Place(**{**vars(place), "far": None})
