"""What Slurm, srun and container runtimes print of a run that could not be started: rows with a next step. Pure."""

from __future__ import annotations

import re

from taorunner.backends.contract import EngineEnd

_CH_RUN_SAYS = r"(?P<what>[^\n]+?)(?: \([\w-]+\.c:\d+\))?$"
_SAID = (
    (
        r"unrecognized option '--container-image",
        "this cluster has no pyxis",
        "another container.runtime: apptainer, charliecloud or docker",
    ),
    (
        r"docker\.io[^\n]*401|401 Unauthorized[^\n]*docker\.io",
        "the image was looked up at Docker Hub",
        "a name with its registry: host#path:tag",
    ),
    (
        r"Could not process JSON input|authn\.nvidia\.com|nvcr\.io[^\n]*401",
        "the cluster has no login for NVIDIA's registry",
        "two lines in ~/.config/enroot/.credentials of the cluster, for nvcr.io and authn.nvidia.com",
    ),
    (
        r"(enroot|pyxis|mksquashfs)[^\n]*No space left on device",
        "the node has no room left to unpack the image",
        "another folder: container.tmp",
    ),
    (
        r"couldn't chdir to|node\.sh: No such file|cannot open [^\n]*node\.sh",
        'the workspace "{workspace}" is not there on the node',
        "setting workspace: its path as the nodes see it",
    ),
    (
        r"(ch-run|apptainer|docker): (command )?not found",
        "the container runtime is not there on the node",
        "setup: a line such as module load apptainer, or another container.runtime",
    ),
    (
        rf"ch-run\[\d+\]: error: (?:can't mkdir|can't bind: destination not found): {_CH_RUN_SAYS}",
        "the image has no place for a mount, and none can be made in it: {what}",
        "an image folder in container.images that you may write to, or an image that has that folder",
    ),
    (
        rf"ch-run\[\d+\]: error: {_CH_RUN_SAYS}",
        "Charliecloud could not start the container: {what}",
        "taorunner --dry-run shows how it is started; clusters check tries it on a node",
    ),
    (
        r"No such file or directory: [^\n]*\.(sqsh|sif)|[^\n]*\.(sqsh|sif)[^\n]*No such file",
        "the image is not imported yet",
        "import it into the folder container.images",
    ),
)


def said_end(messages: str, workspace: str) -> EngineEnd | None:
    """What Slurm or a container runtime said of a start that failed; None where the table does not know it."""
    for pattern, text, hint in _SAID:
        match = re.search(pattern, messages, re.MULTILINE)
        if match is not None:
            what = match.groupdict().get("what") or ""
            return EngineEnd(text.replace("{workspace}", workspace).replace("{what}", what), hint)
    return None


_STEP_ENDED = re.compile(
    r"srun: (launch/slurm: _step_signal|Force Terminated|error: \S+: tasks? \d)"
    r"|slurmstepd\S*: error: \*{3} STEP \S+ ON \S+ CANCELLED AT "
)
"""What srun says when the command itself has ended with an error: it was started."""
_STEP_CREATED = re.compile(r"^srun: Step created for .*$", re.MULTILINE)
"""What srun says at last when a controller that has just come back let it wait."""


def runtime_end(output: str, workspace: str) -> EngineEnd | None:
    """Why the container was not started: its runtime says so in the place of the run's output, as its last words."""
    lines = [line for line in output.splitlines() if line.strip()]
    is_runtime = bool(lines) and re.match(r"ch-run\[\d+\]: error: ", lines[-1]) is not None
    return said_end(lines[-1], workspace) if is_runtime else None


def silent_end(messages: str, workspace: str) -> EngineEnd | None:
    """Why a run ended that printed nothing at all: from the table, or the last line of what Slurm said."""
    messages = _STEP_CREATED.split(messages)[-1]
    found = said_end(messages, workspace)
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    lines = [line for line in lines if _STEP_ENDED.match(line) is None]
    if found is not None or not lines:
        return found
    return EngineEnd(f"it could not be started: {lines[-1][:300]}", "taorunner --dry-run shows its scripts")
