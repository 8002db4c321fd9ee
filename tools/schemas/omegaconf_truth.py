"""What OmegaConf makes of the dataclasses of one archive, compared with the shipped schemas. Needs ``omegaconf``.

Runs in a process of its own, started by ``tools/schemas/check_omegaconf.py``.
"""

from __future__ import annotations

import io
import random
import typing
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from odd_values import CHANNELS, ODD, Leaf, in_spec, leaves, refuses
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.base import UnionNode
from omegaconf.errors import OmegaConfBaseException
from wheel_dataclasses import read_classes

from taorunner.specs.extract.dataclass_schemas import plain_value
from taorunner.specs.schema.schema import MISSING, NO_DEFAULT, Key, Schema, find_schema
from taorunner.specs.schema.walk import Against

_SIMPLE = {int: "int", float: "float", bool: "bool", str: "str", typing.Any: "any", list: "list", dict: "map"}
_SAMPLES = {"int": 1, "float": 0.5, "bool": True, "str": "x", "list": [], "map": {}, "any": 1}


@dataclass(slots=True)
class _Found:
    counts: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)


def compare(archive: Path, pairs: int, seed: int) -> dict[str, Any]:
    """``counts``, ``differences`` in words, and the ``pairs`` with both verdicts."""
    release = archive.name.removesuffix(".zip").split("-")[1]
    classes, failed = read_classes(archive)
    found = _Found()
    found.counts["classes that cannot be imported"] = len(failed)
    held: dict[str, tuple[Any, Schema]] = {}
    for name, cls in classes.items():
        network, _, action = name.partition(".")
        schema = find_schema(network, action or "train", release)
        if schema is None or schema.name != name:
            found.counts["schemas differing"] += 1
            found.differences.append(f"{name} is not among the shipped schemas")
            continue
        try:
            config = OmegaConf.structured(cls)
        except OmegaConfBaseException as error:
            found.counts["schemas that OmegaConf itself refuses"] += 1
            found.differences.append(f"{name}: OmegaConf refuses the dataclass: {str(error).splitlines()[0]}")
            continue
        held[name] = (config, schema)
        differences = [*_tree_differences(config, schema, schema.root, name)]
        differences += _dump_differences(name, config, schema)
        found.counts[f"schemas {'differing' if differences else 'the same'}"] += 1
        found.differences += differences
    chance = random.Random(f"{seed} {release}")
    for config, schema, leaf, channel, written in _draw(held, pairs, chance):
        _judge(found, config, schema, leaf, channel, written)
    return {"counts": found.counts, "differences": found.differences, "pairs": found.pairs}


def _tree_differences(node: DictConfig, schema: Schema, number: int, path: str) -> Iterator[str]:
    """Where keys, types or defaults of a section are not those of the shipped schema."""
    keys = schema.keys(number)
    if not isinstance(node._content, dict):
        node = OmegaConf.structured(node._metadata.ref_type)  # a section that is not there by default
    for name in sorted({str(name) for name in node._content} ^ set(keys)):
        yield f"{path}.{name}: {'not in the schema' if name not in keys else 'not known to OmegaConf'}"
    for name, key in keys.items():
        inner = node._get_node(name) if name in node._content else None
        if inner is None:
            continue
        theirs, ours = _shape_of(inner), _shape(key)
        if theirs != ours:
            yield f"{path}.{name}: a {theirs} for OmegaConf, a {ours} in the schema"
        elif key.kind == "section":
            yield from _tree_differences(inner, schema, key.section, f"{path}.{name}")
        else:
            default = MISSING if inner._is_missing() else plain_value(_plain(inner))
            if key.default is not NO_DEFAULT and default != key.default:
                yield f"{path}.{name}: the default is {default!r} for OmegaConf, {key.default!r} in the schema"


def _plain(node: Any) -> Any:
    if isinstance(node, UnionNode):
        return _plain(node._value())
    return OmegaConf.to_container(node) if isinstance(node, (DictConfig, ListConfig)) else node._value()


def _shape_of(node: Any) -> str:
    facts = node._metadata
    mark = "?" if facts.optional and facts.ref_type is not typing.Any else ""
    if isinstance(node, DictConfig):
        if is_dataclass(facts.object_type) or is_dataclass(facts.ref_type):
            return f"section{mark}"
        return f"map<{_hint(facts.key_type)}:{_hint(facts.element_type)}>{mark}"
    if isinstance(node, ListConfig):
        return f"list<{_hint(facts.element_type)}>{mark}"
    return _hint(facts.type_hint)


def _hint(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        others = [_hint(one) for one in inner if one is not type(None)]
        return "|".join(others) + ("?" if len(others) < len(inner) and others != ["any"] else "")
    if origin in (list, tuple) or hint in (list, tuple):
        return f"list<{_hint(inner[0]) if inner else 'any'}>"
    if origin is dict or hint is dict:
        return f"map<{_hint(inner[0]) if inner else 'any'}:{_hint(inner[1]) if inner else 'any'}>"
    if is_dataclass(hint):
        return "section"
    return "any" if isinstance(hint, typing.TypeVar) else _SIMPLE.get(hint, str(hint))


def _shape(key: Key) -> str:
    mark = "?" if key.is_optional and key.kind != "any" else ""
    if key.kind == "any_of":
        return "|".join(_shape(one) for one in key.any_of) + mark
    of = _shape(key.of) if key.of is not None else "any"
    if key.kind == "list":
        return f"list<{of}>{mark}"
    return f"map<{key.names}:{of}>{mark}" if key.kind == "map" else f"{key.kind}{mark}"


def _dump_differences(name: str, config: DictConfig, schema: Schema) -> Iterator[str]:
    """The complete spec, as dumped, and with every value that has to be given."""
    for what, text in (("dump", OmegaConf.to_yaml(config)), ("complete dump", _complete(config, schema))):
        theirs, message = _refusal(config, text)
        ours = refuses(text, Against(schema))
        if theirs != ours:
            yield f"{name}: {what}: we {'refuse' if ours else 'accept'}, OmegaConf says {message or 'nothing'}"


def _complete(config: DictConfig, schema: Schema) -> str:
    """The default spec in which no value is missing and no section is left out."""
    return OmegaConf.to_yaml(OmegaConf.create(_filled(config, schema, schema.root)))


def _filled(node: DictConfig, schema: Schema, number: int) -> dict[str, Any]:
    if not isinstance(node._content, dict):
        node = OmegaConf.structured(node._metadata.ref_type)
    filled: dict[str, Any] = {}
    for name, key in schema.keys(number).items():
        inner = node._get_node(name)
        if key.kind == "section":
            filled[name] = _filled(inner, schema, key.section)
        elif inner is None or inner._is_missing():
            filled[name] = _sample(key)
        else:
            filled[name] = plain_value(_plain(inner))
    return filled


def _sample(key: Key) -> Any:
    return _sample(key.any_of[0]) if key.kind == "any_of" else _SAMPLES[key.kind]


def _draw(
    held: dict[str, tuple[Any, Schema]], pairs: int, chance: random.Random
) -> Iterator[tuple[Any, Schema, Leaf, str, str]]:
    """Every second leaf is any of all; the others are of a kind that is drawn first, so that rare ones come too."""
    every = [(config, schema, leaf) for config, schema in held.values() for leaf in leaves(schema)]
    by_shape: dict[str, list[Any]] = defaultdict(list)
    for one in every:
        by_shape[_shape(one[2].key)].append(one)
    shapes = sorted(by_shape)
    for number in range(pairs if every else 0):
        pool = every if number % 2 else by_shape[chance.choice(shapes)]
        config, schema, leaf = chance.choice(pool)
        channel = "spec" if leaf.has_index else CHANNELS[number // 2 % len(CHANNELS)]
        yield config, schema, leaf, channel, chance.choice(ODD)


def _judge(found: _Found, config: Any, schema: Schema, leaf: Leaf, channel: str, written: str) -> None:
    given = in_spec(channel, leaf.steps, written, schema)
    if given is None:
        channel, given = "spec", in_spec("spec", leaf.steps, written, schema)
    assert given is not None
    text, ours = given
    theirs, _message = _refusal(config, text)
    found.pairs.append({
        "schema": schema.name, "release": schema.release, "channel": channel, "keys": leaf.steps, "written": written,
        "text": text, "ours": _word(ours), "omegaconf": _word(theirs),
    })  # fmt: skip


def _word(is_refused: bool) -> str:
    return "refused" if is_refused else "accepted"


def _refusal(config: Any, text: str) -> tuple[bool, str]:
    """Whether TAO stops at this spec: its reader loads the text and merges it into the dataclass."""
    try:
        loaded = OmegaConf.load(io.StringIO(text))
        if not isinstance(loaded, DictConfig):
            return True, "no mapping"
        OmegaConf.merge(config, loaded)
    except Exception as error:  # whatever stops it, stops TAO
        return True, (str(error) or type(error).__name__).splitlines()[0]
    return False, ""
