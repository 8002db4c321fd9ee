"""The list of pretrained models that comes with taorunner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from taorunner.pretrained.names import HubModel, NgcModel, parse_model
from taorunner.values.value import Value, replace


class KnownModel(Value):
    """``files``: as named in NVIDIA's notebooks, specs or scripts; empty when unknown."""

    name: str
    networks: tuple[str, ...]
    files: tuple[str, ...] = ()
    role: str | None = None
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.name, "networks": list(self.networks), "files": list(self.files), "role": self.role,
            "note": self.note,
        }  # fmt: skip


def known_models() -> tuple[KnownModel, ...]:
    """Sorted by name, read from the file at each call. Source: tao/pretrained.json."""
    rows = json.loads((Path(__file__).parent / "data" / "models.json").read_text(encoding="utf-8"))
    return tuple(
        KnownModel(
            row["model"],
            tuple(row["networks"]),
            tuple(row.get("files", ())),
            row.get("role"),
            row.get("note"),
        )
        for row in rows
    )


def models_for(network: str) -> tuple[KnownModel, ...]:
    return tuple(model for model in known_models() if network in model.networks)


def known_networks() -> tuple[str, ...]:
    return tuple(sorted({network for model in known_models() for network in model.networks}))


def model_of(repository: str, backbone: str) -> NgcModel | HubModel:
    """The model of an experiment's repository and backbone: one of the list, else one of nvidia/tao on NGC."""
    named = [model.name for model in known_models()]
    for hub in (parse_model(name) for name in named if name.startswith("hf://")):
        if (hub.name, hub.version) == (repository, backbone):
            return hub
    paths = [name for name in named if not name.startswith("hf://")]
    wanted = f"/{repository}:{backbone}"
    exact = [path for path in paths if path.endswith(wanted)]
    near = [path for path in paths if path.partition(":")[0].endswith(f"/{repository}")]
    for path in [*exact, *near]:
        found = parse_model(path)
        if isinstance(found, NgcModel):
            return replace(found, version=backbone)
    return NgcModel("nvidia", "tao", repository, backbone)
