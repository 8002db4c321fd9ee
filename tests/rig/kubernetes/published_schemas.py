"""What versions of Kubernetes publish of the objects that taorunner makes, and whether an object keeps to it strictly.

Made by ``tools/schemas/kubernetes_schema.py``.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema

VERSIONS = ("1.29.0", "1.33.0", "1.37.0")


@functools.cache
def _published() -> Any:
    return json.loads(Path(__file__).with_name("schemas.json").read_text())


@functools.cache
def _validator(version: str, kind: str) -> jsonschema.Draft202012Validator:
    body = _published()
    definitions = dict(body["definitions"])
    if version != body["base"]:
        change = body["changes"][version]
        definitions = {name: one for name, one in definitions.items() if name not in change["gone"]}
        definitions.update(change["definitions"])
    reference = {"$ref": f"#/definitions/{body['kinds'][kind]}", "definitions": definitions}
    return jsonschema.Draft202012Validator(reference)


def problems(body: dict[str, Any], version: str = VERSIONS[-1]) -> list[str]:
    """What a server of that version would not take: fields that it does not know, and values of another type."""
    found = []
    for error in _validator(version, body["kind"]).iter_errors(body):
        place = ".".join(str(part) for part in error.absolute_path)
        if error.validator == "additionalProperties":
            known = error.schema["properties"]
            for name in sorted(set(error.instance) - set(known)):
                found.append(f'unknown field "{place + "." if place else ""}{name}"')
        else:
            found.append(f"{place}: {error.message}")
    return found
