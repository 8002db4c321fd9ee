"""The types of ``track`` in experiments.yml for pydantic: they give the schema, ``words`` the findings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, with_config
from pydantic.config import ConfigDict
from typing_extensions import NotRequired, TypedDict

from taorunner.project.tracking.words import (
    EXPERIMENT_PATTERN,
    MAX_EXPERIMENT,
    MAX_NAME,
    MAX_URI,
    NAME_PATTERN,
    URI_PATTERN,
    URI_VARIABLE,
)

_STRICT: ConfigDict = ConfigDict(extra="forbid", strict=True)


@with_config(_STRICT)
class MlflowServer(TypedDict):
    """An MLflow server. Credentials come from MLflow's own environment variables."""

    uri: NotRequired[
        Annotated[
            str,
            Field(
                pattern=URI_PATTERN,
                max_length=MAX_URI,
                description="Its address, or env:NAME for that of an environment variable.",
                examples=["http://127.0.0.1:5000"],
                json_schema_extra={"default": f"env:{URI_VARIABLE}"},
            ),
        ]
    ]
    experiment: NotRequired[
        Annotated[
            str,
            Field(
                pattern=EXPERIMENT_PATTERN,
                min_length=1,
                max_length=MAX_EXPERIMENT,
                description="The experiment there. Left out: the name of the project.",
                examples=["parts"],
            ),
        ]
    ]


def _name(what: str, example: str) -> object:
    return Field(
        pattern=NAME_PATTERN, min_length=1, max_length=MAX_NAME, description=what, examples=[example]
    )


@with_config(_STRICT)
class WandbFiles(TypedDict):
    """Files of an offline run of Weights & Biases, written when a run ends. ``wandb sync`` sends them."""

    project: NotRequired[
        Annotated[str, _name("The project there. Left out: the name of the project.", "parts")]
    ]
    entity: NotRequired[Annotated[str, _name("The user or team there. Left out: your own.", "vision")]]
    mode: NotRequired[Annotated[Literal["offline"], Field(description="Only offline: files are written.")]]


@with_config(_STRICT)
class Track(TypedDict):
    """Where the metrics of runs are sent, by a process beside them. {} turns off what is inherited."""

    mlflow: NotRequired[MlflowServer]
    wandb: NotRequired[WandbFiles]
