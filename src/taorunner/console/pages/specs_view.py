"""Renders a spec as TAO reads it, the differences of two specs, and the help of a key."""

from __future__ import annotations

import json as json_module
import math
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from taorunner.console.base.cells import fact_line
from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.findings_text import findings_json, print_findings
from taorunner.console.base.formatting import clean, shown_path
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import Symbols, make_console, symbols_of
from taorunner.planning.inspect.key_help import ExplainedKey
from taorunner.planning.inspect.resolved_spec import ShownSpec, SpecValue
from taorunner.planning.inspect.spec_diff import Difference
from taorunner.specs.schema.lookup import KeyFacts
from taorunner.specs.schema.schema import NO_DEFAULT
from taorunner.text import printable

_BY = {"spec": "", "override": "overrides", "set": "--set", "taorunner": "set by taorunner"}


def print_spec(spec: ShownSpec, *, json: bool) -> None:
    """The spec alone on stdout, so that it can be piped; its heading and findings on stderr."""
    if json:
        write_json(_spec_json(spec), sys.stdout.buffer)
        return
    notes = make_console(sys.stderr, os.environ)
    notes.print(Text(_headline(spec), style="quiet"), soft_wrap=True)
    for argument in spec.arguments:
        notes.print(Text(f"on the command line: {clean(argument)}", style="quiet"), soft_wrap=True)
    if spec.findings:
        print_findings(notes, spec.findings, counts=False)
    text = spec.text if spec.text.endswith("\n") else f"{spec.text}\n"
    if sys.stdout.isatty():  # text of a file must not control the terminal
        text = "\n".join(printable(line.rstrip("\r")) for line in text.split("\n"))
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def print_differences(
    first: ShownSpec, second: ShownSpec, differences: Sequence[Difference], *, by_name_too: bool, json: bool
) -> None:
    """Differences that come only from the experiments' names are counted; ``by_name_too`` shows them."""
    if json:
        body = {
            "first": _heading_json(first),
            "second": _heading_json(second),
            "differences": [_difference_json(one) for one in differences],
        }
        write_json(body, sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    shown = [one for one in differences if by_name_too or not one.by_name]
    names = (first.experiment, second.experiment)
    width = max(map(len, names))
    for one in shown:
        for line in _difference_lines(one, names, width, symbols_of(console)):
            console.print(line, soft_wrap=True)
    console.print(Text(_summary(differences, shown, names)), soft_wrap=True)


def print_explained(explained: ExplainedKey, *, json: bool) -> None:
    if json:
        write_json(_explained_json(explained), sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for line in _explained_lines(explained, console):
        console.print(line, soft_wrap=True)


def _headline(spec: ShownSpec) -> str:
    changed = sum(value.by in ("override", "set") for value in spec.values)
    overridden = (
        "" if not changed else ", 1 value overridden" if changed == 1 else f", {changed} values overridden"
    )
    return f"{spec.experiment}: {spec.action} of {spec.network} {spec.release}, from {_near(spec.path)}{overridden}"


def _difference_lines(
    one: Difference, names: tuple[str, str], width: int, symbols: Symbols
) -> Iterable[Text]:
    sign, style = (
        ("~", "hint") if one.first and one.second else ("-", "severity.error") if one.first else ("+", "best")
    )
    note = "  only the names differ" if one.by_name else ""
    yield Text.assemble((f"{sign} ", style), (clean(one.key), "name"), (note, "quiet"))
    for name, value in zip(names, (one.first, one.second), strict=True):
        if value is not None:
            cells = (clean(_written(value.value)), ("  " + _where(value), "quiet"))
        elif one.default is not NO_DEFAULT:
            cells = (symbols.bar_rest, (f"  TAO's default: {clean(_written(one.default))}", "quiet"))
        else:
            cells = (symbols.bar_rest, ("", "quiet"))
        yield Text.assemble(f"    {clean(name):<{width}}  ", *cells)


def _summary(differences: Sequence[Difference], shown: Sequence[Difference], names: tuple[str, str]) -> str:
    hidden = len(differences) - len(shown)
    count = len(shown)
    text = "1 difference" if count == 1 else f"{count} differences"
    if not count:
        text = f"no difference between {names[0]} and {names[1]}"
    if hidden:
        text += f"; {hidden} more only by the experiments' names (--all shows them)"
    return text


def _explained_lines(explained: ExplainedKey, console: Console) -> Iterable[Text]:
    facts = explained.facts
    title = f"{explained.network} {explained.release}, {explained.action}"
    yield Text.assemble((clean(facts.key or "spec"), "title"), f"  {facts.type}  ", (title, "quiet"))
    labelled = {
        "default": "has to be given" if facts.is_mandatory else _default(facts.default),
        "may be null": "yes" if facts.is_optional else "",
        "range": _range(facts),
        "options": ", ".join(facts.options),
        "releases": _releases(facts),
    }
    for label, value in labelled.items():
        if value and facts.key:
            yield fact_line(label, clean(value))
    if explained.experiment is not None:
        yield from _set_lines(explained, facts)
    if facts.children:
        yield Text()
        columns = [
            Column("key"),
            Column("type", drop=4, shrinks_to=12),
            Column("default", drop=3, shrinks_to=16),
            Column("takes", drop=2, shrinks_to=20),
            Column("releases", drop=1),
        ]
        rows = [_child_row(child) for child in facts.children]
        yield from laid_out(columns, rows, console.width, symbols_of(console))


def _set_lines(explained: ExplainedKey, facts: KeyFacts) -> Iterable[Text]:
    if explained.problem is not None:
        yield fact_line("set", clean(explained.problem))
    elif not explained.values:
        yield fact_line("set", f"not by {clean(explained.experiment or '')}")
    elif facts.key:
        for value in explained.values:
            named = "" if value.key == facts.key else f"{clean(value.key)} = "
            yield fact_line(
                "set",
                Text.assemble(f"{named}{clean(_written(value.value))}", ("  " + _where(value), "quiet")),
            )


def _child_row(child: KeyFacts) -> Row:
    since = f"since {child.since}" if child.since else ""
    until = f"until {child.until}" if child.until else ""
    default = "has to be given" if child.is_mandatory else _default(child.default)
    return Row(
        (
            Text(clean(child.key.rpartition(".")[2]), style="name"),
            Text(child.type),
            Text(clean(default), style="quiet"),
            Text(clean(_range(child) or ", ".join(child.options)), style="quiet"),
            Text(" ".join(part for part in (since, until) if part), style="quiet"),
        )
    )


def _default(value: object) -> str:
    return "" if value is NO_DEFAULT else _written(value)


def _range(facts: KeyFacts) -> str:
    least, most = facts.least, facts.most
    if least is None and most is None:
        return ""
    if least is None or most is None:
        return f"at least {_short(least)}" if most is None else f"at most {_short(most)}"
    return f"{_short(least)} to {_short(most)}"


def _releases(facts: KeyFacts) -> str:
    """The releases of the schemas, oldest to newest."""
    if not facts.releases:
        return ""
    since = f"since {facts.since}" if facts.since else ""
    until = f"until {facts.until}" if facts.until else ""
    if since or until:
        return " ".join(part for part in (since, until) if part)
    first, last = facts.releases[0], facts.releases[-1]
    return f"all that are known, {first} to {last}" if first != last else f"the one that is known, {first}"


def _short(number: float | None) -> str:
    return "?" if number is None else f"{number:g}" if abs(number) < 1e6 else f"{number:.0f}"


def _written(value: object) -> str:
    """As YAML, without quotes where they are not needed."""
    if isinstance(value, str):
        return value if value.strip() == value and value else json_module.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json_module.dumps(value, ensure_ascii=False, default=str)


def _where(value: SpecValue) -> str:
    place = "" if value.file is None else f"{_near(value.file)}:{value.line}:{value.column}"
    return " ".join(part for part in (clean(place), _BY[value.by]) if part)


def _near(path: Path) -> str:
    return shown_path(path, Path.cwd())


def _spec_json(spec: ShownSpec) -> dict[str, Any]:
    return {
        **_heading_json(spec),
        "format": spec.format,
        "text": spec.text,
        "values": [_value_json(value) for value in spec.values],
        "arguments": list(spec.arguments),
        "findings": findings_json(spec.findings),
    }


def _heading_json(spec: ShownSpec) -> dict[str, Any]:
    return {
        "project": spec.project,
        "experiment": spec.experiment,
        "action": spec.action,
        "network": spec.network,
        "release": spec.release,
        "file": str(spec.path),
    }


def _value_json(value: SpecValue) -> dict[str, Any]:
    return {
        "key": value.key,
        "value": _plain(value.value),
        "by": value.by,
        "file": None if value.file is None else str(value.file),
        "line": value.line,
        "column": value.column,
    }


def _difference_json(one: Difference) -> dict[str, Any]:
    kind = "changed" if one.first and one.second else "only-first" if one.first else "only-second"
    return {
        "key": one.key,
        "kind": kind,
        "by_name": one.by_name,
        "first": None if one.first is None else _value_json(one.first),
        "second": None if one.second is None else _value_json(one.second),
        "default": None if one.default is NO_DEFAULT else _plain(one.default),
    }


def _explained_json(explained: ExplainedKey) -> dict[str, Any]:
    return {
        "network": explained.network,
        "action": explained.action,
        "release": explained.release,
        "version": explained.version,
        **_facts_json(explained.facts),
        "children": [_facts_json(child) for child in explained.facts.children],
        "experiment": explained.experiment,
        "values": None if explained.values is None else [_value_json(value) for value in explained.values],
        "problem": explained.problem,
    }


def _facts_json(facts: KeyFacts) -> dict[str, Any]:
    return {
        "key": facts.key,
        "type": facts.type,
        "optional": facts.is_optional,
        "mandatory": facts.is_mandatory,
        "has_default": facts.default is not NO_DEFAULT,
        "default": None if facts.default is NO_DEFAULT else _plain(facts.default),
        "min": facts.least,
        "max": facts.most,
        "options": list(facts.options),
        "since": facts.since,
        "until": facts.until,
        "releases": list(facts.releases),
    }


def _plain(value: object) -> Any:
    """Infinity and NaN become texts, because strict JSON lacks them."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
