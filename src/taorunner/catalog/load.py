"""Reads the files of the catalog.

``tests/catalog`` checks them strictly; they are not checked again here, so reading is fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from taorunner.catalog.layers import Block
from taorunner.catalog.names import network_names
from taorunner.catalog.network import Group, Network, Release
from taorunner.contracts import Framework
from taorunner.errors import TaorunnerError, UserFilesError
from taorunner.text import did_you_mean
from taorunner.yaml_reader import read_yaml

__all__ = [
    "DATA", "families", "image_kinds", "image_of_kind", "joined", "load_network", "network_body", "network_from",
    "network_names",
]  # fmt: skip

DATA = Path(__file__).parent / "data"


@cache
def load_network(name: str) -> Network:
    """The network of that name. Raises UserFilesError for an unknown one, with the nearest name."""
    if name not in network_names():
        raise UserFilesError(
            f'"{name}" is not a network of the catalog', hint=did_you_mean(name, network_names())
        )
    return network_from(network_body(name), name)


def families() -> dict[str, tuple[str, ...]]:
    """The families with the names of their tables."""
    names = sorted(path.stem for path in (DATA / "families").glob("*.yml"))
    return {name: tuple(_read(f"families/{name}.yml").get("tables") or ()) for name in names}


def image_kinds() -> tuple[str, ...]:
    """The image kinds of all releases: pyt, tf1, deploy, …"""
    return tuple(dict.fromkeys(kind for release in _releases() for kind in release.tags))


def image_of_kind(kind: str, release: str | None = None) -> str:
    """The image of one kind in ``release``, by default in the newest public release that has it.

    Raises:
        UserFilesError: no such kind, no such release, or no tag is known.
    """
    kind = kind.replace("_", "-")
    if kind not in image_kinds():
        raise UserFilesError(f'there is no image group "{kind}"', hint=did_you_mean(kind, image_kinds()))
    having = [known for known in _releases() if known.tags.get(kind) is not None]
    wanted = None if release is None else release.strip().removeprefix("v")
    fitting = [known for known in having if wanted in (known.name, known.name.removesuffix(".0"))]
    if wanted is None:
        fitting = [known for known in having if known.public]
    if not fitting:
        names = ", ".join(known.name for known in having)
        raise UserFilesError(
            f'no image of the group "{kind}" is known for TAO release "{release}"',
            hint=f"releases that have it: {names}; or name the image with --image",
        )
    tag, registry = str(fitting[-1].tags[kind]), str(_read("releases.yml")["registry"])
    return f"{registry.rpartition('/')[0]}/{tag}" if ":" in tag else f"{registry}:{tag}"


def network_from(body: Mapping[str, Any], name: str, file: Path | None = None) -> Network:
    """Builds a network from the content of its file, after ``like`` was resolved. The content is not checked here; see
    ``planning.inputs.workspace_networks``."""
    groups = tuple(_group(group, facts) for group, facts in body["groups"].items())
    releases = _read("releases.yml")
    return Network(
        name=name,
        title=body["title"],
        purpose=body["purpose"],
        framework=groups[0].framework,
        trainable=bool(body.get("trainable", True)),
        needs=tuple(body.get("needs") or ()),
        optional=tuple(body.get("optional") or ()),
        groups=groups,
        traps=tuple(body.get("traps") or ()),
        sources=tuple(body.get("sources") or ()),
        words=body.get("words") or {},
        all_releases=_releases(),
        registry=releases["registry"],
        file=file,
    )


def _group(name: str, facts: Mapping[str, Any]) -> Group:
    family = _read(f"families/{facts['family']}.yml")
    tables: Mapping[str, Block] = family.get("tables") or {}
    blocks = (family, *(tables[table] for table in facts.get("uses") or ()), facts)
    limits = {
        action: {
            key: value
            for layer in ((family.get("actions") or {}).get(action), own)
            for key, value in (layer or {}).items()
            if key in ("since", "until")
        }
        for action, own in facts["actions"].items()
    }
    return Group(
        name=name,
        framework=Framework(family["framework"]),
        image=facts.get("image", family.get("image")),
        blocks=blocks,
        tables=tables,
        actions=limits,
        since=facts.get("since"),
        until=facts.get("until"),
    )


def network_body(name: str) -> dict[str, Any]:
    """The content of the file, merged over that of the network named by ``like``."""
    body = _read(f"networks/{name}.yml")
    model = body.get("like")
    return body if model is None else joined(network_body(model), body)


def joined(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` wins: mappings are merged, other values replaced."""
    result = dict(below)
    for key, value in above.items():
        present = result.get(key)
        if isinstance(value, dict) and isinstance(present, dict):
            value = joined(present, value)
        result[key] = value
    return result


@cache
def _releases() -> tuple[Release, ...]:
    body = _read("releases.yml")
    return tuple(
        Release(
            name=str(name),
            tags=facts["tags"],
            exceptions=facts.get("exceptions") or {},
            public=facts.get("public", True),
        )
        for name, facts in body["releases"].items()
    )


@cache
def _read(path: str) -> dict[str, Any]:
    document = read_yaml((DATA / path).read_text(encoding="utf-8"))
    if document.problems:
        problem = document.problems[0]
        raise TaorunnerError(f"catalog/data/{path}:{problem.line}:{problem.column}: {problem.message}")
    value: dict[str, Any] = document.value
    return value
