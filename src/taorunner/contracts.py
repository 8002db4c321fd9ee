"""The facts about TAO as frozen values.

A ``Contract`` holds everything known about one *network × action × release*: its command line, inputs, outputs and
misleading behaviour. Other modules read the contract; none of them decides by the framework's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cached_property

from taorunner.values.value import Value, field

TRAININGS = ("train", "distill")
"""The actions that train: they load pretrained weights and have epochs, a learning rate and a seed."""


class Framework(str, Enum):
    """The code base inside the container."""

    TF1 = "tf1"
    TF2 = "tf2"
    PYT = "pyt"
    DEPLOY = "deploy"
    DATA_SERVICES = "data_services"
    EMBEDDED = "embedded"


class GpuUse(str, Enum):
    """How many GPUs an action can use. ``ONE`` includes actions that only call nvidia-smi."""

    NONE = "none"
    ONE = "one"
    MANY = "many"


class EpochMark(str, Enum):
    """When TAO writes the record of an epoch into status.json: at its start or at its end."""

    START = "start"
    END = "end"


class ResumeRule(str, Enum):
    """How training resumes from a checkpoint. ``AUTO``: by itself, when the results folder has one."""

    NONE = "none"
    AUTO = "auto"
    ARGUMENT = "argument"
    SPEC_KEY = "spec_key"


class OverrideSyntax(str, Enum):
    """How ``key=value`` arguments are parsed.

    ``HYDRA`` splits at blanks, removes quotes and has its own grammar; ``PLAIN`` takes an argument unchanged.
    """

    NONE = "none"
    HYDRA = "hydra"
    PLAIN = "plain"


class Direction(str, Enum):
    """Whether higher or lower values of a metric are better, or neither."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


class MetricScale(str, Enum):
    """The scale of a metric in TAO's output: 0 to 1, 0 to 100, or another unit."""

    FRACTION = "fraction"
    PERCENT = "percent"
    OWN = "own"


class Metric(Value):
    """The meaning of a metric. ``name`` is TAO's; ``<class>``, ``<set>``, ``<k>`` and ``*`` are placeholders.

    ``ranks``: runs are compared by it. Of several, the first that a run has is used. ``console``: only its value on
    the console counts, because status.json has it rounded.
    """

    name: str
    direction: Direction
    scale: MetricScale = MetricScale.OWN
    ranks: bool = False
    console: bool = False

    @property
    def pattern(self) -> str:
        """A regular expression for the whole name."""
        return "".join(_VARIES.get(part) or re.escape(part) for part in _PARTS_OF_NAME.split(self.name))


_PARTS_OF_NAME = re.compile(r"(<class>|<set>|<k>|\*)")
_VARIES = {"<class>": ".+", "<set>": ".+", "<k>": r"\d+", "*": ".*"}


class Argument(Value):
    """One argument of a command line: its tokens with ``{value}`` placeholders.

    ``("-e", "{spec}")``, ``("--gpu_index", "{gpu_ids*}")`` (``*`` spreads a list into tokens of its own),
    ``("train.gpu_ids=[{gpu_ids}]",)`` (without the star a list is joined by commas, no spaces).
    The argument is left out when one of its values is unknown, unless ``required``, and when an earlier argument
    gave the same option. ``aliases`` are other spellings of its option (``--experiment_spec`` for ``-e``).
    Names of values: ``planning.argv.VALUES``.
    """

    tokens: tuple[str, ...]
    required: bool = False
    aliases: tuple[str, ...] = ()


class SampleCount(str, Enum):
    """How the samples of a set are counted, from the values of its keys in the spec, in the order of the keys."""

    PICTURES = "pictures"  # of each folder, which has no folders in it
    PICTURES_BELOW = "pictures_below"  # of the folder and all folders in it
    CLASS_FOLDERS = "class_folders"  # pictures, in a folder for each class
    VIDEOS = "videos"  # a folder for each
    CLASS_VIDEOS = "class_videos"  # a folder for each, below one for each class
    SPLIT = "split"  # pictures in images/<second key> of the folder of the first
    SPLIT_LIST = "split_list"  # lines of <second key>/<third key>.txt in the folder of the first
    LINES = "lines"  # of a text file
    ROWS = "rows"  # of a CSV file, without its head
    ARRAY = "array"  # the first axis of a file of NumPy


class SpecContract(Value):
    """The spec file of an action.

    ``stems`` are the accepted file names (without suffix), best first: evaluate of TF1 reads train's spec.
    ``keys`` maps a role to its dotted key: epochs, batch_size, checkpoint_interval, num_gpus, gpu_ids,
    results_dir, pretrained, resume, encryption_key, … Only roles that the format has are present.
    ``classmap`` is the dotted key of the class map, a text file with one class name a line, and ``classmap_first_id``
    the category id of line 1; None without such a file, or when it is unknown.
    ``held_out`` are the keys of the data that the action reads and does not train on, ``held_out_counts`` is how its
    samples are counted (an upper bound), ``held_out_batch`` are the keys of its batch size: of several, the one that
    counts depends on the release. ``held_out_drops_last``: the last batch is left out when it is not full.
    ``knobs`` maps a short option (``batch_size``, ``lr``, ``seed``) to the keys that it sets, as ``parse_knob`` of
    ``catalog.knobs`` reads them. ``within_epochs`` are keys that count epochs and may not exceed their number,
    ``epoch_points`` those of the learning rate's schedule that name epochs, ``step_counts`` those that count the steps
    of the whole training.
    ``pretrained_when`` maps a value of the spec (``model.input_type=of``) to the key that replaces ``pretrained``
    there; an empty key means that no single file is read.
    """

    format: str  # "prototxt" or "yaml"
    stems: tuple[str, ...]
    required: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    classmap: str | None = None
    classmap_first_id: int | None = None
    held_out: tuple[str, ...] = ()
    held_out_counts: SampleCount | None = None
    held_out_batch: tuple[str, ...] = ()
    held_out_drops_last: bool = False
    pretrained_when: Mapping[str, str] = field(default_factory=dict)
    knobs: Mapping[str, str] = field(default_factory=dict)
    within_epochs: tuple[str, ...] = ()
    epoch_points: tuple[str, ...] = ()
    step_counts: tuple[str, ...] = ()


class ProgressContract(Value):
    """How a run reports its progress.

    ``console`` names a line family of ``progress.console``. ``status_files`` are templates of possible paths
    of status.json, relative to the results folder (``train/status.json``).
    ``first_epoch`` is the number TAO gives to the first epoch (0 or 1); ``max_epoch_is_last`` is True when
    max_epoch is the last epoch's number rather than the count. ``metric_scale`` multiplies metrics whose
    name matches ``percent_metrics`` so that all are on 0..1. ``kpi_is_cumulative``: an epoch's record repeats the
    values of earlier epochs. ``validation_follows_epoch``: an epoch is validated after its record.
    ``result_files`` are possible paths of the file in which an evaluation leaves its figures. ``event_files`` are globs
    of TensorBoard's files, ``event_metrics`` patterns of the tags there that neither the console nor status.json has.
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
    result_files: tuple[str, ...] = ()
    event_files: tuple[str, ...] = ()
    event_metrics: tuple[str, ...] = ()


class VerdictContract(Value):
    """The signs of success. The exit code alone is not reliable.

    ``exit_zero_means_success`` is False for versions that exit with 0 after a failure. ``success_statuses`` are
    status words, one of which must be new in status.json (``SUCCESS``); ``success_suffix`` is the end of the
    message with the same meaning in versions that write RUNNING. ``status_required`` is False where a successful
    run may leave no record. ``failure_is_final`` is False in 7.x, where each logged ERROR becomes a FAILURE
    line. ``artifacts`` are globs relative to the results folder, with names of ``planning.argv.VALUES``: when
    given, one match must be newer than the start.
    ``betrayals`` are texts on the console that mean failure although the exit code is 0, ``omissions`` those that
    say that a part of the dataset was left out.
    """

    exit_zero_means_success: bool = True
    success_statuses: tuple[str, ...] = ()
    success_suffix: str | None = None
    status_required: bool = False
    failure_is_final: bool = True
    footer: bool = True
    artifacts: tuple[str, ...] = ()
    betrayals: tuple[str, ...] = ()
    omissions: tuple[str, ...] = ()


class CheckpointContract(Value):
    """Where training writes its weights, relative to the results folder.

    ``globs`` match full checkpoints (never teacher or pretrained files), and the moving averages (EMA) beside them;
    ``epoch_pattern`` has one group, the epoch as written; ``first_epoch`` the number of the first one in that name.
    ``resume_globs`` match the files that training resumes from, if these are not the weights. ``untrained_pattern``
    matches the names of weights that a failed start leaves behind; they are no result, whatever epoch the name has.
    ``best_pattern`` matches the names of those that TAO itself keeps as the best by a metric, ``average_glob`` those of
    moving averages: training does not resume from them, and the weights of the same epoch are preferred to them.
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
    best_pattern: str | None = None
    average_glob: str | None = None

    def check_patterns(self) -> None:
        """Raises ValueError for a pattern that is no regular expression, and for one of epochs without a group."""
        try:
            for pattern in filter(None, (self.epoch_pattern, self.untrained_pattern, self.best_pattern)):
                re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression: {error}") from error
        if self.epoch_pattern and not re.compile(self.epoch_pattern).groups:
            raise ValueError("epoch_pattern has no group")


class Contract(Value):
    """Everything known about one network × action × release. ``image`` is None when it is unknown.

    ``command`` is the fixed start of argv, ``arguments`` the rest in order. ``needs`` are the required keys of
    experiments.yml. ``results_subdir`` is the folder below ``models/<experiment>/`` that the action writes into
    when it gets the experiment's folder (empty: that folder itself). ``value_forms`` overrides how a value
    is named for this action (``{"export_file": "export/{model}.onnx"}``, relative to the results folder).
    ``shell_reads_arguments``: a shell inside the container parses every argument again, so blanks, quotes
    and ``$ ; & * ` `` are not allowed. ``reads_data_only``: nothing is written into ``data/``, so it is mounted
    read-only. ``several_nodes``: it can run on several nodes at once.
    ``refused_arguments`` maps an option that must not be passed to the reason.
    ``kpi`` are the metrics of the action; with ``guesses_metrics`` the meaning of others is guessed from their names,
    otherwise it is unknown. ``unknown`` maps unknown facts (``checkpoints``) to the reason; they are not guessed.
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
    several_nodes: bool = False
    override_syntax: OverrideSyntax = OverrideSyntax.NONE
    refused_arguments: Mapping[str, str] = field(default_factory=dict)
    extra_arguments: bool = True
    traps: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    kpi: tuple[Metric, ...] = ()
    guesses_metrics: bool = True

    @cached_property
    def takes_weights(self) -> bool:
        """Whether the command line names the pretrained weights (``-m`` of SSD)."""
        return any(_WEIGHTS.search(token) for argument in self.arguments for token in argument.tokens)


_WEIGHTS = re.compile(r"\{pretrained\*?\??\}")
