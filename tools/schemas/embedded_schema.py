"""Writes the spec schema of the embedded network, out of its own dataclasses.

    python tools/schemas/embedded_schema.py [FOLDER]

Its release is ``embedded``. ``tools/schemas/spec_schemas.py`` takes it in when it writes those of TAO.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from taorunner.embedded.network import BACKBONES
from taorunner.embedded.spec import Spec
from taorunner.specs.extract.dataclass_schemas import keys_of
from taorunner.specs.schema.schema import SCHEMAS
from taorunner.specs.schema.storage import SchemaFile

NAME, RELEASE = "tinydet", "embedded"


def embedded_schema() -> SchemaFile:
    """The schema as a file of ``SCHEMAS``."""
    tree = keys_of(Spec)
    tree["model"]["keys"]["backbone"]["options"] = list(BACKBONES)
    for section in tree.values():
        for key in section.get("keys", {}).values():
            if "min" in key or "options" in key:
                key["enforced"] = True
    file = SchemaFile("yaml")
    file.add(RELEASE, tree)
    return file


def write(folder: Path) -> None:
    """Writes the file, and its name into the index."""
    (folder / f"{NAME}.json").write_text(embedded_schema().to_json(), encoding="utf-8")
    place = folder / "index.json"
    index = json.loads(place.read_text(encoding="utf-8"))
    index["schemas"] = sorted({*index["schemas"], NAME})
    place.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else SCHEMAS)
