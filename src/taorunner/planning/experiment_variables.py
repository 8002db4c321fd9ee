"""The ``vars`` of experiments as they are written in experiments.yml, read and changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taorunner.atomic_files import write_text
from taorunner.errors import UserFilesError
from taorunner.specs.editing.spec_edits import Edit, set_in
from taorunner.text import printable
from taorunner.yaml_reader import read_yaml

_TOP, _VARS = "experiments", "vars"


def variables_of(file: Path, experiment: str) -> dict[str, object]:
    """Empty where the experiment has none of its own."""
    data = read_yaml(file.read_text(encoding="utf-8")).value
    entry = data.get(_TOP, {}).get(experiment, {}) if isinstance(data, Mapping) else {}
    found = entry.get(_VARS) if isinstance(entry, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def changed_variables(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, object]:
    """Those of ``new`` that ``old`` does not have, or has with another value."""
    return {name: value for name, value in new.items() if name not in old or old[name] != value}


def with_variables(text: str, variables: Mapping[tuple[str, str], object]) -> str:
    """The text of experiments.yml with values by experiment and variable; comments and all other text stay.

    Raises UserFilesError for a variable that cannot be set in place.
    """
    edits = [Edit((_TOP, experiment, _VARS, name), value) for (experiment, name), value in variables.items()]
    changed, problems = set_in(text, "yaml", edits)
    for edit, problem in zip(edits, problems, strict=True):
        if problem is not None:
            name = printable(edit.steps[-1])
            message = f'"{name}" in the vars of experiments.yml cannot be set: {problem.message}'
            raise UserFilesError(message, hint=f"set {name} to {printable(str(edit.value))} by hand")
    return changed


def set_variables(file: Path, experiment: str, variables: Mapping[str, object]) -> bool:
    """Writes those that differ. Returns whether something did.

    Raises as ``with_variables``.
    """
    changed = changed_variables(variables_of(file, experiment), variables)
    if not changed:
        return False
    text = file.read_text(encoding="utf-8")
    write_text(file, with_variables(text, {(experiment, name): value for name, value in changed.items()}))
    return True
