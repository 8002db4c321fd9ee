"""Loads a backend by its name. Its module is imported on first use.

Another package registers its backend in two entry points of the same name: ``taorunner.targets`` (see ``targets``) and
``taorunner.backends``, a callable that takes the environment of processes on this host, or None for ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from taorunner.backends.contract import Backend
from taorunner.errors import MachineError
from taorunner.targets import target_of

ENTRY_POINTS = "taorunner.backends"

_MODULES = {
    "docker": "taorunner.backends.docker.backend",
    "local": "taorunner.backends.process.backend",
    "embedded": "taorunner.backends.process.embedded",
    "slurm": "taorunner.backends.slurm.backend",
    "kubernetes": "taorunner.backends.kubernetes.backend",
    "docker-ssh": "taorunner.backends.docker.remote.backend",
}


def load_backend(name: str, environ: Mapping[str, str] | None = None) -> Backend:
    """A new instance, not connected to anything yet. ``environ`` names the engine, and is what
    processes on this host get; by default ours.

    Raises:
        UsageError: no backend of that name. MachineError: another package's backend cannot be loaded.
    """
    if name in _MODULES:
        backend: Backend = import_module(_MODULES[name]).create(environ)
        return backend
    target_of(name)
    return _other(name, environ)


def _other(name: str, environ: Mapping[str, str] | None) -> Backend:
    from importlib.metadata import entry_points

    points = list(entry_points(group=ENTRY_POINTS, name=name))
    if not points:
        hint = f'its package needs an entry point "{name}" in the group "{ENTRY_POINTS}"'
        raise MachineError(f'the backend "{name}" has a target but no code', hint=hint)
    try:
        backend: Any = points[0].load()(environ)
    except Exception as error:  # code of another package: any exception
        raise MachineError(
            f'the backend "{name}" of "{points[0].value}" cannot be loaded: {error}'
        ) from error
    missing = [verb for verb in _VERBS if not callable(getattr(backend, verb, None))]
    if missing or getattr(backend, "name", None) != name:
        lacks = f"it has no {missing[0]}()" if missing else f'its name is not "{name}"'
        raise MachineError(f'the backend "{name}" of "{points[0].value}" cannot be used: {lacks}')
    found: Backend = backend
    return found


_VERBS = (
    "check", "prepare", "request", "submit", "inspect", "find", "logs", "stop", "remove", "command_line",
)  # fmt: skip
