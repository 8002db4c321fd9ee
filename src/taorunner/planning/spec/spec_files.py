"""Finds the spec file of an action: first in the experiment's own folder, then in those it extends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from taorunner.contracts import SpecContract
from taorunner.errors import Finding, Severity
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project

SUFFIXES = {"prototxt": (".txt", ".cfg", ".prototxt", ".pbtxt"), "yaml": (".yaml", ".yml")}
"""Protobuf text has no fixed suffix. Source: tao/tensorflow.md section 4.1."""


def candidates(folders: Sequence[Path], spec: SpecContract) -> Iterator[Path]:
    """Every path that would serve, best first: a nearer folder beats a better name."""
    for folder in folders:
        for stem in spec.stems:
            for suffix in SUFFIXES[spec.format]:
                yield folder / f"{stem}{suffix}"


def find_spec(folders: Sequence[Path], spec: SpecContract) -> Path | None:
    return next((path for path in candidates(folders, spec) if path.exists()), None)


def spec_name(spec: SpecContract) -> str:
    """How a new spec file is named: the best name, with the usual suffix."""
    return f"{spec.stems[0]}.{_suffix(spec)}"


def missing_spec(project: Project, experiment: Experiment, action: str, spec: SpecContract) -> Finding:
    """The finding of an action without its spec file. ``add`` writes the file where the head has one to start with."""
    from taorunner.project.scaffold import has_spec_file  # which takes long to import

    name = spec_name(spec)
    message = f'"{experiment.name}" has no spec for {action}: {name}'
    if any(has_spec_file(experiment.head, f"{stem}.{_suffix(spec)}") for stem in spec.stems):
        hint = f"taorunner -p {project.name} add {experiment.name}"
    else:
        hint = f"write {experiment.spec_dirs[0] / name}"
    place = ("experiments", experiment.name)
    return project.finding(Severity.ERROR, "missing-spec", message, place, hint=hint, of_key=True)


def _suffix(spec: SpecContract) -> str:
    return "yaml" if spec.format == "yaml" else "txt"
