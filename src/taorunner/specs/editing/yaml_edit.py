"""Reads and sets single values in a YAML spec, by dotted path, and leaves the rest of the text unchanged.

A path is ``train.optim.lr``; a number selects an element of a list (``dataset.train_data_sources.0.image_dir``). An
edit is made in place, so comments and layout stay. It is then verified: the new text is parsed again and must differ
from the old one in this value alone. An edit that fails this check is refused.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

from taorunner.specs.memory import Answers, SpecMemory
from taorunner.specs.syntax.literals import yaml_value
from taorunner.specs.syntax.omegaconf_yaml import read_spec_yaml, spec_scalar
from taorunner.specs.syntax.text_position import Lines, SpecProblemError
from taorunner.specs.syntax.yaml_tree import YamlNode, read_tree
from taorunner.yaml_reader import read_yaml, resolve_scalar

_ABSENT = object()


def read_value(text: str, dotted: str) -> Any:
    """The value at ``dotted`` (None when absent): scalar, list or dict. OmegaConf's ``${…}`` stays text.

    Raises:
        SpecProblemError: the text cannot be read.
    """
    return value_in(_read(text), dotted)


def value_in(root: Any, dotted: str) -> Any:
    """As ``read_value``, of values that are already read."""
    value = root
    for step in dotted.split("."):
        value = _step(value, step)
        if value is _ABSENT:
            return None
    return value


class _Values(Answers[str, Any]):
    """The values of a text. Shared between edits, so never changed."""

    MOST = 2


def set_value(text: str, key: str | Sequence[str], value: object, memory: SpecMemory | None = None) -> str:
    """``text`` with the value set; what is absent is inserted, sections included. Lists do not grow.

    ``key`` is dotted, or its steps, of which one may have a dot in it. With ``memory``, the text that one edit has
    read is not read again for the next one.

    Raises:
        SpecProblemError: the text cannot be read, the path leads through something that is no section, or
        the edit
            would change more than this value (through an alias, for example).
    """
    memory = memory or SpecMemory()
    old = _read_once(text, memory)
    steps = key.split(".") if isinstance(key, str) else list(key)
    dotted = ".".join(steps)
    if not all(steps):
        raise SpecProblemError("bad-key", f'"{dotted}" is not a key', hint="write it like train.num_epochs")
    wanted = _with_value(old, steps, value, dotted)
    changed = _edited(text, steps, value, dotted)
    if not _reads_as(changed, wanted, memory):
        raise SpecProblemError(
            "cannot-set",
            f'"{dotted}" cannot be set here without changing something else',
            hint="edit the spec file",
        )
    return changed


def parse_override(text: str) -> tuple[str, object]:
    """``key=value`` with the value read as YAML: ``train.optim.lr=1e-4``, ``train.gpu_ids=[0,1]``, ``name=``.

    Raises:
        SpecProblemError: there is no key, or the value is not YAML.
    """
    key, equals, written = text.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise SpecProblemError(
            "bad-override", f'"{text}" is not key=value', hint="write it like train.num_epochs=5"
        )
    written = written.strip()
    if not written:
        return key, ""
    if written[0] not in "[{\"'":
        return key, resolve_scalar(written)
    document = read_yaml(written)
    if document.problems:
        raise SpecProblemError(
            "bad-override", f'the value of "{key}" cannot be read: {document.problems[0].message}',
            hint="put text with brackets or quotes in single quotes",
        )  # fmt: skip
    return key, document.value


def _reads_as(text: str, wanted: Any, memory: SpecMemory) -> bool:
    try:
        return _same(_read_once(text, memory), wanted)
    except SpecProblemError:
        return False


def _read(text: str) -> Any:
    document = read_spec_yaml(text)
    if document.problems:
        first = document.problems[0]
        offset = Lines(text).offset(first.line, first.column)
        raise SpecProblemError(first.code, first.message, offset=offset, hint=first.hint)
    return document.value


def _read_once(text: str, memory: SpecMemory) -> Any:
    return memory.table(_Values).get(text, lambda: _read(text))


def _step(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        key = _key(value, step)
        return _ABSENT if key is _ABSENT else value[key]
    if isinstance(value, list) and _is_index(step) and int(step) < len(value):
        return value[int(step)]
    return _ABSENT


def _key(mapping: dict[Any, Any], step: str) -> Any:
    if step in mapping:
        return step
    typed = spec_scalar(step)
    return typed if typed in mapping else _ABSENT


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) <= 6


def _with_value(root: Any, steps: list[str], value: object, dotted: str) -> Any:
    """The expected document after the edit. Shares nothing with the old one along the path."""
    plain = _plain(value)
    if root is None:
        root = {}
    new = top = copy.copy(root)
    for index, step in enumerate(steps):
        is_last = index == len(steps) - 1
        if isinstance(new, dict):
            key = _key(new, step)
            key = step if key is _ABSENT else key
            below = new.get(key)
        elif isinstance(new, list):
            if not _is_index(step) or int(step) >= len(new):
                raise SpecProblemError(
                    "cannot-set", f'"{".".join(steps[:index])}" has no element "{step}"',
                    hint=f"there are {len(new)}, counted from 0; set the whole list to change its length",
                )  # fmt: skip
            key = int(step)
            below = new[key]
        else:
            place = (
                f'"{".".join(steps[:index])}" is a value, not a section'
                if index
                else "the spec is not a mapping"
            )
            raise SpecProblemError("cannot-set", place, hint=f'"{dotted}" needs a section there')
        below = {} if below is None and not is_last else copy.copy(below)
        new[key] = plain if is_last else below
        new = below
    return top


def _edited(text: str, steps: list[str], value: object, dotted: str) -> str:
    root = read_tree(text)
    if root is None or (root.kind == "scalar" and not root.value):
        gap = "" if not text or text.endswith("\n") else "\n"
        return text + gap + _lines(steps, value, "", "\n")
    node, key = root, None
    for index, step in enumerate(steps):
        if node.kind == "alias":
            raise SpecProblemError(
                "cannot-set",
                f'"{dotted}" leads through an alias',
                offset=node.start,
                hint="write the section out",
            )
        if node.kind == "scalar":
            missing = "{" + ": {".join(yaml_value(name) for name in steps[index:])
            written = f"{missing}: {yaml_value(value)}" + "}" * (len(steps) - index)
            return _put(text, node, key, written)
        found = _child(node, step)
        if found is None:
            return _insert(text, node, steps[index:], value)
        key, node = found
    return _put(text, node, key, yaml_value(value))


def _child(node: YamlNode, step: str) -> tuple[YamlNode | None, YamlNode] | None:
    if node.kind == "sequence":
        return None, node.values[int(step)]
    for key, value in zip(node.keys, node.values, strict=True):
        written = key.value if key.style else spec_scalar(key.value)
        if key.kind == "scalar" and (written == step or str(written) == step or key.value == step):
            return key, value
    return None


def _put(text: str, node: YamlNode, key: YamlNode | None, written: str) -> str:
    """The value of ``key`` replaced. A block is replaced from its key's colon on."""
    if node.kind == "scalar" and node.style in ("|", ">"):
        tail = "\n" if text[node.start : node.end].endswith("\n") else ""
        return text[: node.start] + written + tail + text[node.end :]
    if node.style == "block" and key is not None:
        colon = text.find(":", key.end)
        return f"{text[: colon + 1]} {written}{_key_comment(text, colon + 1, node.start)}{_block_tail(text, node)}"
    if node.start == node.end:  # nothing is written there yet
        return f"{text[: node.start]} {written}{text[node.end :]}"
    return text[: node.start] + written + text[node.end :]


def _key_comment(text: str, start: int, end: int) -> str:
    """The comment after a key whose block starts on a later line, with the blanks before it."""
    newline = text.find("\n", start, end)
    behind = text[start:newline].rstrip("\r") if newline >= 0 else ""
    return behind if behind.lstrip().startswith("#") else ""


def _block_tail(text: str, node: YamlNode) -> str:
    return ("\n" if text[: node.end].endswith("\n") else "") + text[node.end :]


def _insert(text: str, node: YamlNode, missing: list[str], value: object) -> str:
    if node.style == "flow":
        inner = "".join(f"{yaml_value(name)}: {{" for name in missing[:-1])
        inner += f"{yaml_value(missing[-1])}: {yaml_value(value)}" + "}" * (len(missing) - 1)
        at = node.values[-1].end if node.values else text.index("{", node.start) + 1
        return f"{text[:at]}{', ' if node.values else ''}{inner}{text[at:]}"
    first = node.keys[0].start if node.keys else node.start
    line = text.rfind("\n", 0, first) + 1
    indent = " " * (first - line)
    newline = "\r\n" if "\r\n" in text else "\n"
    end = node.end
    if not text[:end].endswith("\n"):
        stop = text.find("\n", end)
        end = len(text) if stop < 0 else stop + 1
    gap = "" if text[:end].endswith("\n") else newline
    return text[:end] + gap + _lines(missing, value, indent, newline) + text[end:]


def _lines(steps: list[str], value: object, indent: str, newline: str) -> str:
    *sections, leaf = steps
    opened = "".join(
        f"{indent}{'  ' * depth}{yaml_value(name)}:{newline}" for depth, name in enumerate(sections)
    )
    return f"{opened}{indent}{'  ' * len(sections)}{yaml_value(leaf)}: {yaml_value(value)}{newline}"


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _same(one: Any, other: Any) -> bool:
    """Equal in type and value, with NaN equal to itself. Depth is bounded by the reader."""
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one) == len(other) and all(key in other and _same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and bool(one == other)
