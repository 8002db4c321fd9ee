"""Writes a spec template of the skill bank as a spec of a project: its paths are those that a new project has.

What a new project of the network writes with ``$variables`` is written so in the template too. An input of the skill
that is still open gets the mark ``$FILL_IN``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from taorunner.contracts import Contract
from taorunner.specs.editing.yaml_edit import set_value, value_in
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.specs.templates.variables import FILL_IN
from taorunner.yaml_reader import read_yaml

_MARK = f"${FILL_IN}"
_EMPTY: tuple[object, ...] = ("", "???", "<required>", None, [], {}, [""])
_NUMBERS = re.compile(r"(?:^|\.)(?:num_gpus|gpu_ids)\Z")


@dataclass(frozen=True, slots=True)
class RenderedTemplate:
    """``filled`` are the keys that got a variable, ``open_keys`` those that only the user knows. ``kept`` are values of
    the template that have to fit the user's data; ``passed`` are inputs that the layout of a new project has no use
    for. ``refused`` could not be written."""

    text: str
    filled: tuple[str, ...] = ()
    open_keys: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def rendered_template(
    text: str, usual: Mapping[str, str], own: Collection[str], inputs: Mapping[str, bool]
) -> RenderedTemplate | None:
    """None where the template is no mapping. ``usual`` are the spec files of a new project, ``own`` the keys that
    taorunner sets in each run."""
    document = read_yaml(text)
    if document.problems or not isinstance(document.value, dict):
        return None
    root = document.value
    wanted: dict[str, Any] = {}
    kept: list[str] = []
    for key, value in usual_values(usual).items():
        is_empty = _value(root, key) in _EMPTY
        if not _is_there(root, key) and not any(_is_of(name, key) for name in inputs):
            continue
        if _MARK in str(value) and not is_empty:
            kept.append(key)
        else:
            wanted[key] = value
    passed = _take_inputs(root, wanted, own, inputs)
    for key, value in _leaves(root, ()):
        if key not in wanted and (value == "<required>" or (key in own and value in (None, "???"))):
            wanted[key] = "" if key in own else _MARK
    wanted["results_dir"] = "$results_dir"
    return _written(text.replace("$", "$$") if "${" not in text else text, wanted, kept, passed)


def _take_inputs(
    root: Any, wanted: dict[str, Any], own: Collection[str], inputs: Mapping[str, bool]
) -> list[str]:
    """Marks inputs that are still open; gives those beside which a new project has what it needs."""
    usual = list(wanted)
    passed: list[str] = []
    for key, is_needed in inputs.items():
        if key in own or not is_needed or any(_is_of(key, name) for name in usual):
            continue
        if _value(root, key) not in _EMPTY:
            continue
        section = key.rpartition(".")[0]
        if any(name.rpartition(".")[0] == section for name in usual):
            passed.append(key)
        else:
            wanted[key] = _MARK
    return passed


def _written(text: str, wanted: Mapping[str, Any], kept: list[str], passed: list[str]) -> RenderedTemplate:
    filled: list[str] = []
    open_keys: list[str] = []
    refused: list[str] = []
    for key, value in wanted.items():
        try:
            text = set_value(text, key, value)
        except SpecProblemError:
            refused.append(key)
            continue
        (open_keys if _MARK in str(value) else filled).append(key)
    groups = (filled, open_keys, kept, passed, refused)
    return RenderedTemplate(text, *(tuple(one) for one in groups))


def usual_values(files: Mapping[str, str]) -> dict[str, Any]:
    """The values with variables in the spec files of a new project, by key. A list counts as a whole."""
    found: dict[str, Any] = {}
    for name, text in files.items():
        if name.endswith(".yaml") and name != "vars.yml":
            value = read_yaml(text).value
            found |= {key: one for key, one in _with_variables(value, ()) if key not in found}
    return {key: value for key, value in found.items() if _NUMBERS.search(key) is None}


def _with_variables(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _with_variables(one, (*path, str(key)))
    elif "$" in str(value) and path:
        yield ".".join(path), value


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, (*path, str(key)))
    elif path:
        yield ".".join(path), value


def _is_there(root: Any, key: str) -> bool:
    steps = key.split(".")
    for step in steps:
        if not isinstance(root, dict) or step not in root:
            return False
        root = root[step]
    return True


def _value(root: Any, key: str) -> Any:
    try:
        return value_in(root, key)
    except SpecProblemError:
        return None


def _is_of(key: str, section: str) -> bool:
    return key == section or key.startswith(f"{section}.")


def keys_of_runs(contracts: Iterable[Contract]) -> set[str]:
    """The keys that taorunner sets in a run, by its command line or in the rendered spec."""
    found: set[str] = set()
    for contract in contracts:
        words = [word for argument in contract.arguments for word in argument.tokens]
        found |= {word.partition("=")[0] for word in words if "=" in word}
        found |= set() if contract.spec is None else set(contract.spec.keys.values())
    return found
