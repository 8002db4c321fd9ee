"""Checks that a value fits its key, by the rules of the reader: OmegaConf for YAML, protobuf for TF1.

``Limit`` is the part of the result that depends on the number alone. The specs of a sweep differ only in numbers, so
they are checked without being parsed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taorunner.errors import Severity
from taorunner.specs.schema.omegaconf_values import converts, is_exactly
from taorunner.specs.schema.schema import Key
from taorunner.specs.syntax.prototxt_parser import ProtoScalar
from taorunner.text import did_you_mean, printable
from taorunner.values.value import Value

_KIND_TEXTS = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "enum": "a name",
    "list": "a list", "map": "a section with names of its own", "section": "a section", "any_of": "something else",
}  # fmt: skip
_NAME_TEXTS = {"str": "texts", "int": "whole numbers", "float": "numbers", "bool": "true and false"}


class Misfit(Value):
    severity: Severity
    code: str
    message: str
    hint: str | None = None


class Limit(Value):
    """The limits of a plain number at one place of a spec."""

    is_whole: bool
    least: float | None
    most: float | None
    options: frozenset[str] = frozenset()

    def allows(self, written: str) -> bool:
        if self.is_whole and not written.lstrip("-").isdecimal():
            return False
        value = float(written)
        if self.least is not None and value < self.least:
            return False
        if self.most is not None and value > self.most:
            return False
        return not self.options or written in self.options


EACH_IN_FULL = Limit(False, 1, 0)
"""No number is within it, so each one is checked again with all rules."""


def limit_of(key: Key, spec_format: str) -> Limit | None:
    """The limits of any number there; None when every number is valid, or none."""
    if spec_format == "prototxt" and key.kind == "bool":
        return Limit(True, 0, 1)
    if key.kind == "any_of":
        return EACH_IN_FULL
    options = frozenset(option for option in key.options if key.kind != "enum")
    if key.kind in ("int", "float", "bool"):
        return Limit(key.kind != "float", key.least, key.most, options)
    return Limit(False, None, None, options) if key.kind == "str" and options else None


def yaml_misfit(key: Key, value: Any, name: str) -> Misfit | None:
    """A value that OmegaConf refuses is an error; one beyond limits that TAO states, and does not check, a warning."""
    if value is None:
        return None if key.is_optional or key.kind == "any" else _wrong_type(key, "nothing", name)
    if not converts(key, value):
        hint = _as_exact(key.any_of, value) if key.kind == "any_of" else None
        return _wrong_type(key, _shown(value), name, hint)
    return None if key.kind == "any_of" else _beyond(key, value, name)


def exact_misfit(key: Key, value: Any, name: str) -> Misfit | None:
    """The same for an item of a container in a container, which OmegaConf does not convert."""
    if value is None or key.kind in ("list", "map", "section"):
        return yaml_misfit(key, value, name)
    if key.kind in ("any", "any_of") or is_exactly(key.kind, value):
        return None
    message = f"{name} takes {_KIND_TEXTS[key.kind]} as it is, this is {_shown(value)}"
    return Misfit(Severity.ERROR, "wrong-type", message, _as_exact((key,), value))


def bad_name(key: Key, name: Any, dotted: str) -> Misfit:
    """For a name that a map cannot have."""
    if name is None:
        return Misfit(
            Severity.ERROR, "wrong-type", f"{dotted} has null as a name", 'put it in quotes: "null":'
        )
    message = f"the names in {dotted} are {_NAME_TEXTS.get(key.names, 'others')}, this is {_shown(name)}"
    shown = str(name).lower() if isinstance(name, bool) else name
    return Misfit(
        Severity.ERROR, "wrong-type", message, f'put it in quotes: "{shown}":' if key.names == "str" else None
    )


def wrong_type(key: Key, value: Any, name: str) -> Misfit:
    """For a value that OmegaConf refuses."""
    return _wrong_type(key, _shown(value), name)


def _as_exact(keys: Sequence[Key], value: Any) -> str | None:
    """How to write the value where it is not converted."""
    kinds = {one.kind for one in keys}
    if isinstance(value, int) and not isinstance(value, bool) and "float" in kinds:
        return f"write {value}.0: OmegaConf converts nothing here"
    if isinstance(value, (int, float)) and "str" in kinds:
        return f'write "{_shown(value)}", in quotes: OmegaConf converts nothing here'
    return None


def proto_misfit(key: Key, scalar: ProtoScalar, name: str) -> Misfit | None:
    """Protobuf's reader converts nothing: texts are in quotes, names of options are not."""
    value, written = scalar.value, scalar.kind
    is_number = written == "number" and not isinstance(value, bool)
    shown = f'"{printable(str(value))[:60]}"' if written == "string" else str(value)
    if key.kind == "section":
        return _wrong_type(key, shown, name, f"write {name} {{ … }}")
    if key.kind == "str":
        hint = "put it in double quotes"
        return None if written == "string" else _wrong_type(key, _lower(shown), name, hint)
    if written == "string":
        is_name = key.kind == "enum" and value not in key.options
        return _wrong_type(
            key, shown, name, did_you_mean(str(value), key.options) if is_name else "leave the quotes out"
        )
    if key.kind == "enum":
        if is_number and isinstance(value, int):
            return None
        if value in key.options:
            return None
        message = f'"{printable(_lower(shown))}" is not an option of {name}'
        return Misfit(Severity.ERROR, "not-an-option", message, did_you_mean(str(value), key.options))
    if key.kind == "bool":
        fits = isinstance(value, bool) or value in ("t", "f") or (isinstance(value, int) and value in (0, 1))
        return None if fits else _wrong_type(key, _lower(shown), name)
    if key.kind == "int":
        if not isinstance(value, int) or isinstance(value, bool):
            is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
            return _wrong_type(key, _lower(shown), name, f"write {value:.0f}" if is_whole else None)
        if (key.least is not None and value < key.least) or (key.most is not None and value > key.most):
            return _out_of_range(key, value, name, Severity.ERROR)
        return None
    if scalar.radix != 10:
        return _wrong_type(key, f"{shown} in the digits of base {scalar.radix}", name, f"write {shown}")
    fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    return None if fits else _wrong_type(key, _lower(shown), name)


def _beyond(key: Key, value: Any, name: str) -> Misfit | None:
    severity = Severity.ERROR if key.is_enforced else Severity.WARNING
    if key.kind in ("int", "float") and isinstance(value, (int, float, str)):
        number = _as_float(value)
        if number == -1 and name.endswith("batch_size"):
            return None  # any size, in export and gen_trt_engine; NVIDIA's own specs have it
        if (key.least is not None and number < key.least) or (key.most is not None and number > key.most):
            return _out_of_range(key, value, name, severity)
    if (
        key.options
        and key.kind != "enum"
        and value != ""
        and str(value).lower() not in {one.lower() for one in key.options}
    ):
        relation = "an option of" if key.is_enforced else "among the options that TAO names for"
        message = f'"{printable(str(value))[:60]}" is not {relation} {name}'
        return Misfit(severity, "not-an-option", message, _choices(str(value), key.options))
    return None


def _choices(value: str, options: Sequence[str]) -> str | None:
    return did_you_mean(value, [option for option in options if option])


def _out_of_range(key: Key, value: Any, name: str, severity: Severity) -> Misfit:
    if key.most is None:
        limits = f"at least {_number(key.least)}"
    elif key.least is None:
        limits = f"at most {_number(key.most)}"
    else:
        limits = f"from {_number(key.least)} to {_number(key.most)}"
    return Misfit(severity, "out-of-range", f"{name} is {limits}, this is {value}", f"give a number {limits}")


def _wrong_type(key: Key, shown: str, name: str, hint: str | None = None) -> Misfit:
    return Misfit(Severity.ERROR, "wrong-type", f"{name} takes {accepted(key)}, this is {shown}", hint)


def accepted(key: Key) -> str:
    if key.kind == "any_of":
        return " or ".join(
            dict.fromkeys(_KIND_TEXTS[one.kind] for one in key.any_of if one.kind in _KIND_TEXTS)
        )
    return _KIND_TEXTS.get(key.kind, "something else")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else f'"{printable(str(value))[:60]}"'


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"


def _lower(shown: str) -> str:
    return shown.lower() if shown in ("True", "False") else shown


def _as_float(value: int | float | str) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return float("-inf" if str(value)[:1] == "-" else "inf")
