"""The types of experiments.yml for pydantic: every key with its type, bounds and description.

``load`` validates with them, and ``schema`` prints them for editors. Patterns and bounds come from ``keys``, which
accepts ordinary values without loading this module. The types are strict: no text for a number, no true for 1. Rules
about several values (disagreeing counts, ``extends``) are in ``experiments``; the keys that a head needs are in the
catalog.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, JsonValue, TypeAdapter, with_config
from pydantic.config import ConfigDict
from typing_extensions import NotRequired, TypedDict

from taorunner.project.keys import (
    DATASET_PATTERN,
    EXPORT_MODEL_PATTERN,
    MAX_ENTRIES,
    MAX_GPU_INDEX,
    MAX_GPUS,
    MIN_SHM_BYTES,
    NAME_PATTERN,
    OVERRIDE_PATTERN,
    RELEASE_PATTERN,
    VARIABLE_PATTERN,
)
from taorunner.project.limits import (
    MAX_CPUS,
    MAX_NODES,
    MIN_MEMORY_BYTES,
    SIZE_PATTERN,
    TIME_PATTERN,
    memory_bytes,
    size_bytes,
    time_limit_s,
)
from taorunner.project.sweeps.sweep_models import SweepEntry
from taorunner.project.tracking.types import Track
from taorunner.project.workspace import MAX_NAME_LENGTH
from taorunner.target_names import target_names


def _shm_is_enough(text: str) -> str:
    if (size_bytes(text) or 0) < MIN_SHM_BYTES:
        raise ValueError("less than 1 MiB")
    return text


def _memory_is_enough(text: str) -> str:
    if memory_bytes(text) is None:
        raise ValueError("less than 64 MiB")
    return text


def _is_time_limit(text: str) -> str:
    if time_limit_s(text) is None:
        raise ValueError("less than a minute, or more than a year")
    return text


def _is_backend(name: str) -> str:
    if name not in target_names():
        raise ValueError("no backend has that name")
    return name


_STRICT: ConfigDict = ConfigDict(extra="forbid", strict=True)

Name: TypeAlias = Annotated[str, Field(pattern=NAME_PATTERN, max_length=MAX_NAME_LENGTH)]
_Variable: TypeAlias = Annotated[str, Field(pattern=VARIABLE_PATTERN, max_length=200)]
_Scalar: TypeAlias = str | int | float | bool
_GpuId: TypeAlias = (
    Annotated[int, Field(ge=0, le=MAX_GPU_INDEX)]
    | Annotated[str, Field(pattern=r"^([0-9]{1,4}|(GPU|MIG)-[A-Za-z0-9/-]+)$")]
)

Gpus: TypeAlias = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_GPUS,
        description="How many GPUs a run takes; 0 for none.",
        examples=[1, 4],
        json_schema_extra={"default": 1},
    ),
]
GpuIndices: TypeAlias = Annotated[
    Literal["auto"] | Annotated[list[_GpuId], Field(min_length=1, max_length=MAX_GPUS)],
    Field(
        description='Which GPUs: numbers as in nvidia-smi, or UUIDs, or "auto" for any free ones.',
        examples=[[0, 1], "auto"],
        json_schema_extra={"default": "auto"},
    ),
]
Nodes: TypeAlias = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_NODES,
        description="How many nodes a run takes, each with the GPUs, CPUs and memory given here.",
        examples=[2],
        json_schema_extra={"default": 1},
    ),
]
Cpus: TypeAlias = Annotated[
    int, Field(ge=1, le=MAX_CPUS, description="How many CPUs a run may use on a node.", examples=[8])
]
Memory: TypeAlias = Annotated[
    Annotated[str, Field(pattern=SIZE_PATTERN), AfterValidator(_memory_is_enough)]
    | Annotated[int, Field(ge=MIN_MEMORY_BYTES)],
    Field(
        description="Main memory a run may use on a node, /dev/shm included, as docker writes sizes.",
        examples=["64G"],
    ),
]
TimeLimit: TypeAlias = Annotated[
    str,
    Field(pattern=TIME_PATTERN),
    AfterValidator(_is_time_limit),
    Field(
        description="Longest time a run may take, where a scheduler starts it: HOURS:MINUTES:SECONDS, "
        "DAYS-HOURS:MINUTES:SECONDS, or a number with m, h or d.",
        examples=["12:00:00", "2-00:00:00", "90m"],
    ),
]
Release: TypeAlias = Annotated[
    str,
    Field(
        pattern=RELEASE_PATTERN,
        description="TAO release; picks the container image. In quotes where it looks like a number.",
        examples=["5.0.0", "7.1.0"],
    ),
]
Image: TypeAlias = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][^\s]*$",
        max_length=500,
        description="Container image to use instead of the catalog's.",
        examples=["nvcr.io/nvidia/tao/tao-toolkit:5.0.0-tf1.15.5"],
    ),
]
Backend: TypeAlias = Annotated[
    str,
    AfterValidator(_is_backend),
    Field(
        description="Where it runs: a container, a program on the PATH, the built-in CPU network, or another backend.",
        examples=["docker"],
    ),
]
ClusterName: TypeAlias = Annotated[
    Name,
    Field(
        description="Where it runs: a cluster of clusters.yml, which gives the backend and its settings.",
        examples=["dgx"],
    ),
]
BackendOptions: TypeAlias = Annotated[
    dict[_Variable, JsonValue],
    Field(
        max_length=MAX_ENTRIES,
        description="Settings of the backend itself. docker, local and embedded take none.",
    ),
]
ShmSize: TypeAlias = Annotated[
    Annotated[str, Field(pattern=SIZE_PATTERN), AfterValidator(_shm_is_enough)]
    | Annotated[int, Field(ge=MIN_SHM_BYTES)],
    Field(
        description="Size of /dev/shm in the container, as docker writes sizes.",
        examples=["16G", "512m"],
        json_schema_extra={"default": "16G"},
    ),
]
Env: TypeAlias = Annotated[
    dict[_Variable, str],
    Field(
        max_length=MAX_ENTRIES,
        description="Environment variables of the run. A secret is written env:NAME or file:PATH.",
        examples=[{"WANDB_API_KEY": "env:WANDB_API_KEY"}],
    ),
]
User: TypeAlias = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$",
        description='User of the container, "UID" or "UID:GID". Left out: you, so results are yours.',
        examples=["1000:1000"],
    ),
]
_Vars: TypeAlias = Annotated[
    dict[_Variable, _Scalar | list[_Scalar]],
    Field(
        max_length=MAX_ENTRIES,
        description="Your own variables for spec files and command lines; a value may use those of taorunner.",
        examples=[{"batch_size": 16, "learning_rate": 1e-4}],
    ),
]
_Overrides: TypeAlias = Annotated[
    dict[Annotated[str, Field(pattern=OVERRIDE_PATTERN, max_length=300)], JsonValue],
    Field(
        max_length=MAX_ENTRIES,
        description="Spec keys to set in the rendered spec, written with dots.",
        examples=[{"train.num_epochs": 12}],
    ),
]


@with_config(_STRICT)
class TaoConfig(TypedDict):
    """Defaults of all experiments of the project. An experiment's own value wins."""

    gpus: NotRequired[Gpus]
    gpu_indices: NotRequired[GpuIndices]
    nodes: NotRequired[Nodes]
    cpus: NotRequired[Cpus]
    memory: NotRequired[Memory]
    time: NotRequired[TimeLimit]
    release: NotRequired[Release]
    image: NotRequired[Image]
    backend: NotRequired[Backend]
    cluster: NotRequired[ClusterName]
    backend_options: NotRequired[BackendOptions]
    shm_size: NotRequired[ShmSize]
    env: NotRequired[Env]
    user: NotRequired[User]
    track: NotRequired[Annotated[Track, Field(description="Where the metrics of runs are sent.")]]


@with_config(_STRICT)
class ExperimentEntry(TypedDict):
    """One experiment: a network, its data, and differences from the defaults."""

    head: NotRequired[
        Annotated[Name, Field(description='The network. "taorunner networks" lists them.', examples=["dssd"])]
    ]
    backbone: NotRequired[
        Annotated[
            Name,
            Field(
                description="Backbone of the network; part of the name of the weights' folder.",
                examples=["resnet18"],
            ),
        ]
    ]
    repository: NotRequired[
        Annotated[
            Name,
            Field(
                description="Folder of pretrained weights below repositories/.",
                examples=["pretrained_object_detection"],
            ),
        ]
    ]
    model_key: NotRequired[
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=1000,
                pattern=r"^[^\x00-\x1f\x7f]+$",
                description="Key that TAO encrypts models with; env:NAME or file:PATH keep it secret.",
                examples=["env:TAO_MODEL_KEY", "file:~/.tao_model_key"],
            ),
        ]
    ]
    dataset: NotRequired[
        Annotated[
            str,
            Field(
                pattern=DATASET_PATTERN,
                max_length=500,
                description="Folder below data/ with the raw dataset.",
                examples=["kitti_detection/train"],
            ),
        ]
    ]
    export_model: NotRequired[
        Annotated[
            str,
            Field(
                pattern=EXPORT_MODEL_PATTERN,
                max_length=300,
                description="Checkpoint in the results that evaluate, export and inference use.",
                examples=["dssd_resnet18_epoch_080"],
            ),
        ]
    ]
    export_type: NotRequired[
        Annotated[
            Literal["fp32", "fp16", "int8"],
            Field(description="Precision of the exported model.", examples=["fp16"]),
        ]
    ]
    gpus: NotRequired[Gpus]
    gpu_indices: NotRequired[GpuIndices]
    nodes: NotRequired[Nodes]
    cpus: NotRequired[Cpus]
    memory: NotRequired[Memory]
    time: NotRequired[TimeLimit]
    release: NotRequired[Release]
    image: NotRequired[Image]
    backend: NotRequired[Backend]
    cluster: NotRequired[ClusterName]
    backend_options: NotRequired[BackendOptions]
    shm_size: NotRequired[ShmSize]
    env: NotRequired[Env]
    user: NotRequired[User]
    track: NotRequired[Annotated[Track, Field(description="Where the metrics of runs are sent.")]]
    extends: NotRequired[
        Annotated[
            Name,
            Field(description="Another experiment to inherit from: keys and specs that are not given here."),
        ]
    ]
    vars: NotRequired[_Vars]
    overrides: NotRequired[_Overrides]
    description: NotRequired[Annotated[str, Field(max_length=10_000, description="A sentence for people.")]]
    tags: NotRequired[
        Annotated[
            list[Name],
            Field(max_length=MAX_ENTRIES, description="Words to search by.", examples=[["baseline"]]),
        ]
    ]


@with_config(_STRICT)
class ExperimentsFile(TypedDict):
    """Experiments of one taorunner project."""

    tao_config: NotRequired[
        Annotated[
            TaoConfig | None,
            Field(description="Defaults of all experiments; an experiment's own value wins."),
        ]
    ]
    experiments: Annotated[
        dict[Name, ExperimentEntry], Field(min_length=1, description="The experiments by name.")
    ]
    sweeps: NotRequired[
        Annotated[
            dict[Name, SweepEntry] | None,
            Field(description="Searches for better values of spec keys, by name."),
        ]
    ]


@contextmanager
def _without_plugins() -> Iterator[None]:
    """Disables the plugin search of pydantic, which reads the metadata of all packages in 10 ms."""
    name = "PYDANTIC_DISABLE_PLUGINS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


with _without_plugins():
    _TAO_CONFIG: TypeAdapter[TaoConfig] = TypeAdapter(TaoConfig)
    _ENTRY: TypeAdapter[ExperimentEntry] = TypeAdapter(ExperimentEntry)
check_tao_config = _TAO_CONFIG.validator.validate_python
check_experiment = _ENTRY.validator.validate_python
"""Both raise ``pydantic.ValidationError`` with all problems. Accepted values are used as they were read."""


def file_schema() -> dict[str, Any]:
    """The JSON Schema of the types above."""
    return TypeAdapter(ExperimentsFile).json_schema()
