"""What one short step on the nodes shows: the shared folder, the container runtime, the names of the other nodes.

``node_step`` is the command, ``read_step`` reads what its nodes print. Pure.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from taorunner.backends.slurm.target import runtime_of
from taorunner.values.value import Value

_MARK = "taorunner-check"
_PROGRAMS = {"apptainer": ("apptainer", "singularity"), "charliecloud": ("ch-run",), "docker": ("docker",)}
"""pyxis is part of srun, not a program."""
_NO_ROOM = re.compile(
    r"Requested nodes are busy|Unable to allocate resources: (Immediate|Job allocation|Required node)"
    r"|Immediate execution impossible|allocation timed out"
)


class NodeAnswer(Value):
    """What one node said: the first line of the shared file, empty where it cannot be read; the path of the container
    runtime; the name of a node whose address it does not know."""

    node: str
    token: str
    runtime: str
    lost: str


def node_step(settings: Mapping[str, Any], nodes: int, token: str | None) -> list[str]:
    """The ``srun`` line, which waits for nodes for ten seconds at most. Names matter to several nodes only."""
    words = [
        "srun",
        "-Q",
        "-I10",
        f"-N{nodes}",
        f"-n{nodes}",
        "--ntasks-per-node=1",
        "--time=1",
        "--export=NONE",
    ]
    words += [f"--{key}={settings[key]}" for key in ("partition", "account", "qos") if settings.get(key)]
    words += ["-D", "/", "/bin/sh", "-lc", _script(settings, nodes, token)]
    return words


def _script(settings: Mapping[str, Any], nodes: int, token: str | None) -> str:
    """As a run does it, after the lines of ``setup``. A login shell, because ``--export=NONE`` leaves no PATH."""
    lines = [f"{{ {line}\n}} >&2" for line in settings.get("setup") or ()]
    runtime = runtime_of(settings)
    programs = " || ".join(f"command -v {name}" for name in _PROGRAMS.get(runtime, ()))
    lines.append("node=$(uname -n) token= runtime= lost=")
    if token is not None:
        lines.append(f"token=$(head -n1 {shlex.quote(token)})")
    if programs:
        lines.append(f"runtime=$({programs})")
    if nodes > 1:
        names = '$(scontrol show hostnames "$SLURM_JOB_NODELIST")'
        lines.append(f'for one in {names}; do getent hosts "$one" >/dev/null || lost=$one; done')
    lines.append(f'printf "{_MARK}|%s|%s|%s|%s\\n" "$node" "$token" "$runtime" "$lost"')
    return "\n".join(lines)


def read_step(text: str) -> list[NodeAnswer]:
    """One for each node; other lines are those of its profile."""
    rows = [line.split("|", 4) for line in text.splitlines() if line.startswith(f"{_MARK}|")]
    return [NodeAnswer(row[1][:80], row[2], row[3][:200], row[4][:80]) for row in rows if len(row) == 5]


def had_no_room(said: str) -> bool:
    """Whether the step only found no free node."""
    return _NO_ROOM.search(said) is not None


def step_words(said: str) -> str:
    """The line of stderr that says why, without what srun adds to it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    own = [line for line in lines if not re.match(r"srun: error: \S+: tasks? \d", line)]
    return (own or lines or ["it said nothing"])[-1][:300]
