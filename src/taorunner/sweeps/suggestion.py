"""Proposes a sweep for an experiment: which keys to vary (``tunable_keys.yml``), and over which values.

The values lie around what the base has now, within the limits of the schema. NVIDIA's own limits are often useless for
a search (a learning rate from 0 to 1), so that a float which is small within its limits is drawn over two decades, on
a logarithmic scale. What is proposed is checked as a start would check it, and what does not fit is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from taorunner.contracts import Contract, Direction
from taorunner.errors import UserFilesError
from taorunner.planning.model.forcing import stops
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import Site
from taorunner.planning.spec.schema_choice import schema_of
from taorunner.project.load import Project, load_project
from taorunner.project.sweeps.constraint import Constraint, parse_constraint
from taorunner.project.sweeps.definition import Axis, Scalar, Sweep
from taorunner.project.workspace import MAX_NAME_LENGTH, Workspace
from taorunner.runs.inputs.spec_values import raw_values
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.specs.schema.schema import NO_DEFAULT, Key, Schema
from taorunner.specs.syntax.literals import yaml_value
from taorunner.sweeps.checks.preflight import axes_that_fit
from taorunner.sweeps.trial import Trial
from taorunner.sweeps.trial_plan import NO_TRIAL, planned_trial
from taorunner.values.value import Value, replace
from taorunner.yaml_reader import read_yaml

TRIALS = 24
MOST_AXES = 5
"""More are proposed as comments: 24 trials say nothing about ten keys."""
_KEYS = Path(__file__).with_name("tunable_keys.yml")
_FIRST = (
    "lr", "learning_rate", "base_lr", "max_learning_rate", "batch_size", "batch_size_per_gpu", "lr_backbone",
    "weight_decay",
)  # fmt: skip
"""Last words of keys that most trainings depend on, in the order in which they are proposed."""
_OTHERS = frozenset({*_FIRST, "momentum", "dropout_ratio", "drop_out", "dropout", "weight"})
"""Last words of keys that are proposed of networks without a list, as far as their spec has them."""
_NOT_OF_TRAINING = frozenset(
    {"eval_config", "evaluate", "inference", "export", "distill", "quantize", "nms_config"}
)
"""First words of keys that the training of an experiment does not read."""
_LEAST_AXES = 2
_MOST_OPTIONS = 6
_STEPS = 6


class Suggestion(Value):
    """``more`` are axes that are proposed as comments."""

    sweep: Sweep
    more: tuple[Axis, ...]
    is_listed: bool
    """NVIDIA has a list of keys for the network."""


def suggest(workspace: Workspace, project_name: str, base: str, environ: Mapping[str, str]) -> Suggestion:
    """A sweep over the most promising keys.

    Raises:
        UserFilesError: the base has errors of its own, or nothing of its spec can be varied.
    """
    project = load_project(workspace, project_name, environ)
    sweep = Sweep(name=_free_name(project, base), base=base, space=(), trials=TRIALS)
    site = Site("sweep-check", workspace.runs_dir / "sweep-check")
    planned = planned_trial(
        workspace,
        project_name,
        sweep,
        Trial(number=NO_TRIAL, is_base=True),
        site,
        environ,
        dry_run=True,
        is_lenient=True,
    )
    own = [one for one in planned.findings if stops([one], is_forced=True)]
    if own or not planned.items:
        raise UserFilesError(f'nothing is proposed: "{base}" has errors of its own', findings=own)
    plan = planned.items[0].plan
    listed, conditions = _listed(plan.contract.network)
    axes = list(_axes(plan, listed, KeptSchemas(workspace.spec_schemas_dir, SpecMemory())))
    fitting = axes_that_fit(workspace, project, replace(sweep, space=tuple(axes)), environ)
    if not fitting:
        raise UserFilesError(
            f'no key of the spec of "{base}" is known to be worth a search',
            hint=f'write "space:" with keys of your own: taorunner specs show {base} train lists them',
        )
    fitting.sort(key=_rank)
    known = sum(_rank(axis) < len(_FIRST) for axis in fitting)
    count = min(MOST_AXES, max(known, _LEAST_AXES))
    space, more = tuple(fitting[:count]), tuple(fitting[count:])
    names = {axis.key for axis in space}
    together = tuple(one for one in conditions if names.issuperset(one.names))
    return Suggestion(
        replace(sweep, space=space, together=together, metric=_metric(plan.contract)), more, bool(listed)
    )


def yaml_of(suggestion: Suggestion, *, is_first: bool) -> str:
    """The text for experiments.yml; with ``is_first`` below a key ``sweeps``."""
    sweep = suggestion.sweep
    lines = ["sweeps:"] if is_first else []
    lines += [f"  {sweep.name}:", f"    base: {sweep.base}", f"    trials: {sweep.trials}"]
    lines += [f"    metric: {yaml_value(sweep.metric)}"] if sweep.metric is not None else []
    lines.append("    space:")
    lines += [f"      {axis.key}: {_written(axis)}" for axis in sweep.space]
    lines += [f"#     {axis.key}: {_written(axis)}" for axis in suggestion.more]
    if sweep.together:
        lines += ["    together:", *(f"      - {yaml_value(one.text)}" for one in sweep.together)]
    return "".join(f"{line}\n" for line in lines)


def _free_name(project: Project, base: str) -> str:
    taken = {*project.sweeps, *project.draft_sweeps}
    stem = f"{base[: MAX_NAME_LENGTH - 10]}_search"
    names = (stem, *(f"{stem}_{number}" for number in range(2, 1000)))
    return next(name for name in names if name not in taken)


def _listed(network: str) -> tuple[list[str], list[Constraint]]:
    found: Any = read_yaml(_KEYS.read_text("utf-8")).value
    entry = found.get(network, {})
    return list(entry.get("keys", ())), [parse_constraint(text) for text in entry.get("together", ())]


def _axes(plan: RunPlan, listed: Iterable[str], kept: KeptSchemas) -> Iterator[Axis]:
    values, schema = raw_values(plan), schema_of(plan.contract, kept)
    keys = listed or [key for key in values if key.rpartition(".")[2] in _OTHERS]
    for key in keys:
        if key.partition(".")[0] in _NOT_OF_TRAINING:
            continue
        known = _known(schema, key)
        value = values.get(key, NO_DEFAULT if known is None else known.default)
        axis = _axis(key, known, value)
        if axis is not None:
            yield axis


def _metric(contract: Contract) -> str | None:
    """What is compared where no metric ranks trainings: the first one that has a direction."""
    if any(one.ranks for one in contract.kpi):
        return None
    directed = (one.name for one in contract.kpi if one.direction in (Direction.UP, Direction.DOWN))
    return next((name for name in directed if "<" not in name), None)


def _known(schema: Schema | None, key: str) -> Key | None:
    return None if schema is None else schema.find(tuple(key.split(".")))


def _axis(key: str, known: Key | None, value: object) -> Axis | None:
    """None for a value that is no single one, or whose range is not to be guessed."""
    if known is not None and known.options:
        options = tuple(known.options[:_MOST_OPTIONS])
        is_text = known.kind in ("str", "enum") and 1 < len(known.options) <= _MOST_OPTIONS
        return Axis(key=key, kind="choice", choices=options) if is_text else None
    if isinstance(value, bool):
        return Axis(key=key, kind="choice", choices=(False, True))
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    least, most = (None, None) if known is None else (known.least, known.most)
    if isinstance(value, int) and (known is None or known.kind == "int"):
        return _whole(key, value, least, most)
    return _real(key, float(value), least, most)


def _whole(key: str, value: int, least: float | None, most: float | None) -> Axis | None:
    """Half of it, itself and twice as much; in steps where there is room between."""
    low, high = max(math.ceil(least or 0), value // 2), 2 * value
    if most is not None and most < high:
        high = math.floor(most)
    if low >= high:
        return None
    if key.rpartition(".")[2].startswith("batch_size"):
        choices: tuple[Scalar, ...] = tuple(dict.fromkeys((max(low, 1), value, high)))
        return Axis(key=key, kind="choice", choices=choices)
    step = max(1, (high - low) // _STEPS)
    return Axis(key=key, kind="int", low=low, high=low + (high - low) // step * step, step=step)


def _real(key: str, value: float, least: float | None, most: float | None) -> Axis | None:
    bottom, top = least or 0.0, math.inf if most is None else most
    if value > 0 and value < 0.05 * min(top, 1.0):
        low, high = max(value / 10, bottom), min(value * 10, top)
        return Axis(key=key, kind="log", low=_short(low), high=_short(high)) if 0 < low < high else None
    if math.isfinite(top) and bottom <= value <= top:
        low, high = value - (value - bottom) / 2, value + (top - value) / 2
    else:
        low, high = value / 2, value * 2
    return Axis(key=key, kind="float", low=_short(low), high=_short(high)) if low < high else None


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _rank(axis: Axis) -> int:
    word = axis.key.rpartition(".")[2]
    return _FIRST.index(word) if word in _FIRST else len(_FIRST)


def _written(axis: Axis) -> str:
    if axis.kind == "choice":
        return f"{{choice: {yaml_value(list(axis.choices))}}}"
    low, high = axis.ends()
    step = "" if axis.step in (None, 1) else f", step: {yaml_value(axis.step)}"
    return f"{{{axis.kind}: [{yaml_value(low)}, {yaml_value(high)}]{step}}}"
