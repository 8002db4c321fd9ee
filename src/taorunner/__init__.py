"""taorunner: train computer-vision models with NVIDIA TAO Toolkit, from the command line or from Python.

    import taorunner

    workspace = taorunner.Workspace.find()
    batch = taorunner.start(workspace, "parts", "train", ["rtdetr_01"])
    batch.wait()
    print(batch.runs[0].best)

The names in ``__all__`` are the public interface; they are loaded when they are first used. They do what the command
line does, with the same checks. They print nothing and change nothing of the calling process: no environment variable,
signal handler, logger or working directory. Runs belong to a supervisor process of their own and go on when the
interpreter ends. Epochs are 1-based, times are aware UTC, durations are in seconds. See docs/library.md.
"""

from taorunner.version import __version__ as __version__

TYPE_CHECKING = False  # typing would take as long to import as Python to start
if TYPE_CHECKING:
    from taorunner.api.actions import PlannedRun as PlannedRun
    from taorunner.api.actions import plan as plan
    from taorunner.api.actions import start as start
    from taorunner.api.actions import validate as validate
    from taorunner.api.runs import Batch as Batch
    from taorunner.api.runs import Run as Run
    from taorunner.api.sweeps import Sweep as Sweep
    from taorunner.api.workspaces import Project as Project
    from taorunner.api.workspaces import Workspace as Workspace
    from taorunner.errors import Finding as Finding
    from taorunner.errors import TaorunnerError as TaorunnerError
    from taorunner.events import Event as Event
    from taorunner.events import RunState as RunState
    from taorunner.runs.comparison.compare import Comparison as Comparison
    from taorunner.runs.state.metric_names import Best as Best

_HOMES = {
    "Batch": "taorunner.api.runs",
    "Best": "taorunner.runs.state.metric_names",
    "Comparison": "taorunner.runs.comparison.compare",
    "Event": "taorunner.events",
    "Finding": "taorunner.errors",
    "PlannedRun": "taorunner.api.actions",
    "Project": "taorunner.api.workspaces",
    "Run": "taorunner.api.runs",
    "RunState": "taorunner.events",
    "Sweep": "taorunner.api.sweeps",
    "TaorunnerError": "taorunner.errors",
    "Workspace": "taorunner.api.workspaces",
    "plan": "taorunner.api.actions",
    "start": "taorunner.api.actions",
    "validate": "taorunner.api.actions",
}
__all__ = [
    "Batch",
    "Best",
    "Comparison",
    "Event",
    "Finding",
    "PlannedRun",
    "Project",
    "Run",
    "RunState",
    "Sweep",
    "TaorunnerError",
    "Workspace",
    "__version__",
    "plan",
    "start",
    "validate",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
