"""What ``--epochs``, ``--batch-size``, ``--lr`` and their like set in the spec of one action, and what goes with them.

With fewer epochs a checkpoint interval may be longer than the training: it is set to the number of epochs, and what
counts the steps of the whole training follows in proportion. Both are shown. Nothing is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from taorunner.catalog.knobs import KNOBS, OF_TRAINING, KnobKeys, choices_of
from taorunner.contracts import TRAININGS, Contract
from taorunner.errors import Finding, Severity
from taorunner.planning.model.knobs import Knobs, KnobSetting, number_text
from taorunner.planning.spec.effective_spec import EffectiveSpec
from taorunner.specs.schema.schema import NO_DEFAULT, Schema
from taorunner.specs.spec_file import read_value
from taorunner.values.value import Value

_INTEGER = re.compile(r"[0-9]+")
_BY_STEP = ("train.checkpoint_interval", "train.checkpoint_interval_unit")
"""An interval that counts steps where the second key says so. Source: tao/pytorch.md section 3."""


class KnobResult(Value):
    """``settings`` in the order of the options; ``findings`` are errors about the options and warnings."""

    settings: tuple[KnobSetting, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def sets(self) -> dict[str, str]:
        """The settings as the pairs of ``--set``."""
        return {one.key: one.value for one in self.settings}


def knob_settings(
    contract: Contract, knobs: Knobs, spec: EffectiveSpec, typed: Mapping[str, object], processes: int
) -> KnobResult:
    """``spec`` is that of the action without the knobs, ``typed`` are the keys of the spec that the command line sets
    otherwise, ``processes`` the number of GPUs on all nodes, or 1 without any.
    """
    values = _Values(contract, spec, typed)
    settings: list[KnobSetting] = []
    findings: list[Finding] = []
    for knob, value in knobs.given().items():
        chosen = _chosen(known_choices(contract, knob, values.schema), values)
        if chosen is None and knob == "min_score" and knobs.may_lack_score:
            continue
        if chosen is None:
            findings.append(_not_read(contract, knob, value, values.schema))
            continue
        for one in _main(knob, value, chosen, values, processes):
            twice = _twice(one, typed)
            if twice is not None:
                findings.append(twice)
            settings.append(one)
        if knob == "epochs":
            followers, warnings = _following(contract, int(value), chosen.keys[0], values)
            settings += followers
            findings += warnings
    return KnobResult(tuple(settings), tuple(findings))


def known_choices(contract: Contract, knob: str, schema: Schema | None) -> tuple[KnobKeys, ...]:
    """The choices of keys with the keys that this release has; without a schema every key counts."""
    found = (
        replace(one, keys=tuple(key for key in one.keys if _is_known(schema, key)))
        for one in choices_of(contract, knob)
    )
    return tuple(one for one in found if one.keys)


def of_option(findings: Iterable[Finding], settings: Iterable[KnobSetting]) -> tuple[Finding, ...]:
    """Findings about ``--set KEY`` name the option from which the key comes."""
    options = {f"--set {one.key}: ": f"{one.option}, {one.key}: " for one in settings}
    options |= {f"--set {one.key} ": f"{one.option}: {one.key} " for one in settings}
    found = []
    for one in findings:
        start = next((text for text in options if one.message.startswith(text)), None)
        if start is not None:
            one = replace(one, message=options[start] + one.message[len(start) :])
        found.append(one)
    return tuple(found)


class _Values:
    """The values of a spec: those typed, those of the text, and TAO's defaults."""

    def __init__(self, contract: Contract, spec: EffectiveSpec, typed: Mapping[str, object]) -> None:
        self.schema: Schema | None = spec.schema
        self.typed = typed
        prepared = spec.prepared
        if prepared is not None and prepared.text is None:
            prepared = replace(prepared, text=prepared.draft)
        self._prepared = prepared

    def written(self, key: str) -> Any:
        """The value of the command line or of the spec; None where neither has one."""
        if key in self.typed:
            return self.typed[key]
        return read_value(self._prepared, key) if self._prepared is not None else None

    def value(self, key: str) -> Any:
        found = self.written(key)
        if found is None and self.schema is not None:
            known = self.schema.find(tuple(key.split(".")))
            found = known.default if known is not None and known.default is not NO_DEFAULT else None
        return found

    def number(self, key: str) -> float | None:
        found = self.value(key)
        try:
            return None if found is None or isinstance(found, bool) else float(found)
        except (TypeError, ValueError):
            return None


def _is_known(schema: Schema | None, key: str) -> bool:
    """False where this release has no such key; without a schema every key counts."""
    return schema is None or schema.find(tuple(key.split("."))) is not None


def _chosen(known: Sequence[KnobKeys], values: _Values) -> KnobKeys | None:
    """The choice that this spec uses."""
    by_condition = [one for one in known if one.when is not None and values.value(one.when[0]) == one.when[1]]
    written = [one for one in known if any(values.written(key) is not None for key in one.keys)]
    return next(iter([*by_condition, *written, *known]), None)


def _main(
    knob: str, value: int | float, chosen: KnobKeys, values: _Values, processes: int
) -> Iterator[KnobSetting]:
    option = f"{KNOBS[knob][0]} {number_text(value)}"
    first, *others = chosen.keys
    new = value * processes if chosen.is_total and isinstance(value, int) else value
    yield KnobSetting(option, first, number_text(new))
    before = values.number(first) if knob == "lr" else None
    for key in others:
        if knob != "lr":
            yield KnobSetting(option, key, number_text(new))
            continue
        own = values.number(key)
        if own is not None and before:
            yield KnobSetting(
                option, key, number_text(own * float(value) / before), was=_shown(values.value(key))
            )


def _following(
    contract: Contract, epochs: int, key: str, values: _Values
) -> tuple[list[KnobSetting], list[Finding]]:
    """What is changed along with the number of epochs, and warnings about what then no longer fits."""
    spec = contract.spec
    before = values.number(key)
    if spec is None:
        return [], []
    option = f"--epochs {epochs}"
    settings = [
        KnobSetting(option, one, str(epochs), was=_shown(values.value(one)))
        for one in spec.within_epochs
        if one not in values.typed and _is_known(values.schema, one) and (values.number(one) or 0) > epochs
        and not (one == _BY_STEP[0] and values.value(_BY_STEP[1]) == "step")
    ]  # fmt: skip
    if before is None or before == epochs:
        return settings, []
    for one in spec.step_counts:
        old = values.written(one)
        if one not in values.typed and old is not None and before:
            settings.append(KnobSetting(option, one, _scaled(old, epochs / before), was=_shown(old)))
    return settings, [
        _not_reached(one, late, epochs, before, values)
        for one in spec.epoch_points
        if one not in values.typed
        and (late := [point for point in _points(one, values) if epochs <= point <= before])
    ]


def _not_reached(key: str, late: Sequence[float], epochs: int, before: float, values: _Values) -> Finding:
    points = ", ".join(number_text(int(point) if point == int(point) else point) for point in late)
    are = "is" if len(late) == 1 else "are"
    message = f'"{key}" is made for {before:.0f} epochs: {points} {are} not reached in {epochs}'
    hint = f"set it too: --set {key}={_example(values.value(key), epochs, before)}"
    return Finding(Severity.WARNING, "schedule-beyond-epochs", message, hint)


def _points(key: str, values: _Values) -> list[float]:
    """The epochs that ``key`` names. Steps of a schedule count only where the schedule has steps."""
    scheduler = values.value(f"{key.rpartition('.')[0]}.lr_scheduler")
    is_of_steps = key.endswith(("steps", "milestones"))
    if is_of_steps and isinstance(scheduler, str) and not scheduler.lower().startswith("multistep"):
        return []
    found = values.value(key)
    items = found if isinstance(found, (list, tuple)) else [found]
    points: list[float] = []
    for item in items:
        if isinstance(item, Mapping):
            item = item.get("end") if item.get("by_epoch") else None
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            points.append(float(item))
    return sorted(set(points))


def _scaled(old: Any, ratio: float) -> str:
    """Counts of steps in proportion, at least 1: of a number, of a list, or of a list written as a text."""
    if isinstance(old, list):
        return "[" + ",".join(_scaled(one, ratio) for one in old) + "]"
    if isinstance(old, str):
        inner = _INTEGER.sub(lambda match: _scaled(int(match[0]), ratio), old)
        return f"'{inner}'"
    return str(max(1, round(old * ratio)))


def _example(value: Any, epochs: int, before: float) -> str:
    """A value that fits the new number of epochs; ``VALUE`` for what is no number and no list of numbers."""
    if isinstance(value, (list, tuple)) and all(isinstance(one, (int, float)) for one in value):
        scaled = sorted({max(1, int(one * epochs / before)) for one in value})
        return "[" + ",".join(str(one) for one in scaled if one < max(2, epochs)) + "]"
    return "VALUE" if isinstance(value, (list, tuple)) else str(int(float(value) * epochs / before))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return number_text(value)
    return str(value) if not isinstance(value, list) else "[" + ",".join(map(str, value)) + "]"


def _twice(one: KnobSetting, typed: Mapping[str, object]) -> Finding | None:
    for key in typed:
        plain = key.lstrip("+~")
        if plain == one.key or one.key.startswith(f"{plain}.") or plain.startswith(f"{one.key}."):
            option = one.option.partition(" ")[0]
            message = f'{option} and "{key}" both set {one.key}'
            return Finding(
                Severity.ERROR, "knob-twice", message, f"leave {option} or the key out", typed=True
            )
    return None


def _not_read(contract: Contract, knob: str, value: int | float, schema: Schema | None) -> Finding:
    """The refusal of a knob that the action has no key for, with what to do instead."""
    option, what = KNOBS[knob]
    action = f"{contract.network} {contract.action}"
    release = f" in release {contract.release}" if contract.image is not None else ""
    iterations = contract.spec.keys.get("iterations") if contract.spec is not None else None
    others = [KNOBS[name][0] for name in KNOBS if name != knob and known_choices(contract, name, schema)]
    hint = f"leave {option} out"
    if contract.action not in TRAININGS and knob in OF_TRAINING:
        message = f"{action} trains nothing: it has no {option}"
        hint += f"; it is an option of train: taorunner train EXPERIMENT {option} {number_text(value)}"
    elif contract.spec is None:
        message = f"{action} reads no spec, so nothing sets {what}"
    elif knob == "epochs" and iterations is not None and contract.action in TRAININGS:
        message = f"{action} of release {contract.release} counts iterations, not epochs"
        hint = f"set their number: --set {iterations}=N"
    else:
        message = f"the spec of {action}{release} has no key for {what}"
        if knob == "min_score":
            is_evaluation = contract.action.endswith("evaluate")
            hint += (
                ", or add --on-host: then an inference takes it"
                if is_evaluation
                else ": the thresholds in its spec decide which boxes it writes"
            )
        hint += f"; it takes {', '.join(others)}" if others else ""
    return Finding(Severity.ERROR, "knob-not-read", message, hint, typed=True)
