"""What does a spec template say, key by key, and where? One view of YAML and protobuf text, for checks.

A key is dotted and has no numbers in it: what stands several times, or in a list, is several values of one key
(``dataset_config.target_class_mapping.key``). Variables stay in the values and are told apart from text, so that a
template is read once for all experiments. Specs that differ only in numbers are read once, too: a sweep of a
thousand texts costs one parse, and for each text one look at its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

from taorunner.errors import has_errors
from taorunner.specs.places import SpecProblemError
from taorunner.specs.prototxt_nodes import ProtoList, ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.specs.schema_text import COMMENT_LINE, NUMBER, shape_parts
from taorunner.specs.template import Rendered, parse_template, render
from taorunner.specs.yaml_tree import YamlNode, read_tree
from taorunner.yaml_nodes import read_yaml, resolve_scalar

Value = str | int | float | bool | None
Variables = Mapping[str, object]

_MARK = re.compile(r"@\{([A-Za-z_][A-Za-z0-9_]*)\}@")
_LARGE = 256 * 1024
_Row = tuple[str, Value, int]
"""(key, value, offset in the rendered text)."""


class Unknown:
    """Stands for a value that only the container will know: OmegaConf's, or a variable without a value."""


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True)
class _Slot:
    """A value that is the ``index``-th number of the text."""

    index: int


@dataclass(frozen=True, slots=True)
class Outline:
    """``keys`` map a dotted key to its values in the order of the text; ``numbers`` fill the slots in them.

    ``paths`` are the absolute paths that are written out, without a variable: (key, which of its values, path).
    """

    keys: Mapping[str, tuple[Value | _Slot, ...]] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()
    paths: tuple[tuple[str, int, str], ...] = ()

    def __contains__(self, key: object) -> bool:
        return key in self.keys

    def values(self, key: str, variables: Variables) -> tuple[Value | Unknown, ...]:
        """All values at ``key``, with ``variables`` in place; empty when it is absent."""
        found = self.keys.get(key)
        return () if found is None else tuple(self._value(one, variables) for one in found)

    def variables_of(self, key: str) -> tuple[str | None, ...]:
        """For each value at ``key`` the variable that it starts with, as in ``$dataset_raw/image_2``."""
        matches = (_MARK.match(value) if isinstance(value, str) else None for value in self.keys.get(key, ()))
        return tuple(match[1] if match else None for match in matches)

    def _value(self, value: Value | _Slot, variables: Variables) -> Value | Unknown:
        if isinstance(value, _Slot):
            read = resolve_scalar(self.numbers[value.index])
            return read if isinstance(read, (int, float)) else UNKNOWN
        return _filled(value, variables) if isinstance(value, str) and "@{" in value else value


def outline_of(text: str, spec_format: str) -> Outline | None:
    """The outline of a template; None for one that cannot be read, which ``check_template`` tells."""
    if len(text) > _LARGE:
        return _outline(text, spec_format, has_slots=False)
    shape, numbers = shape_parts(text, spec_format)
    known = _of_shape(shape, spec_format)
    return None if known is None else Outline(known.keys, tuple(numbers), known.paths)


def place_of(text: str, spec_format: str, key: str, index: int = 0) -> tuple[int, int] | None:
    """Line and column in the template of the ``index``-th value at ``key``.

    A number is found without reading the text anew: a whole sweep may have the same fault.
    """
    outline = outline_of(text, spec_format)
    values = outline.keys.get(key, ()) if outline is not None else ()
    value = values[index] if index < len(values) else None
    if isinstance(value, _Slot) and len(text) <= _LARGE:
        # a comment line keeps its place when it is cut short, so lines and columns are those of the text
        bare = COMMENT_LINE.sub("#", text) if spec_format == "prototxt" else text
        start = next(islice(NUMBER.finditer(bare), value.index, None)).start(2)
        return bare.count("\n", 0, start) + 1, start - bare.rfind("\n", 0, start)
    rendered = _marked(text, spec_format)
    offsets = [offset for name, _, offset in (_rows(rendered) or ()) if name == key] if rendered else []
    return rendered.locate(offsets[index]) if rendered and index < len(offsets) else None


def _outline(text: str, spec_format: str, *, has_slots: bool) -> Outline | None:
    rendered = _marked(text, spec_format)
    rows = None if rendered is None else _rows(rendered)
    if rendered is None or rows is None:
        return None
    found = enumerate(NUMBER.finditer(text)) if has_slots else ()
    slots = {match.start(2): index for index, match in found}
    keys: dict[str, list[Value | _Slot]] = {}
    for key, value, offset in rows:
        index = slots.get(rendered.origin(offset)) if value == 0 and value is not False else None
        keys.setdefault(key, []).append(value if index is None else _Slot(index))
    paths = tuple(
        (key, index, value)
        for key, values in keys.items()
        for index, value in enumerate(values)
        if isinstance(value, str) and value.startswith("/") and "@{" not in value and "${" not in value
    )
    return Outline({key: tuple(values) for key, values in keys.items()}, paths=paths)


@lru_cache(maxsize=512)
def _of_shape(shape: str, spec_format: str) -> Outline | None:
    return _outline(shape, spec_format, has_slots=True)


def _marked(text: str, spec_format: str) -> Rendered | None:
    """The template with a mark for each variable, which can be read whatever the values will be."""
    template = parse_template(text, spec_format)
    names = {use.name for use in template.variables} - {"$"}
    rendered = render(template, {name: f"@{{{name}}}@" for name in names})
    return None if has_errors(rendered.findings) else rendered


def _rows(rendered: Rendered) -> list[_Row] | None:
    if rendered.template.format == "prototxt":
        try:
            return list(_proto_rows(parse_prototxt(rendered.text)))
        except SpecProblemError:
            return None
    if read_yaml(rendered.text).problems:
        return None
    root = read_tree(rendered.text)
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
            yield key, node.value if node.style else resolve_scalar(node.value), node.start
        elif node.kind == "sequence":
            pending.extend((key, item) for item in reversed(node.values))
        elif node.kind == "mapping":
            yield key, None, node.start
            prefix = f"{key}." if key else ""
            pairs = list(zip(node.keys, node.values, strict=True))
            pending.extend((prefix + name.value, value) for name, value in reversed(pairs))


def _filled(value: str, variables: Variables) -> Value | Unknown:
    whole = _MARK.fullmatch(value)
    if whole is not None:
        found = variables.get(whole[1], UNKNOWN)
        return found if isinstance(found, (str, int, float, bool)) else UNKNOWN
    if any(match[1] not in variables for match in _MARK.finditer(value)):
        return UNKNOWN
    return _MARK.sub(lambda match: str(variables[match[1]]), value)
