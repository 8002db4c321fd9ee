"""Sets values in a rendered spec one after the other, and collects those that cannot be set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.schema import Key, Schema
from taorunner.specs.syntax.key_paths import dotted
from taorunner.specs.syntax.literals import SpecValue, inside_text
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.specs.templates.variables import DOLLAR, find_uses
from taorunner.values.value import Value


class Edit(Value):
    """``steps`` lead to the value; a name with a dot in it is one step."""

    steps: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        return ".".join(self.steps)


def flat_edits(
    values: Mapping[Any, Any], schema: Schema | None = None
) -> Iterator[tuple[tuple[Any, ...], Edit]]:
    """Each value of a mapping, nested or with dotted keys, behind the path at which it is written.

    An empty section is a value. Names in a section whose names are the user's own (the schema says so) are not parted.
    """
    pending: list[tuple[tuple[Any, ...], tuple[str, ...], Any]] = [
        ((name,), tuple(dotted(str(name)).split(".")), value)
        for name, value in reversed(list(values.items()))
    ]
    while pending:
        written, steps, value = pending.pop()
        if not isinstance(value, Mapping) or not value:
            yield written, Edit(steps, value)
            continue
        known: Key | None = schema.find(steps) if schema is not None else None
        is_own = known is not None and known.kind == "map"
        for name, inner in reversed(list(value.items())):
            more = (str(name),) if is_own else tuple(dotted(str(name)).split("."))
            pending.append(((*written, name), (*steps, *more), inner))


def with_variables(value: Any, values: Mapping[str, SpecValue], *, omegaconf: bool) -> tuple[Any, list[str]]:
    """``value`` with ``$variables`` replaced, and the names of those that are unknown.

    A text that is one variable takes its type (``$gpu_ids`` is a list). With ``omegaconf`` an unknown ``${name}`` is
    OmegaConf's own and stays.
    """
    if isinstance(value, Mapping):
        parts = {key: with_variables(inner, values, omegaconf=omegaconf) for key, inner in value.items()}
        return {key: part for key, (part, _) in parts.items()}, [
            name for _, bad in parts.values() for name in bad
        ]
    if isinstance(value, list):
        items = [with_variables(inner, values, omegaconf=omegaconf) for inner in value]
        return [item for item, _ in items], [name for _, bad in items for name in bad]
    if not isinstance(value, str) or "$" not in value:
        return value, []
    out: list[str] = []
    unknown: list[str] = []
    position = 0
    for use in find_uses(value):
        if use.name is None:
            continue
        out.append(value[position : use.start])
        position = use.end
        if use.name == DOLLAR:
            out.append("$")
        elif use.name in values:
            if (use.start, use.end) == (0, len(value)):
                whole = values[use.name]
                return (list(whole) if isinstance(whole, (list, tuple)) else whole), []
            out.append(inside_text(values[use.name]))
        else:
            out.append(value[use.start : use.end])
            if not (omegaconf and use.is_braced):
                unknown.append(use.name)
    return "".join([*out, value[position:]]), unknown


def set_in(
    text: str, spec_format: str, edits: Sequence[Edit], schema: Schema | None = None
) -> tuple[str, list[SpecProblemError | None]]:
    """The text with all possible edits made, and for each edit the reason why it could not be made."""
    problems: list[SpecProblemError | None] = []
    memory = SpecMemory()
    for edit in edits:
        try:
            text = _set(text, spec_format, edit, schema, memory)
            problems.append(None)
        except SpecProblemError as problem:
            problems.append(problem)
    return text, problems


def _set(text: str, spec_format: str, edit: Edit, schema: Schema | None, memory: SpecMemory) -> str:
    if spec_format == "prototxt":
        from taorunner.specs.editing import prototxt_edit

        return prototxt_edit.set_value(text, edit.steps, edit.value, schema)
    from taorunner.specs.editing import yaml_edit

    return yaml_edit.set_value(text, edit.steps, edit.value, memory)
