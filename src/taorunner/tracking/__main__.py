"""``python -m taorunner.tracking [--once] RUN-FOLDER…``: sends runs to the server that their experiments name.

Without ``--once`` it follows the runs to their ends; the supervisor starts it like this, one process for a run. With
``--once`` it sends what they have now and prints a line of JSON for each; ``--to mlflow`` also sends those whose
experiments name no server, to that of MLFLOW_TRACKING_URI. A run that another process sends is left to that one.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from taorunner.errors import RunStateError
from taorunner.events import now
from taorunner.project.tracking.words import MLFLOW, MlflowTarget, mlflow_target, track_problems
from taorunner.runs.state.store import RunStore
from taorunner.runs.state.tracking_state import TrackingState, read_tracking, save_tracking
from taorunner.state_files import open_state
from taorunner.tracking.following import follow, send_once, size_of
from taorunner.tracking.mlflow import MlflowServer, TrackingError
from taorunner.tracking.sender import RunSender
from taorunner.values.value import replace


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m taorunner.tracking")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN-FOLDER")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--to", choices=[MLFLOW])
    given = parser.parse_args(argv)
    for number in (signal.SIGHUP, signal.SIGINT):
        if not given.once:
            signal.signal(number, signal.SIG_IGN)
    code = 0
    for folder in given.runs:
        store = RunStore(folder.absolute().parent.parent)
        problem = _track(store, folder.name, is_once=given.once, is_asked=given.to is not None)
        code = code if problem is None else 1
        if given.once:
            _print(store, folder.name, problem)
    return code


def _track(store: RunStore, run_id: str, *, is_once: bool, is_asked: bool) -> str | None:
    """Why not all of it was sent; None when it was."""
    try:
        target = _target(store, run_id) or (MlflowTarget() if is_asked else None)
        if target is None:
            return "its experiment names no server"
        with _alone(store, run_id) as is_alone:
            if not is_alone:
                return "another process sends it"
            return _send(store, run_id, target, is_once=is_once)
    except (TrackingError, RunStateError) as error:
        return str(error)
    except (OSError, ValueError) as error:
        return f"its files cannot be read: {error}"


def _send(store: RunStore, run_id: str, target: MlflowTarget, *, is_once: bool) -> str | None:
    address = target.address(os.environ)
    if address is None:
        text = f"{target.variable} is not set"
        _note(store, run_id, target, text)
        return text
    server = MlflowServer(address, os.environ, Path.home())
    try:
        sender = RunSender(store, run_id, server, target.experiment, now)
        if is_once:
            send_once(sender, time.sleep)
            return None
        events = str(store.paths(run_id).events)
        follow(
            sender,
            lambda: size_of(events),
            lambda: store.load(run_id).state.is_final,
            time.monotonic,
            time.sleep,
        )
        return sender.state.problem
    finally:
        server.close()


def _note(store: RunStore, run_id: str, target: MlflowTarget, problem: str) -> None:
    """So that ``track status`` shows it."""
    state = read_tracking(store, run_id) or TrackingState("", target.experiment or store.load(run_id).project)
    with suppress(OSError):
        save_tracking(store, run_id, replace(state, problem=problem, at=now()))


def _target(store: RunStore, run_id: str) -> MlflowTarget | None:
    """Of the run's plan. Raises OSError, ValueError."""
    body = store.plan_body(run_id)
    track = body.get("track") if isinstance(body, dict) else None
    return mlflow_target(track) if isinstance(track, dict) and not any(track_problems(track)) else None


@contextmanager
def _alone(store: RunStore, run_id: str) -> Iterator[bool]:
    """False while another process of this machine sends the run. The kernel ends it with the process."""
    path = store.paths(run_id).directory / "tracking.lock"
    descriptor = open_state(path, os.O_WRONLY | os.O_CREAT, store.trust())
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _print(store: RunStore, run_id: str, problem: str | None) -> None:
    state = read_tracking(store, run_id)
    body = {
        "run": run_id,
        "problem": problem,
        **(state.to_json() if state is not None and problem is None else {}),
    }
    print(json.dumps({**body, "problem": problem}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
