"""Execution targets: what the rest of the program must know about a backend, without loading it.

A ``Target`` says where a run's process sees its files, what the backend needs and which settings it takes. The built-in
ones are in a table. Other packages add theirs through the entry point group ``taorunner.targets``; such an entry point
is read when a name is not built in, or when all names are listed (``target_names``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from importlib import import_module
from typing import Any

from taorunner.contracts import Framework
from taorunner.errors import MachineError, UsageError
from taorunner.target_names import entry_points, target_names
from taorunner.text import did_you_mean, printable
from taorunner.values.value import Value, field, replace

SETTINGS_PREFIX = "backend_options."
"""What stands before the name of a setting in the messages of a ``SettingProblem``."""


class GpuSource(Enum):
    """LEASED: taorunner chooses among the GPUs of this host. SCHEDULED: the engine gives them to a run."""

    LEASED = "leased"
    SCHEDULED = "scheduled"


class Files(Enum):
    """Where a run's files are: on this host, on a disk that this host shares, or out of its reach."""

    HERE = "here"
    SHARED = "shared"
    FAR = "far"


class Resource(Enum):
    """A limit that a backend may apply to a run. The value is its key in experiments.yml."""

    NODES = "nodes"
    CPUS = "cpus"
    MEMORY = "memory"
    TIME = "time"

    @property
    def meaning(self) -> str:
        """What is limited, in words."""
        return {"nodes": "the nodes", "cpus": "the CPUs", "memory": "the memory", "time": "the time"}[
            self.value
        ]


class NetworkKind(Enum):
    """Which networks a backend runs: NVIDIA's, the CPU network of this package, or both."""

    TAO = "tao"
    EMBEDDED = "embedded"
    ANY = "any"


class Setting(Value):
    """One key of ``backend_options``: its type, what it must be in words, and a further check of its value.

    ``kind`` is bool, int, float, str, list or dict. ``expected`` follows "must be": ``a whole number from 0 to 19``.
    """

    kind: type
    expected: str
    accepts: Callable[[Any], bool] = lambda value: True

    def has_type(self, value: object) -> bool:
        """True for the exact type; a whole number is also a float, and a bool is no number."""
        if self.kind in (list, dict):
            return isinstance(value, self.kind)  # the YAML reader has classes of its own
        return type(value) is self.kind or (self.kind is float and type(value) is int)


class SettingProblem(Value):
    """``path`` leads from ``backend_options`` to the wrong value, or with ``of_key`` to a key that is unknown."""

    code: str
    message: str
    path: tuple[str | int, ...]
    hint: str | None = None
    of_key: bool = False


def _no_problems(_settings: Mapping[str, Any]) -> Iterable[SettingProblem]:
    return ()


def _no_changes(_settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


def _no_lookup(settings: Mapping[str, Any], _environ: Mapping[str, str]) -> Mapping[str, Any]:
    return settings


class Target(Value):
    """One backend, as planning sees it.

    ``sees_host_paths``: its processes see the paths of this host, so that no mounts are needed. ``resources`` are the
    limits that it applies to a run. ``chains``: it takes a run before the run that this one follows has ended.
    ``look_up`` replaces what a setting of clusters.yml only names, such as a docker context, or gives the problem.
    ``check`` gets the known settings when each is right by itself, for rules about several; ``cautions`` gets right
    settings, and says what follows from them. ``changes`` gives the fields that other settings change; see
    ``with_settings``.
    """

    name: str
    summary: str
    sees_host_paths: bool
    needs_image: bool
    gpus: GpuSource = GpuSource.LEASED
    files: Files = Files.HERE
    networks: NetworkKind = NetworkKind.TAO
    resources: frozenset[Resource] = frozenset()
    chains: bool = False
    settings: Mapping[str, Setting] = field(default_factory=dict)
    look_up: Callable[[Mapping[str, Any], Mapping[str, str]], Mapping[str, Any] | SettingProblem] = _no_lookup
    check: Callable[[Mapping[str, Any]], Iterable[SettingProblem]] = _no_problems
    cautions: Callable[[Mapping[str, Any]], Iterable[SettingProblem]] = _no_problems
    changes: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _no_changes

    def with_settings(self, settings: Mapping[str, Any]) -> Target:
        """The target with these settings: on a cluster, the container runtime decides whether a run needs an image."""
        changed = self.changes(settings)
        return replace(self, **changed) if changed else self

    def runs(self, framework: Framework) -> bool:
        """True when the backend can run networks of that framework."""
        if self.networks is NetworkKind.ANY:
            return True
        return (framework is Framework.EMBEDDED) == (self.networks is NetworkKind.EMBEDDED)

    def check_settings(self, settings: Mapping[str, Any]) -> list[SettingProblem]:
        """Every problem of ``backend_options``: those of single keys, then those of several."""
        problems = {key: found for key, value in settings.items() if (found := self._problem(key, value))}
        known = {key: value for key, value in settings.items() if key in self.settings}
        if any(key in self.settings for key in problems):
            return list(problems.values())
        return [*problems.values(), *self.check(known)]

    def _problem(self, key: str, value: object) -> SettingProblem | None:
        setting = self.settings.get(key)
        if setting is None:
            message = f'the backend "{self.name}" has no setting "{printable(key)}"'
            hint = did_you_mean(key, self.settings) or "it takes none: remove the key"
            return SettingProblem("unknown-key", message, (key,), hint, of_key=True)
        has_type = setting.has_type(value)
        if has_type and setting.accepts(value):
            return None
        shown = f'"{printable(value[:60])}"' if isinstance(value, str) else _described(value)
        message = f'"backend_options.{printable(key)}" must be {setting.expected}, not {shown}'
        return SettingProblem("wrong-value" if has_type else "wrong-type", message, (key,))


DOCKER = Target(
    "docker",
    "containers of a Docker engine",
    sees_host_paths=False,
    needs_image=True,
    resources=frozenset({Resource.CPUS, Resource.MEMORY}),
)
LOCAL = Target("local", "programs on the PATH of this machine", sees_host_paths=True, needs_image=False)
EMBEDDED = Target(
    "embedded",
    "the CPU network of this package",
    sees_host_paths=True,
    needs_image=False,
    networks=NetworkKind.EMBEDDED,
)
BUILT_IN: Mapping[str, Target] = {target.name: target for target in (DOCKER, LOCAL, EMBEDDED)}
_OWN_MODULES = {
    "slurm": "taorunner.backends.slurm.target:SLURM",
    "kubernetes": "taorunner.backends.kubernetes.target:KUBERNETES",
    "docker-ssh": "taorunner.backends.docker.remote.target:DOCKER_SSH",
}
"""Built-in targets with many settings, which are read when one is named."""


_ELSEWHERE = {"docker": "docker-ssh"}
"""Engines of this machine, and the backend of the same engine on another host."""
_HOST_KEYS = frozenset({"host", "context"})


def meant_by(name: Any, keys: Iterable[Any]) -> Any:
    """The backend of an entry of clusters.yml that names ``name`` and has these keys: docker with a host is another one
    than docker here."""
    if isinstance(name, str) and name in _ELSEWHERE and not _HOST_KEYS.isdisjoint(keys):
        return _ELSEWHERE[name]
    return name


def names_of(name: str) -> tuple[str, ...]:
    """What the backend of a cluster may be called, its own name last."""
    return (*(here for here, there in _ELSEWHERE.items() if there == name), name)


def default_target(framework: Framework) -> Target:
    """Where a network runs when nothing names a backend."""
    return EMBEDDED if framework is Framework.EMBEDDED else DOCKER


def target_of(name: str) -> Target:
    """The target of that name.

    Raises:
        UsageError: there is none. MachineError: another package's target cannot be loaded.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    value = _OWN_MODULES.get(name) or entry_points().get(name)
    if value is None:
        raise UsageError(f'there is no backend "{printable(name)}"', hint=did_you_mean(name, target_names()))
    return _loaded(name, value)


def sees_host_paths(name: str | None, settings: Mapping[str, Any]) -> bool:
    """False for None: no backend is named, and the default of most networks is a container. ``settings`` are those of
    ``backend_options``.

    Raises what ``target_of`` raises.
    """
    return name is not None and target_of(name).with_settings(settings).sees_host_paths


def _loaded(name: str, value: str) -> Target:
    module, _, attribute = value.partition(":")
    blame = f'the backend "{name}" of "{value}" cannot be loaded'
    try:
        target: Any = import_module(module)
        for part in attribute.split("."):
            target = getattr(target, part)
    except Exception as error:  # code of another package: any exception
        raise MachineError(f"{blame}: {error}") from error
    if not isinstance(target, Target) or target.name != name:
        raise MachineError(f'{blame}: it is not a Target with the name "{name}"')
    return target


def _described(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a mapping"
