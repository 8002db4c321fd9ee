"""Reads clusters.yml: the engines elsewhere by name, each with its backend, the settings of that, and limits.

The file beside ``projects/`` comes first, then the one in the user's configuration folder; an entry of the workspace
replaces the user's entry of that name. Never raises for bad content: the findings have the place and the next step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from taorunner.errors import Finding, Severity, TaorunnerError
from taorunner.project import limits
from taorunner.project.diagnostics import FindingList, described, shown
from taorunner.project.limits import MAX_CPUS, MAX_NODES, Limits
from taorunner.project.text_files import read_text_file
from taorunner.project.workspace import CLUSTERS_FILE, NAME_RULE, Workspace, cluster_files, is_name
from taorunner.target_names import target_names
from taorunner.targets import SETTINGS_PREFIX, SettingProblem, Target, meant_by, target_of
from taorunner.text import amount, did_you_mean
from taorunner.values.value import Value, field, replace
from taorunner.yaml_reader import MAX_BYTES, YamlDocument, read_yaml

MAX_CLUSTERS = 200
LIMIT_KEYS = tuple(limits.EXPECTED)
OWN_KEYS = ("backend", *LIMIT_KEYS)
"""The keys of an entry that no backend defines."""
UNKNOWN, BROKEN = "unknown-cluster", "broken-cluster"

_EXAMPLE = 'write "clusters:" and below it a name with "backend:"'


class Cluster(Value):
    """One usable entry. ``limits`` hold for runs that say nothing themselves, ``settings`` are those of the backend.

    ``line`` and ``column`` are the place of its name in ``file``.
    """

    name: str
    backend: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = limits.NO_LIMITS
    file: Path | None = None
    line: int | None = None
    column: int | None = None

    @property
    def target(self) -> Target:
        """Raises what ``target_of`` raises."""
        return target_of(self.backend)

    @property
    def host(self) -> str | None:
        """The machine that takes the commands, where the backend has such a setting."""
        host = self.settings.get("host")
        return host if isinstance(host, str) else None


class Clusters(Value):
    """``usable`` in the order of names. ``names`` are those of all entries; ``of_entries`` the findings of each, and
    ``of_files`` those of the files as a whole."""

    usable: Mapping[str, Cluster] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    of_entries: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    of_files: tuple[Finding, ...] = ()
    place: Path | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them."""
        return (*self.of_files, *(finding for found in self.of_entries.values() for finding in found))

    def findings_of(self, name: str) -> tuple[Finding, ...]:
        """What keeps ``name`` from being used: its own findings, or those of the files where it is not in them."""
        return self.of_entries.get(name, ()) if name in self.names else self.of_files

    def hint_for(self, name: str) -> str:
        """The next step for a name that there is not."""
        meant = did_you_mean(name, self.names)
        if meant is not None:
            return meant
        if self.names:
            return f"there are {', '.join(self.names[:8])}" + (", …" if len(self.names) > 8 else "")
        return f'write "clusters: {{NAME: {{backend: slurm, host: LOGIN}}}}" into "{self.place}"'


def load_clusters(workspace: Workspace, environ: Mapping[str, str]) -> Clusters:
    """Every cluster of the workspace and of the user."""
    usable: dict[str, Cluster] = {}
    names: dict[str, None] = {}
    of_entries: dict[str, tuple[Finding, ...]] = {}
    of_files: list[Finding] = []
    for file in cluster_files(workspace.root, environ):
        if not os.path.lexists(file):
            continue
        read = _read(file, environ)
        of_files += read.of_files
        for name in read.names:
            names[name] = None
            of_entries[name] = read.of_entries.get(name, ())
            usable.pop(name, None)
        usable.update(read.usable)
    return Clusters(
        dict(sorted(usable.items())),
        tuple(sorted(names)),
        of_entries,
        tuple(of_files),
        workspace.clusters_file,
    )


def findings_about_clusters(workspace: Workspace, used: Clusters | None) -> Iterable[Finding]:
    """Those of the clusters that a project uses. One note where it uses none, and their files have errors."""
    if used is not None:
        return used.findings
    errors = [one for one in load_clusters(workspace, os.environ).findings if one.is_error]
    if not errors:
        return ()
    first = errors[0]
    message = f"{amount(len(errors), 'error')} in {CLUSTERS_FILE}, whose clusters no experiment here uses"
    hint = "taorunner clusters shows all of them"
    return (Finding(Severity.INFO, "clusters-broken", message, hint, first.file, first.line, first.column),)


def _read(file: Path, environ: Mapping[str, str]) -> Clusters:
    read = read_text_file(file, max_bytes=MAX_BYTES)
    if read.text is None:
        return Clusters(of_files=read.findings)
    document = read_yaml(read.text)
    to = FindingList(file, document.place)
    to.take(document.problems)
    data = document.value
    entries = data.get("clusters") if isinstance(data, dict) else None
    if isinstance(data, dict):
        for key in data:
            if key != "clusters":
                hint = _key_hint(key, data[key], to)
                to.error("unknown-key", f'unknown key "{shown(key)}"', (key,), hint=hint, of_key=True)
    if not isinstance(entries, dict):
        if not document.problems and not (data is None or (isinstance(data, dict) and entries is None)):
            what, path = (data, ()) if not isinstance(data, dict) else (entries, ("clusters",))
            to.error(
                "wrong-type",
                f'"clusters" must be a mapping of names, not {described(what)}',
                path,
                hint=_EXAMPLE,
            )
        return Clusters(of_files=to.sorted())
    if len(entries) > MAX_CLUSTERS:
        message = f"{len(entries)} clusters are more than {MAX_CLUSTERS}"
        to.error(
            "too-many-clusters", message, ("clusters",), hint="remove those that nobody uses", of_key=True
        )
        return Clusters(of_files=to.sorted())
    return _entries(entries, file, document, to, environ)


def _key_hint(key: object, value: object, to: FindingList) -> str | None:
    if isinstance(value, dict) and "backend" in value:
        return 'is it a cluster? move it below "clusters:"'
    return to.suggestion(key, ("clusters",))


def _entries(
    entries: Mapping[Any, Any],
    file: Path,
    document: YamlDocument,
    to: FindingList,
    environ: Mapping[str, str],
) -> Clusters:
    usable: dict[str, Cluster] = {}
    of_entries: dict[str, tuple[Finding, ...]] = {}
    for name, entry in entries.items():
        path = ("clusters", name)
        if not isinstance(name, str) or not is_name(name):
            message = f'"{shown(name)}" cannot be the name of a cluster'
            to.error("wrong-name", message, path, hint=f"use {NAME_RULE}", of_key=True)
            continue
        own = FindingList(file, document.place, suggestions=to.suggestions)
        cluster = _cluster(name, entry, own, environ)
        of_entries[name] = own.sorted()
        if cluster is not None and not own.findings:
            line, column = document.place(path, of_key=True)
            usable[name] = replace(cluster, file=file, line=line, column=column)
    return Clusters(usable, tuple(of_entries), of_entries, to.sorted())


def _cluster(name: str, entry: Any, to: FindingList, environ: Mapping[str, str]) -> Cluster | None:
    path = ("clusters", name)
    if not isinstance(entry, dict):
        message = f'cluster "{name}" must be a mapping, not {described(entry)}'
        to.error("wrong-type", message, path, hint='write "backend:" below it', of_key=entry is None)
        return None
    odd = [key for key in entry if not isinstance(key, str)]
    for key in odd:
        message = f"a key must be a text, not {described(key)}"
        to.error("wrong-name", message, (*path, key), hint="put it in quotes", of_key=True)
    target = _target(entry, path, to)
    if target is None:
        _limits(entry, path, to)
        return None
    settings = {
        key: value
        for key, value in entry.items()
        if isinstance(key, str) and value is not None and (key not in OWN_KEYS or key in target.settings)
    }
    looked_up = target.look_up(settings, environ)
    settings = settings if isinstance(looked_up, SettingProblem) else dict(looked_up)
    problems = [looked_up] if isinstance(looked_up, SettingProblem) else target.check_settings(settings)
    for problem in problems:
        hint = problem.hint
        if problem.of_key:
            known = tuple(dict.fromkeys((*OWN_KEYS, *target.settings)))
            hint = problem.hint if len(problem.path) > 1 else to.suggestion(str(problem.path[-1]), known)
            hint = hint or f"there are {', '.join(known)}"
        message = problem.message.replace(f'"{SETTINGS_PREFIX}', '"')
        to.error(problem.code, message, (*path, *problem.path), hint=hint, of_key=problem.of_key)
    return Cluster(name, target.name, settings, _limits(entry, path, to, target.settings))


def _target(entry: Mapping[Any, Any], path: tuple[str, ...], to: FindingList) -> Target | None:
    names = target_names()
    if entry.get("backend") is None:
        hint = f'write "backend:", one of {", ".join(names)}'
        to.error("missing-key", f'cluster "{path[-1]}" has no "backend"', path, hint=hint, of_key=True)
        return None
    backend = meant_by(entry["backend"], entry)
    if not isinstance(backend, str) or backend not in names:
        message = f'"backend" must be {_one_of(names)}, not {described(backend)}'
        to.error("wrong-value", message, (*path, "backend"), hint=to.suggestion(backend, names))
        return None
    try:
        return target_of(backend)
    except TaorunnerError as error:
        to.error("broken-backend", error.message, (*path, "backend"), hint=error.hint)
        return None


def _limits(
    entry: Mapping[Any, Any], path: tuple[str, ...], to: FindingList, checked: Container[str] = ()
) -> Limits:
    """Those of the entry. A wrong one is left out, and reported where the backend has not ``checked`` it."""
    readers: Mapping[str, Callable[[Any], int | None]] = {
        "nodes": lambda value: _count(value, MAX_NODES),
        "cpus": lambda value: _count(value, MAX_CPUS),
        "memory": limits.read_memory,
        "time": lambda value: limits.time_limit_s(value) if isinstance(value, str) else None,
    }
    found: dict[str, int | None] = {}
    for key in LIMIT_KEYS:
        value = entry.get(key)
        found[key] = None if value is None else readers[key](value)
        if value is not None and found[key] is None and key not in checked:
            meant = {"time": limits.time_hint, "memory": limits.size_hint}.get(key)
            hint = meant(value) if meant is not None else None
            message = f'"{key}" must be {limits.EXPECTED[key]}, not {described(value)}'
            to.error("wrong-value", message, (*path, key), hint=hint)
    return Limits(found["nodes"], found["cpus"], found["memory"], found["time"])


def _count(value: object, maximum: int) -> int | None:
    return value if type(value) is int and 1 <= value <= maximum else None


def _one_of(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


def unknown_cluster(name: str, clusters: Clusters) -> Finding:
    """For a name of the command line."""
    message = f'there is no cluster "{shown(name)}"'
    return Finding(Severity.ERROR, UNKNOWN, message, clusters.hint_for(name), typed=True)
