"""Reports a wrong value of a variable once, where the experiment defines it, and not in each spec that uses it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from taorunner.errors import Finding
from taorunner.planning.spec.spec_files import SUFFIXES
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.specs.memory import SpecMemory
from taorunner.specs.outline import variable_places
from taorunner.specs.spec_file import SpecFile, load_spec

_OF_VALUES = frozenset({"not-an-option", "out-of-range", "protobuf-refuses", "wrong-type"})


def at_definition(
    findings: Iterable[Finding], project: Project, experiment: Experiment, memory: SpecMemory
) -> list[Finding]:
    """``findings`` of one experiment. Those about a value that is a variable of its ``vars``, and nothing else, are at
    the place of the variable, each kind once; the others stay as they are."""
    found: dict[object, Finding] = {}
    for finding in findings:
        key: object = finding
        name = (
            _variable(finding, experiment, memory) if experiment.vars and finding.code in _OF_VALUES else None
        )
        if name is not None:
            layers = project.layers(experiment.name, "vars")
            owner = next((owner for owner, written in layers if name in written), experiment.name)
            line, column = project.place(("experiments", owner, "vars", name))
            message = f"${name}: {finding.message}"
            finding = replace(
                finding, file=project.paths.experiments_file, line=line, column=column, message=message
            )
            key = (finding.code, finding.severity, line, column)
        found.setdefault(key, finding)
    return list(found.values())


def _variable(finding: Finding, experiment: Experiment, memory: SpecMemory) -> str | None:
    """The variable that is the whole value at the place of the finding."""
    loaded = load_spec(finding.file) if finding.file is not None and finding.line is not None else ()
    if not isinstance(loaded, SpecFile):
        return None
    spec_format = "yaml" if loaded.path.suffix in SUFFIXES["yaml"] else "prototxt"
    for one in variable_places(loaded.text, spec_format, memory):
        is_there = one.line == finding.line and abs((finding.column or 0) - one.column) <= 1  # of a quote
        if one.name in experiment.vars and is_there:
            rest = loaded.text.split("\n")[one.line - 1][one.column - 1 :]
            whole = rf"[\"']?\$(?:{one.name}|\{{{one.name}\}})[\"']?\s*(?:[#,}}\]].*)?"
            return one.name if re.fullmatch(whole, rest) else None
    return None
