"""Reads the files of the catalog.

``tests/catalog`` checks them strictly; they are not checked again here, so reading is fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from taorunner.catalog.layers import Block
from taorunner.catalog.layouts import DataLayout, layout_from
from taorunner.catalog.names import network_names
from taorunner.catalog.network import Group, Network, Release
from taorunner.catalog.older_specs import OLD_NETWORKS
from taorunner.contracts import Framework
from taorunner.errors import TaorunnerError, UnknownNameError, UserFilesError
from taorunner.text import did_you_mean, nearest
from taorunner.yaml_reader import read_yaml

__all__ = ["DATA", "Catalog", "joined", "load_network", "network_names"]

DATA = Path(__file__).parent / "data"


def near_network(word: str, known: Iterable[str]) -> str:
    """The hint for a name that no network has."""
    if word in OLD_NETWORKS:
        return f"older releases had that name; today it is {' or '.join(OLD_NETWORKS[word])}"
    close = nearest(word, known)
    return f'did you mean "{close}"?' if close is not None else "taorunner networks lists them"


class Catalog:
    """The networks, families and releases that come with taorunner. Each file is read once by one object."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, Any]] = {}
        self._networks: dict[str, Network] = {}
        self._layouts: dict[str, DataLayout | None] = {}
        self._known_releases: tuple[Release, ...] | None = None

    def network(self, name: str) -> Network:
        """The network of that name. Raises UnknownNameError with the nearest name."""
        if name not in self._networks:
            if name not in network_names():
                hint = near_network(name, network_names())
                raise UnknownNameError(f'"{name}" is not a network of the catalog', hint=hint)
            self._networks[name] = self.network_from(self.network_body(name), name)
        return self._networks[name]

    def families(self) -> dict[str, tuple[str, ...]]:
        """Every family with the names of its tables."""
        names = sorted(path.stem for path in (DATA / "families").glob("*.yml"))
        return {name: tuple(self._read(f"families/{name}.yml").get("tables") or ()) for name in names}

    def image_kinds(self) -> tuple[str, ...]:
        """The kinds of images that releases have tags for: pyt, tf1, deploy, …"""
        return tuple(dict.fromkeys(kind for release in self._releases() for kind in release.tags))

    def image_of_kind(self, kind: str, release: str | None = None) -> str:
        """The image of one kind, of the named release or else of the default one that has it.

        Raises:
            UserFilesError: no such kind, no such release, or no tag is known.
        """
        kind, kinds = kind.replace("_", "-"), self.image_kinds()
        if kind not in kinds:
            raise UnknownNameError(f'there is no image group "{kind}"', hint=did_you_mean(kind, kinds))
        having = [known for known in self._releases() if known.tags.get(kind) is not None]
        wanted = None if release is None else release.strip().removeprefix("v")
        fitting = [known for known in having if wanted in (known.name, known.name.removesuffix(".0"))]
        if wanted is None:
            fitting = [known for known in having if known.public and not known.by_name]
        if not fitting:
            names = ", ".join(known.name for known in having)
            raise UserFilesError(
                f'no image of the group "{kind}" is known for TAO release "{release}"',
                hint=f"releases that have it: {names}; or add --image IMAGE",
            )
        tag, registry = str(fitting[-1].tags[kind]), str(self._read("releases.yml")["registry"])
        return f"{registry.rpartition('/')[0]}/{tag}" if ":" in tag else f"{registry}:{tag}"

    def network_from(self, body: Mapping[str, Any], name: str, file: Path | None = None) -> Network:
        """A network from the content of its file, after ``like`` was followed. The content is not checked: see
        ``planning.inputs.workspace_networks``."""
        groups = tuple(self._group(group, facts) for group, facts in body["groups"].items())
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
            all_releases=self._releases(),
            registry=self._read("releases.yml")["registry"],
            file=file,
        )

    def network_body(self, name: str) -> dict[str, Any]:
        """The file's content, joined with that of the network that ``like`` names."""
        body = self._read(f"networks/{name}.yml")
        model = body.get("like")
        return body if model is None else joined(self.network_body(model), body)

    def layout(self, name: str) -> DataLayout | None:
        """What the network reads of a dataset; None for tools, and for a network that the catalog does not have."""
        if name not in self._layouts:
            body = self._layout_body(name)
            self._layouts[name] = None if body is None else layout_from(body, name)
        return self._layouts[name]

    def _layout_body(self, name: str) -> dict[str, Any] | None:
        if not (DATA / "layouts" / f"{name}.yml").is_file():
            return None
        body = self._read(f"layouts/{name}.yml")
        model = body.get("like")
        below = self._layout_body(model) if model is not None else None
        return body if below is None else joined(below, body)

    def _group(self, name: str, facts: Mapping[str, Any]) -> Group:
        family = self._read(f"families/{facts['family']}.yml")
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

    def _releases(self) -> tuple[Release, ...]:
        if self._known_releases is None:
            self._known_releases = tuple(
                Release(
                    name=str(name),
                    tags=facts["tags"],
                    exceptions=facts.get("exceptions") or {},
                    public=facts.get("public", True),
                    by_name=facts.get("by_name", False),
                )
                for name, facts in self._read("releases.yml")["releases"].items()
            )
        return self._known_releases

    def _read(self, path: str) -> dict[str, Any]:
        if path not in self._files:
            document = read_yaml((DATA / path).read_text(encoding="utf-8"))
            if document.problems:
                problem = document.problems[0]
                raise TaorunnerError(
                    f"catalog/data/{path}:{problem.line}:{problem.column}: {problem.message}"
                )
            self._files[path] = document.value
        return self._files[path]


def load_network(name: str) -> Network:
    """One network, read from its file. Raises UserFilesError with the nearest name."""
    return Catalog().network(name)


def joined(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` wins: mappings are merged, other values replaced."""
    result = dict(below)
    for key, value in above.items():
        present = result.get(key)
        if isinstance(value, dict) and isinstance(present, dict):
            value = joined(present, value)
        result[key] = value
    return result
