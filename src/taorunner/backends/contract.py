"""The backend contract: a backend turns plans into engine requests and executes them.

``tests/backends/contract.py`` tests these rules for every backend.

1. ``check()`` says whether the engine can be used at all; it never raises.
2. ``prepare(plan, report)`` makes the engine ready (pulls the image). It blocks; ``report`` is called often.
3. ``request(plan, launch)`` is pure and gives exactly what ``submit`` will send. Tests compare it whole.
4. ``submit(request)`` is idempotent by run id: a second call finds what the first one started.
5. ``inspect(handles)`` asks once for many. ``MISSING`` is an answer, never an exception, never success.
6. ``logs(handle, position)`` yields chunks as they come, starting right after ``position``, until the stream ends. The
   end of the stream is not the end of the run: ask ``inspect``. ``close()`` of the stream works from another thread.
7. ``stop`` and ``remove`` are idempotent: a run that is gone is no error. They also end a run that waits.
8. ``find(run_id, run_dir)`` needs nothing but the id, from any process.
9. No secret is in a request or in its command line.
10. An engine may put a running run back into its queue (a preemption): ``inspect`` then answers ``WAITING`` with the
    reason, and ``logs`` ends. The handle stays. When the run is started again, ``inspect`` answers ``RUNNING``, and
    ``logs`` continues: a position counts the output of all launches. A run that leaves the queue without being started
    is ``EXITED`` without an exit code, or ``MISSING``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from taorunner.container_options import Mount
from taorunner.errors import Finding
from taorunner.planning.model.plan import Resources, RunPlan
from taorunner.values.value import Value

if TYPE_CHECKING:
    from taorunner.project.clusters.cluster_file import Cluster
    from taorunner.project.workspace import Workspace


class ChosenModel(Value):
    """A model that an earlier run of a chain makes, chosen by the engine when the run that reads it begins.

    It is the newest file of ``patterns``, below the results, that is newer than the start of the run whose folder is
    ``since``; without ``since`` its age does not matter. A file whose name matches ``average`` (a moving average) is
    taken only where there is no other. ``action`` makes the model. ``texts`` are pairs of a text in the command or the
    spec and its replacement, applied in their order; ``{path}`` and ``{stem}`` in a replacement are those of the model.
    """

    action: str
    patterns: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]
    since: Path | None = None
    average: str = ""


class Follows(Value):
    """A run that is handed over before the run of its chain that it follows has ended. ``id`` is that one's in the
    engine, ``action`` what it does.

    ``written`` are files below the results that it makes; their names may have texts of ``models``. What is there
    already is moved aside with ``overwrite``, and else the run does not begin.
    """

    id: str
    action: str
    models: tuple[ChosenModel, ...] = ()
    written: tuple[str, ...] = ()
    overwrite: bool = False


class Launch(Value):
    """The launch parameters that the plan does not fix: run id, folder and GPUs (host ids).

    ``lease`` are open descriptors that hold the GPU leases. A backend that starts local processes passes them on.
    ``follows`` is for engines whose target says that they take chains. ``together`` runs are launched at the same time.
    """

    run_id: str
    run_dir: Path
    gpu_ids: tuple[str, ...] = ()
    lease: tuple[int, ...] = ()
    follows: Follows | None = None
    together: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """What every request has. Each backend adds its own fields in a subclass (``DockerRequest``, ``ProcessRequest``).

    Exactly what will be sent. No secret is in it, so it may be printed, stored and compared. ``argv`` is TAO's command
    line with ``***`` where a secret goes; ``command`` is what the engine starts (a wrapper that puts secrets in, when
    there are any). ``run_dir/input`` holds the rendered spec and the secrets (mode 0600), made before ``submit``.
    ``scripts`` are texts that the engine runs, by their names below ``run_dir``, for engines that take scripts.
    ``gpus`` are host ids, ``resources`` those of the plan. ``image`` is None where no container is used.
    """

    run_id: str
    backend: str
    argv: tuple[str, ...]
    command: tuple[str, ...]
    run_dir: Path
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    gpus: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    labels: Mapping[str, str] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)


class Handle(Value):
    """Identifies a run in its engine, from any process.

    ``id`` is the engine's own (container id, or ``pid:start time``); ``run_dir`` the run's folder.
    """

    backend: str
    run_id: str
    id: str
    run_dir: Path


class EngineState(str, Enum):
    """WAITING: the engine has accepted the run and will start it, or start it again after it has requeued it. CREATED:
    it exists and was never started.
    """

    WAITING = "waiting"
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    MISSING = "missing"

    @property
    def was_accepted(self) -> bool:
        """Whether the run runs, ran, or will run without another request."""
        return self in (EngineState.WAITING, EngineState.RUNNING, EngineState.EXITED)


class EngineEnd(Value):
    """Why the engine itself ended a run, such as a time limit. It counts more than anything that the log says.

    ``was_stopped``: somebody stopped it with the engine's own commands. ``is_transient`` as in a verdict.
    """

    reason: str
    hint: str | None = None
    is_transient: bool = False
    was_stopped: bool = False


class EngineStatus(Value):
    """``oom_killed`` is true also when only a child was killed and the exit code is another.

    ``waiting`` is the engine's reason while the state is WAITING, such as ``Priority``. ``full_disk`` is a folder whose
    disk had no room when the process ended, where the backend looked. ``end`` is set when the engine ended the run.
    ``silent`` says since when the engine does not answer, of a run that goes on as far as its own files tell.
    ``unconfirmed`` says why the exit code is the run's own word alone.
    ``where`` names the nodes of a run that runs, where the engine chooses them.
    ``overdue`` says of a run that waits for so long that somebody should know, and what could help.
    """

    state: EngineState
    exit_code: int | None = None
    oom_killed: bool = False
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    waiting: str | None = None
    full_disk: Path | None = None
    end: EngineEnd | None = None
    silent: str | None = None
    unconfirmed: str | None = None
    where: str | None = None
    overdue: str | None = None


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How much of each stream was read and recorded, as the engine keeps it, in bytes. All zero: from the beginning.

    ``tails`` are the last bytes of each stream before the position, where the caller still has them. A restarted
    engine may have streamed more than it stored; the tails show where its stored log continues. See
    ``docker.log_resume.Tail``.
    """

    stdout: int = 0
    stderr: int = 0
    tails: Mapping[str, bytes] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Raw bytes of one stream as received. A chunk may end within a line or a character.

    ``unkept`` is the number of bytes right before the chunk that were streamed earlier but are not in the engine's
    stored log. From here on positions do not count them. ``gap`` says what may be missing right before the chunk.
    ``notice`` is no output but a word about the engine, for the run's record; then ``data`` is empty.
    """

    stream: str  # "stdout" or "stderr"
    data: bytes
    unkept: int = 0
    gap: str | None = None
    notice: str | None = None


class LogStream(Protocol):
    def __iter__(self) -> Iterator[LogChunk]: ...
    def close(self) -> None:
        """Ends the iteration soon. May be called from any thread. Idempotent."""
        ...


class Started(Value):
    """``image_digest`` is the ``sha256:…`` of the image that runs, None without an image.

    ``waiting``: the run is not started yet, and why. None when it was started. ``where`` as in ``EngineStatus``.
    """

    handle: Handle
    image_digest: str | None = None
    waiting: str | None = None
    where: str | None = None


class PullProgress(Value):
    """See ``events.ImagePulling``."""

    image: str
    layers_done: int
    layers: int
    bytes_done: int
    bytes_total: int | None
    eta_s: float | None


Report = Callable[[PullProgress], None]


@runtime_checkable
class KnowsGpusInUse(Protocol):
    """A backend whose runs use their GPUs even after taorunner's processes died, and that can list them."""

    def gpus_in_use(self) -> Mapping[str, str]:
        """Maps each GPU in use (host id) to its run, for all workspaces and users. Raises MachineError."""
        ...


@runtime_checkable
class ChoosesModels(Protocol):
    """A backend that takes a run before the run that it follows has ended."""

    def models_read(self, handle: Handle) -> Sequence[str]:
        """The models that a run has found when it began, below its results, as ``Follows.models`` has them."""
        ...


class FarSearch(Value):
    """Files that hold a secret: ``closed`` can be read by their owner alone, ``left`` by others, too. ``is_whole``:
    nothing was left out."""

    closed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    is_whole: bool = True


@runtime_checkable
class SearchesResults(Protocol):
    """A backend whose runs may leave their results on a disk that only ``host`` sees. Paths are those there."""

    def held(self, host: str, folder: str, forms: Sequence[bytes], since_s: float) -> FarSearch:
        """Searches the files of a folder that were written since (seconds of the epoch), and closes to others those
        that hold one of ``forms``. Raises MachineError."""
        ...

    def digests(self, host: str, paths: Sequence[str]) -> Mapping[str, str]:
        """SHA-256 of files in hexadecimal, by path. Raises MachineError."""
        ...


@runtime_checkable
class ChecksClusters(Protocol):
    """A backend that can prove before a run what a cluster of clusters.yml can do."""

    def check_cluster(self, cluster: Cluster, workspace: Workspace | None) -> Iterator[Finding]:
        """One finding for each thing, in the order in which a run needs them. Leaves nothing behind."""
        ...


@runtime_checkable
class ForeseesRefusals(Protocol):
    """A backend whose scheduler can be asked what it would refuse, or take and never start."""

    def never_starting(self, plans: Sequence[RunPlan]) -> list[Finding]:
        """Nothing where it cannot be asked within some seconds."""
        ...


class Backend(Protocol):
    """See the module docstring for the rules. One instance belongs to one process; methods are thread-safe."""

    name: str

    def check(self) -> list[Finding]: ...
    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        """Returns the image's digest where there is one. Raises MachineError or EngineRefusedError."""
        ...

    def request(self, plan: RunPlan, launch: Launch) -> EngineRequest: ...
    def submit(self, request: Any) -> Started:
        """``request`` is one that this backend made; each backend has a type of its own.

        Raises MachineError or EngineRefusedError; then nothing is left running.
        """
        ...

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        """The states by run id. Raises MachineError when the engine does not answer."""
        ...

    def find(self, run_id: str, run_dir: Path) -> Handle | None:
        """The handle of a run of which only the id is known (a crash between record and launch)."""
        ...

    def logs(self, handle: Handle, position: LogPosition) -> LogStream: ...
    def stop(self, handle: Handle, grace_s: float) -> None: ...
    def remove(self, handle: Handle) -> None: ...
    def command_line(self, request: Any) -> str:
        """An equivalent shell command (``docker run …``), secrets masked."""
        ...
