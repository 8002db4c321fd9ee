"""Merges layers of facts (plain YAML values) into one ``Contract``. Pure; reads no files.

A *layer* is a mapping whose keys are the fields of ``Contract`` (see ``catalog/data/README.md``).
A *block* is ``{base: layer, actions: {name: layer}, versions: [{when: ">=5.5 <6.0", base: …, actions: …}]}``.
Later layers win: mappings are merged, other values replaced, null removes a value; traps are collected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from taorunner.contracts import (
    Argument,
    CheckpointContract,
    Contract,
    Direction,
    EpochMark,
    Framework,
    GpuUse,
    Metric,
    MetricScale,
    OverrideSyntax,
    ProgressContract,
    ResumeRule,
    SampleCount,
    SpecContract,
    VerdictContract,
)
from taorunner.values.value import Value, names_of

Layer = Mapping[str, Any]
Block = Mapping[str, Any]
Version = tuple[int, ...]

_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,7}\Z")
_COMPARISON = re.compile(r"(>=|<=|<|>|=)([0-9.]+)\Z")
_OPTION = re.compile(r"(--?[A-Za-z][\w-]*)((?:/--?[A-Za-z][\w-]*)+)\Z")
_WORD = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_ENUMS: dict[str, type[Any]] = {
    "gpu_use": GpuUse,
    "override_syntax": OverrideSyntax,
    "epoch_mark": EpochMark,
    "resume": ResumeRule,
    "held_out_counts": SampleCount,
}


def parse_version(text: str) -> Version:
    """``5.5`` and ``5.5.0`` are equal. Raises ValueError for text other than numbers and dots."""
    if _VERSION.match(text) is None:
        raise ValueError(f'"{text[:80]}" is not a version such as 6.0.0')
    numbers = [int(part) for part in text.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))


def version_matches(condition: str, version: Version) -> bool:
    """Whether each comparison in ``condition`` (``">=5.5 <6.0"``) holds. Raises ValueError for other text."""
    return all(_compare(part, version) for part in condition.split())


def _compare(text: str, version: Version) -> bool:
    match = _COMPARISON.match(text)
    if match is None:
        raise ValueError(f'"{text}" is not a comparison of versions such as ">=5.5"')
    other = parse_version(match[2])
    return {
        ">=": version >= other,
        "<=": version <= other,
        "<": version < other,
        ">": version > other,
        "=": version == other,
    }[match[1]]


def layers_of(
    blocks: Iterable[Block], action_tables: Iterable[Block], action: str, version: Version
) -> Iterator[Layer]:
    """The layers of one action, general before specific: all bases, then the layers of this action.

    ``blocks`` are the family, its tables and, last, the network's own group.
    """
    *shared, own = blocks
    blocks = (*shared, own)
    for block in blocks:
        for part in _with_versions(block, version):
            yield part.get("base") or {}
    for block in shared:
        yield from _said_of(block, action, version)
    for table in action_tables:
        for part in _with_versions(table, version):
            yield part.get("base") or {}
    yield from _said_of(own, action, version)


def _said_of(block: Block, action: str, version: Version) -> Iterator[Layer]:
    for part in _with_versions(block, version):
        yield (part.get("actions") or {}).get(action) or {}


def _with_versions(block: Block, version: Version) -> Iterator[Block]:
    yield block
    for part in block.get("versions") or ():
        if version_matches(part["when"], version):
            yield part


def merge(layers: Iterable[Layer]) -> dict[str, Any]:
    """Merges mappings. A name keeps its first position, so arguments are ordered."""
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge_into(merged, layer)
    return merged


def _merge_into(target: dict[str, Any], layer: Layer) -> None:
    for key, value in layer.items():
        present = target.get(key)
        if key == "traps":
            target[key] = [*(present or ()), *(value or ())]
        elif isinstance(value, dict):  # a tenth of the time that asking for a Mapping takes
            inner = dict(present) if isinstance(present, dict) else {}
            _merge_into(inner, value)
            target[key] = inner
        else:
            target[key] = value


def build_contract(
    facts: Mapping[str, Any],
    *,
    network: str,
    action: str,
    group: str,
    framework: Framework,
    release: str,
    image: str | None,
    words: Mapping[str, str],
    is_own: bool = False,
) -> Contract:
    """The contract of one action.

    ``is_own``: a network of the workspace; without a table of metrics, their meaning is guessed from their names.
    ``words`` are replaced in each text (``{task}``, ``{action}``); other names are those of ``planning.inputs.argv``.
    """
    filled = _fill(facts, words)
    _name_checkpoints(filled)
    spec, kpi = filled.get("spec"), _kpi(filled.get("kpi") or {})
    plain = {key: filled[key] for key in _PLAIN if filled.get(key) is not None}
    return Contract(
        network=network,
        action=action,
        group=group,
        framework=framework,
        release=release,
        image=image,
        command=tuple(filled["command"].split()),
        arguments=tuple(
            parse_argument(text) for text in (filled.get("arguments") or {}).values() if text is not None
        ),
        spec=None if spec is None else SpecContract(**_typed(spec, SpecContract)),
        progress=ProgressContract(**_typed(filled.get("progress") or {}, ProgressContract)),
        verdict=VerdictContract(**_typed(filled.get("verdict") or {}, VerdictContract)),
        checkpoints=CheckpointContract(**_typed(filled.get("checkpoints") or {}, CheckpointContract)),
        kpi=kpi,
        guesses_metrics=is_own and not any(metric.ranks for metric in kpi),
        **_typed(plain, Contract),
    )


def _name_checkpoints(facts: dict[str, Any]) -> None:
    """Replaces ``{checkpoints}`` among the artifacts by the checkpoint globs of the same version."""
    verdict = facts.get("verdict") or {}
    globs = (facts.get("checkpoints") or {}).get("globs") or []
    if "{checkpoints}" in (verdict.get("artifacts") or ()):
        verdict["artifacts"] = [
            glob for name in verdict["artifacts"] for glob in (globs if name == "{checkpoints}" else [name])
        ]


_PLAIN = (
    "gpu_use", "needs", "optional", "results_subdir", "value_forms", "env", "shell_reads_arguments", "reads_data_only",
    "several_nodes", "override_syntax", "refused_arguments", "extra_arguments", "traps", "unknown",
)  # fmt: skip
_PARTS = ("command", "arguments", "spec", "progress", "verdict", "checkpoints", "kpi")
LAYER_KEYS = frozenset({*_PLAIN, *_PARTS, "source", "uses", "since", "until"})
"""The keys of a layer. ``source`` is the source of a fact, ``uses`` names tables of the family."""


def parse_argument(text: str) -> Argument:
    """One argument: ``-m/--model_path {checkpoint}``; a ``?`` in one of its names makes it optional."""
    tokens = text.split()
    aliases: tuple[str, ...] = ()
    option = _OPTION.match(tokens[0])
    if option is not None:
        tokens[0], aliases = option[1], tuple(option[2][1:].split("/"))
    optional = any("?}" in token for token in tokens)
    return Argument(
        tuple(token.replace("?}", "}") for token in tokens), required=not optional, aliases=aliases
    )


def _kpi(rows: Mapping[str, str | None]) -> tuple[Metric, ...]:
    """Ranking metrics first, then the others in the order of the files, where a family comes before its network."""
    metrics = [parse_metric(name, text) for name, text in rows.items() if text is not None]
    return tuple(sorted(metrics, key=lambda metric: not metric.ranks))


def parse_metric(name: str, text: str) -> Metric:
    """Parses ``up fraction ranks console``: direction, scale (default ``own``), whether runs are compared by it, and
    whether only the console has it exactly.

    Raises ValueError for other words.
    """
    direction, *more = text.split() or [""]
    console = more[-1:] == ["console"]
    more = more[:-1] if console else more
    ranks = more[-1:] == ["ranks"]
    scales = more[:-1] if ranks else more
    if len(scales) > 1:
        raise ValueError(f'"{text}" has too many words')
    scale = MetricScale(scales[0]) if scales else MetricScale.OWN
    return Metric(name, Direction(direction), scale, ranks, console)


def _typed(values: Mapping[str, Any], cls: type[Value]) -> dict[str, Any]:
    """Converts values to the types of the fields of ``cls``. Its constructor raises TypeError for an unknown name."""
    known = names_of(cls)
    typed: dict[str, Any] = {}
    for key, value in values.items():
        if value is None:
            continue
        if isinstance(value, list):
            value = tuple(value)
        elif isinstance(value, dict):
            value = {k: v for k, v in value.items() if v is not None}
        elif key in _ENUMS and key in known:
            value = _ENUMS[key](value)
        typed[key] = value
    return typed


def _fill(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        if "{" not in value:
            return value
        return _WORD.sub(lambda match: words.get(match[1], match[0]), value)
    if isinstance(value, Mapping):
        return {key: _fill(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, words) for inner in value]
    return value
