"""Results of rules, shared by all trainings for which a rule reads the same values.

A sweep of a thousand experiments has one spec with a few other numbers: a rule that reads none of them runs once.
"""

from __future__ import annotations

from collections.abc import Mapping

from taorunner.planning.checks.spec_view import SpecReader
from taorunner.planning.checks.training_facts import Fault, Rule, Training
from taorunner.values.value import MutableValue, field


class RuleResults(MutableValue):
    """One for all experiments that are checked together."""

    _of_like: dict[tuple[object, ...], _OfLike] = field(default_factory=dict)

    def faults(
        self, training: Training, own: Mapping[str, object], rules: tuple[Rule, ...]
    ) -> tuple[Fault, ...]:
        """``own`` are the experiment's variables; a result that depends on one of them is not cached."""
        spec = training.spec
        if spec.overlay:
            return tuple([fault for rule in rules for fault in rule(training)])
        like = (
            spec.outline.shape, training.convert, training.network, training.contract.release, training.gpus,
            spec.mounts.is_identity, rules,
        )  # fmt: skip
        if like not in self._of_like:
            self._of_like[like] = _OfLike([_Known(rule) for rule in rules])
        return self._of_like[like].faults(training, own)


class _OfLike(MutableValue):
    """Results for trainings that differ only in numbers and variables. ``names`` are the variables that rules read."""

    rules: list[_Known]
    names: frozenset[str] = frozenset()
    _whole: dict[tuple[object, ...], tuple[Fault, ...]] = field(default_factory=dict)
    """The results of all rules together, by all numbers and by the variables in ``names``."""

    def faults(self, training: Training, own: Mapping[str, object]) -> tuple[Fault, ...]:
        question = self._question(training.spec) if self.names.isdisjoint(own) else None
        whole = self._whole.get(question) if question is not None else None
        if whole is not None:
            return whole
        found: list[Fault] = []
        names = self.names
        for rule in self.rules:
            if rule.constant is None:
                found += rule.faults(training, own)
                names |= rule.names
            else:
                found += rule.constant
        if names != self.names:
            self.names, self._whole = names, {}
            question = self._question(training.spec) if names.isdisjoint(own) else None
        if question is not None:
            self._whole[question] = tuple(found)
        return tuple(found)

    def _question(self, spec: SpecReader) -> tuple[object, ...]:
        return (spec.outline.numbers, *[spec.variables.made_of(name) for name in self.names])


class _Known(MutableValue):
    """Results of one rule by the values it read: variables called ``names``, and numbers at ``keys`` of the spec.

    ``constant`` is the result of a rule that read neither.
    """

    rule: Rule
    names: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    constant: tuple[Fault, ...] | None = None
    _slots: tuple[int, ...] = ()
    _results: dict[tuple[object, ...], tuple[Fault, ...]] = field(default_factory=dict)

    def faults(self, training: Training, own: Mapping[str, object]) -> tuple[Fault, ...]:
        spec = training.spec
        is_shared = self.names.isdisjoint(own)
        found = self._results.get(self._question(spec)) if is_shared else None
        if found is not None:
            return found
        with spec.variables.recorded() as read:
            found = tuple(self.rule(training.afresh()))
        if read.names != self.names or read.keys != self.keys:  # these values led it another way
            self.names, self.keys, self._results = frozenset(read.names), frozenset(read.keys), {}
            self._slots = spec.outline.shape.slots(self.keys)
            is_shared = self.names.isdisjoint(own)
        if is_shared:
            self._results[self._question(spec)] = found
            self.constant = None if self.names or self._slots else found
        return found

    def _question(self, spec: SpecReader) -> tuple[object, ...]:
        numbers = spec.outline.numbers
        made = [spec.variables.made_of(name) for name in self.names]
        return (*made, *[numbers[slot] for slot in self._slots])
