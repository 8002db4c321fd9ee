"""Lists the values of a spec template by key, with their places. One view of YAML and protobuf text, for checks.

A key is dotted and has no numbers in it. A value that is given several times, or in a list, is several values of one
key (``dataset_config.target_class_mapping.key``). Variables stay in the values, separate from text, so a template is
parsed once for all experiments. Specs that differ only in numbers are also parsed once: a sweep of a thousand texts
costs one parse, and one look at the requested numbers of each text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from functools import cached_property
from itertools import islice

from taorunner.errors import has_errors
from taorunner.specs.memory import Answers, SpecMemory
from taorunner.specs.schema.template_check import NUMBER, shape_parts, without_comments
from taorunner.specs.syntax.omegaconf_yaml import spec_scalar
from taorunner.specs.syntax.prototxt_parser import ProtoList, ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.specs.syntax.yaml_tree import YamlNode, read_tree
from taorunner.specs.templates.template import Rendered, parse_template, render
from taorunner.values.value import Value, field

_MARK = re.compile(r"@\{([A-Za-z_][A-Za-z0-9_]*)\}@")
_LARGE = 256 * 1024


class Unknown:
    """A value that only the container will know: OmegaConf's, or a variable without a value."""


UNKNOWN = Unknown()

Read = str | int | float | bool | None | Unknown
Variables = Mapping[str, object]
_Row = tuple[str, Read, int]
"""(key, value, offset in the rendered text)."""


class _Slot(Value):
    """A value that is the ``index``-th number of the text."""

    index: int


class Shape(Value):
    """The common part of all texts that differ only in numbers; one object for all of them.

    ``fixed`` maps a dotted key to its values, in the order of the text, where each text says the same to every
    experiment. ``open`` has the others: numbers fill the slots, variables the marks. ``variables`` are the names used.

    ``written_out`` are the texts that may be paths, up to the first variable: (key, which of its values, text).
    ``read`` has the values of the numbers that were asked for: those of a sweep are mostly the same.
    """

    __eq__, __hash__ = object.__eq__, object.__hash__

    fixed: Mapping[str, tuple[Read, ...]]
    open: Mapping[str, tuple[Read | _Slot, ...]]
    variables: frozenset[str]
    written_out: tuple[tuple[str, int, str], ...]
    read: dict[str, Read] = field(default_factory=dict)

    @cached_property
    def starts(self) -> Mapping[str, tuple[str | None, ...]]:
        """For each value of a key the variable that it starts with, as in ``$dataset_raw/image_2``."""
        matches = {
            key: [_MARK.match(value) if isinstance(value, str) else None for value in values]
            for key, values in (*self.fixed.items(), *self.open.items())
        }
        return {key: tuple([one[1] if one else None for one in found]) for key, found in matches.items()}

    @cached_property
    def pieces(self) -> Mapping[str, tuple[str, ...]]:
        """The values with variables, each as text, name, text, name and so on, up to a last text."""
        marked = (value for values in self.open.values() for value in values if isinstance(value, str))
        return {value: tuple(_MARK.split(value)) for value in marked}

    def slots(self, keys: Set[str]) -> tuple[int, ...]:
        """The numbers of the text that are values of ``keys``."""
        values = [value for key in self.open.keys() & keys for value in self.open[key]]
        return tuple(sorted([value.index for value in values if isinstance(value, _Slot)]))

    def texts(self) -> Iterator[str]:
        """The keys that have a value that may be a text."""
        for key, values in (*self.fixed.items(), *self.open.items()):
            if any(isinstance(value, (str, Unknown)) for value in values):
                yield key


class Outline(Value):
    """One text: its shape and its numbers."""

    shape: Shape
    numbers: tuple[str, ...]

    def __contains__(self, key: object) -> bool:
        return key in self.shape.fixed or key in self.shape.open

    def values(self, key: str, variables: Variables) -> tuple[Read, ...]:
        """All values at ``key``, with ``variables`` in place; empty when it is absent."""
        found = self.shape.open.get(key)
        if found is None:
            return self.shape.fixed.get(key, ())
        return tuple([self._value(one, variables) for one in found])

    def last(self, key: str, variables: Variables) -> Read:
        """The last of the values at ``key``; UNKNOWN when it is absent."""
        found = self.shape.open.get(key)
        if found is None:
            return self.shape.fixed.get(key, (UNKNOWN,))[-1]
        return self._value(found[-1], variables)

    def starts(self, key: str) -> tuple[str | None, ...]:
        """For each value at ``key`` the variable that it starts with; empty when it is absent."""
        return self.shape.starts.get(key, ())

    def variable(self, key: str, index: int) -> str | None:
        """The variable that is the whole ``index``-th value at ``key``; None when it is something else."""
        values = self.shape.open.get(key, ())
        value = values[index] if index < len(values) else None
        match = _MARK.fullmatch(value) if isinstance(value, str) else None
        return match[1] if match else None

    def slot(self, key: str, index: int) -> int | None:
        """Which number of the text the ``index``-th value at ``key`` is; None when it is none."""
        values = self.shape.open.get(key, ())
        value = values[index] if index < len(values) else None
        return value.index if isinstance(value, _Slot) else None

    def _value(self, value: Read | _Slot, variables: Variables) -> Read:
        if isinstance(value, _Slot):
            number, known = self.numbers[value.index], self.shape.read
            if number not in known:
                read = spec_scalar(number)
                known[number] = read if isinstance(read, (int, float)) else UNKNOWN
            return known[number]
        return _filled(self.shape.pieces[value], variables) if isinstance(value, str) else value


class _Shapes(Answers[tuple[str, str], Shape | None]):
    """By shape and format, read from the first text of each."""


class _Outlines(Answers[tuple[str, str], "Outline | None"]):
    """By text and format. Small, because the same text is requested several times in a row."""

    MOST = 8


def outline_of(text: str, spec_format: str, memory: SpecMemory | None = None) -> Outline | None:
    """The outline of a template; None for one that cannot be read, which ``check_loaded`` reports."""
    memory = memory or SpecMemory()
    if len(text) > _LARGE:
        whole = _shape(text, spec_format, memory, has_slots=False)
        return None if whole is None else Outline(whole, ())
    return memory.table(_Outlines).get((text, spec_format), lambda: _outline(text, spec_format, memory))


def _outline(text: str, spec_format: str, memory: SpecMemory) -> Outline | None:
    shape, numbers = shape_parts(text, spec_format, memory)
    known = memory.table(_Shapes).get(
        (shape, spec_format), lambda: _shape(text, spec_format, memory, has_slots=True)
    )
    return None if known is None else Outline(known, tuple(numbers))


def place_of(
    text: str, spec_format: str, key: str, index: int = 0, memory: SpecMemory | None = None
) -> tuple[int, int] | None:
    """Line and column in the template of the ``index``-th value at ``key``.

    A number is found without parsing the text: a whole sweep may have the same fault.
    """
    memory = memory or SpecMemory()
    outline = outline_of(text, spec_format, memory)
    slot = outline.slot(key, index) if outline is not None else None
    if slot is not None:
        bare = without_comments(text) if spec_format == "prototxt" else text
        start = next(islice(NUMBER.finditer(bare), slot, None)).start(2)
        return bare.count("\n", 0, start) + 1, start - bare.rfind("\n", 0, start)
    rendered = _marked(text, spec_format, memory)
    if rendered is None:
        return None
    offsets = [offset for name, _, offset in _rows(rendered) or () if name == key]
    return rendered.locate(offsets[index]) if index < len(offsets) else None


class VariablePlace(Value):
    """A variable in the value at ``key``. Line and column are those of the value in the template, 1-based."""

    name: str
    key: str
    line: int
    column: int


class _Places(Answers[tuple[str, str], tuple[VariablePlace, ...]]):
    """By text and format."""


def variable_places(text: str, spec_format: str, memory: SpecMemory) -> tuple[VariablePlace, ...]:
    """Every variable in a value of the template; none for one that cannot be read."""

    def find() -> tuple[VariablePlace, ...]:
        rendered = _marked(text, spec_format, memory)
        rows = _rows(rendered) if rendered is not None else None
        return tuple(
            VariablePlace(name, key, *rendered.locate(offset))
            for key, value, offset in rows or ()
            if rendered is not None and isinstance(value, str)
            for name in _MARK.findall(value)
        )

    return memory.table(_Places).get((text, spec_format), find)


def _shape(text: str, spec_format: str, memory: SpecMemory, *, has_slots: bool) -> Shape | None:
    rendered = _marked(text, spec_format, memory)
    rows = None if rendered is None else _rows(rendered)
    if rendered is None or rows is None:
        return None
    slots = _slots(text, spec_format) if has_slots else {}
    keys: dict[str, list[Read | _Slot]] = {}
    for key, value, offset in rows:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        index = slots.get(rendered.origin(offset)) if is_number and slots else None
        keys.setdefault(key, []).append(value if index is None else _Slot(index))
    fixed: dict[str, tuple[Read, ...]] = {}
    for key, values in keys.items():
        if not any(_is_open(value) for value in values):
            fixed[key] = tuple(value for value in values if not isinstance(value, _Slot))
    written_out = tuple(
        (key, index, start)
        for key, values in keys.items()
        for index, value in enumerate(values)
        if isinstance(value, str) and ("/" in (start := value.partition("@{")[0]) or "\\" in start)
    )
    rest = {key: tuple(values) for key, values in keys.items() if key not in fixed}
    names = (_MARK.findall(value) for values in rest.values() for value in values if isinstance(value, str))
    return Shape(fixed, rest, frozenset(name for found in names for name in found), written_out)


def _slots(text: str, spec_format: str) -> dict[int, int]:
    """The offset of each number of the shape in a text of it, with its index."""
    found = [match.start(2) for match in NUMBER.finditer(text)]
    if spec_format == "prototxt":  # whose shape has no comments
        lines = (text[text.rfind("\n", 0, start) + 1 : start] for start in found)
        found = [
            start for start, line in zip(found, lines, strict=True) if not line.lstrip(" \t").startswith("#")
        ]
    return {start: index for index, start in enumerate(found)}


def _is_open(value: Read | _Slot) -> bool:
    return isinstance(value, _Slot) or (isinstance(value, str) and "@{" in value)


def _marked(text: str, spec_format: str, memory: SpecMemory) -> Rendered | None:
    """The template with a mark for each variable; it parses whatever the values will be."""
    template = parse_template(text, spec_format, memory)
    names = {use.name for use in template.variables} - {"$"}
    rendered = render(template, {name: f"@{{{name}}}@" for name in names})
    return None if has_errors(rendered.findings) else rendered


def _rows(rendered: Rendered) -> list[_Row] | None:
    if rendered.template.format == "prototxt":
        try:
            return list(_proto_rows(parse_prototxt(rendered.text)))
        except SpecProblemError:
            return None
    from ruamel.yaml.error import YAMLError

    try:
        root = read_tree(rendered.text)
    except YAMLError:
        return None
    return [] if root is None else list(_yaml_rows(root))


def _proto_rows(root: ProtoMessage) -> Iterator[_Row]:
    pending: list[tuple[str, ProtoMessage | ProtoScalar | ProtoList, int]] = [("", root, 0)]
    while pending:
        key, node, start = pending.pop()
        if isinstance(node, ProtoScalar):
            yield key, node.value, node.start
        elif isinstance(node, ProtoList):
            pending.extend((key, item, item.start) for item in reversed(node.items))
        else:
            yield key, None, start
            prefix = f"{key}." if key else ""
            pending.extend((prefix + one.name, one.value, one.start) for one in reversed(node.fields))


def _yaml_rows(root: YamlNode) -> Iterator[_Row]:
    pending = [("", root)]
    while pending:
        key, node = pending.pop()
        if node.kind == "scalar":
            yield key, _yaml_value(node), node.start
        elif node.kind == "sequence":
            pending.extend((key, item) for item in reversed(node.values))
        elif node.kind == "mapping":
            yield key, None, node.start
            prefix = f"{key}." if key else ""
            pairs = list(zip(node.keys, node.values, strict=True))
            pending.extend((prefix + name.value, value) for name, value in reversed(pairs))
        else:
            yield key, UNKNOWN, node.start  # an alias


def _yaml_value(node: YamlNode) -> Read:
    if "${" in node.value:
        return UNKNOWN  # OmegaConf's: ours are marks by now
    return node.value if node.style else spec_scalar(node.value)


def _filled(pieces: tuple[str, ...], variables: Variables) -> Read:
    """The value of a text of ``Shape.pieces``; that of the variable itself where it is the whole text."""
    if len(pieces) == 3 and not pieces[0] and not pieces[2]:
        found = variables.get(pieces[1], UNKNOWN)
        return found if isinstance(found, (str, int, float, bool)) else UNKNOWN
    names = pieces[1::2]
    if any(name not in variables for name in names):
        return UNKNOWN
    filled = list(pieces)
    filled[1::2] = [str(variables[name]) for name in names]
    return "".join(filled)
