"""What ``track`` of experiments.yml may say: to which servers the metrics of runs are sent.

Light: experiments with ``track`` are checked here, without pydantic. A server's address holds no credentials; they come
from the environment variables that MLflow itself reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from taorunner.text import did_you_mean, printable
from taorunner.values.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taorunner.project.diagnostics import FindingList

MLFLOW, WANDB = "mlflow", "wandb"
TRACKERS = (MLFLOW, WANDB)
URI_VARIABLE = "MLFLOW_TRACKING_URI"
URI_PATTERN = r"^(env:[A-Za-z_][A-Za-z0-9_]*|https?://[A-Za-z0-9._:\[\]-]+(/[^\s?#@]*)?)$"
EXPERIMENT_PATTERN = r"^[^\x00-\x1f\x7f]+$"
MAX_URI, MAX_EXPERIMENT = 1000, 250

_KEYS = ("uri", "experiment")
_WANDB_KEYS = ("project", "entity", "mode")
NAME_PATTERN = r"^[A-Za-z0-9_.-]+$"
MAX_NAME = 128
"""Of projects and entities of Weights & Biases."""
_SECRETS = re.compile(r"token|password|passw|secret|key|user", re.IGNORECASE)
CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


class TrackProblem(Value):
    """``path`` leads from ``track`` to the wrong value, or with ``of_key`` to the wrong key. The texts hold no value
    that may be secret."""

    code: str
    message: str
    path: tuple[str, ...] = ()
    hint: str | None = None
    of_key: bool = False


class MlflowTarget(Value):
    """``uri`` is the address of a server, or ``env:NAME``. ``experiment`` is None for the name of the project."""

    uri: str = f"env:{URI_VARIABLE}"
    experiment: str | None = None

    def address(self, environ: Mapping[str, str]) -> str | None:
        """None where the variable is not set."""
        return environ.get(self.variable) or None if self.variable is not None else self.uri

    @property
    def variable(self) -> str | None:
        return self.uri[len("env:") :] if self.uri.startswith("env:") else None


class WandbTarget(Value):
    """Files of an offline run of Weights & Biases. ``project`` is None for the name of the project here."""

    project: str | None = None
    entity: str | None = None


def mlflow_target(track: Mapping[str, Any]) -> MlflowTarget | None:
    """Of a checked ``track``; None where it names no MLflow server."""
    return MlflowTarget(**track[MLFLOW]) if MLFLOW in track else None


def wandb_target(track: Mapping[str, Any]) -> WandbTarget | None:
    """Of a checked ``track``; None where it asks for no files of Weights & Biases."""
    if WANDB not in track:
        return None
    return WandbTarget(**{key: value for key, value in track[WANDB].items() if key != "mode"})


def is_tracked(track: Mapping[str, Any]) -> bool:
    """Whether a checked ``track`` names a tracker."""
    return any(name in track for name in TRACKERS)


def track_problems(value: object) -> Iterator[TrackProblem]:
    """Every problem of a ``track``; ``{}`` turns off what is inherited."""
    if not isinstance(value, dict):
        yield TrackProblem("wrong-type", '"track" must be a mapping', hint=f"write track: {{{MLFLOW}: {{}}}}")
        return
    for name, settings in value.items():
        if name not in TRACKERS:
            hint = did_you_mean(str(name), TRACKERS) or f"trackers are {' and '.join(TRACKERS)}"
            yield TrackProblem("unknown-key", f'unknown tracker "{_shown(name)}"', (name,), hint, True)
        elif not isinstance(settings, dict):
            yield TrackProblem(
                "wrong-type", f'"track.{name}" must be a mapping', (name,), f"write {name}: {{}}"
            )
        else:
            yield from _mlflow(settings) if name == MLFLOW else _wandb(settings)


def without_wrong_track(entry: dict[Any, Any], path: tuple[str, ...], to: FindingList) -> dict[Any, Any]:
    """``entry`` of the file at ``path``; after a finding about its ``track``, another one without that."""
    problems = [*track_problems(entry["track"])] if "track" in entry else []
    for one in problems:
        to.error(one.code, one.message, (*path, "track", *one.path), hint=one.hint, of_key=one.of_key)
    return {key: value for key, value in entry.items() if key != "track"} if problems else entry


def _mlflow(settings: Mapping[Any, Any]) -> Iterator[TrackProblem]:
    for key, value in settings.items():
        path = (MLFLOW, key)
        if key not in _KEYS:
            is_secret = isinstance(key, str) and _SECRETS.search(key) is not None
            hint = f"set {CREDENTIALS} in the environment" if is_secret else did_you_mean(str(key), _KEYS)
            code, said = ("plain-secret", "credentials") if is_secret else ("unknown-key", "settings")
            message = f'"track.mlflow" has no "{_shown(key)}"' + (
                f": no {said} are kept here" if is_secret else ""
            )
            yield TrackProblem(code, message, path, hint or f"its keys are {' and '.join(_KEYS)}", True)
        elif not isinstance(value, str):
            yield TrackProblem("wrong-type", f'"track.mlflow.{key}" must be a text', path, "put it in quotes")
        elif key == "uri":
            yield from _uri(value, path)
        elif not re.match(EXPERIMENT_PATTERN, value) or len(value) > MAX_EXPERIMENT or "\n" in value:
            message = f'"track.mlflow.experiment" must be a name of at most {MAX_EXPERIMENT} characters'
            yield TrackProblem("wrong-value", message, path)


def _wandb(settings: Mapping[Any, Any]) -> Iterator[TrackProblem]:
    for key, value in settings.items():
        path = (WANDB, key)
        if key not in _WANDB_KEYS:
            if isinstance(key, str) and _SECRETS.search(key):
                message = f'"track.wandb" has no "{_shown(key)}": no credentials are kept here'
                hint = "wandb sync asks for your key, or takes WANDB_API_KEY; writing the files needs none"
                yield TrackProblem("plain-secret", message, path, hint, True)
                continue
            hint = did_you_mean(str(key), _WANDB_KEYS) or f"its keys are {', '.join(_WANDB_KEYS)}"
            yield TrackProblem("unknown-key", f'"track.wandb" has no "{_shown(key)}"', path, hint, True)
        elif not isinstance(value, str):
            yield TrackProblem("wrong-type", f'"track.wandb.{key}" must be a text', path, "put it in quotes")
        elif key == "mode" and value != "offline":
            message = f'"track.wandb.mode" must be offline, not "{_shown(value)}"'
            hint = "taorunner writes files of an offline run; wandb sync FOLDER sends them"
            yield TrackProblem("wrong-value", message, path, hint)
        elif key != "mode" and (not re.fullmatch(NAME_PATTERN, value) or len(value) > MAX_NAME):
            message = f'"track.wandb.{key}" cannot be "{_shown(value)}"'
            hint = f"letters, digits, dots, dashes and underscores, at most {MAX_NAME}"
            yield TrackProblem("wrong-value", message, path, hint)


def _uri(value: str, path: tuple[str, ...]) -> Iterator[TrackProblem]:
    if re.fullmatch(URI_PATTERN, value) and len(value) <= MAX_URI:
        return
    if "@" in value or "?" in value:
        message = '"track.mlflow.uri" holds credentials, readable by everyone with this file'
        yield TrackProblem("plain-secret", message, path, f"set {CREDENTIALS} in the environment")
    elif value.startswith(("file:", "sqlite:", "postgresql:", "mysql:", "/", ".")):
        message = f'"track.mlflow.uri" must be the address of a server, not "{_shown(value)}"'
        yield TrackProblem(
            "wrong-value", message, path, "start one: mlflow server --backend-store-uri sqlite:///mlflow.db"
        )
    else:
        message = (
            f'"track.mlflow.uri" must be http://HOST:PORT, https://HOST or env:NAME, not "{_shown(value)}"'
        )
        yield TrackProblem("wrong-value", message, path, f"for example env:{URI_VARIABLE}")


def _shown(value: object) -> str:
    return printable(str(value)[:60])
