"""Whether an experiment's training reads the pretrained weights of experiments.yml, and whether they are there.

One judgement for ``validate``, ``--dry-run`` and a launch. Weights count as used where the spec of the action has
``$pretrained_model`` in a value that no override replaces, or where the command line takes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.network import Network
from taorunner.contracts import TRAININGS, Contract, Framework
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.checkpoints.checkpoint_files import find_pretrained, pretrained_dir
from taorunner.planning.weights.choice import are_weights_of
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.specs.memory import SpecMemory
from taorunner.specs.outline import outline_of
from taorunner.specs.spec_file import SpecFile, flattened
from taorunner.values.value import MutableValue, Value, field

VARIABLE = "pretrained_model"

_IN_TEXT = re.compile(r"(?<!\$)\$(?:pretrained_model(?![A-Za-z0-9_])|\{pretrained_model\})")


class WeightsUse(Value):
    """``keys`` of the spec that name the weights; ``by_argument`` where the command line does. ``is_unknown``: the spec
    cannot be read, which is reported elsewhere."""

    keys: tuple[str, ...] = ()
    by_argument: bool = False
    is_unknown: bool = False

    def __bool__(self) -> bool:
        return bool(self.keys) or self.by_argument


def weights_use(
    contract: Contract,
    spec: SpecFile | None,
    experiment: Experiment,
    typed: Mapping[str, object],
    memory: SpecMemory,
) -> WeightsUse:
    """How the action reads the weights. ``typed`` are spec keys of the command line, with their texts."""
    names = {
        VARIABLE, *(name for name, value in experiment.vars.items() if _IN_TEXT.search(str(value)))
    }  # fmt: skip
    given = {**dict(flattened(experiment.overrides)), **typed} if experiment.overrides or typed else {}
    keys = [key for key, value in given.items() if any(_uses(str(value), name) for name in names)]
    outline, is_unknown = None, False
    if spec is not None and contract.spec is not None and "$" in spec.text:
        outline = outline_of(spec.text, contract.spec.format, memory)
        is_unknown = outline is None
    if outline is not None and not names.isdisjoint(outline.shape.variables):
        marks = [f"@{{{name}}}@" for name in names]
        keys += [
            key
            for key, values in outline.shape.open.items()
            if key not in given
            and any(mark in value for value in values for mark in marks if isinstance(value, str))
        ]
    return WeightsUse(tuple(keys), is_named(experiment) and contract.takes_weights, is_unknown)


def is_named(experiment: Experiment) -> bool:
    """Whether experiments.yml names weights."""
    return experiment.repository is not None and experiment.backbone is not None


def takes_weights_by_argument(network: Network) -> bool:
    """Whether a training gets its weights on the command line (``-m`` of SSD)."""
    with suppress(UserFilesError):  # nothing is known of its training
        return network.contract("train").takes_weights
    return False


def _uses(text: str, name: str) -> bool:
    return "$" in text and re.search(rf"(?<!\$)\$(?:{name}(?![A-Za-z0-9_])|\{{{name}\}})", text) is not None


class WeightsChecks(MutableValue):
    """Looks at each folder once for all experiments that are checked together."""

    repositories: Path
    _problems: dict[tuple[str, str, Framework], str | None] = field(default_factory=dict)

    def findings(
        self,
        project: Project,
        experiment: Experiment,
        contract: Contract,
        use: WeightsUse,
        layout: DataLayout | None,
    ) -> Iterator[Finding]:
        """Weights that are used and not there, used and not named, or named and not used."""
        place = ("experiments", experiment.name)
        if use.is_unknown and not use:
            return
        if not is_named(experiment):
            if use.keys:
                yield _unnamed(project, experiment, contract, use)
            return
        if not use:
            if contract.action == "train":
                yield _unused(project, experiment, contract, layout)
            return
        problem = self._problem(experiment, contract.framework)
        if problem is not None:
            severity = Severity.ERROR if contract.action in TRAININGS else Severity.INFO
            message = f'the pretrained weights of "{experiment.name}" are missing: {problem}'
            hint = f"taorunner -p {project.paths.name} pretrained pull, or correct repository and backbone"
            yield project.finding(severity, "pretrained-missing", message, (*place, "repository"), hint=hint)

    def _problem(self, experiment: Experiment, framework: Framework) -> str | None:
        key = (str(experiment.repository), str(experiment.backbone), framework)
        if key not in self._problems:
            folder = pretrained_dir(self.repositories, key[0], key[1])
            path, problem = find_pretrained(folder, framework)
            self._problems[key] = f"{problem} ({folder})" if path is None else None
        return self._problems[key]


def _unnamed(project: Project, experiment: Experiment, contract: Contract, use: WeightsUse) -> Finding:
    message = (
        f'"{use.keys[0]}" of {contract.action} is $pretrained_model, and "{experiment.name}" names no weights'
    )
    hint = (
        f'write repository and backbone ("taorunner networks {contract.network}" lists weights), '
        "or take the key out of the spec to start from random values"
    )
    at = ("experiments", experiment.name)
    return project.finding(Severity.ERROR, "pretrained-unnamed", message, at, hint=hint, of_key=True)


def _unused(
    project: Project, experiment: Experiment, contract: Contract, layout: DataLayout | None
) -> Finding:
    message = (
        f'repository and backbone of "{experiment.name}" name weights, and its training does not read them'
    )
    rows = layout.weights if layout is not None else ()
    repository, version = str(experiment.repository), str(experiment.backbone)
    key = next((row.key for row in rows if are_weights_of(row.model, repository, version)), None)
    if key is None and contract.spec is not None:
        key = contract.spec.keys.get("pretrained") or contract.spec.keys.get("pretrained_backbone")
    write = f'set "{key}" to $pretrained_model in the spec, or ' if key and not key.startswith("-") else ""
    hint = f"{write}take repository out of experiments.yml"
    place = ("experiments", experiment.name, "repository")
    return project.finding(Severity.WARNING, "pretrained-unused", message, place, hint=hint)
