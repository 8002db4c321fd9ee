"""Writes values as YAML and protobuf literals, so that a parser reads the same value again.

The YAML means the same to YAML 1.1 readers (OmegaConf's, PyYAML) and to 1.2 readers: a string that one of them could
read as another type is quoted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from taorunner.yaml_reader import resolve_scalar

SpecValue = str | int | float | bool | Sequence["str | int | float | bool"]
"""The types of a template variable's value."""

_PLAIN = re.compile(r"[A-Za-z_/$](?:[\w./$+*@=~^()-]|:(?=[^\s:])|(?<=[\w.])[ ](?=[\w.]))*\Z")
_YAML_11_WORDS = frozenset(["y", "yes", "n", "no", "on", "off", "true", "false", "null"])
_YAML_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_YAML_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def is_simple_text(text: str) -> bool:
    """True for text that may be put inside any quoted or block scalar line without changing its folding."""
    return bool(text) and text[0] != " " and text[-1] != " " and not _YAML_UNPRINTABLE.search(text)


def has_surrogates(text: str) -> bool:
    """True for text that cannot be written as UTF-8, such as a path that was not valid UTF-8."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def inside_text(value: SpecValue) -> str:
    """The value as a part of a longer string: ``models/$experiment``, ``"$gpu_ids"`` (``0,1``)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _number(value)
    return ",".join(inside_text(item) for item in value)


def inside_brackets(values: Sequence[object]) -> str:
    """A list as text, as TF1 specs hold some: ``"[1.0, 0.5]"``."""
    return "[" + ", ".join(repr(value) for value in values) + "]"


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def yaml_value(value: object) -> str:
    """``value`` on one line: a scalar, ``[a, b]`` or ``{a: b}``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _yaml_number(value)
    if isinstance(value, str):
        return yaml_string(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{yaml_value(key)}: {yaml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(yaml_value(item) for item in value) + "]"
    return yaml_string(str(value))


def yaml_string(text: str) -> str:
    """Plain when every reader takes it for this very string, else in double quotes."""
    if _PLAIN.match(text) and text.lower() not in _YAML_11_WORDS and isinstance(resolve_scalar(text), str):
        return text
    return f'"{yaml_double_quoted(text)}"'


def yaml_double_quoted(text: str) -> str:
    """The inside of a double-quoted scalar. Blanks at its ends are escaped: folding would eat them."""
    body = re.sub(r'["\\]', lambda match: _YAML_NAMED[match.group()], text)
    body = _YAML_UNPRINTABLE.sub(_yaml_escape, body)
    if body.startswith(" "):
        body = "\\x20" + body[1:]
    if body.endswith(" "):
        body = body[:-1] + "\\x20"
    return body


def proto_value(value: object) -> str:
    """``value`` as protobuf text: a quoted string, a number, a word or ``[a, b]``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, str):
        return f'"{proto_escaped(value)}"'
    if isinstance(value, Sequence):
        return "[" + ", ".join(proto_value(item) for item in value) + "]"
    return f'"{proto_escaped(str(value))}"'


def proto_escaped(text: str) -> str:
    """The inside of a string in protobuf text, good for both kinds of quotes."""
    return re.sub(r"[\x00-\x1f\x7f\"'\\]", _proto_escape, text)


def _proto_escape(match: re.Match[str]) -> str:
    char = match.group()
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "'": "\\'", "\\": "\\\\"}
    return named.get(char) or f"\\{ord(char):03o}"


def _yaml_escape(match: re.Match[str]) -> str:
    char = match.group()
    if char in _YAML_NAMED:
        return _YAML_NAMED[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _number(value: int | float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return repr(value)


def _yaml_number(value: int | float) -> str:
    """YAML 1.1 reads ``1e-05`` as a string; both versions read ``1.0e-05`` as a number."""
    text = _number(value)
    if text.lstrip("-") in ("inf", "nan"):
        return text.replace("inf", ".inf").replace("nan", ".nan")
    mantissa, mark, exponent = text.partition("e")  # Python always writes the exponent's sign
    if not mark:
        return text
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}e{exponent}"
