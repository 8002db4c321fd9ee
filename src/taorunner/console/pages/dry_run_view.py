"""Shows a dry run: the path of the rendered spec, the exact request, and a command to paste."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from taorunner.backends.contract import EngineRequest
from taorunner.backends.dry_run import Simulation
from taorunner.console.base.formatting import shown_path
from taorunner.console.base.json_output import write_json
from taorunner.planning.model.plan import SHELL
from taorunner.targets import Resource, target_of
from taorunner.text import amount, duration, printable, size


def print_simulations(console: Console, simulations: Sequence[Simulation], *, json: bool) -> None:
    """One block per run on stdout. Lines are not wrapped, so that they can be pasted."""
    if json:
        write_json([simulation.to_json() for simulation in simulations], sys.stdout.buffer)
        return
    for index, simulation in enumerate(simulations):
        if index:
            console.print()
        for label, value in _facts(simulation):
            console.print(Text.assemble((f"{label:<10} ", "quiet"), printable(value)), soft_wrap=True)
        console.print()
        if simulation.script is not None:
            for line in simulation.script.splitlines():
                console.print(Text(printable(line)), soft_wrap=True)
            console.print()
        console.print(Text(printable(simulation.command_line)), soft_wrap=True)


def _facts(simulation: Simulation) -> list[tuple[str, str]]:
    request, plan = simulation.request, simulation.plan
    is_shell = plan.action == SHELL  # a shell has no project and no results
    where = f"{plan.cluster} ({request.backend})" if plan.cluster is not None else request.backend
    run = f"{plan.project}/{plan.experiment}: {plan.action} on {where}"
    facts = [
        ("run", "" if is_shell else run),
        ("image", request.image or ""),
        ("spec", shown_path(simulation.spec, Path.cwd()) if simulation.spec else ""),
        ("results", "" if is_shell else shown_path(plan.results_dir, Path.cwd())),
        ("gpus", gpus_text(request)),
        ("user", plan.options.user or ""),
        ("argv", shlex.join(request.argv)),
    ]
    facts.append(("weights", plan.weights or ""))
    facts += [("knob", one.text) for one in plan.knobs]
    facts += _limits(request)
    facts += [
        ("mount", f"{mount.source} → {mount.target}{' (read-only)' if mount.read_only else ''}")
        for mount in request.mounts
    ]
    facts += [("port", f"{port.address}:{port.outside} → {port.inside}") for port in plan.options.published]
    facts += [("env", f"{name}={value}") for name, value in sorted(request.env.items())]
    facts += [("set aside", shown_path(path, Path.cwd())) for path in plan.set_aside]
    return [(label, value) for label, value in facts if value]


def gpus_text(request: EngineRequest) -> str:
    """Their ids; their number where the engine chooses them, with the nodes where those are several."""
    count, nodes = request.resources.gpus.count, request.resources.nodes
    if request.gpus:
        return f"GPU {', '.join(request.gpus)}"  # a bare 0 would read as none
    if not count:
        return "none"
    return f"{nodes} nodes × {amount(count, 'GPU')}" if nodes > 1 else amount(count, "GPU")


def _limits(request: EngineRequest) -> list[tuple[str, str]]:
    """The limits that the backend applies."""
    wanted, applied = request.resources, target_of(request.backend).resources
    shown = {
        Resource.NODES: str(wanted.nodes),
        Resource.CPUS: str(wanted.cpus or ""),
        Resource.MEMORY: size(wanted.memory_bytes) if wanted.memory_bytes is not None else "",
        Resource.TIME: duration(wanted.time_s) if wanted.time_s is not None else "",
    }
    return [(resource.value, text) for resource, text in shown.items() if resource in applied]
