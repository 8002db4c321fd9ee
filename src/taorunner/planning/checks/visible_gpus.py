"""Whether the process sees the GPUs that it is given, where the user sets CUDA_VISIBLE_DEVICES.

Source: CUDA C++ programming guide, environment variables: only the listed GPUs are visible, and the list ends at the
first one that does not exist. The engine gives a container its GPUs as 0 to n - 1.
"""

from __future__ import annotations

from collections.abc import Mapping

from taorunner.errors import Finding, Severity
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.project.mounts import Mounts
from taorunner.text import amount, printable

VARIABLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus(
    project: Project, experiment: Experiment, mounts: Mounts, contract_env: Mapping[str, str], gpus: int
) -> Finding | None:
    """An error when fewer than ``gpus`` GPUs of the container stay visible; None where the variable hides none."""
    in_file = VARIABLE in experiment.env
    value = {**contract_env, **mounts.env, **experiment.env}.get(VARIABLE)
    if value is None or not gpus or value.startswith(("env:", "file:")):
        return None
    seen = _seen(value, gpus)
    if seen >= gpus:
        return None
    given = f"{amount(gpus, 'GPU')}, numbered from 0"
    left = "none of them" if not seen else f"only {seen} of them"
    message = f'{VARIABLE} is "{printable(value)}", and the container gets {given}: it sees {left}'
    hint = f"remove {VARIABLE}; gpus, gpu_indices and --gpu-indices choose GPUs"
    if in_file:
        path = ("experiments", experiment.name, "env", VARIABLE)
        return project.finding(Severity.ERROR, "gpus-hidden", message, path, hint=hint)
    return Finding(Severity.ERROR, "gpus-hidden", message, hint, mounts.file)


def _seen(value: str, gpus: int) -> int:
    """How many of the container's GPUs a value shows. UUIDs may be those of the host: they are believed."""
    shown: list[str] = []
    for part in (one.strip() for one in value.split(",")):
        if part.startswith(("GPU-", "MIG-")) or (part.isdigit() and int(part) < gpus and part not in shown):
            shown.append(part)
        else:
            break
    return len(shown)
