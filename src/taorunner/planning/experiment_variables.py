"""The ``vars`` of one experiment as they are written in experiments.yml, read and changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taorunner.atomic_files import write_text
from taorunner.specs.editing.spec_edits import Edit, set_in
from taorunner.yaml_reader import read_yaml

_TOP, _VARS = "experiments", "vars"


def variables_of(file: Path, experiment: str) -> dict[str, object]:
    """Empty where the experiment has none of its own."""
    data = read_yaml(file.read_text(encoding="utf-8")).value
    entry = data.get(_TOP, {}).get(experiment, {}) if isinstance(data, Mapping) else {}
    found = entry.get(_VARS) if isinstance(entry, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def set_variables(file: Path, experiment: str, variables: Mapping[str, object]) -> bool:
    """Writes those that differ; comments and all other text stay. Returns whether something did.

    Raises SpecProblemError when the file cannot be changed in place.
    """
    old = variables_of(file, experiment)
    edits = [
        Edit((_TOP, experiment, _VARS, name), value)
        for name, value in variables.items()
        if name not in old or old[name] != value
    ]
    if not edits:
        return False
    text, problems = set_in(file.read_text(encoding="utf-8"), "yaml", edits)
    for problem in filter(None, problems):
        raise problem
    write_text(file, text)
    return True
