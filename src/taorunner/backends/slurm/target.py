"""What the rest of taorunner knows of the backend ``slurm``: its settings, which are those of a cluster.

Most are words of Slurm and of the site (partition, account, QOS), passed on as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from taorunner.backends.setting_values import are_variables, from_to, text_like, texts_like
from taorunner.project.limits import EXPECTED, time_limit_s
from taorunner.targets import Files, GpuSource, NetworkKind, Resource, Setting, SettingProblem, Target
from taorunner.text import did_you_mean, printable

RUNTIMES = ("pyxis", "apptainer", "charliecloud", "docker", "none")
DEFAULT_SIGNAL_S = 300
"""Seconds before the time limit at which a run gets the signal to end: enough to write a large checkpoint."""
DEFAULT_REQUEUES = 20
DEFAULT_UNKNOWN_S = 600

OWN_OPTIONS = frozenset({
    "account", "array", "batch", "chdir", "comment", "constraint", "cpus-per-gpu", "cpus-per-task", "error",
    "exclusive", "export", "export-file", "gpus", "gpus-per-node", "gpus-per-task", "gres", "help", "hold", "input",
    "job-name", "mem", "mem-per-gpu", "no-requeue", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output",
    "parsable", "partition", "qos", "quiet", "requeue", "signal", "test-only", "time", "usage", "version", "wait",
    "wrap",
})  # fmt: skip
"""Options of sbatch that taorunner sets itself, or that change what its answer means."""
_KEY_OF = {
    "account": "account", "constraint": "constraint", "exclusive": "exclusive", "partition": "partition", "qos": "qos",
    "requeue": "requeue", "no-requeue": "requeue", "signal": "signal_before_s", "cpus-per-gpu": "cpus_per_gpu",
    "mem-per-gpu": "mem_per_gpu", "gpus-per-node": "gpu_type", "gres": "gpu_type", "export": "env",
}  # fmt: skip
_KEYS_OF_RUNS = {"nodes": "nodes", "mem": "memory", "cpus-per-task": "cpus", "time": "time", "gpus": "gpus"}

_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.@+:-]{0,99}"
_MEMORY = r"[1-9][0-9]{0,9}[KMGT]?"
_HOST = r"(?!-)[A-Za-z0-9_.@:\[\]%-]{1,255}"
_ABSOLUTE = r"/[^\0\n]*"
_OPTION = r"--?[A-Za-z][^\0\n]*"


def is_host(value: object) -> bool:
    """Whether it can be a host of ssh: no option of it, and no word of a shell."""
    return isinstance(value, str) and re.fullmatch(_HOST, value) is not None


SETTINGS: Mapping[str, Setting] = {
    "host": Setting(str, "a host that ssh knows, such as login1 or me@login1.example.org", is_host),
    "partition": Setting(str, "the name of a partition", text_like(rf"{_WORD}(,{_WORD})*")),
    "account": Setting(str, "the name of an account", text_like(_WORD)),
    "qos": Setting(str, "the name of a QOS", text_like(_WORD)),
    "time": Setting(str, EXPECTED["time"], lambda text: time_limit_s(text) is not None),
    "gpu_type": Setting(str, "a type of GPU as Slurm names it, such as h100", text_like(_WORD)),
    "cpus_per_gpu": Setting(int, "a whole number from 1 to 1024", from_to(1, 1024)),
    "mem_per_gpu": Setting(str, "a size as Slurm writes it, such as 64G", text_like(_MEMORY)),
    "exclusive": Setting(bool, "true or false"),
    "constraint": Setting(str, "features of nodes, such as a100&ib", text_like(r"[A-Za-z0-9_.&|*()\[\]:=-]{1,200}")),
    "options": Setting(list, "a list of options of sbatch, such as --reservation=tao", texts_like(_OPTION)),
    "requeue": Setting(int, "a whole number from 0 to 1000", from_to(0, 1000)),
    "signal_before_s": Setting(int, "a whole number of seconds from 10 to 36000", from_to(10, 36000)),
    "workspace": Setting(str, "the absolute path of this workspace on the nodes", text_like(_ABSOLUTE)),
    "shared": Setting(bool, "true, or false where this machine does not see the disk of the cluster"),
    "container": Setting(dict, "a mapping with runtime, and images, import_partition, import_options or tmp"),
    "env": Setting(dict, "a mapping of names of variables to values", are_variables),
    "setup": Setting(list, "a list of lines of shell", texts_like(r"[^\0]*")),
    "max_submitted": Setting(int, "a whole number from 1 to 100000", from_to(1, 100_000)),
    "umask": Setting(str, "a mode in quotes, such as \"0027\"", text_like("0?[0-7]{3}")),
    "unknown_after_s": Setting(int, "a whole number of seconds from 10 to 86400", from_to(10, 86_400)),
}  # fmt: skip

CONTAINER_SETTINGS: Mapping[str, Setting] = {
    "runtime": Setting(str, "one of " + ", ".join(RUNTIMES), lambda name: name in RUNTIMES),
    "images": Setting(str, "the absolute path of a folder on the nodes", text_like(_ABSOLUTE)),
    "import_partition": Setting(str, "the name of a partition", text_like(_WORD)),
    "import_options": Setting(
        list, "a list of options of sbatch, such as --mem=16G", texts_like(r"--[a-z][^\0\n]*")
    ),
    "tmp": Setting(str, "the absolute path of a folder on the nodes", text_like(_ABSOLUTE)),
}


def runtime_of(settings: Mapping[str, Any]) -> str:
    """What starts the container of a run; ``none`` where nothing is set: TAO's programs on the nodes."""
    container = settings.get("container")
    runtime = container.get("runtime", "none") if isinstance(container, Mapping) else "none"
    return runtime if runtime in RUNTIMES else "none"


def signal_problem(signal_before_s: int, time_s: int) -> str | None:
    """Why a run with this time limit cannot be told that early; None when it can.

    Slurm sends the signal up to 60 seconds early, and to a short job right after its start.
    """
    if signal_before_s * 2 <= time_s:
        return None
    return f"{signal_before_s} s is more than half of the time limit of {time_s} s: a run would hardly train"


def is_far(settings: Mapping[str, Any]) -> bool:
    """Whether this machine does not see the workspace of the cluster: all that goes there goes over ssh."""
    return settings.get("shared") is False and "host" in settings


def _changes(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    changes: dict[str, Any] = {"files": Files.FAR} if is_far(settings) else {}
    if is_far(settings) or _has_dependency(settings):
        changes["chains"] = False
    if runtime_of(settings) == "none":
        return changes
    return {**changes, "sees_host_paths": False, "needs_image": True, "networks": NetworkKind.TAO}


def _has_dependency(settings: Mapping[str, Any]) -> bool:
    """Whether the user gives the job a dependency, of which sbatch takes one; it takes the start of the name, too."""
    options = settings.get("options")
    return isinstance(options, list | tuple) and any(str(option).startswith("--dep") for option in options)


def _check(settings: Mapping[str, Any]) -> Iterator[SettingProblem]:
    yield from _container_problems(settings.get("container") or {})
    for index, option in enumerate(settings.get("options") or ()):
        yield from _option_problems(index, option)
    if settings.get("shared") is False and "host" not in settings:
        message = (
            '"backend_options.shared": a cluster without "host" is this machine, which sees its own disk'
        )
        yield SettingProblem("wrong-value", message, ("shared",), "host: a login node, or remove shared")
    time_s = time_limit_s(settings.get("time", ""))
    signal_s = settings.get("signal_before_s")
    why = signal_problem(signal_s, time_s) if signal_s is not None and time_s is not None else None
    if why is not None:
        yield SettingProblem(
            "wrong-value",
            f'"backend_options.signal_before_s": {why}',
            ("signal_before_s",),
            "a smaller number",
        )


def _container_problems(container: Mapping[str, Any]) -> Iterator[SettingProblem]:
    for key, value in container.items():
        setting = CONTAINER_SETTINGS.get(key)
        shown = f"backend_options.container.{printable(str(key))}"
        if setting is None:
            hint = did_you_mean(str(key), CONTAINER_SETTINGS) or "it takes " + ", ".join(CONTAINER_SETTINGS)
            yield SettingProblem(
                "unknown-key", f'"{shown}" is no setting', ("container", key), hint, of_key=True
            )
        elif not setting.has_type(value) or not setting.accepts(value):
            code = "wrong-value" if setting.has_type(value) else "wrong-type"
            near = did_you_mean(str(value), RUNTIMES) if key == "runtime" else None
            yield SettingProblem(code, f'"{shown}" must be {setting.expected}', ("container", key), near)
    if container and "runtime" not in container:
        message = '"backend_options.container" needs "runtime"'
        yield SettingProblem("missing-key", message, ("container",), "one of " + ", ".join(RUNTIMES))
    elif container.get("runtime") in ("pyxis", "apptainer", "charliecloud") and "images" not in container:
        message = f'"backend_options.container" needs "images" with {container["runtime"]}'
        yield SettingProblem(
            "missing-key", message, ("container",), "the folder of imported images, which the nodes see"
        )


def _cautions(settings: Mapping[str, Any]) -> Iterator[SettingProblem]:
    if runtime_of(settings) == "charliecloud":
        message = (
            "charliecloud mounts nothing read-only: a run can change experiments.yml, specs, data, weights and other "
            "results, and what it writes there counts as yours"
        )
        hint = "use it with images that you trust; pyxis, apptainer and docker mount read-only"
        yield SettingProblem("nothing-read-only", message, ("container", "runtime"), hint)


def _option_problems(index: int, option: str) -> Iterator[SettingProblem]:
    name = option.split("=", 1)[0].lstrip("-")
    path = ("options", index)
    if not option.startswith("--"):
        message = f'"{printable(option)}" in "backend_options.options" is not a long option of sbatch'
        yield SettingProblem("wrong-value", message, path, "write it as --name=value")
        return
    whole = [own for own in sorted(OWN_OPTIONS) if own.startswith(name)]  # sbatch takes the start of a name
    if not name or not whole:
        return
    name = name if name in OWN_OPTIONS else whole[0]
    if name in _KEY_OF:
        hint = f'use "{_KEY_OF[name]}" instead'
    elif name in _KEYS_OF_RUNS:
        hint = f'use "{_KEYS_OF_RUNS[name]}" of the experiment instead'
    else:
        hint = "taorunner sets it itself: remove it"
    message = f'"--{name}" cannot be one of "backend_options.options"'
    yield SettingProblem("wrong-value", message, path, hint)


SLURM = Target(
    "slurm",
    "jobs of a Slurm cluster",
    sees_host_paths=True,
    needs_image=False,
    gpus=GpuSource.SCHEDULED,
    files=Files.SHARED,
    networks=NetworkKind.ANY,
    chains=True,
    resources=frozenset({Resource.NODES, Resource.CPUS, Resource.MEMORY, Resource.TIME}),
    settings=SETTINGS,
    check=_check,
    cautions=_cautions,
    changes=_changes,
)
