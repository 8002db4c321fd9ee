"""Reads experiments.yml and reports all of its problems at once.

``load_project`` never raises for bad content; the findings have the problem, the place and the next step. Networks are
not checked here: callers that know the catalog report problems of a head with ``Project.place``.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from typing import Any

from taorunner.errors import Finding, Severity, TaorunnerError, has_errors
from taorunner.project import keys
from taorunner.project.clusters.cluster_file import Clusters, load_clusters
from taorunner.project.clusters.placing import Misplaced, placed_on
from taorunner.project.diagnostics import FindingList, Vocabulary, described, report, shown
from taorunner.project.experiments import MERGED, Experiment, resolve_experiments
from taorunner.project.sweeps.definition import Sweep
from taorunner.project.text_files import read_text_file
from taorunner.project.tracking.words import without_wrong_track
from taorunner.project.workspace import NAME_RULE, ProjectPaths, Workspace, is_name
from taorunner.target_names import target_names
from taorunner.targets import DOCKER, target_of
from taorunner.values.value import replace
from taorunner.yaml_reader import MAX_BYTES, Place, YamlDocument, read_yaml

__all__ = ["Experiment", "Project", "load_project"]

MAX_EXPERIMENTS = 20_000
SWEEP = "sweeps/"
"""Begins the owner of a sweep's lines."""
_ONE_EXAMPLE = 'write "experiments:" and below it a name with "head" and "dataset"'


@dataclass(frozen=True, slots=True)
class Project:
    """``experiments`` are the usable ones, ``findings`` all problems, both in the order of the file.

    ``clusters`` are those of clusters.yml, None where no experiment names one. ``sweeps`` are the usable ones,
    ``draft_sweeps`` those with errors that are understood nevertheless.
    """

    paths: ProjectPaths
    experiments: Mapping[str, Experiment]
    findings: tuple[Finding, ...]
    clusters: Clusters | None = None
    sweeps: Mapping[str, Sweep] = field(default_factory=dict)
    draft_sweeps: Mapping[str, Sweep] = field(default_factory=dict)
    _document: YamlDocument = field(default_factory=YamlDocument, repr=False, compare=False)
    _data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _starts: list[tuple[int, str | None]] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.paths.name

    @property
    def names(self) -> tuple[str, ...]:
        """All experiments in the file, usable or not."""
        return tuple(name for name in _mapping(self._data.get("experiments")) if isinstance(name, str))

    @property
    def has_errors(self) -> bool:
        return has_errors(self.findings)

    def place(self, path: Sequence[str | int], *, of_key: bool = False) -> Place:
        """(line, column) in experiments.yml of the value at ``path`` (or of its key).

        An inherited key has the place where it is written. A key that is written nowhere has the place of the
        experiment's name.
        """
        if len(path) >= 3 and path[0] == "experiments":
            key, rest = path[2], path[3:]
            origin = self._origin(path[1], key, *rest[:1] if key in MERGED else ())
            if origin is None:
                return self._document.place(path[:2], of_key=True)
            path = (*origin, key, *rest)
        return self._document.place(path, of_key=of_key)

    def finding(
        self,
        severity: Severity,
        code: str,
        message: str,
        path: Sequence[str | int],
        *,
        hint: str | None = None,
        of_key: bool = False,
    ) -> Finding:
        """A finding about the value at ``path``; see ``place``."""
        return Finding(
            severity, code, message, hint, self.paths.experiments_file, *self.place(path, of_key=of_key)
        )

    def head_of(self, name: str) -> str | None:
        """The head of an experiment, also of an unusable one."""
        origin = self._origin(name, "head")
        value = (
            _mapping(_mapping(self._data.get("experiments")).get(origin[-1])).get("head") if origin else None
        )
        return value if isinstance(value, str) else None

    def default(self, key: str) -> Any:
        """The value of ``tao_config``, for all experiments that have none of their own; None without one."""
        return _mapping(self._data.get("tao_config")).get(key)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """The experiments that ``name`` extends, nearest first, unusable ones included."""
        return self._family(name)[1:]

    def layers(self, name: str, key: str) -> list[tuple[str, Mapping[Any, Any]]]:
        """The mappings under ``key`` of ``name`` and its ancestors, nearest first, each with its experiment."""
        entries = _mapping(self._data.get("experiments"))
        found = [(each, _mapping(_mapping(entries[each]).get(key))) for each in self._family(name)]
        return [layer for layer in found if layer[1]]

    def owner_of_line(self, line: int) -> str | None:
        """The experiment at a line of the file, or ``sweeps/NAME``; None outside of all, and when several share it."""
        starts = self._starts
        if not starts:
            starts.extend(self._owned_lines())
        last = bisect_right(starts, line, key=lambda one: one[0]) - 1
        return starts[last][1] if last >= 0 else None

    def _owned_lines(self) -> list[tuple[int, str | None]]:
        """(first line, owner) in the order of lines; None for no or several owners."""
        owners: dict[int, str | None] = {}
        for name in self.names:
            line = self._document.place(("experiments", name), of_key=True)[0]
            owners[line] = None if line in owners else name
        for name in _mapping(self._data.get("sweeps")):
            line = self._document.place(("sweeps", name), of_key=True)[0]
            owners[line] = None if line in owners else f"{SWEEP}{name}"
        owners.update((self._document.place((key,), of_key=True)[0], None) for key in self._data)
        return sorted(owners.items(), key=lambda one: one[0])

    def _family(self, name: str | int) -> tuple[str, ...]:
        entries = _mapping(self._data.get("experiments"))
        seen: dict[str, None] = {}
        current: Any = name
        while isinstance(current, str) and current in entries and current not in seen:
            seen[current] = None
            current = _mapping(entries[current]).get("extends")
        return tuple(seen)

    def _origin(self, name: str | int, key: str | int, *inner: str | int) -> tuple[str, ...] | None:
        """The path of the entry that sets ``key``; with ``inner``, that sets the name inside a merged mapping."""
        entries = _mapping(self._data.get("experiments"))
        having = [each for each in self._family(name) if key in _mapping(entries[each])]
        for each in having:
            if not inner or inner[0] in _mapping(entries[each][key]):
                return ("experiments", each)
        base = _mapping(self._data.get("tao_config"))
        if having and not (inner and inner[0] in _mapping(base.get(key))):
            return ("experiments", having[0])
        return ("tao_config",) if key in base else None


def load_project(workspace: Workspace, name: str, environ: Mapping[str, str] | None = None) -> Project:
    """Reads and checks ``projects/<name>/experiments.yml``. Never raises for bad content, never writes.

    ``environ``, ours by default, says where the user's clusters.yml is.
    """
    project = _loaded(workspace, name)
    if not any(experiment.cluster for experiment in project.experiments.values()):
        return project
    return _placed(project, load_clusters(workspace, os.environ if environ is None else environ))


def _placed(project: Project, clusters: Clusters) -> Project:
    """With each experiment on its cluster, or a finding."""
    experiments: dict[str, Experiment] = {}
    found: list[Finding] = []
    for name, experiment in project.experiments.items():
        placed = placed_on(experiment, clusters)
        if isinstance(placed, Misplaced):
            path = ("experiments", name, placed.key)
            found.append(project.finding(Severity.ERROR, placed.code, placed.message, path, hint=placed.hint))
        experiments[name] = experiment if isinstance(placed, Misplaced) else placed
    findings = (*project.findings, *dict.fromkeys(found))
    return with_fields(project, experiments=experiments, findings=findings, clusters=clusters)


def _loaded(workspace: Workspace, name: str) -> Project:
    paths = workspace.project(name)
    file = paths.experiments_file
    if not is_name(name):
        message = f'"{shown(name)}" cannot be the name of a project'
        finding = Finding(
            Severity.ERROR, "wrong-name", message, f"a name is made of {NAME_RULE}", workspace.projects_dir
        )
        return Project(paths, {}, (finding,))
    read = read_text_file(file, max_bytes=MAX_BYTES)
    if read.text is None:
        return Project(paths, {}, read.findings)
    document = read_yaml(read.text)
    to = FindingList(file, document.place)
    to.take(document.problems)
    data = document.value
    if not isinstance(data, dict):
        if not document.problems:
            _report_top(data, to)
        return Project(paths, {}, to.sorted(), _document=document)
    experiments = _checked(data, paths, to)
    sweeps: Mapping[str, Sweep] = {}
    drafts: Mapping[str, Sweep] = {}
    if data.get("sweeps") is not None:
        from taorunner.project.sweeps.reading import read_sweeps  # few files have them

        read_ones = read_sweeps(data["sweeps"], _mapping(data.get("experiments")), to)
        sweeps, drafts = read_ones.usable, read_ones.drafts
    return Project(paths, experiments, to.sorted(), None, sweeps, drafts, document, data)


def _report_top(data: Any, to: FindingList) -> None:
    if data is None:
        to.error("empty-file", f'"{to.file.name}" is empty', hint=_ONE_EXAMPLE)
    else:
        to.error("wrong-type", f"the file must be a mapping, not {described(data)}", hint=_ONE_EXAMPLE)


def _checked(data: dict[Any, Any], paths: ProjectPaths, to: FindingList) -> dict[str, Experiment]:
    for key in data:
        if key not in keys.FILE_KEYS:
            hint = _top_key_hint(key, data[key]) or to.suggestion(key, keys.FILE_KEYS)
            to.error("unknown-key", f'unknown key "{shown(key)}"', (key,), hint=hint, of_key=True)
    tao_config = _checked_tao_config(data.get("tao_config"), to)
    entries = data.get("experiments")
    if "experiments" not in data:
        to.error("missing-key", '"experiments" is missing', hint=_ONE_EXAMPLE)
    elif entries is None or entries == {}:
        to.error(
            "no-experiments",
            '"experiments" names no experiment',
            ("experiments",),
            hint=_ONE_EXAMPLE,
            of_key=True,
        )
    elif not isinstance(entries, dict):
        message = f'"experiments" must be a mapping of names to experiments, not {described(entries)}'
        to.error("wrong-type", message, ("experiments",), hint='write "name:" instead of "- name"')
    elif len(entries) > MAX_EXPERIMENTS:
        message = f"{len(entries)} experiments are more than {MAX_EXPERIMENTS}"
        to.error(
            "too-many-experiments", message, ("experiments",), hint="split them into projects", of_key=True
        )
    else:
        words = _WordsOnce(_EXPERIMENT_WORDS)
        good = {name for name, entry in entries.items() if _is_good(name, entry, words, to)}
        named = {
            name: entry
            for name, entry in entries.items()
            if isinstance(name, str) and isinstance(entry, dict)
        }
        return resolve_experiments(tao_config, named, good, entries, paths, to)
    return {}


def _checked_tao_config(value: Any, to: FindingList) -> dict[str, Any]:
    """``tao_config``, or an empty mapping after a finding."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        to.error("wrong-type", f'"tao_config" must be a mapping, not {described(value)}', ("tao_config",))
        return {}
    if keys.are_plain(value, keys.TAO_CONFIG_KEYS):
        return value
    value = without_wrong_track(value, ("tao_config",), to)
    from pydantic import ValidationError

    from taorunner.project.models import check_tao_config

    try:
        check_tao_config(value)
    except ValidationError as error:
        report(error, value, ("tao_config",), _with_backends(_TAO_CONFIG_WORDS), to)
        return {}
    return value if _backend_loads(value, ("tao_config",), to) else {}


def _is_good(name: Any, entry: Any, words: _WordsOnce, to: FindingList) -> bool:
    path = ("experiments", name)
    good = True
    if not isinstance(name, str):
        message = f"the name of an experiment must be a text, not {described(name)}"
        to.error("wrong-name", message, path, hint="put it in quotes", of_key=True)
        good = False
    elif not is_name(name):
        why = "TAO's shell would split or change it"
        message = f'"{shown(name)}" cannot be the name of an experiment: {why}'
        to.error("wrong-name", message, path, hint=f"use {NAME_RULE}", of_key=True)
        good = False
    if not isinstance(entry, dict):
        hint = 'write "head" and "dataset" below it' if entry is None else None
        message = f'experiment "{shown(name)}" must be a mapping, not {described(entry)}'
        to.error("wrong-type", message, path, hint=hint, of_key=entry is None)
        return False
    if keys.are_plain(entry, keys.EXPERIMENT_KEYS):
        return good
    checked = without_wrong_track(entry, path, to)
    from pydantic import ValidationError

    from taorunner.project.models import check_experiment

    try:
        check_experiment(checked)
    except ValidationError as error:
        report(error, checked, path, words.get(), to)
        return False
    return _backend_loads(entry, path, to) and good and checked is entry


def _backend_loads(entry: Mapping[Any, Any], path: tuple[str, ...], to: FindingList) -> bool:
    """False after a finding: the package that brings the backend is broken."""
    try:
        target_of(entry.get("backend", DOCKER.name))
    except TaorunnerError as error:
        to.error("broken-backend", error.message, (*path, "backend"), hint=error.hint)
        return False
    return True


class _WordsOnce:
    """``_with_backends`` for many mistakes of one file: the installed packages are read for the first."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words
        self._with: Vocabulary | None = None

    def get(self) -> Vocabulary:
        if self._with is None:
            self._with = _with_backends(self._words)
        return self._with


def _with_backends(words: Vocabulary) -> Vocabulary:
    """With the names of the installed backends, which are only read when a mistake is reported."""
    names = target_names()
    expected = f"{', '.join(names[:-1])} or {names[-1]}"
    return replace(words, expected={**words.expected, "backend": expected})


def _top_key_hint(key: Any, value: Any) -> str | None:
    if key in keys.TAO_CONFIG_KEYS:
        return f'"{key}" belongs below "tao_config"'
    if isinstance(value, dict) and ("head" in value or "extends" in value):
        return 'is it an experiment? move it below "experiments:"'
    return None


def _tao_config_key_hint(key: str) -> str | None:
    return f'"{key}" belongs to an experiment' if key in keys.EXPERIMENT_KEYS else None


def _experiment_key_hint(key: str) -> str | None:
    return f'"{key}" belongs to the top of the file, not to an experiment' if key in keys.FILE_KEYS else None


_TAO_CONFIG_WORDS = Vocabulary(
    {key: keys.EXPECTED[key] for key in keys.TAO_CONFIG_KEYS},
    keys.SECRET_KEYS,
    _tao_config_key_hint,
    keys.value_hint,
)
_EXPERIMENT_WORDS = Vocabulary(
    {key: keys.EXPECTED[key] for key in keys.EXPERIMENT_KEYS},
    keys.SECRET_KEYS,
    _experiment_key_hint,
    keys.value_hint,
)


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}
