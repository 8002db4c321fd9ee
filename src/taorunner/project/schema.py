"""The JSON Schema of experiments.yml, for ``taorunner schema`` and for completion in editors.

It is generated from the types that ``load`` validates with. Checks that a schema cannot express (nearest names, circles
of ``extends``, disagreeing counts) are made only by ``validate``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taorunner.project.models import file_schema
from taorunner.target_names import target_names

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def experiments_schema(heads: Sequence[str]) -> dict[str, Any]:
    """The schema, Draft 2020-12. ``heads`` are the accepted networks; without any, every name is accepted."""
    schema: dict[str, Any] = _tidy(file_schema())
    entry = schema["$defs"]["ExperimentEntry"]
    if heads:
        head = entry["properties"]["head"]
        entry["properties"]["head"] = {**head, "enum": sorted(heads), "examples": sorted(heads)[:1]}
    for part in (entry, schema["$defs"]["TaoConfig"]):
        part["properties"]["backend"]["enum"] = list(target_names())
    entry["anyOf"] = [{"required": ["head", "dataset"]}, {"required": ["extends"]}]
    return {"$schema": DIALECT, "title": "experiments.yml of taorunner", **schema}


def _tidy(part: Any) -> Any:
    """Refuses other names, and removes generated titles, which hide the descriptions in editors."""
    if isinstance(part, list):
        return [_tidy(each) for each in part]
    if not isinstance(part, dict):
        return part
    tidy = {key: _tidy(value) for key, value in part.items() if key != "title" or not isinstance(value, str)}
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    return tidy
