"""Says what belongs where a spec still has ``$FILL_IN``: the key, what the catalog knows of it, and the next step.

A variable of an experiment whose value is the mark is reported once, at its place in experiments.yml.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from taorunner.catalog.layouts import Computed, DataLayout
from taorunner.errors import Finding, Severity
from taorunner.planning.inputs.argv import VALUES
from taorunner.planning.spec.spec_files import SUFFIXES
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.project.text_files import read_text_file
from taorunner.specs.memory import SpecMemory
from taorunner.specs.outline import variable_places
from taorunner.specs.spec_file import SpecFile, load_spec
from taorunner.specs.templates.template import parse_template
from taorunner.specs.templates.variables import FILL_IN, FILL_IN_CODE, VariableUse, is_mark
from taorunner.text import printable
from taorunner.values.value import replace
from taorunner.yaml_reader import MAX_BYTES

_WRITE_IT = f"write it in place of ${FILL_IN}"


def explained(
    findings: Iterable[Finding],
    project: Project,
    experiment: Experiment,
    layout: DataLayout | None,
    memory: SpecMemory,
) -> list[Finding]:
    """``findings`` of one experiment, with those about ``$FILL_IN`` made whole; the others stay as they are."""
    found: dict[object, Finding] = {}
    experiments_file = project.paths.experiments_file
    for finding in findings:
        key: object = finding
        if finding.code == FILL_IN_CODE and finding.file not in (None, experiments_file):
            finding = _explained(finding, project, experiment, layout, memory)
            is_variable = finding.file == experiments_file  # which several keys may use
            key = (finding.file, finding.line, finding.column if is_variable else finding.message)
        found.setdefault(key, finding)
    return list(found.values())


def of_arguments(project: Project, experiment: Experiment) -> Iterator[Finding]:
    """The marks in ``vars`` that belong on a command line, which no spec needs to use."""
    for name, value in experiment.vars.items():
        if is_mark(value) and name in VALUES and VALUES[name].from_vars:
            yield _of_variable(project, experiment, name, None)


def _explained(
    finding: Finding, project: Project, experiment: Experiment, layout: DataLayout | None, memory: SpecMemory
) -> Finding:
    loaded = load_spec(finding.file) if finding.file is not None else ()
    if not isinstance(loaded, SpecFile):
        return finding
    spec_format = "yaml" if loaded.path.suffix in SUFFIXES["yaml"] else "prototxt"
    template = parse_template(loaded.text, spec_format, memory)
    place = (finding.line, finding.column)
    use = next((one for one in template.variables if (one.line, one.column) == place), None)
    if use is None:
        return finding
    key = _key_of(loaded.text, spec_format, use, memory)
    computed, shown = _computed(layout, key) if key is not None else (None, None)
    if use.name != FILL_IN:
        return _of_variable(project, experiment, use.name, computed)
    what = computed.rule if computed is not None else template.remark(use)
    message = f"fill in {printable(shown)}" if shown is not None else "fill this in"
    owner = _owner(project, experiment, loaded.path)
    hint = _hint(project, owner) if computed is not None else _WRITE_IT
    return replace(finding, message=f"{message}: {printable(what)}" if what else message, hint=hint)


def _of_variable(project: Project, experiment: Experiment, name: str, computed: Computed | None) -> Finding:
    layers = project.layers(experiment.name, "vars")
    owner = next((owner for owner, written in layers if name in written), experiment.name)
    place = ("experiments", owner, "vars", name)
    what = computed.rule if computed is not None else _remark(project, project.place(place)[0])
    hint = _hint(project, owner) if computed is not None else _WRITE_IT
    message = f"fill in {name}: {printable(what)}" if what else f"fill in {name}"
    return project.finding(Severity.ERROR, FILL_IN_CODE, message, place, hint=hint)


def _hint(project: Project, experiment: str) -> str:
    return f"taorunner -p {project.name} specs refresh {experiment} computes it once the data is there"


def _owner(project: Project, experiment: Experiment, path: Path) -> str:
    """The experiment whose folder holds the spec: ``experiment``, or the one that it extends."""
    name = path.parent.name
    return name if name in project.names else experiment.name


def _remark(project: Project, line: int) -> str:
    """The comment at the end of a line of experiments.yml."""
    text = read_text_file(project.paths.experiments_file, max_bytes=MAX_BYTES).text or ""
    lines = text.splitlines()
    return lines[line - 1].partition(" #")[2].strip() if line <= len(lines) else ""


def _key_of(text: str, spec_format: str, use: VariableUse, memory: SpecMemory) -> str | None:
    """The dotted key of the value that ``use`` belongs to."""
    places = [
        one
        for one in variable_places(text, spec_format, memory)
        if (one.name, one.line) == (use.name, use.line) and one.column <= use.column
    ]
    return max(places, key=lambda one: one.column).key if places else None


def _computed(layout: DataLayout | None, key: str) -> tuple[Computed | None, str]:
    """What the catalog says of the key, or of the section that it is in; and which of the two that is."""
    for one in layout.computed if layout is not None else ():
        for listed in one.keys:
            name = listed.partition(" ")[0].rstrip(",;")
            if key == name or key.startswith(f"{name}."):
                return one, name
    return None, key
