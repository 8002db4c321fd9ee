"""Options that are the fields of a dataclass: a command takes one parameter for all of them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Annotated, Any, get_args, get_type_hints


def with_options(
    function: Callable[..., int], *, without: Sequence[str] = (), hidden: Sequence[str] = ()
) -> Callable[..., int]:
    """``function`` as Typer calls it: its parameter ``options`` becomes one parameter per field of its dataclass.

    ``without`` names the fields that are no option of this command; they keep their defaults. ``hidden`` are options
    that its help does not show: the command takes them to refuse them with a reason.
    """
    own_types = get_type_hints(function, include_extras=True)
    kind = own_types["options"]
    known = [field for field in fields(kind) if field.name not in without]
    types = get_type_hints(kind, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(
            field.name,
            keyword,
            default=field.default,
            annotation=_hidden(types[field.name]) if field.name in hidden else types[field.name],
        )
        for field in known
    ]
    signature = inspect.signature(function)
    own = [
        one.replace(annotation=own_types[one.name])
        for one in signature.parameters.values()
        if one.name != "options"
    ]

    def command(**given: Any) -> int:
        options = kind(**{field.name: given.pop(field.name) for field in known})
        return function(**given, options=options)

    # inspect.signature, which Typer calls, takes what is set here; the type of a function has no such attribute.
    command.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in [*own, *added]}
    return command


def _hidden(annotation: Any) -> Any:
    """The same option, without its line on the help page."""
    kind, option = get_args(annotation)
    option = copy.copy(option)
    option.hidden = True
    return Annotated[kind, option]
