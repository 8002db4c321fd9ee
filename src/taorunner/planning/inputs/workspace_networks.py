"""The networks available in a workspace: those of the catalog and those of its own files.

``<workspace>/networks/NAME.yml`` adds a network, or replaces the catalog's network of that name. The format is the
catalog's (``catalog/data/README.md``). These files are not trusted: a network with a problem in its file is not
available, and each problem is a finding with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.load import Catalog, joined, near_network
from taorunner.catalog.names import network_names, own_network_names
from taorunner.catalog.network import Network
from taorunner.contracts import Framework
from taorunner.errors import Finding, UnknownNameError, UserFilesError, has_errors
from taorunner.planning.inputs.argv import VALUES
from taorunner.project.diagnostics import FindingList, shown
from taorunner.project.text_files import read_text_file
from taorunner.text import did_you_mean, printable
from taorunner.values.value import MutableValue, Value, field
from taorunner.yaml_reader import MAX_BYTES, YamlDocument, read_yaml

_NAME = re.compile(r"\{([^{}]*?)[*?]?\}")


class _OwnFile(Value):
    path: Path
    document: YamlDocument
    findings: tuple[Finding, ...]

    @property
    def body(self) -> dict[str, Any]:
        return self.document.value if isinstance(self.document.value, dict) else {}


class Networks(MutableValue):
    """The catalog with the files of ``folder``, None where there is no workspace. Each file is read on first use."""

    folder: Path | None = None
    catalog: Catalog = field(default_factory=Catalog)
    _files: dict[str, _OwnFile] = field(default_factory=dict)
    _loaded: dict[str, Network] = field(default_factory=dict)
    _own: tuple[str, ...] | None = None
    _shipped: frozenset[str] = frozenset()

    @property
    def own(self) -> tuple[str, ...]:
        """Networks with a file in the workspace, sorted."""
        if self._own is None:
            self._own = () if self.folder is None else own_network_names(str(self.folder))
        return self._own

    @property
    def names(self) -> tuple[str, ...]:
        """Every head that experiments.yml may name, sorted."""
        return tuple(sorted({*network_names(), *self.own}))

    def load(self, name: str) -> Network:
        """Raises UserFilesError: with the nearest name, or with the findings in the workspace's file."""
        if name not in self.own:
            self._shipped = self._shipped or frozenset(network_names())
            if name not in self._shipped:
                hint = near_network(name, self.names)
                raise UnknownNameError(f'"{printable(name)}" is not a network of the catalog', hint=hint)
            return self.catalog.network(name)
        if name not in self._loaded:
            findings = self._findings(name)
            if has_errors(findings):
                message = f'the workspace\'s own file for "{name}" has problems'
                raise UserFilesError(message, findings=findings)
        return self._loaded[name]

    def layout(self, name: str) -> DataLayout | None:
        """What the network reads of a dataset; that of the catalog's network that an own one is like, else None."""
        current: str | None = name
        seen: set[str] = set()
        while current in self.own and current not in seen:
            seen.add(current)
            current = self._file(current).body.get("like")
        return self.catalog.layout(current) if isinstance(current, str) else None

    def check(self) -> list[Finding]:
        """All problems in the workspace's own files, including files of unused networks."""
        return [finding for name in self.own for finding in self._findings(name)]

    def _findings(self, name: str) -> tuple[Finding, ...]:
        file = self._file(name)
        if has_errors(file.findings):
            return file.findings
        found = FindingList(file.path, file.document.place)
        body = self._joined(name, found)
        if body is not None and not found.findings:
            self._use(name, body, file, found)
        return (*file.findings, *found.sorted())

    def _file(self, name: str) -> _OwnFile:
        if name not in self._files:
            # Imported here: it needs every console pattern, and few workspaces have networks of their own.
            from taorunner.planning.inputs.network_file_check import check_network_file, is_network_name

            assert self.folder is not None
            path = self.folder / f"{name}.yml"
            text = read_text_file(path, max_bytes=MAX_BYTES)
            document = YamlDocument() if text.text is None else read_yaml(text.text)
            found = FindingList(path, document.place, list(text.findings))
            found.take(document.problems)
            if not is_network_name(name):
                hint = "small letters, digits and underscores, the first a letter"
                found.error("wrong-name", f'"{shown(name)}" cannot be the name of a network', hint=hint)
            if not found.findings:
                known = {
                    family: tables
                    for family, tables in self.catalog.families().items()
                    if family != Framework.EMBEDDED.value
                }
                check_network_file(
                    document.value,
                    found,
                    networks=self.names,
                    families=known,
                    images=self.catalog.image_kinds(),
                )
            self._files[name] = _OwnFile(path, document, found.sorted())
        return self._files[name]

    def _joined(self, name: str, found: FindingList) -> dict[str, Any] | None:
        """The file's content after ``like`` was followed, also from one own file to the next."""
        bodies: list[dict[str, Any]] = []
        seen: list[str] = []
        current = name
        while current in self.own and current not in seen[-1:]:
            if current in seen:
                way = '", which is like "'.join([*seen, current])
                found.error("like-circle", f'"{way}"', ("like",), hint='one of them has to do without "like"')
                return None
            file = self._file(current)
            if has_errors(file.findings):
                message = f'"{current}", which this is like, has problems'
                found.error("like-unusable", message, ("like",), hint=f"correct {file.path}")
                return None
            bodies.append(file.body)
            seen.append(current)
            model = file.body.get("like")
            if model is None:
                break
            current = model
        if bodies[-1].get("like") is not None:
            if current not in network_names():
                found.error("like-circle", f'"{current}" is like itself', ("like",), hint='leave "like" out')
                return None
            bodies.append(self.catalog.network_body(current))
        whole = bodies.pop()
        while bodies:
            whole = joined(whole, bodies.pop())
        return whole

    def _use(self, name: str, body: Mapping[str, Any], file: _OwnFile, found: FindingList) -> None:
        """Builds every contract once, to report problems that only the whole network shows."""
        families = self.catalog.families()
        for group, facts in body["groups"].items():
            at = ("groups", group)
            if not facts.get("family") or not facts.get("actions"):
                found.error("missing-key", f'"{group}" needs "family" and "actions"', at, of_key=True)
            elif unknown := sorted(_used(facts) - set(families[facts["family"]])):
                known = families[facts["family"]]
                message = f'"{unknown[0]}" is not a table of the family "{facts["family"]}"'
                found.error("wrong-value", message, at, hint=did_you_mean(unknown[0], known))
        if found.findings:
            return
        network = self.catalog.network_from(body, name, file.path)
        if network.groups[0].image is not None and not network.releases:
            found.error(
                "no-release", f'"{name}" is in no release', ("groups", network.groups[0].name), of_key=True
            )
            return
        reported: set[tuple[str, str]] = set()
        for release in network.releases or (None,):
            for action, contract in network.contracts(release).items():
                for place, word in _left_over(contract):
                    if (place, word) not in reported:
                        reported.add((place, word))
                        where = ("groups", contract.group, "actions", contract.action)
                        hint = did_you_mean(word, VALUES) if place == "arguments" else None
                        message = f'"{{{shown(word)}}}" in {place} of "{action}" has no meaning'
                        hint = hint or f'give it in "words": {{{word}: …}}'
                        found.error("unknown-word", message, where, hint=hint, of_key=True)
        if not found.findings:
            self._loaded[name] = network


def _used(facts: Mapping[str, Any]) -> set[str]:
    layers = (facts, *((facts.get("actions") or {}).values()))
    return {table for layer in layers for table in (layer or {}).get("uses") or ()}


def _left_over(contract: Any) -> Iterator[tuple[str, str]]:
    """Placeholders that no word and no value replaces, each with the place that contains it."""
    spec = contract.spec
    filled = {
        "arguments": [token for argument in contract.arguments for token in argument.tokens],
        "value_forms": list(contract.value_forms.values()),
        "artifacts": list(contract.verdict.artifacts),
    }
    plain = {
        "command": list(contract.command),
        "status_files": list(contract.progress.status_files),
        "checkpoints": [*contract.checkpoints.globs, contract.checkpoints.latest or ""],
        "results_subdir": [contract.results_subdir],
        "spec": [*spec.stems, *spec.keys.values()] if spec else [],
    }
    for known, places in ((VALUES, filled), ({}, plain)):
        for place, texts in places.items():
            for text in texts:
                yield from ((place, match[1]) for match in _NAME.finditer(text) if match[1] not in known)
