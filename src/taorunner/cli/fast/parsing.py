"""The command line's words to values without a validator, where a word is a value already.

Typer 0.29 turns every word, and every option that is not given, into a value through pydantic, which takes 0.1 s to
import: more than most commands take for all else. Texts, switches and defaults need none of it. Numbers, paths and
whatever else there is go Typer's own way, so that nothing is checked here that Typer checks.

The one place that reads names of Typer's parameters that are not public (``process_value``, ``type_descriptor``).
``tests/cli/test_private_names.py`` fails when one of them changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import typer


def light_command(app: typer.Typer) -> Any:
    """The app as a Click command, ready to be called. Its parameters take texts and defaults as they are."""
    command = typer.main.get_command(app)
    _lighten(command)
    return command


def _lighten(command: Any) -> None:
    command.get_params = partial(_light_parameters, command.get_params)  # --help is made for each call
    for inner in getattr(command, "commands", {}).values():
        _lighten(inner)


def _light_parameters(get_params: Callable[[Any], list[Any]], context: Any) -> list[Any]:
    parameters = get_params(context)
    for parameter in parameters:
        if not isinstance(parameter.process_value, partial):
            parameter.process_value = partial(_process, parameter, parameter.process_value)
    return parameters


def _process(parameter: Any, process: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    """Click's ``Parameter.process_value``: gives the value, or raises what a wrong one deserves."""
    takes_many = parameter.multiple or parameter.nargs != 1
    wanted = getattr(
        getattr(parameter, "type_descriptor", None), "annotation", None
    )  # another Typer: its own way
    if value is None and not parameter.required:
        value = () if takes_many else None
    elif wanted == list[str] and value and all(isinstance(item, str) for item in value):
        value = list(value)
    elif not (
        (wanted is str and isinstance(value, str)) or (value is parameter.default and not parameter.required)
    ):
        return process(context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)
