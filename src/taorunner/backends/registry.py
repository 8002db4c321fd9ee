"""Which backends are there? Names to modules; a module is loaded when its backend is used.

Other packages add theirs through the entry point group ``taorunner.backends``: a callable without arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from taorunner.backends.contract import Backend
from taorunner.errors import MachineError, UsageError
from taorunner.text import did_you_mean

ENTRY_POINTS = "taorunner.backends"

_MODULES = {
    "docker": "taorunner.backends.docker.backend",
    "local": "taorunner.backends.process.backend",
    "embedded": "taorunner.backends.process.embedded",
}


def backend_names() -> tuple[str, ...]:
    """All names, our own first. Reads the metadata of installed packages."""
    return (*_MODULES, *sorted(set(_others()) - set(_MODULES)))


def load_backend(name: str, environ: Mapping[str, str] | None = None) -> Backend:
    """A new instance, not connected to anything yet. ``environ`` names the engine, and is what
    processes on this host get; by default ours.

    Raises:
        UsageError: no backend of that name. MachineError: another package's backend cannot be loaded.
    """
    if name in _MODULES:
        backend: Backend = import_module(_MODULES[name]).create(environ)
        return backend
    others = _others()
    if name not in others:
        raise UsageError(f'there is no backend "{name}"', hint=did_you_mean(name, backend_names()))
    return others[name]()


def _others() -> dict[str, Callable[[], Backend]]:
    from importlib.metadata import EntryPoint, entry_points

    def loader(point: EntryPoint) -> Callable[[], Backend]:
        def load() -> Backend:
            try:
                backend: Backend = point.load()()
            except (
                Exception
            ) as error:  # somebody else's code: whatever it raises, the name of the culprit is told
                raise MachineError(
                    f'the backend "{point.name}" of "{point.value}" cannot be loaded: {error}'
                ) from error
            return backend

        return load

    return {point.name: loader(point) for point in entry_points(group=ENTRY_POINTS)}
