"""Which values OmegaConf takes for a key: what a node converts, and what it takes only as it is.

A single value is converted: "7" is a whole number, 7.0 is none, any number but 0 is true. What lies two containers deep
(a list of lists, a list of maps, a map of lists) is not: there 1 is no number with a point, and 1 no text.

Source: omegaconf 2.3 ``nodes``, ``basecontainer._map_merge`` and ``_list_merge``; compared with it by
``tools/schemas/check_omegaconf.py``.
"""

from __future__ import annotations

from typing import Any

from taorunner.specs.schema.schema import Key

_TRUE_OR_FALSE = frozenset(["true", "false", "yes", "no", "on", "off", "y", "n"])
_EXACT: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}


def converts(key: Key, value: Any) -> bool:
    """True where the key's node takes the value. Of containers only the kind is looked at. ``value`` is not None."""
    kind = key.kind
    if kind == "int":
        return is_exactly("int", value) or (isinstance(value, str) and _reads(int, value))
    if kind == "float":
        return isinstance(value, (int, float, str)) and not isinstance(value, bool) and _reads(float, value)
    if kind == "bool":
        if isinstance(value, str):
            return value.lower() in _TRUE_OR_FALSE or _reads(int, value)
        return isinstance(value, int)
    if kind == "str":
        return isinstance(value, (str, int, float))
    if kind == "any_of":
        return any(is_exactly(one.kind, value) for one in key.any_of)
    if kind == "enum":
        is_name = isinstance(value, str) and value.split(".")[-1] in key.options
        return is_name or is_exactly("int", value)
    if kind == "list":
        return isinstance(value, list)
    return isinstance(value, dict) if kind in ("map", "section") else True


def is_exactly(kind: str, value: Any) -> bool:
    """True for a value of the very type, and for any value of a kind that is no type of Python."""
    return kind not in _EXACT or type(value) is _EXACT[kind]


def takes_name(key: Key, name: Any) -> bool:
    """Whether a map can have that name: one of ``Dict[str, ...]`` has texts only, and none has null."""
    return name is not None and isinstance(name, _EXACT.get(key.names, object))


def is_nested(key: Key) -> bool:
    """True for a list or a map whose items are lists or maps: what is in them is not converted."""
    return key.of is not None and key.of.kind in ("list", "map")


def takes_container(key: Key, name: Any) -> bool:
    """Whether a list or a map of single values takes another container as its item ``name``.

    It does, for OmegaConf checks single values only; but what is among the defaults of a map has its type already.
    """
    default = key.default
    return not (key.kind == "map" and isinstance(default, dict) and name in default)


def _reads(kind: type[int] | type[float], value: Any) -> bool:
    try:
        kind(value)
    except (ValueError, OverflowError):
        return False
    return True
