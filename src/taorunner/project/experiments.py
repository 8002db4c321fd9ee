"""Builds experiments from checked entries: ``tao_config``, then ``extends``, then the experiment's own keys.

Later values win. ``vars``, ``overrides``, ``env`` and ``backend_options`` are merged by name; ``tags`` and
``description`` are not inherited. The depth of ``extends`` is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

from taorunner.project.clusters.cluster_file import Cluster
from taorunner.project.diagnostics import FindingList, shown
from taorunner.project.limits import NO_LIMITS, Limits, size_bytes, time_limit_s
from taorunner.project.workspace import ProjectPaths
from taorunner.values.bounded_reading import whole_number
from taorunner.values.value import Value, field, replace

MAX_CHAIN = 32
MERGED = ("vars", "overrides", "env", "backend_options")
_OWN = ("extends", "tags", "description")


class Experiment(Value):
    """One usable experiment, with the values inherited from ``tao_config`` and ``extends``.

    ``gpus`` is None when the number is not set. ``gpu_ids`` are host ids (index or UUID), None for any free GPUs.
    ``model_key`` and the values of ``env`` are as in the file: ``env:NAME``, ``file:PATH`` or the secret itself.
    ``cluster`` names one of clusters.yml; ``on_cluster`` adds its settings to ``backend_options``, and its limits,
    which count where the experiment says nothing. ``written_options`` are the backend_options without them.
    ``spec_dirs`` are the folders searched for a spec file, in order; they need not exist. ``results_name`` is set for
    a trial of a sweep, which reads what its base converted and has results of its own.
    """

    name: str
    head: str
    dataset: str
    backbone: str | None = None
    repository: str | None = None
    model_key: str | None = field(default=None, repr=False)
    export_model: str | None = None
    export_type: str | None = None
    gpus: int | None = None
    gpu_ids: tuple[str, ...] | None = None
    limits: Limits = NO_LIMITS
    release: str | None = None
    image: str | None = None
    backend: str | None = None
    cluster: str | None = None
    cluster_limits: Limits = NO_LIMITS
    backend_options: Mapping[str, Any] = field(default_factory=dict)
    written_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    shm_bytes: int | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    track: Mapping[str, Any] = field(default_factory=dict)
    spec_dirs: tuple[Path, ...] = ()
    vars: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    tags: tuple[str, ...] = ()
    results_name: str | None = None

    @property
    def results(self) -> str:
        """The folder of its results below models/."""
        return self.results_name or self.name

    def on_cluster(self, cluster: Cluster) -> Experiment:
        """The same on ``cluster``. Its own options win, where they are for that backend."""
        keeps = self.backend == cluster.backend or (self.backend is None and self.cluster is not None)
        own = self.written_options if keeps else {}
        return replace(
            self, cluster=cluster.name, backend=cluster.backend, cluster_limits=cluster.limits,
            backend_options={**cluster.settings, **own},
        )  # fmt: skip

    def off_cluster(self) -> Experiment:
        """The same without its cluster."""
        return replace(self, cluster=None, cluster_limits=NO_LIMITS, backend_options=self.written_options)


def resolve_experiments(
    tao_config: dict[str, Any],
    entries: Mapping[str, dict[str, Any]],
    good: Set[str],
    known: Iterable[object],
    paths: ProjectPaths,
    to: FindingList,
) -> dict[str, Experiment]:
    """The usable experiments among ``entries``, in order.

    ``good`` are entries whose own keys and values are valid; the others are only checked for ``extends`` and missing
    keys. ``known`` are all names in the file.
    """
    base = _with_gpus({}, tao_config, ("tao_config",), to) or {}
    chains = _chains(entries, known, to)
    merged: dict[str, dict[str, Any] | None] = {}
    found: dict[str, Experiment] = {}
    for name in entries:
        chain = chains[name]
        if chain is None or _lacks_keys(name, chain, entries, to):
            continue
        values = _merge(chain, base, entries, good, merged, to)
        if values is not None:
            found[name] = _built(chain, values, paths)
    return found


def _chains(
    entries: Mapping[str, dict[str, Any]], known: Iterable[object], to: FindingList
) -> dict[str, tuple[str, ...] | None]:
    """For each name: itself, its parent, grandparent and so on; None after a finding."""
    names = [one for one in known if isinstance(one, str)]
    done: dict[str, tuple[str, ...] | None] = {}
    for name in entries:
        if name in done:
            continue
        waiting: dict[str, None] = {}
        current = name
        above: tuple[str, ...] | None = ()
        while current not in done:
            waiting[current] = None
            parent = entries[current].get("extends")
            if not isinstance(parent, str):
                break
            if parent in waiting or parent not in entries:
                if parent in waiting:
                    order = list(waiting)
                    _report_circle(order[order.index(parent) :], to)
                elif parent not in names:
                    _report_unknown(current, parent, names, to)
                above = None
                break
            current = parent
        else:
            above = done[current]
        for each in reversed(waiting):
            if above is not None and len(above) > MAX_CHAIN:
                message = f'experiment "{shown(each)}" extends a chain of more than {MAX_CHAIN} experiments'
                path = ("experiments", each, "extends")
                to.error("extends-too-deep", message, path, hint="extend an experiment earlier in the chain")
                above = None
            above = None if above is None else (each, *above)
            done[each] = above
    return done


def _report_unknown(name: str, parent: str, names: list[str], to: FindingList) -> None:
    message = f'experiment "{shown(name)}" extends "{shown(parent)}", which does not exist'
    hint = to.suggestion(parent, (one for one in names if one != name))
    to.error("unknown-experiment", message, ("experiments", name, "extends"), hint=hint)


def _report_circle(circle: list[str], to: FindingList) -> None:
    start = circle[0]
    message = f'experiment "{shown(start)}" extends itself'
    if len(circle) > 1:
        names = [shown(name) for name in (*circle[:8], *(["…"] if len(circle) > 8 else []), start)]
        message += f": {' → '.join(names)}"
    to.error("extends-itself", message, ("experiments", start, "extends"), hint='remove one "extends" of it')


def _lacks_keys(
    name: str, chain: tuple[str, ...], entries: Mapping[str, dict[str, Any]], to: FindingList
) -> bool:
    missing = [key for key in ("head", "dataset") if not any(key in entries[each] for each in chain)]
    for key in missing:
        message = f'experiment "{shown(name)}" has no "{key}"'
        hint = 'the network: "taorunner networks" lists them' if key == "head" else "the folder below data/"
        to.error("missing-key", message, ("experiments", name), hint=f'write "{key}:", {hint}', of_key=True)
    return bool(missing)


def _merge(
    chain: tuple[str, ...],
    base: dict[str, Any],
    entries: Mapping[str, dict[str, Any]],
    good: Set[str],
    merged: dict[str, dict[str, Any] | None],
    to: FindingList,
) -> dict[str, Any] | None:
    """All values of ``chain[0]``; None when it or one of its parents is not usable."""
    below: dict[str, Any] | None = base
    for name in reversed(chain):
        if name not in merged:
            usable = below is not None and name in good
            path = ("experiments", name)
            merged[name] = _with_gpus(below or {}, entries[name], path, to) if usable else None
        below = merged[name]
    return below


def _with_gpus(
    below: Mapping[str, Any], entry: Mapping[str, Any], path: tuple[str, ...], to: FindingList
) -> dict[str, Any] | None:
    """``entry`` over ``below``, with ``gpus`` and ``gpu_indices`` treated together. None after a finding.

    Its own list sets the number. Its own number must match an inherited list, because dropping the list would let the
    run use GPUs that the list excludes; only 0 needs no list.
    """
    below = _without_other_backend(below, entry)
    values = {**below, **entry}
    for key in _OWN:
        if key not in entry:
            values.pop(key, None)
    for key in MERGED:
        if key in entry and key in below:
            values[key] = {**below[key], **entry[key]}
    if "gpus" not in entry and "gpu_indices" not in entry:
        return values
    ids = values.get("gpu_indices")
    if not isinstance(ids, list):
        return values
    if "gpu_indices" in entry and _names_one_twice(ids, path, to):
        return None
    if "gpus" not in entry:
        values["gpus"] = len(ids)
    elif "gpu_indices" not in entry and entry["gpus"] == 0:
        values["gpu_indices"] = "auto"
    elif entry["gpus"] != len(ids):
        where = "" if "gpu_indices" in entry else ' (inherited: see "tao_config" or "extends")'
        message = f'"gpus" is {entry["gpus"]}, but "gpu_indices" names {len(ids)}{where}'
        hint = (
            "make them agree, or remove one of them"
            if "gpu_indices" in entry
            else 'write "gpu_indices" here too'
        )
        to.error("gpus-disagree", message, (*path, "gpus"), hint=hint)
        return None
    return values


def _without_other_backend(below: Mapping[str, Any], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """``below`` without what is meant for another backend: its own backend or cluster replaces both inherited ones."""
    if "cluster" in entry and entry["cluster"] != below.get("cluster"):
        dropped: tuple[str, ...] = ("backend", "cluster", "backend_options")
    elif "backend" in entry and "cluster" not in entry:
        is_other = entry["backend"] != below.get("backend")
        dropped = ("cluster", "backend_options") if is_other else ("cluster",)
    else:
        return below
    return {key: value for key, value in below.items() if key not in dropped}


def _names_one_twice(ids: list[int | str], path: tuple[str, ...], to: FindingList) -> bool:
    seen: set[str] = set()
    for position, gpu in enumerate(ids):
        if _gpu_id(gpu) in seen:
            message = f'"gpu_indices" names GPU "{shown(gpu)}" twice'
            to.error("gpu-twice", message, (*path, "gpu_indices", position), hint="name each GPU once")
        seen.add(_gpu_id(gpu))
    return len(seen) < len(ids)


def _gpu_id(gpu: int | str) -> str:
    """One spelling for one GPU: 1, "1" and "01" are the same."""
    text = str(gpu)
    number = whole_number(text)
    return text if number is None else str(number)


def _built(chain: tuple[str, ...], values: Mapping[str, Any], paths: ProjectPaths) -> Experiment:
    ids = values.get("gpu_indices")
    shm, memory, time = values.get("shm_size"), values.get("memory"), values.get("time")
    limits = Limits(
        nodes=values.get("nodes"),
        cpus=values.get("cpus"),
        memory_bytes=None if memory is None else size_bytes(memory),
        time_s=None if time is None else time_limit_s(time),
    )
    return Experiment(
        name=chain[0],
        head=values["head"],
        dataset=values["dataset"],
        backbone=values.get("backbone"),
        repository=values.get("repository"),
        model_key=values.get("model_key"),
        export_model=values.get("export_model"),
        export_type=values.get("export_type"),
        gpus=values.get("gpus"),
        gpu_ids=tuple(map(_gpu_id, ids)) if isinstance(ids, list) else None,
        limits=limits,
        release=values.get("release"),
        image=values.get("image"),
        backend=values.get("backend"),
        cluster=values.get("cluster"),
        backend_options=values.get("backend_options", {}),
        written_options=values.get("backend_options", {}),
        shm_bytes=None if shm is None else size_bytes(shm),
        env=values.get("env", {}),
        user=values.get("user"),
        track=values.get("track", {}),
        spec_dirs=tuple(map(paths.spec_dir, chain)),
        vars=values.get("vars", {}),
        overrides=values.get("overrides", {}),
        description=values.get("description"),
        tags=tuple(values.get("tags", ())),
    )
