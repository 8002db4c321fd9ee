"""Odd values for keys of YAML specs, how each comes into a spec, and our verdict on it.

Shared by ``check_omegaconf.py``, which asks OmegaConf too, and by the test that holds its stored verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from taorunner.errors import Severity
from taorunner.planning.spec.overrides import value_for
from taorunner.specs.editing.yaml_edit import set_value
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.override_check import check_override
from taorunner.specs.schema.schema import Key, Schema
from taorunner.specs.schema.value_check import Misfit
from taorunner.specs.schema.walk import Against, walk_yaml
from taorunner.specs.syntax.omegaconf_yaml import read_spec_yaml
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.specs.templates.template import parse_template, render
from taorunner.yaml_reader import read_yaml

CHANNELS = ("spec", "override", "set", "variable")
"""Ways on which a value comes into a spec."""

ODD = (
    # whole numbers in all spellings
    "0", "1", "2", "-1", "12", "+5", "-0", "1_000", "1__0", "1_", "_1", "012", "09", "0o17", "0x10", "0x_f",
    "0X10", "0b11", "0b2", "1:30", "1:75", "-1:30", "190:20:30", "1e3", "1E3", "1000000000000000000000", "5.0",
    "- 5", "1,000", "1 000",
    # numbers with a point
    "0.5", ".5", "+.5", "-.5", "5.", "1e-4", "1.e3", "1.5e3", ".5e3", ".5e+3", "1.5e", "1_000.5", "1_.5", ".1_",
    "1:30.5", "1e400", "-1e400", ".inf", "-.inf", "+.inf", ".INF", ".nan", "-.nan", ".NaN", "inf", "nan",
    "infinity", "NaN", "1e", "e5", "0x1p3", "1.2.3", "1-2", "50%", "1/2",
    # truth
    "true", "True", "TRUE", "false", "False", "tRue", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON",
    "off", "OFF", "y", "Y", "n", "N", "t", "f", "nope", "maybe",
    # in quotes
    '"7"', '"-7"', '"+7"', '"7.0"', '"0.5"', '"1e-4"', '"1_000"', '"1__0"', '"1_"', '" 7 "', '"7\\n"', '"0x10"',
    '"012"', '"0"', '"12"', '"true"', '"TRUE"', '" yes"', '"yes"', '"off"', '"t"', '"None"', '"null"', '""',
    '" "', "''", "'7'", "'it''s'", '"\u0665"', '"\uff15"', '"\uff15.0"', '"inf"', '"Infinity"', '"nan"',
    '"1:30"', '"???"', "???x",
    # nothing, texts, dates, tags
    "null", "~", "Null", "NULL", "none", "None", "", "=", "a", "abc def", "/data/images", "2001-01-01",
    "2001-01-01 10:00:00", "1.0.0", "sgd", "a: b", "#x", "a #x", "a,b", "@x", "`x`", "%x", "!x", "&a 1", "*a",
    "!!int 7", '!!int "7"', "!!str 7", "!!float 7", "!!bool yes", "!!bool maybe", "!!null x",
    "!!binary aGVsbG8=", "! 7", "!!int 7.5", "!!timestamp 2001-01-01", "!!set {a, b}",
    "!!python/name:os.system x", "!foo 7", "!!seq [1]", "!!map {a: 1}",
    # OmegaConf's own
    '"???"', "${results_dir}", "${a.b}", "${.a}", "${..a}", "${a[0].b}", "${oc.env:HOME}", "${oc.env:HOME,/x}",
    "x/${a}", "${a}${b}", '"${"', '"${}"', '"${a"', '"${a b}"', '"${ a }"', '"${a:b}"', '"${a:{b: c}}"',
    '"${a:[1,2]}"', '"${a:{}"', "'\\${a'", "'\\\\${a'", '"$${a}"', '"${a:' 'x' '}"', "${1}", '"${a.}"',
    '"${.}"', '"${a..b}"', '"${oc.env:${a}}"', "$a.b",
    # containers
    "[]", "[1]", "[1, 2]", "[1.0]", "[0.5, 1]", "[a]", "[a, 1]", "[true]", "[yes]", "[null]", '["1"]',
    "[1_000]", "[[1]]", "[[1, 2], [3]]", "[[1.0]]", "[[a]]", "[[]]", '[["1"]]', "[[null]]", "[{a: 1}]",
    "[{a: 1.0}]", "[{a: b}]", "[{1: 2}]", "[{}]", "[{a: null}]", '["???"]', '["${a}"]', '["${a"]', '[["???"]]',
    '[["${a}"]]', '[{a: "${a}"}]', "[0x10]", "[.5]", "{}", "{a: 1}", "{a: 1.0}", "{a: b}", '{a: "1"}',
    "{a: null}", "{a: true}", "{1: 2}", "{1: b}", "{1.5: 2}", "{on: 1}", "{null: 1}", "{a: [1]}", "{a: [b]}",
    "{a: {b: 1}}", "{a: [[1]]}", '{a: "???"}', '{a: "${b}"}', '{a: "${b"}', '{"1": 2}', "{a: 0.5}",
    "{a: 1_000}", "{a: yes}", "{a: 1, a: 2}", "{b: {null: 1}}", "{[1]: 2}", "[1, 2", "{a: 1", '"open', "[a: 1]",
    "[{a: [1]}]", "[{a: {b: 1}}]", "[1]: 2", "- 1", "{a: [null]}", "[[[1]]]", "[a b, c]",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leaf:
    """``steps``: 0 stands for the first section of a list."""

    steps: tuple[str | int, ...]
    key: Key

    @property
    def has_index(self) -> bool:
        return any(isinstance(step, int) for step in self.steps)


def leaves(schema: Schema) -> Iterator[Leaf]:
    """Every key, sections too, and in a map one name that it has by default and another one."""
    pending: list[tuple[tuple[str | int, ...], int]] = [((), schema.root)]
    while pending:
        above, number = pending.pop()
        for name, key in schema.keys(number).items():
            yield Leaf((*above, name), key)
            if key.kind == "section":
                pending.append(((*above, name), key.section))
            elif key.kind == "list" and key.of is not None and key.of.kind == "section":
                pending.append(((*above, name, 0), key.of.section))
            elif key.kind == "map" and key.of is not None:
                known = list(key.default) if isinstance(key.default, dict) else []
                yield from (Leaf((*above, name, one), key.of) for one in [*known[:1], "a"])


def text_with(steps: Sequence[str | int], written: str) -> str:
    """A spec in which only that key is given."""
    lines: list[str] = []
    prefix = ""
    for depth, step in enumerate(steps):
        is_last = depth == len(steps) - 1
        if isinstance(step, int):
            prefix += "- "
            continue
        lines.append(f"{prefix}{step}:{' ' + written if is_last else ''}")
        prefix = " " * (len(prefix) + 2)
    return "\n".join(lines) + "\n"


def in_spec(
    channel: str, steps: Sequence[str | int], written: str, schema: Schema
) -> tuple[str, bool] | None:
    """The text that TAO reads when ``written`` comes on that way, and whether we refuse it.

    None for what cannot come on that way: a value that is no YAML is refused before there is a key for it. That a value
    is still to be given (``???``) is no verdict on it.
    """
    against = Against(schema)
    if channel == "spec":
        text = text_with(steps, written)
        return text, refuses(text, against)
    names = tuple(str(step) for step in steps)
    if channel == "set":
        try:
            value: Any = value_for(".".join(names), written, schema)
        except SpecProblemError:
            return None
    else:
        document = read_yaml(f"value: {written}\n")
        if document.problems or set(document.value) != {"value"}:
            return None
        value = document.value["value"]
    if channel == "variable":
        if value is None or isinstance(value, dict) or (isinstance(value, list) and not _is_plain(value)):
            return None
        rendered = render(parse_template(text_with(steps, "$value"), "yaml"), {"value": value})
        return rendered.text, refuses(rendered.text, against)
    misfit = check_override(names, value, against)
    is_refused = misfit is not None and misfit.severity is Severity.ERROR and misfit.code != "missing-value"
    try:
        return set_value("", names, value, SpecMemory()), is_refused
    except SpecProblemError:
        return None


def refuses(text: str, against: Against) -> bool:
    """Our verdict on a spec, with nothing to be filled in."""
    document = read_spec_yaml(text)
    return bool(document.problems) or not isinstance(document.value, dict) or any(misfits(text, against))


def misfits(text: str, against: Against) -> list[Misfit]:
    """What is wrong in a spec that can be read."""
    problems = walk_yaml(text, read_spec_yaml(text), against).problems
    return [one.misfit for one in problems if one.misfit.severity is Severity.ERROR]


def _is_plain(values: Sequence[Any]) -> bool:
    return all(isinstance(value, (str, int, float)) for value in values)
