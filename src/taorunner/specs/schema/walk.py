"""Compares a spec text with the schema. Places are offsets in the given text.

One walk finds all problems: it continues after each, where TAO's own check stops at the first one.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Any

from taorunner.errors import Severity
from taorunner.specs.schema.key_changes import explained, moved_to
from taorunner.specs.schema.lookup import keys_named
from taorunner.specs.schema.omegaconf_values import is_nested, takes_container, takes_name
from taorunner.specs.schema.schema import MISSING, Key, Schema
from taorunner.specs.schema.value_check import (
    EACH_IN_FULL,
    Limit,
    Misfit,
    bad_name,
    exact_misfit,
    limit_of,
    proto_misfit,
    wrong_type,
    yaml_misfit,
)
from taorunner.specs.syntax.interpolation import has_unknown_resolver, references, unreadable_interpolation
from taorunner.specs.syntax.omegaconf_yaml import read_spec_yaml
from taorunner.specs.syntax.prototxt_parser import ProtoField, ProtoList, ProtoMessage, ProtoScalar
from taorunner.specs.syntax.text_position import Lines
from taorunner.specs.templates.variables import FILL_IN, PLACEHOLDER, is_stand
from taorunner.text import did_you_mean, nearest, printable, whole_number
from taorunner.values.value import MutableValue, Value, field, replace
from taorunner.yaml_reader import Place, PlacedDict, YamlDocument

ACTION_SECTIONS = frozenset([
    "train", "evaluate", "inference", "export", "gen_trt_engine", "prune", "quantize", "distill",
    "dataset_convert", "convert", "calibration", "calibration_tensorfile", "auto_label",
])  # fmt: skip
"""Top-level sections that only the action of that name reads. Source: tao/pytorch.md section 5."""

_OTHER_GROUPS = {"deploy": frozenset(["checkpoint"]), "model": frozenset(["trt_engine"])}
"""Keys of an action's section that belong to the action of that name in the other container."""


ANYTHING = Key("any", is_optional=True)


class Against(Value):
    """The schema that a spec is checked against.

    ``given``: dotted keys that get their value elsewhere, on the command line or by an override; they may be missing.
    ``replaced``: those of them whose value in the text is exchanged before TAO reads it. Hydra merges the text with the
    schema before it looks at its command line, so any other value has to fit. Without an ``action`` missing values are
    not reported.

    Source: hydra 1.3 ``compose`` with a structured config: ``train.num_gpus: abc`` in the file is "Error merging with
    schema", also with ``train.num_gpus=1`` behind it.
    """

    # one is made for all experiments, and is a part of many keys
    __eq__, __hash__ = object.__eq__, object.__hash__

    schema: Schema
    action: str | None = None
    group: str = "model"
    given: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()


class SchemaProblem(Value):
    offset: int
    misfit: Misfit


class Walk(MutableValue):
    """``limits``: offset of each checked value → the limit of a plain number there. ``stands``: offset of each value of
    protobuf text that is still to be written → the key that it is for."""

    problems: list[SchemaProblem] = field(default_factory=list)
    limits: dict[int, Limit] = field(default_factory=dict)
    stands: dict[int, Key] = field(default_factory=dict)


def walk_yaml(text: str, document: YamlDocument, against: Against) -> Walk:
    """``text`` was read without problems and is a mapping."""
    walker = _YamlWalker(Lines(text), document, against)
    walker.section(document.value, None, ())
    if against.action is not None:
        walker.missing(against.action)
    return walker.walk


def value_problem(key: Key, written: str, dotted: str, against: Against) -> Misfit | None:
    """The first problem of a value as it is written in a spec, on one line."""
    text = f"value: {written}"
    document = read_spec_yaml(text)
    if document.problems:
        problem = document.problems[0]
        return Misfit(Severity.ERROR, problem.code, problem.message, problem.hint)
    walker = _YamlWalker(Lines(text), document, replace(against, action=None, given=frozenset()))
    walker.value(key, document.value["value"], document.place(("value",)), tuple(dotted.split(".")))
    errors = [one.misfit for one in walker.walk.problems if one.misfit.severity is Severity.ERROR]
    return next(iter([*errors, *(one.misfit for one in walker.walk.problems)]), None)


def walk_prototxt(message: ProtoMessage, against: Against) -> Walk:
    walker = _ProtoWalker(against)
    walker.section(message, None, ())
    return walker.walk


def is_open(value: Any) -> bool:
    """True for what OmegaConf will replace or demand later, and for a variable without a value."""
    return isinstance(value, str) and (value == MISSING or "${" in value or PLACEHOLDER in value)


def unknown_key(schema: Schema, path: tuple[str, ...], keys: Collection[str], value: Any = None) -> Misfit:
    """``value`` is what is written for the key."""
    where = f"section {'.'.join(path[:-1])}" if len(path) > 1 else "spec"
    message = f'the {where} of "{schema.name}" has no key "{printable(path[-1])[:80]}" in {schema.release}'
    other, moved = schema.elsewhere(path), moved_to(schema, path, value)
    if moved is not None and moved.until is not None:
        other = f"until {moved.until}"
    if other is not None or moved is not None:
        when = f" ({other})" if other is not None else ""
        hint = moved.hint if moved is not None else "remove it, or set release"
        return Misfit(Severity.ERROR, "other-release", f"{message}{when}", hint)
    near = nearest(path[-1], keys)
    named = [] if near is not None else keys_named(schema, path[-1])[:3]
    meant = " or ".join(f'"{one}"' for one in named)
    said = f"did you mean {meant}?" if named else did_you_mean(path[-1], list(keys))
    return Misfit(Severity.ERROR, "unknown-key", message, said)


class _YamlWalker:
    def __init__(self, lines: Lines, document: YamlDocument, against: Against) -> None:
        self._lines, self._document, self._against = lines, document, against
        self._seen: set[tuple[Place, Hashable]] = set()
        self.walk = Walk()

    def section(self, value: PlacedDict, number: int | None, path: tuple[str, ...]) -> None:
        if (value.start, number) in self._seen:
            return  # an alias: its problems are reported at its first use
        self._seen.add((value.start, number))
        schema = self._against.schema
        keys = schema.keys(number)
        places = value.places
        for name, inner in value.items():
            if is_open(name):
                continue
            key_place, place = places[name]
            key = keys.get(name)
            inner_path = (*path, str(name))
            if key is None:
                self._tell(key_place, unknown_key(schema, inner_path, keys, inner))
            else:
                self.value(key, inner, place, inner_path)

    def value(self, key: Key, value: Any, place: Place, path: tuple[str, ...]) -> None:
        dotted = ".".join(path)
        is_given = dotted in self._against.given
        if dotted in self._against.replaced:
            return
        if value == MISSING:
            if not is_given:
                self._demanded(place, path)
            return
        if isinstance(value, str) and is_open(value):
            self._open(key, value, place, path)
            return
        misfit = explained(self._against.schema, path, value, yaml_misfit(key, value, dotted))
        if misfit is not None and (not is_given or misfit.severity is Severity.ERROR):
            self._tell(place, misfit)
        if key.kind == "section" and isinstance(value, PlacedDict):
            self.section(value, key.section, path)
        elif isinstance(value, (dict, list)):
            if misfit is None:
                self._items(key, value, path)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            self._limit(limit_of(key, "yaml"), place)

    def _items(self, key: Key, value: dict[Any, Any] | list[Any], path: tuple[str, ...]) -> None:
        """What is in a list or a map, or in anything else that OmegaConf takes as it is."""
        places = self._document.places_in(value)
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not takes_name(key, name):
                self._tell(places[name][0], bad_name(key, name, ".".join(path)))
            self._item(key, name, item, places[name][1], path)

    def _item(self, above: Key, name: Hashable, item: Any, place: Place, path: tuple[str, ...]) -> None:
        key, inner = above.of or ANYTHING, (*path, str(name))
        if is_nested(above):
            self._exact(key, item, place, inner)
        elif key.kind == "section":
            self.value(key, item, place, path)
        elif isinstance(item, (dict, list)) and key.kind not in ("any", "any_of"):
            if takes_container(above, name):
                self._items(ANYTHING, item, inner)
            else:
                self._tell(place, wrong_type(key, item, ".".join(inner)))
        else:
            self.value(key, item, place, inner)

    def _exact(self, key: Key, value: Any, place: Place, path: tuple[str, ...]) -> None:
        """A value in a container of containers."""
        dotted = ".".join(path)
        if isinstance(value, str) and is_open(value):
            self._open(ANYTHING, value, place, path)
            return
        misfit = exact_misfit(key, value, dotted)
        if misfit is not None:
            self._tell(place, misfit)
        elif isinstance(value, (dict, list)):
            places = self._document.places_in(value)
            for name, item in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(value, dict) and not takes_name(key, name):
                    self._tell(places[name][0], bad_name(key, name, dotted))
                self._exact(key.of or ANYTHING, item, places[name][1], (*path, str(name)))
        if isinstance(value, (int, float)):
            self._limit(EACH_IN_FULL, place)

    def _open(self, key: Key, value: str, place: Place, path: tuple[str, ...]) -> None:
        """A text that OmegaConf fills in later. A section that is there by default it does not fill in; a section, list
        or map that is not it fills in while it merges, out of the spec alone."""
        if "${" not in value or PLACEHOLDER in value or f"${{{FILL_IN}." in value:
            return
        dotted = ".".join(path)
        unreadable = unreadable_interpolation(value)
        if unreadable is not None:
            message = f'OmegaConf cannot read "{printable(unreadable)}" in {dotted}'
            hint = "write ${section.key}; for a dollar and a brace as they are, \\${"
            self._tell(place, Misfit(Severity.ERROR, "unknown-variable", message, hint))
        elif key.kind == "section" and key.default not in (MISSING, None):
            self._tell(place, wrong_type(key, value, dotted))
        elif key.kind in ("section", "list", "map") and key.default is None:
            absent = [one for one in references(value, path) if not _has(self._document.value, one)]
            if absent or has_unknown_resolver(value):
                message = f'OmegaConf fills in "{printable(value)}" out of this spec, which does not have it'
                hint = "write the value itself, or the key that it stands for into this spec"
                self._tell(place, Misfit(Severity.ERROR, "unknown-variable", message, hint))

    def missing(self, action: str) -> None:
        """Values that the action's own section must have, and neither the spec nor the command line gives."""
        schema, root = self._against.schema, self._document.value
        path: tuple[str, ...] = (action,) if schema.has_own_sections else ()
        above = schema.find(path) if path else None
        if path and (above is None or above.kind != "section"):
            return
        section = root.get(action) if path else root
        if is_open(section):
            return
        written = section if isinstance(section, dict) else {}
        for name, key in schema.keys(above.section if above is not None else None).items():
            dotted = ".".join((*path, name))
            if key.default != MISSING or name in written or dotted in self._against.given:
                continue
            if path and name in _OTHER_GROUPS.get(self._against.group, ()):
                continue
            place = self._document.place(path, of_key=True)
            message = f"{action} has no {dotted}, which TAO has no default for"
            hint = f"write {name}: below {action}" if path else f"write {name}:"
            self._tell(place, Misfit(Severity.WARNING, "missing-value", message, hint))

    def _demanded(self, place: Place, path: tuple[str, ...]) -> None:
        action = self._against.action
        if action is None or (path[0] in ACTION_SECTIONS and path[0] != action):
            return
        if path[0] == action and path[-1] in _OTHER_GROUPS.get(self._against.group, ()):
            return
        is_own = path[0] == action or not self._against.schema.has_own_sections
        severity = Severity.ERROR if is_own else Severity.WARNING
        message = f'{".".join(path)} still is "{MISSING}", a value that has to be given'
        self._tell(
            place, Misfit(severity, "missing-value", message, "write the value, or give it with --set")
        )

    def _limit(self, limit: Limit | None, place: Place) -> None:
        if limit is not None:
            self.walk.limits[self._lines.offset(*place)] = limit

    def _tell(self, place: Place, misfit: Misfit) -> None:
        self.walk.problems.append(SchemaProblem(self._lines.offset(*place), misfit))


def _has(value: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if isinstance(value, list) and (index := whole_number(name)) is not None and index < len(value):
            value = value[index]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return False
    return True


class _ProtoWalker:
    def __init__(self, against: Against) -> None:
        self._against = against
        self.walk = Walk()

    def section(self, message: ProtoMessage, number: int | None, path: tuple[str, ...]) -> None:
        schema = self._against.schema
        keys = schema.keys(number)
        for item in message.fields:
            key = keys.get(item.name)
            if key is None:
                self._tell(item.start, unknown_key(schema, (*path, item.name), keys))
            else:
                self._field(key, item, (*path, item.name))

    def _field(self, key: Key, item: ProtoField, path: tuple[str, ...]) -> None:
        values: Sequence[ProtoScalar | ProtoMessage]
        if not isinstance(item.value, ProtoList):
            values = [item.value]
        elif key.is_repeated:
            values = item.value.items
        else:
            message = f"{'.'.join(path)} takes one value, this is a list"
            self._tell(
                item.value.start, Misfit(Severity.ERROR, "wrong-type", message, "leave the brackets out")
            )
            return
        dotted = ".".join(path)
        for value in values:
            if isinstance(value, ProtoScalar) and PLACEHOLDER in str(value.value):
                continue
            if isinstance(value, ProtoScalar) and value.kind != "string" and is_stand(value.value):
                self.walk.stands[value.start] = key
            elif isinstance(value, ProtoScalar):
                misfit = explained(self._against.schema, path, value.value, proto_misfit(key, value, dotted))
                if misfit is not None:
                    self._tell(value.start, misfit)
                if value.kind == "number":
                    limit = limit_of(key, "prototxt")
                    if limit is not None:
                        self.walk.limits[value.start] = limit
            elif key.kind == "section":
                self.section(value, key.section, path)
            else:
                message = f"{dotted} takes a single value, this is a section"
                self._tell(value.start, Misfit(Severity.ERROR, "wrong-type", message, f"write {path[-1]}: …"))

    def _tell(self, offset: int, misfit: Misfit) -> None:
        self.walk.problems.append(SchemaProblem(offset, misfit))
