"""The order in which queued runs of a batch wait, and which GPUs they need. Light: ``ps`` uses it too."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence

from taorunner.errors import TaorunnerError
from taorunner.events import RunState
from taorunner.state_files import read_json_state
from taorunner.text import amount
from taorunner.values.value import Value

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.snapshot import RunSnapshot
    from taorunner.runs.state.store import RunStore


class Turn(Value):
    """``after`` is the action that has to succeed first, ``behind`` the id of the run that waits before this one. With
    neither, the run is next."""

    after: str | None = None
    behind: str | None = None


class Need(Value):
    """``count`` GPUs of one node, None where it is unknown; ``ids`` are the GPUs that were named. ``most`` is how many
    runs of a batch its cluster has at once."""

    count: int | None = None
    ids: tuple[str, ...] | None = None
    nodes: int = 1
    most: int | None = None


def turns(
    runs: Sequence[RunRecord] | Sequence[RunSnapshot],
    after: Mapping[str, str | None],
    names_gpus: Callable[[str], bool],
    retried: Container[str] = (),
) -> dict[str, Turn]:
    """The turn of each queued run of one batch. ``runs`` are in the order of the batch.

    ``after`` has the run before it in its chain. ``names_gpus`` says of a run that is next whether it waits for GPUs of
    its own choice: runs behind it may want others. ``retried`` wait for their next attempt and have no turn.
    """
    unfinished = {run.id: run.action for run in runs if not run.state.is_final}
    found: dict[str, Turn] = {}
    last: str | None = None
    for run in runs:
        if run.state is not RunState.QUEUED or run.id in retried:
            continue
        before = unfinished.get(after.get(run.id) or "")
        if before is not None:
            found[run.id] = Turn(after=before)
            continue
        found[run.id] = Turn(behind=last)
        if last is not None or not names_gpus(run.id):
            last = run.id
    return found


def read_need(store: RunStore, run_id: str) -> Need:
    """What the stored plan of a run needs, without decoding the rest of it: that takes longer than a whole table."""
    try:
        body = read_json_state(store.paths(run_id).plan, store.trust())
        resources = body.get("resources") or {"gpus": body.get("gpus")}  # plans of 0.1.0 have no resources
        gpus = resources.get("gpus") or {}
        ids = gpus.get("ids")
        most = (body.get("backend_options") or {}).get("max_submitted")
        return Need(
            gpus.get("count"), None if ids is None else tuple(map(str, ids)), int(resources.get("nodes") or 1),
            most if type(most) is int else None,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Need()


def need_text(count: int | None, ids: Sequence[str] | None) -> str:
    """``needs 2 GPUs``, ``needs GPU 0,3`` of GPUs that were named; empty without GPUs."""
    if ids:
        return f"needs GPU {','.join(ids)}"
    return f"needs {amount(count, 'GPU')}" if count else ""


def needs_nothing_here(backend: str) -> bool:
    """Whether an engine gives GPUs to runs itself, so that a run that is next waits for none of this machine."""
    from taorunner.targets import GpuSource, target_of

    try:
        return target_of(backend).gpus is GpuSource.SCHEDULED
    except TaorunnerError:
        return False


ONE_AT_A_TIME = "runs without GPU start one at a time"
"""Why a run that needs no GPU waits while another one of its batch runs."""


def most_text(most: int) -> str:
    return f"max_submitted {most} is reached"


def limit_text(parallel: int) -> str:
    return f"--parallel {parallel} is reached"
