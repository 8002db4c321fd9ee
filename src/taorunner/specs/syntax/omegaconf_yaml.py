"""Reads YAML specs as TAO does: with the loader of OmegaConf.

Its scalars are those of YAML 1.1 with a few changes: ``yes`` is true, ``012`` is ten, ``1_000`` and ``1:30`` are whole
numbers, ``1e-4`` is a number, ``0o17`` and a date are texts. Tags count, and an unknown one is refused.

Source: omegaconf 2.3 ``_utils.get_yaml_loader``; PyYAML 6 ``resolver`` and ``constructor``.
"""

from __future__ import annotations

import binascii
import re
from typing import Any

from taorunner.yaml_reader import UnreadableScalarError, YamlDocument, read_yaml

_BOOLS = {
    written: word in ("yes", "true", "on")
    for word in ("yes", "no", "true", "false", "on", "off")
    for written in (word, word.capitalize(), word.upper())
}
_NULLS = frozenset(["", "~", "null", "Null", "NULL"])
_NUMERIC_START = frozenset("0123456789+-.")
_FLOAT = re.compile(
    r"""(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?
    |[-+]?[0-9]+(?:_[0-9]+)*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9]+(?:_[0-9]+)*[eE][-+]?[0-9]+
    |\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?
    |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))\Z""",
    re.VERBOSE,
)
_INT = re.compile(
    r"""(?:[-+]?0b[0-1_]+
    |[-+]?0[0-7_]+
    |[-+]?(?:0|[1-9][0-9_]*)
    |[-+]?0x[0-9a-fA-F_]+
    |[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)\Z""",
    re.VERBOSE,
)
_TAGS = "tag:yaml.org,2002:"
_MAX_DIGITS = 1000  # newer Pythons refuse int() of a longer text


def read_spec_yaml(text: str) -> YamlDocument:
    """Reads a YAML spec with the values that TAO gets. Never raises for any text; see ``problems``."""
    return read_yaml(text, _scalar)


def spec_scalar(text: str) -> Any:
    """The value of a plain scalar of a spec; a text where OmegaConf refuses it."""
    try:
        return _plain(text)
    except UnreadableScalarError:
        return text


def _scalar(text: str, is_plain: bool, tag: str | None) -> Any:
    if is_plain:
        return _plain(text)
    if tag is None or tag == "!" or tag == f"{_TAGS}str":
        return text
    try:
        return _tagged(text, tag)
    except (ValueError, LookupError):
        message = f'"{text[:60]}" cannot be read as {tag.replace(_TAGS, "!!")}'
        raise UnreadableScalarError(message, "remove the tag before the value") from None


def _plain(text: str) -> Any:
    if text in _NULLS:
        return None
    if text[0] in _NUMERIC_START:
        return _number(text)
    if text in _BOOLS:
        return _BOOLS[text]
    if text == "=":
        raise UnreadableScalarError('OmegaConf refuses "=" as a value', 'put it in quotes: "="')
    return text


def _number(text: str) -> Any:
    if len(text) >= _MAX_DIGITS:
        return text
    if text.isascii() and text.isdecimal() and text[0] != "0":
        return int(text)  # most numbers of most specs
    if _FLOAT.match(text):
        return _float(text)
    try:
        return _int(text) if _INT.match(text) else text
    except ValueError:
        message = f'"{text}" looks like a number, and is none'  # 0b_
        raise UnreadableScalarError(message, "put it in quotes") from None


def _int(text: str) -> int:
    digits = text.replace("_", "")
    sign = -1 if digits[:1] == "-" else 1
    digits = digits.lstrip("+-") if digits[:1] in ("+", "-") else digits
    if digits == "0":
        return 0
    if digits.startswith("0b"):
        return sign * int(digits[2:], 2)
    if digits.startswith("0x"):
        return sign * int(digits[2:], 16)
    if digits[:1] == "0":
        return sign * int(digits, 8)
    return sign * (int(_sexagesimal(digits, int)) if ":" in digits else int(digits))


def _float(text: str) -> float:
    digits = text.replace("_", "").lower()
    sign = -1 if digits[:1] == "-" else 1
    digits = digits[1:] if digits[:1] in ("+", "-") else digits
    if digits in (".inf", ".nan"):
        return sign * float(digits[1:])
    return sign * (_sexagesimal(digits, float) if ":" in digits else float(digits))


def _sexagesimal(digits: str, kind: type[int] | type[float]) -> float:
    """``1:30`` is ninety."""
    value = kind(0)
    for part in digits.split(":"):
        value = value * 60 + kind(part)
    return value


def _tagged(text: str, tag: str) -> Any:
    name = tag.removeprefix(_TAGS) if tag.startswith(_TAGS) else ""
    if name == "null":
        return None
    if name == "bool":
        return {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}[
            text.lower()
        ]
    if name == "int":
        return _int(text)
    if name == "float":
        return _float(text)
    if name == "binary":
        return binascii.a2b_base64(text.encode("ascii"))
    raise LookupError(tag)
