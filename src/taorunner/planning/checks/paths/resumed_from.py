"""Checks of the checkpoint that a spec resumes its training from. ``taorunner resume`` replaces it by its own."""

from __future__ import annotations

from collections.abc import Iterator

from taorunner.catalog.layouts import Input, InputKind
from taorunner.contracts import Framework
from taorunner.errors import Severity
from taorunner.planning.checks.paths.unresolved import unmounted, unresolved
from taorunner.planning.checks.training_facts import Fault, Training
from taorunner.text import printable


def resumed_from(training: Training, *, sets_aside: bool) -> Iterator[Fault]:
    """One fault where the checkpoint is not there when TAO looks for it.

    ``sets_aside``: the start moves the earlier results of the experiment away. Source: tao/pytorch.md section 3 and
    tao/tensorflow.md section 4.1 (the keys); that the TF2 networks open it was not verified, so it is a warning there.
    """
    key, spec = training.role("resume"), training.spec
    if "resume" not in key.rpartition(".")[2] or key not in spec:
        return
    severity = Severity.WARNING if training.contract.framework is Framework.TF2 else Severity.ERROR
    again = f'taorunner resume {spec.variables["experiment"]} chooses the newest checkpoint itself: leave "{key}" out'
    one = Input(key, InputKind.ANY, "a checkpoint")
    lost = next(unresolved(one, spec), None) or unmounted(one, spec)
    if lost is not None:
        yield Fault(severity, lost.code, lost.message, again, key, lost.index, lost.value)
    path = spec.path(key) if lost is None and spec.text(key) else None
    if path is None:
        return
    kind, shown = training.data.kind(path), printable(spec.variables.shown(path))
    results = f"{spec.variables['results_dir']}/{training.contract.results_subdir or ''}".rstrip("/")
    if kind is None:
        yield Fault(severity, "missing-input", f"no such checkpoint: {shown}", again, key, path=path)
    elif kind == "folder" and not training.contract.checkpoints.is_directory and severity is Severity.ERROR:
        yield Fault(
            severity,
            "wrong-input",
            f"{shown} is a folder, and a checkpoint belongs there",
            again,
            key,
            path=path,
        )
    elif kind and training.data.is_empty(path):
        yield Fault(severity, "empty-input", f"{shown} is empty", again, key, path=path)
    elif sets_aside and path.startswith(f"{results}/"):
        message = f"--overwrite sets {shown} aside before the training looks for it"
        yield Fault(severity, "missing-input", message, again, key, path=path)
