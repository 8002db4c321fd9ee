"""Writes an experiment with the values of a trial into experiments.yml."""

from __future__ import annotations

from taorunner.atomic_files import write_text
from taorunner.errors import UsageError, UserFilesError
from taorunner.planning.experiments_edit import CannotEditError, NewEntry, with_entry
from taorunner.project.load import load_project
from taorunner.project.scaffold import plain_scalar
from taorunner.project.sweeps.definition import Sweep
from taorunner.project.workspace import NAME_RULE, Workspace, is_name
from taorunner.specs.syntax.literals import yaml_value
from taorunner.sweeps.trial import Trial


def add_experiment_of(workspace: Workspace, project_name: str, sweep: Sweep, trial: Trial, name: str) -> int:
    """Adds the experiment ``name``, which extends the base; returns its line. Everything else stays as it is.

    The number of epochs stays that of the base: a trial is often shorter than the training that its values are for.

    Raises:
        UsageError: the name cannot be used.
        UserFilesError: experiments.yml cannot be edited.
    """
    project = load_project(workspace, project_name)
    if not is_name(name):
        raise UsageError(f'"{name}" cannot be the name of an experiment', hint=f"use {NAME_RULE}")
    if name in project.names:
        raise UsageError(f'there is an experiment "{name}" already', hint="choose another name")
    values = dict(trial.values) if not trial.is_base else {}
    about = f"{sweep.name} {trial.name}"
    entry = {"extends": sweep.base, "description": about, **({"overrides": values} if values else {})}
    lines = [
        f"  {plain_scalar(name)}:",
        f"    extends: {plain_scalar(sweep.base)}",
        f"    description: {about}",
    ]
    if values:
        lines += [
            "    overrides:",
            *(f"      {plain_scalar(key)}: {yaml_value(value)}" for key, value in values.items()),
        ]
    file = project.paths.experiments_file
    text = file.read_text(encoding="utf-8")
    try:
        edited = with_entry(text, NewEntry(name, lines, entry))
    except CannotEditError as error:
        raise UserFilesError(
            f"{file.name} cannot be edited: {error}", hint="write the experiment yourself"
        ) from None
    write_text(file, edited.text)
    return edited.line
