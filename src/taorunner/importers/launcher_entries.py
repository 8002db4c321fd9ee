"""Writes the experiments.yml of an imported launcher setup."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from taorunner.importers.launcher_runs import LauncherExperiment
from taorunner.project.scaffold import plain_scalar
from taorunner.text import printable


def experiments_text(
    project: str, folder: Path, experiments: Sequence[LauncherExperiment], dataset: str
) -> str:
    lines = [
        "# yaml-language-server: $schema=../../.taorunner/experiments.schema.json",
        f'# Experiments of the project "{project}", made of the TAO launcher\'s files in',
        f"# {printable(str(folder))}",
        "tao_config:",
        "  gpus: 1",
        "",
        "experiments:",
    ]
    for experiment in experiments:
        lines.append(f"  {plain_scalar(experiment.name)}:")
        lines += [f"    {line}" for line in _entry(experiment, experiments, dataset)]
        lines.append("")
    return "\n".join(lines)


def _entry(
    experiment: LauncherExperiment, experiments: Sequence[LauncherExperiment], dataset: str
) -> Iterator[str]:
    base = next((one for one in experiments if one.name == experiment.base), None)
    entry: dict[str, str] = {}
    if base is not None:
        entry["extends"] = base.name
    else:
        entry |= {"head": experiment.network.name, "dataset": dataset}
        if experiment.release is not None:
            entry["release"] = experiment.release
    if experiment.weights is not None and (base is None or base.weights != experiment.weights):
        entry |= {"repository": experiment.weights.repository, "backbone": experiment.weights.backbone}
    if experiment.key is not None and (base is None or base.key != experiment.key):
        entry["model_key"] = experiment.key
    yield from (f"{key}: {plain_scalar(value)}" for key, value in entry.items())
    if experiment.gpus is not None and experiment.gpus > 1:
        yield f"gpus: {experiment.gpus}"
    if experiment.gpu_ids:
        yield f"gpu_indices: [{', '.join(experiment.gpu_ids)}]"
    if experiment.overrides:
        yield "overrides:"
        yield from _overrides(experiment.overrides)
    if "model_key" in experiment.network.optional and base is None and experiment.key is None:
        yield "# model_key: env:TAO_MODEL_KEY  # what the launcher was given with -k, if anything"


def _overrides(overrides: Mapping[str, object]) -> Iterator[str]:
    """JSON is YAML."""
    for key, value in overrides.items():
        text = plain_scalar(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield f"  {plain_scalar(key)}: {text}"
