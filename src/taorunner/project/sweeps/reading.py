"""Reads ``sweeps`` of experiments.yml and reports all problems that the file alone shows.

What needs the network (does the spec key exist, is the metric known) is checked by ``sweeps/checks``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from taorunner.project.diagnostics import FindingList, Vocabulary, described, report, shown
from taorunner.project.sweeps.constraint import GPUS, Constraint, ConstraintError, parse_constraint
from taorunner.project.sweeps.definition import Axis, AxisKind, Limit, Pruner, Sweep
from taorunner.project.workspace import NAME_RULE, is_name
from taorunner.text import did_you_mean
from taorunner.values.stored import LARGEST
from taorunner.values.value import Value, field, replace

MAX_SWEEPS = 500
DEFAULT_TRIALS = 20
KEYS = (
    "base", "space", "trials", "metric", "goal", "parallel", "sampler", "pruner", "epochs", "together", "seed",
    "keep", "stop", "start_with",
)  # fmt: skip
_EXPECTED = {
    "base": "the name of an experiment",
    "space": "a mapping of spec keys to {log: [a, b]}, {float: [a, b]}, {int: [a, b]} or {choice: [a, b, c]}",
    "trials": "a whole number from 1",
    "metric": "the name of a metric",
    "goal": "maximize or minimize",
    "parallel": "a whole number from 1",
    "sampler": "grid, random, tpe or cmaes",
    "pruner": "such as {kind: asha, first: 4, factor: 3}; kinds are none, median and asha",
    "epochs": "a whole number from 1",
    "together": 'a list of conditions such as "dataset.batch_size * gpus <= 32"',
    "seed": "a whole number from 0",
    "keep": "best, top3 or all",
    "stop": "such as {failures: 3, hours: 48, no_better_for: 10}",
    "start_with": "a list of mappings of spec keys to values",
}
_KINDS: tuple[AxisKind, ...] = ("log", "float", "int", "choice")
_EXAMPLE = 'write "base:" with an experiment and "space:" with spec keys below it'


class ReadSweeps(Value):
    """``drafts`` are those with errors that are understood nevertheless, so that all their errors can be found."""

    usable: Mapping[str, Sweep] = field(default_factory=dict)
    drafts: Mapping[str, Sweep] = field(default_factory=dict)


def read_sweeps(value: Any, experiments: Iterable[object], to: FindingList) -> ReadSweeps:
    """In the order of the file. ``experiments`` are all names in it, usable or not."""
    if value is None:
        return ReadSweeps()
    if not isinstance(value, dict):
        message = f'"sweeps" must be a mapping of names to sweeps, not {described(value)}'
        to.error("wrong-type", message, ("sweeps",), hint='write "name:" instead of "- name"')
        return ReadSweeps()
    if len(value) > MAX_SWEEPS:
        to.error(
            "too-many-sweeps", f"{len(value)} sweeps are more than {MAX_SWEEPS}", ("sweeps",),
            hint="remove those that nobody uses", of_key=True,
        )  # fmt: skip
        return ReadSweeps()
    names = [one for one in experiments if isinstance(one, str)]
    usable: dict[str, Sweep] = {}
    drafts: dict[str, Sweep] = {}
    for name, entry in value.items():
        count = len(to.findings) + to.left_out
        sweep = _sweep(name, entry, names, list(value), to)
        if sweep is not None and isinstance(name, str):
            found = usable if len(to.findings) + to.left_out == count else drafts
            found[name] = sweep
    return ReadSweeps(usable, drafts)


def _sweep(name: Any, entry: Any, experiments: list[str], sweeps: list[Any], to: FindingList) -> Sweep | None:
    path = ("sweeps", name)
    if not isinstance(name, str) or not is_name(name):
        message = f'"{shown(name)}" cannot be the name of a sweep'
        to.error("wrong-name", message, path, hint=f"use {NAME_RULE}", of_key=True)
    if not isinstance(entry, dict):
        message = f'sweep "{shown(name)}" must be a mapping, not {described(entry)}'
        to.error("wrong-type", message, path, hint=_EXAMPLE, of_key=entry is None)
        return None
    if _has_odd_axes(entry.get("space"), (*path, "space"), to):
        return None
    from pydantic import ValidationError

    from taorunner.project.sweeps.sweep_models import check_sweep

    try:
        check_sweep(entry)
    except ValidationError as error:
        report(error, entry, path, Vocabulary(_EXPECTED, unknown_key_hint=_key_hint), to)
        return None
    _check_base(entry["base"], path, experiments, sweeps, to)
    space = tuple(_axis(key, axis, (*path, "space", key), to) for key, axis in entry["space"].items())
    axes = tuple(axis for axis in space if axis is not None)
    if len(axes) < len(space):
        return None
    sampler = entry.get("sampler", "tpe")
    sweep = Sweep(
        name=str(name), base=entry["base"], space=axes, trials=entry.get("trials", DEFAULT_TRIALS),
        metric=entry.get("metric"), goal=entry.get("goal"), parallel=entry.get("parallel"), sampler=sampler,
        pruner=_pruner(entry, path, to), epochs=entry.get("epochs"),
        together=_together(entry.get("together", ()), axes, path, to), seed=entry.get("seed", 0),
        keep=entry.get("keep", "all"), stop=Limit(**entry.get("stop", {})),
        start_with=tuple(dict(one) for one in entry.get("start_with", ())),
    )  # fmt: skip
    _check_start_values(sweep, path, to)
    if sampler == "grid":
        return _as_grid(sweep, "trials" in entry, path, to)
    return sweep


def _has_odd_axes(space: Any, path: tuple[Any, ...], to: FindingList) -> bool:
    """Reports axes that are written in another way, which the types below would only call wrong."""
    is_odd = False
    for key, axis in space.items() if isinstance(space, dict) else ():
        if not isinstance(axis, dict):
            choices = f"[{', '.join(map(str, axis[:8]))}]" if isinstance(axis, list) else "[…]"
            message = f'"{shown(key)}" must be such as {{choice: [2, 4, 8]}}, not {described(axis)}'
            to.error("sweep-axis", message, (*path, key), hint=f"{{choice: {choices}}}")
            is_odd = True
            continue
        for word in axis:
            if word not in (*_KINDS, "step"):
                hint = to.suggestion(word, (*_KINDS, "step")) or f"an axis has one of {', '.join(_KINDS)}"
                message = f'unknown key "{shown(word)}" of the axis "{shown(key)}"'
                to.error("unknown-key", message, (*path, key, word), hint=hint, of_key=True)
                is_odd = True
    return is_odd


def _key_hint(key: str) -> str | None:
    if "." in key:
        return 'a spec key belongs below "space:"'
    return None


def _check_base(
    base: str, path: tuple[Any, ...], experiments: list[str], sweeps: list[Any], to: FindingList
) -> None:
    if base in experiments:
        return
    if base in sweeps:
        message = f'"base" is "{shown(base)}", which is a sweep: the base must be an experiment'
        hint = f'write the "base" of "{shown(base)}"'
        to.error("sweep-of-sweep", message, (*path, "base"), hint=hint)
        return
    hint = did_you_mean(base, experiments) or 'write the name of one below "experiments:"'
    to.error("unknown-experiment", f'there is no experiment "{shown(base)}"', (*path, "base"), hint=hint)


def _axis(key: str, entry: Mapping[str, Any], path: tuple[Any, ...], to: FindingList) -> Axis | None:
    kinds = [kind for kind in _KINDS if kind in entry]
    if len(kinds) != 1:
        said = f"has {' and '.join(kinds)}" if kinds else "says not how its values are chosen"
        message = f'"{shown(key)}" {said}: write one of {", ".join(_KINDS)}'
        to.error("sweep-axis", message, path, hint="such as {choice: [2, 4, 8]}", of_key=True)
        return None
    kind = kinds[0]
    if kind == "choice":
        return _choices(key, entry, path, to)
    low, high = entry[kind]
    step = entry.get("step")
    large = next((one for one in (low, high, step or 0) if not abs(one) < LARGEST), None)
    if large is not None:
        message = f'"{shown(key)}" has a number that is too large: {shown(large)}'
        to.error("sweep-axis", message, (*path, kind), hint="numbers of an axis are below 9e18")
        return None
    if not low < high:
        message = f'"{shown(key)}" goes from {low} to {high}: the first number must be the lower one'
        to.error(
            "sweep-axis",
            message,
            (*path, kind),
            hint=f"[{high}, {low}]" if low > high else "write one value below overrides: of the base",
        )
        return None
    if kind == "log" and (low <= 0 or step is not None):
        message = (
            f'"{shown(key)}" is drawn over the logarithm, so it must begin above 0, not at {low}'
            if low <= 0
            else f'"{shown(key)}" is drawn over the logarithm, which has no steps'
        )
        hint = (
            f"{{float: [{low}, {high}]}} is drawn evenly" if low <= 0 else 'remove "step", or write a choice'
        )
        to.error("sweep-axis", message, (*path, kind if low <= 0 else "step"), hint=hint)
        return None
    if kind == "int" and step is None:
        step = 1
    if step is not None and not _meets_end(low, high, step, kind):
        message = f'"{shown(key)}" never meets {high} in steps of {step} from {low}'
        near = low + math.floor((high - low) / step) * step
        hint = (
            f"end at {near:g}, or choose another step" if near > low else f"a step of at most {high - low:g}"
        )
        to.error("sweep-axis", message, (*path, "step"), hint=hint)
        return None
    return Axis(key=key, kind=kind, low=low, high=high, step=step)


def _meets_end(low: float, high: float, step: float, kind: str) -> bool:
    if kind == "int" and not isinstance(step, int):
        return False
    places = (high - low) / step
    return abs(places - round(places)) < 1e-6 and places >= 1 - 1e-6


def _choices(key: str, entry: Mapping[str, Any], path: tuple[Any, ...], to: FindingList) -> Axis | None:
    values = entry["choice"]
    kinds = {_kind_of(value) for value in values}
    if len(kinds) > 1:
        said = " and ".join(sorted(kinds))
        to.error(
            "sweep-axis",
            f'the choices of "{shown(key)}" are of several types: {said}',
            (*path, "choice"),
            hint="write all of them as one type",
        )
        return None
    if "step" in entry:
        to.error(
            "sweep-axis",
            f'"{shown(key)}" is a choice, which has no steps',
            (*path, "step"),
            hint='remove "step"',
        )
        return None
    again = [value for place, value in enumerate(values) if value in values[:place]]
    if again:
        to.error(
            "sweep-axis",
            f'"{shown(key)}" has the choice {shown(again[0])} twice',
            (*path, "choice"),
            hint="write each value once",
        )
        return None
    return Axis(key=key, kind="choice", choices=tuple(values))


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "numbers" if isinstance(value, int | float) else "texts"


def _pruner(entry: Mapping[str, Any], path: tuple[Any, ...], to: FindingList) -> Pruner | None:
    written = entry.get("pruner")
    if written is None or written["kind"] == "none":
        return None
    if "first" not in written:
        to.error(
            "missing-key",
            'the pruner has no "first"',
            (*path, "pruner"),
            hint='write "first:" with an epoch',
            of_key=True,
        )
        return None
    first, epochs = written["first"], entry.get("epochs")
    if written["kind"] == "median" and "factor" in written:
        to.error(
            "sweep-pruner",
            '"factor" is of asha: median has none',
            (*path, "pruner", "factor"),
            hint='remove "factor"',
        )
    if epochs is not None and first >= epochs:
        message = f"the pruner begins at epoch {first}, but a trial ends after {epochs}"
        to.error(
            "sweep-pruner",
            message,
            (*path, "pruner", "first"),
            hint=f"at most {epochs - 1}" if epochs > 1 else 'remove "pruner"',
        )
    return Pruner(kind=written["kind"], first=first, factor=written.get("factor", 3))


def _together(
    texts: Iterable[str], axes: tuple[Axis, ...], path: tuple[Any, ...], to: FindingList
) -> tuple[Constraint, ...]:
    known = [axis.key for axis in axes] + [GPUS]
    found = []
    for place, text in enumerate(texts):
        where = (*path, "together", place)
        try:
            constraint = parse_constraint(text)
        except ConstraintError as error:
            hint = 'such as "dataset.batch_size * gpus <= 32"'
            to.error(
                "sweep-condition", f'"{shown(text)}": {error} (character {error.column})', where, hint=hint
            )
            continue
        for name in constraint.names:
            if name not in known:
                hint = did_you_mean(name, known) or f"the keys of the sweep are {', '.join(known[:8])}"
                to.error("sweep-condition", f'"{shown(name)}" is no key of the sweep', where, hint=hint)
        found.append(constraint)
    return tuple(found)


def _check_start_values(sweep: Sweep, path: tuple[Any, ...], to: FindingList) -> None:
    axes = {axis.key: axis for axis in sweep.space}
    for place, values in enumerate(sweep.start_with):
        for key, value in values.items():
            where = (*path, "start_with", place, key)
            if key not in axes:
                hint = did_you_mean(key, axes) or f"the keys of the sweep are {', '.join(list(axes)[:8])}"
                to.error(
                    "sweep-start", f'"{shown(key)}" is no key of the sweep', where, hint=hint, of_key=True
                )
            elif not axes[key].holds(value):
                message = f'"{shown(key)}" cannot be {described(value)}: it is not among its values'
                to.error(
                    "sweep-start", message, where, hint='widen the axis below "space:", or change the value'
                )


def _as_grid(sweep: Sweep, has_trials: bool, path: tuple[Any, ...], to: FindingList) -> Sweep | None:
    for axis in sweep.space:
        if axis.cells is None:
            message = f'a grid needs the values of "{shown(axis.key)}" one by one'
            to.error(
                "sweep-grid",
                message,
                (*path, "space", axis.key),
                hint="write a choice, or an int or float with a step",
                of_key=True,
            )
    size = sweep.grid_size
    if size is None:
        return None
    return replace(sweep, trials=min(sweep.trials, size) if has_trials else size)
