"""Converts plans to and from plain JSON. Written by hand, because importing a validator would delay a supervisor.

Handles exactly the types that plans contain: classes of ``values/value``, enums, paths, tuples, mappings, plain
values. What is read may be damaged, so each value is compared with its type.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from taorunner.values.value import Value, names_of

_T = TypeVar("_T")
_LARGEST = 2**63


class Known:
    """What many plans have in common, kept for the next one: the types of the fields of each class, and its latest
    value with what encodes it. The plans of a batch have few contracts, which are most of a plan."""

    def __init__(self) -> None:
        self.types: dict[type, dict[str, Any]] = {}
        self.latest: dict[type, tuple[Any, Any]] = {}


def encoded(value: Any, known: Known | None = None) -> Any:
    """``value`` as dict, list, str, number, bool and None."""
    known = known or Known()
    if isinstance(value, Value):
        kind = type(value)
        latest, body = known.latest.get(kind, (None, None))
        if latest is not value:
            body = {name: encoded(getattr(value, name), known) for name in names_of(value)}
            known.latest[kind] = (value, body)
        return body
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): encoded(item, known) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encoded(item, known) for item in value]
    return value


def decoded(kind: type[_T], body: Any, known: Known | None = None) -> _T:
    """The value of type ``kind`` that ``body`` encodes.

    Raises ValueError where it encodes none.
    """
    try:
        result: _T = _decoded(kind, body, known or Known())
        return result
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a stored {kind.__name__}: {error}") from error


def _decoded(kind: Any, body: Any, known: Known) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if body is None:
            return None
        kinds = [part for part in typing.get_args(kind) if part is not type(None)]
        if len(kinds) > 1:  # one text or several
            return tuple([_plain(item) for item in body]) if isinstance(body, list) else _plain(body)
        return _decoded(kinds[0], body, known)
    if origin is tuple:
        if not isinstance(body, list):
            raise TypeError(f"{_shown(body)} in the place of a list")
        return tuple(_decoded(typing.get_args(kind)[0], item, known) for item in body)
    if origin is not None and issubclass(origin, Mapping):
        of_key, of_value = typing.get_args(kind)
        return {_decoded(of_key, key, known): _decoded(of_value, item, known) for key, item in body.items()}
    if isinstance(kind, type):
        if issubclass(kind, Value):
            latest, its_body = known.latest.get(kind, (None, None))
            # true equals 1, but does not encode the same
            if its_body is None or its_body != body or repr(its_body) != repr(body):
                if kind not in known.types:
                    known.types[kind] = typing.get_type_hints(kind)
                hints = known.types[kind]
                given = {name: item for name, item in body.items() if name in hints}
                latest = kind(**{name: _decoded(hints[name], item, known) for name, item in given.items()})
                known.latest[kind] = (latest, body)
            return latest
        if issubclass(kind, (Enum, Path)) or (kind is int and isinstance(body, str)):
            return kind(body)
        if kind not in (object, typing.Any) and not _fits(kind, body):  # Any is a class since Python 3.11
            raise TypeError(f"{_shown(body)} in the place of {kind.__name__}")
    return body


def _fits(kind: type, body: Any) -> bool:
    if kind in (int, float) and isinstance(body, (int, float)):
        is_number = kind is float or isinstance(body, int)
        return is_number and not isinstance(body, bool) and -_LARGEST < body < _LARGEST
    return isinstance(body, kind)


def _plain(body: Any) -> Any:
    if not isinstance(body, (str, int, float)):
        raise TypeError(f"{_shown(body)} in the place of a text or a number")
    return body


def _shown(body: Any) -> str:
    text = repr(body)
    return text if len(text) <= 40 else f"{text[:40]}…"
