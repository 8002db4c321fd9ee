"""The pages of experiments.yml and clusters.yml: every key with its type, bounds, default and example, from the schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from commands_page import cell

from taorunner.planning.inputs.variables import VARIABLES
from taorunner.project.clusters.cluster_schema import clusters_schema
from taorunner.project.schema import experiments_schema

_EXPERIMENTS = """\
# experiments.yml

`projects/NAME/experiments.yml` says which experiments a project has. `taorunner schema` prints its JSON Schema, which
editors complete from; `taorunner validate` checks more than a schema can.

```yaml
tao_config:                 # defaults of all experiments
  gpus: 1
experiments:
  dino_01:
    head: dino
    dataset: parts/train
    vars: {num_classes: 4}
  dino_02:
    extends: dino_01        # everything that is not given here
    overrides: {train.optim.lr: 5.0e-05}
```
"""
_CLUSTERS = """\
# clusters.yml

`clusters.yml` beside `projects/`, or `~/.config/taorunner/clusters.yml` for all your workspaces, names engines elsewhere.
`taorunner schema --clusters` prints its JSON Schema. How to use them: [Clusters](../clusters.md).

Each entry has `backend`, limits for runs that say nothing themselves, and the settings of its backend.
"""
_VARIABLES = {
    "experiment": "the name of the experiment",
    "project": "the name of the project",
    "dataset_raw": "the folder of the experiment's `dataset`",
    "dataset": "the same; the name that older files use",
    "dataset_tfrecord": "the folder that `taorunner convert` writes records into, for each experiment its own",
    "tfrecords": "the same; the name that older files use",
    "pretrained_model": "the file of weights that `repository` and `backbone` name, below repositories/",
    "results_dir": "the folder of results: models/EXPERIMENT",
    "num_gpus": "how many GPUs the run has",
    "gpu_ids": "their numbers inside the container, counted from 0",
}
_SECTIONS = (
    ("ExperimentsFile", "The file"), ("TaoConfig", "tao_config"), ("ExperimentEntry", "An experiment"),
)  # fmt: skip


def experiments_page() -> str:
    """The whole page of experiments.yml."""
    schema = experiments_schema(())
    types = schema["$defs"]
    lines = [_EXPERIMENTS]
    whole = {key: value for key, value in schema.items() if key in ("properties", "required", "description")}
    types = {"ExperimentsFile": whole, **types}
    order = [name for name, _ in _SECTIONS] + [name for name in types if name not in dict(_SECTIONS)]
    for name in order:
        if "properties" in types[name]:
            lines += [*_section(dict(_SECTIONS).get(name, name), types[name], types), ""]
    lines += ["## Variables", "", *_variables()]
    return "\n".join(lines).rstrip() + "\n"


def clusters_page() -> str:
    """The whole page of clusters.yml."""
    entry = clusters_schema()["properties"]["clusters"]["additionalProperties"]
    lines = [_CLUSTERS]
    for kind in entry["oneOf"]:
        named = kind["properties"]["backend"]
        backend = " or ".join(named.get("enum", [named.get("const")]))
        lines += [f"## {backend}", "", f"{kind['description'][0].upper()}{kind['description'][1:]}.", ""]
        lines += [*_table(kind["properties"], kind.get("required", ()), {}), ""]
    return "\n".join(lines).rstrip() + "\n"


def _section(title: str, kind: Mapping[str, Any], types: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    if "description" in kind:
        yield kind["description"].replace("``", "`")
        yield ""
    yield from _table(kind["properties"], kind.get("required", ()), types)


def _table(keys: Mapping[str, Any], required: Any, types: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | value | meaning |"
    yield "|---|---|---|"
    for key, value in keys.items():
        yield f"| `{key}` | {cell(_type(value, types))} | {cell(' '.join(_meaning(key, value, required)))} |"


def _meaning(key: str, value: Mapping[str, Any], required: Any) -> Iterator[str]:
    if key in required:
        yield "Required."
    if "description" in value:
        yield value["description"].replace("``", "`")
    if "default" in value and value["default"] is not None:
        yield f"Default: `{_value(value['default'])}`."
    if value.get("examples"):
        yield "Example: " + ", ".join(f"`{_value(one)}`" for one in value["examples"][:2]) + "."


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _type(value: Mapping[str, Any], types: Mapping[str, Any]) -> str:
    """``text``, ``whole number from 1 to 512``, ``list of numbers``, ``"a" or "b"``."""
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " or ".join(f"`{one}`" for one in value["enum"])
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        if "properties" not in types.get(name, {}):
            return "any value"
        return f"[{name}](#{dict(_SECTIONS).get(name, name).lower().replace(' ', '-')})"
    if "anyOf" in value:
        return " or ".join(
            dict.fromkeys(_type(one, types) for one in value["anyOf"] if one.get("type") != "null")
        )
    kind = value.get("type")
    if isinstance(kind, list):
        return " or ".join(_type({**value, "type": one}, types) for one in kind if one != "null")
    return _plain(kind, value, types)


def _plain(kind: str | None, value: Mapping[str, Any], types: Mapping[str, Any]) -> str:
    if kind == "array":
        return f"list of {_type(value.get('items', {}), types)}"
    if kind == "object":
        inner = value.get("additionalProperties")
        patterns = value.get("patternProperties")
        if patterns:
            inner = next(iter(patterns.values()))
        return (
            f"mapping of names to {_type(inner, types)}" if isinstance(inner, dict) and inner else "mapping"
        )
    word = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}.get(
        kind or "", "any value"
    )
    low, high = value.get("minimum"), value.get("maximum")
    if low is not None and high is not None:
        return f"{word} from {low} to {high}"
    return f"{word} from {low}" if low is not None else word


def _variables() -> Iterator[str]:
    yield "Spec files, `vars` and `.tao_mounts.json` may use these. All paths are those inside the container."
    yield ""
    yield "| variable | value |"
    yield "|---|---|"
    for name in VARIABLES:
        yield f"| `${name}` | {_VARIABLES[name]} |"
