"""The types of ``sweeps`` for pydantic: every key with its type, bounds and description.

What several values say together (an end below its start, a grid without steps) is checked in ``reading``.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter, with_config
from pydantic.config import ConfigDict
from typing_extensions import NotRequired, TypedDict

from taorunner.project.keys import MAX_ENTRIES, NAME_PATTERN, OVERRIDE_PATTERN
from taorunner.project.sweeps.constraint import MAX_LENGTH
from taorunner.project.workspace import MAX_NAME_LENGTH

MAX_TRIALS = 100_000
MAX_AXES = 64
MAX_EPOCHS = 1_000_000

_STRICT: ConfigDict = ConfigDict(extra="forbid", strict=True)
_Name: TypeAlias = Annotated[str, Field(pattern=NAME_PATTERN, max_length=MAX_NAME_LENGTH)]
_Key: TypeAlias = Annotated[str, Field(pattern=OVERRIDE_PATTERN, max_length=300)]
_Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)] | int
_Scalar: TypeAlias = str | int | Annotated[float, Field(allow_inf_nan=False)] | bool
_Ends: TypeAlias = Annotated[list[_Number], Field(min_length=2, max_length=2)]
_WholeEnds: TypeAlias = Annotated[list[int], Field(min_length=2, max_length=2)]


@with_config(_STRICT)
class AxisEntry(TypedDict):
    """The values of one spec key: one of ``log``, ``float``, ``int`` and ``choice``."""

    log: NotRequired[
        Annotated[
            _Ends,
            Field(
                description="Lowest and highest value, drawn evenly over the logarithm.",
                examples=[[1e-5, 1e-3]],
            ),
        ]
    ]
    float: NotRequired[
        Annotated[_Ends, Field(description="Lowest and highest value.", examples=[[0.1, 0.9]])]
    ]
    int: NotRequired[
        Annotated[
            _WholeEnds,
            Field(description="Lowest and highest whole number, both included.", examples=[[100, 900]]),
        ]
    ]
    choice: NotRequired[
        Annotated[
            list[_Scalar],
            Field(min_length=1, max_length=MAX_ENTRIES, description="The values.", examples=[[2, 4, 8]]),
        ]
    ]
    step: NotRequired[
        Annotated[_Number, Field(gt=0, description="Distance of the values of int or float.", examples=[100])]
    ]


@with_config(_STRICT)
class PrunerEntry(TypedDict):
    """Ends trials early by their values at some epochs."""

    kind: Annotated[Literal["none", "median", "asha"], Field(description="The rule.")]
    first: NotRequired[
        Annotated[
            int, Field(ge=1, le=MAX_EPOCHS, description="First epoch at which a trial can end.", examples=[4])
        ]
    ]
    factor: NotRequired[
        Annotated[
            int,
            Field(
                ge=2,
                le=100,
                description="asha keeps the best 1 of this many trials at epochs first, first x factor, …",
                examples=[3],
            ),
        ]
    ]


@with_config(_STRICT)
class StopEntry(TypedDict):
    """When no further trial starts."""

    failures: NotRequired[
        Annotated[
            int, Field(ge=1, le=MAX_TRIALS, description="Maximum number of failed trials.", examples=[3])
        ]
    ]
    hours: NotRequired[
        Annotated[_Number, Field(gt=0, le=100_000, description="Maximum time in hours.", examples=[48])]
    ]
    no_better_for: NotRequired[
        Annotated[
            int,
            Field(
                ge=1,
                le=MAX_TRIALS,
                description="Maximum number of trials without a better value.",
                examples=[10],
            ),
        ]
    ]


@with_config(_STRICT)
class SweepEntry(TypedDict):
    """A search for better values of spec keys of one experiment."""

    base: Annotated[
        _Name, Field(description="The experiment whose spec keys are varied.", examples=["dino_01"])
    ]
    space: Annotated[
        dict[_Key, AxisEntry],
        Field(
            min_length=1,
            max_length=MAX_AXES,
            description="The spec keys and their values.",
            examples=[{"train.optim.lr": {"log": [1e-5, 1e-3]}}],
        ),
    ]
    trials: NotRequired[
        Annotated[
            int,
            Field(
                ge=1,
                le=MAX_TRIALS,
                description="How many trials; a grid has all of its cells.",
                examples=[24],
            ),
        ]
    ]
    metric: NotRequired[
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=200,
                description="What is compared. Left out: the network's ranking metric.",
                examples=["val_mAP50"],
            ),
        ]
    ]
    goal: NotRequired[
        Annotated[
            Literal["maximize", "minimize"],
            Field(description="The direction, for a metric that the catalog does not know."),
        ]
    ]
    parallel: NotRequired[
        Annotated[
            int,
            Field(
                ge=1,
                le=1000,
                description="How many trials at once. Left out: as many as there are GPUs for.",
                examples=[4],
            ),
        ]
    ]
    sampler: NotRequired[
        Annotated[
            Literal["grid", "random", "tpe", "cmaes"],
            Field(description="How values are chosen. tpe and cmaes need the extra sweep.", examples=["tpe"]),
        ]
    ]
    pruner: NotRequired[Annotated[PrunerEntry, Field(description="Ends trials early.")]]
    epochs: NotRequired[
        Annotated[
            int, Field(ge=1, le=MAX_EPOCHS, description="How many epochs a trial trains.", examples=[12])
        ]
    ]
    together: NotRequired[
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]],
            Field(
                max_length=MAX_ENTRIES,
                description="Conditions on the values of a trial, with gpus for its GPUs.",
                examples=[["dataset.batch_size * gpus <= 32"]],
            ),
        ]
    ]
    seed: NotRequired[
        Annotated[int, Field(ge=0, le=2**31 - 1, description="Of the choice of values.", examples=[1])]
    ]
    keep: NotRequired[
        Annotated[
            Literal["best", "top3", "all"],
            Field(
                description="Whose checkpoints stay; those of others are removed as trials end.",
                examples=["best"],
            ),
        ]
    ]
    stop: NotRequired[Annotated[StopEntry, Field(description="When no further trial starts.")]]
    start_with: NotRequired[
        Annotated[
            list[dict[_Key, _Scalar]],
            Field(max_length=MAX_ENTRIES, description="Values of the first trials, after the base itself."),
        ]
    ]


_ENTRY: TypeAdapter[SweepEntry] = TypeAdapter(SweepEntry)
check_sweep = _ENTRY.validator.validate_python
"""Raises ``pydantic.ValidationError`` with all problems."""
