"""Collects what the user sets in the spec of an action: ``overrides:``, also of extended experiments, and ``--set``.

Each override is checked against the schema. It keeps its place, so a finding points at the line where it was written.
An override for another action's spec (``kitti_config.val_split`` while training) is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity, UsageError
from taorunner.planning.spec.schema_choice import schema_for
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.specs.editing.spec_edits import Edit, flat_edits, with_variables
from taorunner.specs.editing.yaml_edit import parse_override
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.specs.schema.override_check import check_override, key_at
from taorunner.specs.schema.schema import Key, Schema
from taorunner.specs.schema.value_check import Misfit
from taorunner.specs.schema.walk import ACTION_SECTIONS, Against
from taorunner.specs.syntax.key_paths import dotted
from taorunner.specs.syntax.literals import inside_text
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.specs.templates.template import SpecValue
from taorunner.specs.templates.variables import FILL_IN, FILL_IN_CODE, is_mark
from taorunner.text import did_you_mean, printable
from taorunner.values.value import MutableValue, Value, field, replace


class Override(Value):
    """``place`` is its path in experiments.yml, None for one from ``--set``."""

    edit: Edit
    place: tuple[str | int, ...] | None


class Overrides(MutableValue):
    """The overrides for this spec, in the order in which they are set, and their findings."""

    items: list[Override] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        return [item.edit.key for item in self.items]


def find_overrides(
    project: Project,
    experiment: Experiment,
    contract: Contract,
    against: Against | None,
    variables: Mapping[str, SpecValue],
    sets: Mapping[str, str],
    *,
    all_keys: bool = True,
) -> Overrides:
    """``sets`` are the keys of ``--set`` with the text typed for each.

    Without ``all_keys`` a key that no action of this network has is not reported; another check reports it.
    """
    found = Overrides()
    written = {name: value for name, value in variables.items() if not is_mark(value)}
    schema = against.schema if against is not None else None
    others = schema.source.of_network(contract.network, schema.release) if schema is not None else ()
    given = [
        *_written(project, experiment, schema, found.findings),
        *_typed(sets, schema, found.findings),
    ]
    for index, one in enumerate(given):
        if any(_covers(later.edit, one.edit) for later in given[index + 1 :] if later.place is None):
            continue
        value, unknown = with_variables(
            one.edit.value, written, omegaconf=schema is None or schema.format == "yaml"
        )
        found.findings += [_finding(project, one, _unknown_variable(name, variables)) for name in unknown]
        one = replace(one, edit=replace(one.edit, value=value))
        misfit = _misfit(one, against) if not unknown else None
        if misfit is not None and misfit.code in ("unknown-key", "other-release"):
            is_elsewhere = any(not isinstance(key_at(other, one.edit.steps), Misfit) for other in others)
            if one.place is not None and (is_elsewhere or not all_keys):
                continue
        if misfit is not None:
            found.findings.append(_finding(project, _at_fault(one, schema), misfit))
        found.items.append(one)
    return found


def check_sets(sets: Mapping[str, str]) -> None:
    """Raises UsageError for a key or a value of ``--set`` that cannot be read, whatever the spec."""
    for key, text in sets.items():
        steps = key.lstrip("+~").split(".")
        if not all(step and step == step.strip() for step in steps):
            raise UsageError(
                f'--set takes KEY=VALUE, and "{printable(key)}" is not a key',
                hint="a key has no blanks around its dots: --set train.num_epochs=5",
            )
        try:
            typed_value(key, text)
        except SpecProblemError as problem:
            raise UsageError(f"--set {printable(key)}: {problem.message}", hint=problem.hint) from None


def sets_of_later(sets: Mapping[str, str], contract: Contract, kept: KeptSchemas | None) -> dict[str, str]:
    """The keys of ``--set`` that hold for a later action of a chain: those that its spec has, and that are not in the
    section of another action. Without a schema every key may be one of the spec."""
    against = schema_for(contract, missing=False, kept=kept)
    found: dict[str, str] = {}
    for key, text in sets.items():
        steps = dotted(key.lstrip("+~")).split(".")
        is_of_other = steps[0] in ACTION_SECTIONS and steps[0] != contract.action
        is_known = against is None or not isinstance(key_at(against.schema, steps), Misfit)
        if is_known and not is_of_other:
            found[key] = text
    return found


def refusal(project: Project, one: Override, problem: SpecProblemError) -> Finding:
    """The finding for an override that could not be set, at the place where it was written."""
    return _finding(project, one, Misfit(Severity.ERROR, problem.code, problem.message, problem.hint))


def _misfit(one: Override, against: Against | None) -> Misfit | None:
    if one.place is None and one.edit.key.startswith(("+", "~")):
        return None  # Hydra's own, for the command line
    return None if against is None else check_override(one.edit.steps, one.edit.value, against)


def _written(
    project: Project, experiment: Experiment, schema: Schema | None, findings: list[Finding]
) -> Iterator[Override]:
    """Overrides of experiments.yml, the experiment's own last. They merge key by key; the nearest one wins."""
    seen: set[Any] = set()
    nearer: list[Override] = []
    layers: list[list[Override]] = []
    for owner, values in project.layers(experiment.name, "overrides"):
        mine: list[Override] = []
        new = {name: value for name, value in values.items() if name not in seen}
        seen |= set(values)
        for written, edit in flat_edits(new, schema):
            one = Override(edit, ("experiments", owner, "overrides", *written))
            twice = next(
                (other for other in mine if _covers(other.edit, edit) or _covers(edit, other.edit)), None
            )
            if twice is not None:
                findings.append(_finding(project, one, _given_twice(project, one, twice)))
            elif not any(_covers(other.edit, edit) for other in nearer):
                mine.append(one)
        nearer += mine
        layers.append(mine)
    for layer in reversed(layers):
        yield from layer


def _typed(sets: Mapping[str, str], schema: Schema | None, findings: list[Finding]) -> Iterator[Override]:
    """Overrides of ``--set``."""
    for key, text in sets.items():
        try:
            value = value_for(key, text, schema)
        except SpecProblemError as problem:
            message = f"--set {key}: {problem.message}"
            findings.append(Finding(Severity.ERROR, problem.code, message, problem.hint, typed=True))
            continue
        yield from (Override(edit, None) for _written, edit in flat_edits({key: value}, schema))


def texts_with_variables(sets: Mapping[str, str], variables: Mapping[str, SpecValue]) -> dict[str, str]:
    """The values of ``--set`` for a command line: ``$variables`` replaced, a list as ``[0,1]``. Unknown ones stay."""
    texts = {}
    for key, text in sets.items():
        value, _unknown = with_variables(text, variables, omegaconf=True)
        texts[key] = f"[{inside_text(value)}]" if isinstance(value, list) else inside_text(value)
    return texts


def value_for(key: str, text: str, schema: Schema | None) -> object:
    """The value typed after ``--set key=``, for a key of that schema: a number typed for a string key is a string.

    Raises:
        SpecProblemError: brackets or quotes are opened and not closed.
    """
    value = typed_value(key, text)
    known = key_at(schema, dotted(key).split(".")) if schema is not None else None
    is_text = isinstance(known, Key) and known.kind == "str" and not known.is_repeated
    return text.strip() if is_text and isinstance(value, (int, float)) else value


def typed_value(key: str, text: str) -> object:
    """The value typed after ``--set key=``: ``3`` is a number, ``[0, 1]`` a list, ``a: b`` a text.

    Raises:
        SpecProblemError: brackets or quotes are opened and not closed.
    """
    return parse_override(f"{key}={text}")[1]


def _covers(one: Edit, other: Edit) -> bool:
    """True where setting ``one`` overwrites everything that ``other`` set."""
    return other.steps[: len(one.steps)] == one.steps


def _at_fault(one: Override, schema: Schema | None) -> Override:
    """The same with the place of the section that is wrong, where the key is written in several parts."""
    if schema is None or one.place is None:
        return one
    base, written = one.place[:3], one.place[3:]
    steps: list[str] = []
    for count, name in enumerate(written, 1):
        steps += dotted(str(name)).split(".")
        if isinstance(key_at(schema, steps), Misfit):
            return replace(one, place=(*base, *written[:count]))
    return one


def _given_twice(project: Project, one: Override, other: Override) -> Misfit:
    line, _column = project.place(other.place or ())
    message = f'"{one.edit.key}" is set twice: "{other.edit.key}" is at line {line} too'
    return Misfit(Severity.ERROR, "override-twice", message, "leave one of them out")


def _unknown_variable(name: str, variables: Mapping[str, SpecValue]) -> Misfit:
    if name == FILL_IN or name in variables:
        what = "fill this in" if name == FILL_IN else f'"${name}" is not filled in'
        return Misfit(Severity.ERROR, FILL_IN_CODE, what, f"write the value in place of ${FILL_IN}")
    hint = did_you_mean(name, sorted(variables)) or "write $$ for a dollar"
    return Misfit(Severity.ERROR, "unknown-variable", f'unknown variable "${printable(name)}"', hint)


def _finding(project: Project, one: Override, misfit: Misfit) -> Finding:
    if one.place is None:
        repeats = misfit.message.startswith(f"{one.edit.key} ")
        message = f"--set {misfit.message if repeats else f'{one.edit.key}: {misfit.message}'}"
        return Finding(misfit.severity, misfit.code, message, misfit.hint, typed=True)
    is_of_key = misfit.code in ("unknown-key", "other-release", "bad-key", "override-twice")
    return project.finding(
        misfit.severity, misfit.code, misfit.message, one.place, hint=misfit.hint, of_key=is_of_key
    )
