"""Converts the words of the command line to values without pydantic where no conversion is needed.

Typer 0.29 converts every word and every default through pydantic, whose import takes 0.1 s: more than the rest of most
commands. Texts, switches and defaults need no conversion, a path is made here. Numbers and other types are left to
Typer.

This is the one place that reads names of Typer's parameters that are not public (``process_value``,
``type_descriptor``). ``tests/cli/fast/test_private_names.py`` fails when one of them changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import typer


def light_command(app: typer.Typer) -> Any:
    """The app as a Click command whose parameters take texts and defaults unchanged."""
    command = typer.main.get_command(app)
    _lighten(command)
    return command


def _lighten(command: Any) -> None:
    command.get_params = partial(_light_parameters, command.get_params)  # Typer makes --help at each call
    for inner in getattr(command, "commands", {}).values():
        _lighten(inner)


def _light_parameters(get_params: Callable[[Any], list[Any]], context: Any) -> list[Any]:
    parameters = get_params(context)
    for parameter in parameters:
        if not isinstance(parameter.process_value, partial):
            parameter.process_value = partial(_process, parameter, parameter.process_value)
    return parameters


def _process(parameter: Any, process: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    """Click's ``Parameter.process_value``: returns the value, or raises a usage error."""
    takes_many = parameter.multiple or parameter.nargs != 1
    wanted = getattr(
        getattr(parameter, "type_descriptor", None), "annotation", None
    )  # None in another Typer version: left to Typer
    if value is None and not parameter.required:
        value = () if takes_many else None
    elif wanted == list[str] and value and all(isinstance(item, str) for item in value):
        value = list(value)
    elif wanted is Path and isinstance(value, str) and _is_free(value):
        value = Path(value)
    elif not (
        (wanted is str and isinstance(value, str)) or (value is parameter.default and not parameter.required)
    ):
        return process(context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)


def number_asked(parameter: Any) -> tuple[bool, float | None, float | None] | None:
    """Whether a parameter takes whole numbers, and its least and greatest; None where it takes no number."""
    wanted = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if wanted not in (int, float):
        return None
    return wanted is int, getattr(parameter, "min", None), getattr(parameter, "max", None)


def _is_free(path: str) -> bool:
    """Whether Typer has nothing against the path: it refuses one that exists and cannot be read. No option of ours
    asks for more."""
    return not os.path.exists(path) or os.access(path, os.R_OK)  # noqa: PTH110 (a Path is not needed yet)
