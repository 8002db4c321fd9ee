"""A rule for trackers: TAO's own and the one of experiments.yml at the same time."""

from __future__ import annotations

from collections.abc import Iterator

from taorunner.errors import Severity
from taorunner.planning.checks.spec_view import SpecReader
from taorunner.planning.checks.training_facts import Fault
from taorunner.project.experiments import Experiment
from taorunner.project.tracking.words import wandb_target

_ON = (
    "wandb.enable", "training_config.visualizer.wandb_config.enabled", "train_config.visualizer.wandb_config.enabled",
    "visualizer.wandb_config.enabled",
)  # fmt: skip
"""Keys that turn Weights & Biases on in TAO. Source: results.md section 2.3; the schemas of TAO's specs."""


def tracked_twice(experiment: Experiment, spec: SpecReader) -> Iterator[Fault]:
    """TAO names its record after the time, taorunner after the run: neither knows of the other."""
    if wandb_target(experiment.track) is None:
        return
    for key in _ON:
        if key in spec and spec.last(key) in (True, "true", "True"):
            message = f'"{key}" is on, and "track" in experiments.yml has wandb: two records of one run'
            hint = f'set "{key}" to false, or take wandb out of "track"'
            yield Fault(Severity.WARNING, "tracked-twice", message, hint, key)
