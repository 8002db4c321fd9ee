"""RunPlan: all that is needed to start one experiment × action. Pure data, no secret in it.

``planner`` makes a plan, a dry run prints it, the run's record stores it, and a backend turns it into an engine
request. It converts to and from plain JSON without loss (``to_json``, ``from_json``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taorunner.container_options import ContainerOptions, Mount
from taorunner.contracts import Contract
from taorunner.planning.model.arguments import ArgumentValues
from taorunner.planning.model.knobs import KnobSetting
from taorunner.planning.model.plan_codec import Known, decoded, encoded
from taorunner.planning.model.typed_settings import TypedSettings
from taorunner.values.value import Value, field

SHELL = "shell"
"""The action of a plan that opens a shell and is no run."""
SECRET_MARK = "@TAORUNNER_SECRET_{name}@"
"""The placeholder of a secret in argv. The secret itself is stored in a file with mode 0600 in the run's folder."""
SECRET_SPEC_DIR = "secrets/spec"
"""The path, in the run's input folder, of the copy of the spec that contains a secret."""

DEFAULT_SHM_BYTES = 16 * 1024**3
"""Docker's own 64 MiB break every loader with workers. Source: tao/tensorflow.md 9, tao/pytorch.md 7."""
DEFAULT_ULIMITS: Mapping[str, int] = {"stack": 67108864}
"""As NVIDIA's notebooks set it. memlock is left to the engine: many engines may not raise it."""


class GpuRequest(Value):
    """How many GPUs, and which: host ids as in nvidia-smi (index or UUID), or None for any free ones."""

    count: int = 0
    ids: tuple[str, ...] | None = None


class Resources(Value):
    """What a run takes. ``gpus``, ``cpus`` and ``memory_bytes`` are those of one node; ``time_s`` is a limit.

    None: not limited by taorunner. The ``Target`` of a backend says which of them it applies.
    """

    nodes: int = 1
    gpus: GpuRequest = GpuRequest()
    cpus: int | None = None
    memory_bytes: int | None = None
    time_s: int | None = None


class RenderedSpec(Value):
    """``text`` as the container will read it, from ``source``; ``inside`` is the path argv names.

    Where a secret has a ``spec_key``, the container reads a private copy in which it is set.
    """

    source: Path
    file_name: str
    text: str
    inside: str


class SecretSource(Value):
    """Where a secret comes from: ``env:NAME``, ``file:PATH`` or ``literal:VALUE`` (written out in experiments.yml).

    A literal lives in memory only: the stored plan says ``literal:`` and nothing behind it.
    ``variable`` is the environment variable to set inside, ``spec_key`` the dotted key of the spec to set; with neither
    it is put into argv.
    """

    name: str
    origin: str = field(repr=False)
    variable: str | None = None
    spec_key: str | None = None


class ResumePoint(Value):
    """The checkpoint to resume from. ``epoch`` is 1-based; ``is_partial``: written before the end of that epoch.

    ``run`` is the training that is resumed, None where that is not known.
    """

    checkpoint: Path
    epoch: int
    is_partial: bool = False
    run: str | None = None

    @property
    def text(self) -> str:
        """``resumes after epoch 5, from model_epoch_004_step_00100.pth``"""
        where = f"within epoch {self.epoch}" if self.is_partial else f"after epoch {self.epoch}"
        return f"resumes {where}, from {self.checkpoint.name}"

    @property
    def next_epoch(self) -> int:
        """The 1-based epoch that the resumed training completes first."""
        return self.epoch if self.is_partial else self.epoch + 1


class Awaited(Value):
    """A model that an earlier run of the chain makes: ``action`` is that run's.

    ``stand_in`` is its path, as the process sees it, until the run starts. It is in ``arguments`` below the name
    ``argument``, or, without one, in the spec.
    """

    action: str
    stand_in: str
    argument: str | None = None


class RunPlan(Value):
    """One experiment × action.

    ``action`` is the network's name of it: ``deploy.evaluate`` where ``contract.action`` is ``evaluate``. ``argv``
    holds secret marks instead of secrets and dense GPU ids ``0..n-1``. ``results_dir`` is the host folder of the
    experiment's results, ``results_inside`` the same folder as the process sees it. ``epochs`` is the number in the
    spec, None when unknown or when the action has none. ``knobs`` are the keys that ``--epochs`` and its like set.
    ``run_inside`` is where the run's input folder (spec, secrets) is seen by the process. ``arguments`` are the values
    that ``argv`` was made of, ``backend_options`` the settings of the backend. ``resume`` is set for a resumed
    training, None for a fresh one. ``after`` is the run of the chain that has to succeed before this one starts;
    ``awaits`` is what it takes from the chain. ``typed`` is what the command line set. ``cluster`` is the name of the
    cluster whose settings are in ``backend_options``, None without one. ``track`` is that of experiments.yml.
    """

    project: str
    experiment: str
    action: str
    backend: str
    contract: Contract
    argv: tuple[str, ...]
    workspace: Path
    results_dir: Path
    results_inside: str
    run_inside: str
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    resources: Resources = field(default_factory=Resources)
    spec: RenderedSpec | None = None
    secrets: tuple[SecretSource, ...] = ()
    options: ContainerOptions = field(default_factory=ContainerOptions)
    backend_options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    overwrite: bool = False
    set_aside: tuple[Path, ...] = ()  # moved to <name>.<timestamp> before the start
    make_dirs: tuple[Path, ...] = ()  # folders the action expects to exist
    arguments: ArgumentValues = field(default_factory=ArgumentValues)
    resume: ResumePoint | None = None
    knobs: tuple[KnobSetting, ...] = ()
    weights: str | None = None  # the file that --checkpoint led to, and why
    forced: tuple[str, ...] = ()  # codes of the errors that --force passed
    after: str | None = None
    awaits: tuple[Awaited, ...] = ()
    typed: TypedSettings = field(default_factory=TypedSettings)
    cluster: str | None = None
    track: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gpus(self) -> GpuRequest:
        """The GPUs of one node."""
        return self.resources.gpus

    def to_json(self, known: Known | None = None) -> dict[str, Any]:
        """Without secrets: what is written to disk. Its parts may be those of other plans."""
        body: dict[str, Any] = encoded(self, known)
        secrets = [
            {**secret, "origin": "literal:"} if secret["origin"].startswith("literal:") else secret
            for secret in body["secrets"]
        ]
        return {**body, "secrets": secrets}

    @staticmethod
    def from_json(body: dict[str, Any], known: Known | None = None) -> RunPlan:
        """Unknown keys are ignored, missing ones take their defaults. Raises ValueError for what is no plan.

        Plans of 0.1.0 have ``gpus`` in the place of ``resources``.
        """
        if isinstance(body, dict) and "gpus" in body and "resources" not in body:
            body = {**body, "resources": {"gpus": body["gpus"]}}
        plan = decoded(RunPlan, body, known)
        plan.contract.checkpoints.check_patterns()
        return plan
