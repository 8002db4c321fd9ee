"""Whether the backbone of experiments.yml is the one that the training's spec names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from taorunner.catalog.backbones import Backbone, plain_name
from taorunner.catalog.layouts import DataLayout
from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity
from taorunner.planning.weights.choice import are_weights_of
from taorunner.planning.weights.use import WeightsUse
from taorunner.pretrained.names import parse_model
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.specs.memory import SpecMemory
from taorunner.specs.outline import Unknown, outline_of
from taorunner.specs.spec_file import SpecFile, flattened
from taorunner.text import printable


def backbone_findings(
    project: Project,
    experiment: Experiment,
    contract: Contract,
    spec: SpecFile,
    typed: Mapping[str, object],
    layout: DataLayout | None,
    use: WeightsUse,
    memory: SpecMemory,
) -> Iterator[Finding]:
    """An error where the training would load weights of another backbone, else a warning.

    ``typed`` are the spec keys of the command line. Nothing is said of names that the catalog does not know.
    """
    if experiment.backbone is None or layout is None or layout.backbones is None or contract.spec is None:
        return
    outline = outline_of(spec.text, contract.spec.format, memory)
    if outline is None:
        return
    given = {**dict(flattened(experiment.overrides)), **typed} if experiment.overrides or typed else {}
    values: dict[str, object] = {}
    for key in layout.backbones.keys:
        value = given[key] if key in given else outline.last(key, experiment.vars)
        if not isinstance(value, Unknown):
            values[key] = value
    named = layout.backbones.named_in(values)
    if named is None or plain_name(named.name) == plain_name(experiment.backbone):
        return
    stated, is_certain = stated_backbone(layout, experiment.repository, experiment.backbone)
    if stated is None or named == stated:
        return
    key = layout.backbones.keys[0]
    spelled = ":".join(str(value) for value in named.named_by.values())
    if use and is_certain:
        message = (
            f'"backbone" stands for weights of {stated.name}, and "{key}" of {contract.action} is "{spelled}"'
        )
        severity = Severity.ERROR
    else:
        message = f'"backbone" is "{printable(experiment.backbone)}", and "{key}" of {contract.action} is "{spelled}"'
        severity = Severity.WARNING
    hint = f"the spec decides what is trained: {_way_out(stated)}, or correct backbone"
    place = ("experiments", experiment.name, "backbone")
    yield project.finding(severity, "backbone-differs", message, place, hint=hint)


def stated_backbone(
    layout: DataLayout, repository: str | None, backbone: str
) -> tuple[Backbone | None, bool]:
    """The backbone that experiments.yml means, None if unknown, and whether that is certain: with ``repository`` the
    key is the version of weights, and the catalog may not know these weights."""
    if layout.backbones is None:
        return None, False
    for row in layout.weights if repository is not None else ():
        if row.backbone is None:
            continue
        if are_weights_of(row.model, str(repository), backbone):
            return layout.backbones.find(row.backbone), True
        if backbone in row.versions and parse_model(row.model).name == repository:
            return layout.backbones.find(backbone), True
    return layout.backbones.find(backbone), False


def _way_out(stated: Backbone) -> str:
    """``set "ssd_config.arch" to "resnet" and "ssd_config.nlayers" to "18"``."""
    return "set " + " and ".join(f'"{key}" to "{value}"' for key, value in stated.named_by.items())
