"""Options that are the fields of a dataclass: a command takes one parameter for all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, get_type_hints


def with_options(function: Callable[..., int], *, without: Sequence[str] = ()) -> Callable[..., int]:
    """``function`` as Typer calls it: its parameter ``options`` becomes one parameter per field of its dataclass.

    ``without`` names the fields that are no option of this command; they keep their defaults.
    """
    own_types = get_type_hints(function, include_extras=True)
    kind = own_types["options"]
    known = [field for field in fields(kind) if field.name not in without]
    types = get_type_hints(kind, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(field.name, keyword, default=field.default, annotation=types[field.name])
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
