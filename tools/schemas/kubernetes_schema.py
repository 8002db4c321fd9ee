"""Writes what Kubernetes says of the objects that taorunner makes, for the stand-in server of the tests.

    python tools/schemas/kubernetes_schema.py FOLDER 1.29.0 1.33.0 1.37.0 > tests/rig/kubernetes/schemas.json

FOLDER is ``kubernetes-json-schema`` of the package kubernetes-validate (108 MB), which has what each version publishes.
Kept are names of fields, types and formats of the kinds below and of what they contain; no descriptions.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

KINDS = {
    "Job": "io.k8s.api.batch.v1.Job",
    "Service": "io.k8s.api.core.v1.Service",
    "Secret": "io.k8s.api.core.v1.Secret",
    "Pod": "io.k8s.api.core.v1.Pod",
}
_KEPT = ("type", "format", "properties", "items", "additionalProperties", "required", "$ref", "oneOf", "enum")


def reduced(value: Any) -> Any:
    """A schema without words, whose objects take no field that is not named."""
    if isinstance(value, list):
        return [reduced(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: {name: reduced(one) for name, one in found.items()} if key == "properties" else reduced(found)
        for key, found in value.items()
        if key in _KEPT
    }
    if "$ref" in kept:
        return {"$ref": "#/definitions/" + kept["$ref"].rpartition("/")[2]}
    if "properties" in kept:
        kept["additionalProperties"] = False
    return kept


def reachable(definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting = list(KINDS.values())
    while waiting:
        name = waiting.pop()
        if name in found or name not in definitions:
            continue
        found[name] = reduced(definitions[name])
        waiting += refs(found[name])
    return dict(sorted(found.items()))


def refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"].rpartition("/")[2]] if isinstance(value.get("$ref"), str) else []
        return own + [name for one in value.values() for name in refs(one)]
    return [name for one in value for name in refs(one)] if isinstance(value, list) else []


def main(folder: str, *versions: str) -> int:
    """One version whole; of the others what differs from it."""
    made = {}
    for version in versions:
        text = (Path(folder) / f"v{version}-local" / "_definitions.json").read_text(encoding="utf-8")
        made[version] = reachable(json.loads(text)["$defs"])
    base = versions[0]
    body: dict[str, Any] = {"kinds": KINDS, "base": base, "definitions": made[base], "changes": {}}
    for version in versions[1:]:
        changed = {name: one for name, one in made[version].items() if made[base].get(name) != one}
        gone = sorted(set(made[base]) - set(made[version]))
        body["changes"][version] = {"definitions": changed, "gone": gone}
    json.dump(body, sys.stdout, separators=(",", ":"), sort_keys=True)
    print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
