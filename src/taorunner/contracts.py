"""What TAO can do, as frozen values. ``Network`` is one YAML file; ``Contract`` is one answer of it.

A ``Contract`` is everything the rest of the program knows about *network × action × release*:
how it is called, what it reads, what it writes, and how it lies. No other module asks
"which framework is this?" to decide what to do: it reads the contract.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Framework(str, Enum):
    """The code base inside the container."""

    TF1 = "tf1"
    TF2 = "tf2"
    PYT = "pyt"
    DEPLOY = "deploy"
    DATA_SERVICES = "data_services"
    EMBEDDED = "embedded"


class GpuUse(str, Enum):
    """How many GPUs an action can use. ``ONE`` also stands for actions that only call nvidia-smi."""

    NONE = "none"
    ONE = "one"
    MANY = "many"


class EpochMark(str, Enum):
    """When status.json writes an epoch's record: as it begins, or once it is complete."""

    START = "start"
    END = "end"


class ResumeRule(str, Enum):
    """How training goes on from a checkpoint. ``AUTO``: silently, when the results folder has one."""

    NONE = "none"
    AUTO = "auto"
    ARGUMENT = "argument"
    SPEC_KEY = "spec_key"


class OverrideSyntax(str, Enum):
    """Whether ``key=value`` tokens are understood, and by whom.

    ``HYDRA`` splits on blanks, eats quotes and has a grammar of its own; ``PLAIN`` takes a token as it is.
    """

    NONE = "none"
    HYDRA = "hydra"
    PLAIN = "plain"


class Direction(str, Enum):
    """Which values of a metric are better: higher ones, lower ones, or neither."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


class MetricScale(str, Enum):
    """How TAO writes a metric: from 0 to 1, from 0 to 100, or in a unit of its own."""

    FRACTION = "fraction"
    PERCENT = "percent"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric means. ``name`` is as TAO writes it; ``<class>``, ``<set>``, ``<k>`` and ``*`` are what varies.

    ``ranks``: runs are compared by it; the first such one that a run has counts.
    """

    name: str
    direction: Direction
    scale: MetricScale = MetricScale.OWN
    ranks: bool = False

    @property
    def pattern(self) -> str:
        """A regular expression for the whole name."""
        return "".join(_VARIES.get(part) or re.escape(part) for part in _PARTS_OF_NAME.split(self.name))


_PARTS_OF_NAME = re.compile(r"(<class>|<set>|<k>|\*)")
_VARIES = {"<class>": ".+", "<set>": ".+", "<k>": r"\d+", "*": ".*"}


@dataclass(frozen=True, slots=True)
class Argument:
    """One piece of a command line: its tokens with ``{value}`` placeholders.

    ``("-e", "{spec}")``, ``("--gpu_index", "{gpu_ids*}")`` (``*`` spreads a list into tokens of its own),
    ``("train.gpu_ids=[{gpu_ids}]",)`` (without the star a list is joined by commas, no spaces).
    The piece is left out when one of its values is unknown, unless ``required``, and when an earlier piece
    gave the same option. ``aliases`` are other spellings of its option (``--experiment_spec`` for ``-e``).
    Names of values: ``planning.argv.VALUES``.
    """

    tokens: tuple[str, ...]
    required: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpecContract:
    """The spec file of an action.

    ``stems`` are the file names (without suffix) that serve, best first: evaluate of TF1 reads train's spec.
    ``keys`` maps a role to its dotted key: epochs, batch_size, checkpoint_interval, num_gpus, gpu_ids,
    results_dir, pretrained, resume, encryption_key, … Only roles the format really has are present.
    ``classmap`` is the dotted key of the class map, a text file with one class name a line, and ``classmap_first_id``
    the category id whose name is in line 1; None where there is no such file, or it is not known.
    ``pretrained_when`` maps a value of the spec (``model.input_type=of``) to the key that is read in place of
    ``pretrained`` then; an empty key says that no single file is.
    """

    format: str  # "prototxt" or "yaml"
    stems: tuple[str, ...]
    required: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    classmap: str | None = None
    classmap_first_id: int | None = None
    pretrained_when: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProgressContract:
    """How the run tells where it is.

    ``console`` names a line family of ``progress.console_lines``. ``status_files`` are templates of the paths
    where status.json may lie, relative to the results folder (``train/status.json``).
    ``first_epoch`` is the number TAO gives to the first epoch (0 or 1); ``max_epoch_is_last`` is True when
    max_epoch is the last epoch's number rather than the count. ``metric_scale`` multiplies metrics whose
    name matches ``percent_metrics`` so that all are on 0..1. ``kpi_is_cumulative``: an epoch's record repeats the
    values of earlier epochs. ``validation_follows_epoch``: an epoch is validated after its record.
    """

    console: str
    status_files: tuple[str, ...] = ()
    first_epoch: int = 1
    epoch_mark: EpochMark = EpochMark.END
    max_epoch_is_last: bool = False
    epoch_is_iteration: bool = False
    percent_metrics: tuple[str, ...] = ()
    kpi_is_cumulative: bool = False
    validation_follows_epoch: bool = False


@dataclass(frozen=True, slots=True)
class VerdictContract:
    """What success looks like, because the exit code alone is not to be believed.

    ``exit_zero_means_success`` is False for generations that drop the failure. ``success_statuses`` are the
    status words of which one must be new in status.json (``SUCCESS``), ``success_suffix`` the end of the
    message that does the same for generations that write RUNNING. ``status_required`` is False where a good
    run may leave no record. ``failure_is_final`` is False in 7.x, where each logged ERROR becomes a FAILURE
    line. ``artifacts`` are globs relative to the results folder, with names of ``planning.argv.VALUES``: when
    given, one match must be newer than the start.
    ``betrayals`` are texts on the console that mean failure although the exit code is 0.
    """

    exit_zero_means_success: bool = True
    success_statuses: tuple[str, ...] = ()
    success_suffix: str | None = None
    status_required: bool = False
    failure_is_final: bool = True
    footer: bool = True
    artifacts: tuple[str, ...] = ()
    betrayals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckpointContract:
    """Where training leaves its weights, relative to the results folder.

    ``globs`` match full checkpoints only (never teacher, EMA or pretrained files); ``epoch_pattern`` has one
    group, the epoch as written; ``first_epoch`` the number of the first one in that name. ``resume_globs`` match what
    training goes on from where that is not the weights themselves. Names with a match of ``untrained_pattern`` are of
    weights that a start that failed left behind: no result, whatever epoch the name tells.
    """

    globs: tuple[str, ...] = ()
    latest: str | None = None
    epoch_pattern: str | None = None
    first_epoch: int = 1
    is_directory: bool = False
    resume: ResumeRule = ResumeRule.NONE
    suffixes: tuple[str, ...] = ()
    resume_globs: tuple[str, ...] = ()
    untrained_pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """All that is known of one network × action × release. ``image`` is None where nothing is known.

    ``command`` is the fixed start of argv, ``arguments`` the rest in order. ``needs`` are the keys of
    experiments.yml that must be there. ``results_subdir`` is where below ``models/<experiment>/`` the action
    writes when told the experiment's folder (empty: the folder itself). ``value_forms`` overrides how a value
    is named for this action (``{"export_file": "export/{model}.onnx"}``, relative to the results folder).
    ``shell_reads_arguments``: a shell inside the container reads every argument again, so blanks, quotes,
    ``$ ; & * ` `` must not occur. ``reads_data_only``: nothing is written into ``data/``, so it is mounted
    read-only. ``refused_arguments`` maps an option that must not be passed to the reason.
    ``kpi`` are the metrics of the action; with ``guesses_metrics`` the name of any other one tells what it means, else
    nobody knows it. ``unknown`` maps what is not known (``checkpoints``) to the reason; nothing is guessed instead.
    """

    network: str
    action: str
    group: str  # "model", "deploy", "dataset" or "embedded"
    framework: Framework
    release: str
    image: str | None
    command: tuple[str, ...]
    arguments: tuple[Argument, ...]
    spec: SpecContract | None
    progress: ProgressContract
    verdict: VerdictContract
    checkpoints: CheckpointContract
    gpu_use: GpuUse
    needs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    results_subdir: str = ""
    value_forms: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    shell_reads_arguments: bool = False
    reads_data_only: bool = False
    override_syntax: OverrideSyntax = OverrideSyntax.NONE
    refused_arguments: Mapping[str, str] = field(default_factory=dict)
    extra_arguments: bool = True
    traps: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    kpi: tuple[Metric, ...] = ()
    guesses_metrics: bool = True
