"""The values of a run's spec as its lock has them: by dotted key, without secrets, the results as ``$results_dir``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from taorunner.planning.inspect.secret_values import is_secret
from taorunner.planning.model.rerun_name import base_name
from taorunner.specs.syntax.leaves import leaves
from taorunner.specs.syntax.omegaconf_yaml import spec_scalar
from taorunner.specs.syntax.text_position import SpecProblemError

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan

_TOKEN = re.compile(r"[+~]{0,2}(?P<key>[A-Za-z_][\w-]*(?:\.[\w-]+)*)=(?P<value>.*)", re.DOTALL)
_RESULTS = "$results_dir"
EXTRA = "arguments"
"""The key of what follows ``--`` on the command line."""
_LONGEST = 10_000
_MOST = 20_000


def raw_values(plan: RunPlan) -> dict[str, Any]:
    """As the process gets them: of the rendered spec; what the command line sets has precedence. Never raises for what
    is in a spec."""
    found: dict[str, Any] = {}
    if plan.spec is not None and plan.contract.spec is not None:
        found = read_values(plan.spec.text, plan.contract.spec.format)
    for token in plan.argv:
        match = _TOKEN.fullmatch(token)
        if match is not None:
            found[match["key"]] = spec_scalar(match["value"])
    extra = [token for token in plan.arguments.extra if not _TOKEN.fullmatch(token)]
    if extra:
        found[EXTRA] = " ".join(extra)
    return found


def read_values(text: str, spec_format: str) -> dict[str, Any]:
    """Of a text; empty where it cannot be read."""
    try:
        return {leaf.key: leaf.value for leaf in leaves(text, spec_format)[:_MOST]}
    except (SpecProblemError, ValueError, RecursionError):
        return {}


def shown_values(plan: RunPlan, values: Mapping[str, Any], secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """Without secrets, among them ``secrets``, and without what is different in each run."""
    return {
        key: _plain(plan, value)
        for key, value in values.items()
        if not _holds_secret(key, value, secrets) and len(key) <= _LONGEST
    }


def texts_in(values: Mapping[str, Any]) -> list[str]:
    """Every text, also in lists."""
    each = (item for value in values.values() for item in (value if isinstance(value, list) else [value]))
    return [item for item in each if isinstance(item, str)]


def _holds_secret(key: str, value: Any, secrets: tuple[str, ...]) -> bool:
    items = value if isinstance(value, list) else [value]
    return any(
        is_secret(key, item, secrets) or (isinstance(item, str) and "@TAORUNNER_SECRET_" in item)
        for item in items
    )


def _plain(plan: RunPlan, value: Any) -> Any:
    """As JSON has it, without what is different in each run: its results folder, the folder of its inputs."""
    if isinstance(value, list):
        return [_plain(plan, item) for item in value]
    if isinstance(value, str):
        if len(value) > _LONGEST:
            return value[:_LONGEST]
        own = (
            f"{plan.results_inside.rpartition('/')[0]}/{base_name(plan.experiment)}"  # a rerun reads it there
        )
        for folder, name in ((plan.run_inside, "$run"), (plan.results_inside, _RESULTS), (own, _RESULTS)):
            if value == folder or value.startswith(f"{folder}/"):
                return name + value[len(folder) :]
        return value
    if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
