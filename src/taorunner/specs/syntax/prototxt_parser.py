"""Parses protobuf text format without a schema: the fields of a file and their places.

Reads what ``google.protobuf.text_format`` reads (comments, both kinds of quotes, adjacent strings, ``{}`` and ``<>``,
lists, ``,`` and ``;`` between fields, extension names) and refuses what it refuses. It knows no message types, so it
cannot check whether a field exists or is repeated. One pass, no recursion, bounded depth. Source: tao/tensorflow.md
section 4.1; the language specification of the text format.
"""

from __future__ import annotations

import re
from contextlib import suppress

from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.values.value import MutableValue, field

MAX_DEPTH = 100

_DIGITS = "[0-9]+(?:_[0-9]+)*"
_RADIXES = {"0x": 16, "0o": 8, "0b": 2}
_TOKEN = re.compile(
    rf"""(?P<blank>[ \t\r\n\v\f]+)
      | (?P<comment>\#[^\n]*) | (?P<name>[A-Za-z_][A-Za-z0-9_]*) |
      (?P<number>[+]?(?:0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|
        (?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?[fF]?)(?![A-Za-z0-9_.]))
      | (?P<string>"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"|'[^'\\\n]*(?:\\[^\n][^'\\\n]*)*')
      | (?P<mark>[-{{}}<>\[\],;:/.])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv?'\"\\])|([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))",
    re.DOTALL,
)
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CLOSERS = {"{": "}", "<": ">"}
_WORDS: dict[str, bool | float] = {"true": True, "True": True, "false": False, "False": False}
_FLOAT_WORDS = {"inf": float("inf"), "infinity": float("inf"), "nan": float("nan")}
_MAX_DIGITS = 1000

Scalar = str | int | float | bool


class ProtoScalar(MutableValue):
    """``kind`` is string, number or word (an enum name, true, inf). ``start`` and ``end`` are offsets.

    ``radix`` is 16, 8 or 2 for a number written like 0x1F, 017 or 0b11.
    """

    value: Scalar
    kind: str
    start: int
    end: int
    radix: int = 10


class ProtoMessage(MutableValue):
    """``start`` is the opening brace, ``end`` just after the closing one; the file itself has no braces."""

    start: int
    end: int = 0
    fields: list[ProtoField] = field(default_factory=list)


class ProtoList(MutableValue):
    start: int
    end: int = 0
    items: list[ProtoScalar | ProtoMessage] = field(default_factory=list)


class ProtoField(MutableValue):
    """``end`` is the end of the value, without a separator after it."""

    name: str
    start: int
    value: ProtoScalar | ProtoMessage | ProtoList

    @property
    def end(self) -> int:
        return self.value.end


def parse_prototxt(text: str, *, shown: str | None = None) -> ProtoMessage:
    """The whole file as one message. ``shown`` is a text of the same length that messages quote instead.

    Raises:
        SpecProblemError: the text is not protobuf text; ``offset`` is the place.
    """
    return _Parser(text, text if shown is None else shown).message()


_Level = tuple[ProtoMessage, str, ProtoList | None]
"""An open message, what closes it, and the list it is an item of."""


class _Parser:
    def __init__(self, text: str, shown: str) -> None:
        self._text = text
        self._shown = shown
        self.kind = ""
        self.token = ""
        self.start = self._end = 1 if text.startswith("\ufeff") else 0
        self._next()

    def message(self) -> ProtoMessage:
        root = ProtoMessage(0)
        stack: list[_Level] = [(root, "", None)]
        while True:
            message, closer, owner = stack[-1]
            if self.token == closer or self.kind == "end":
                if self.kind == "end" and closer:
                    place = message.start
                    raise SpecProblemError(
                        "prototxt-syntax", f'"{self._text[place]}" is never closed', offset=place
                    )
                message.end = self._end if closer else len(self._text)
                stack.pop()
                if not stack:
                    return root
                self._next()
                nested = self._list_goes_on(owner) if owner is not None else None
                if owner is not None and nested is not None:
                    self._push(stack, nested, owner)
                    continue
                self._separator()
                continue
            opened, owner = self._field(message)
            if opened is not None:
                self._push(stack, opened, owner)
            else:
                self._separator()

    def _push(
        self,
        stack: list[_Level],
        opened: ProtoMessage,
        owner: ProtoList | None,
    ) -> None:
        if len(stack) > MAX_DEPTH:
            raise SpecProblemError("too-deep", f"nested deeper than {MAX_DEPTH} levels", offset=opened.start)
        stack.append((opened, _CLOSERS[self._text[opened.start]], owner))

    def _field(self, message: ProtoMessage) -> tuple[ProtoMessage | None, ProtoList | None]:
        """Reads one field. A message is returned opened, with its list if any: its fields come next."""
        start = self.start
        name = self._name()
        colon = self.token == ":"
        if colon:
            self._next()
        if self.token in _CLOSERS:
            opened = ProtoMessage(self.start)
            message.fields.append(ProtoField(name, start, opened))
            self._next()
            return opened, None
        if self.token == "[":
            values = ProtoList(self.start)
            message.fields.append(ProtoField(name, start, values))
            self._next()
            if self.token == "]":
                values.end = self._end
                self._next()
                return None, None
            return self._items(values, scalars=colon), values
        if not colon:
            raise self._unexpected(f'":" or "{{" after "{_short(name)}"')
        message.fields.append(ProtoField(name, start, self._scalar(f'a value for "{_short(name)}"')))
        return None, None

    def _items(self, values: ProtoList, *, scalars: bool) -> ProtoMessage | None:
        """Reads items up to the list's end, or up to a message, which is returned opened."""
        while True:
            if self.token in _CLOSERS:
                opened = ProtoMessage(self.start)
                values.items.append(opened)
                self._next()
                return opened
            if not scalars:
                raise self._unexpected('":" before a list of values')
            values.items.append(self._scalar('a value or "]"'))
            if self.token == "]":
                values.end = self._end
                self._next()
                return None
            self._expect(",", '"," or "]"')

    def _list_goes_on(self, values: ProtoList) -> ProtoMessage | None:
        if self.token == "]":
            values.end = self._end
            self._next()
            return None
        self._expect(",", '"," or "]"')
        return self._items(values, scalars=True)

    def _name(self) -> str:
        if self.kind == "name":
            name = self.token
            self._next()
            return name
        if self.token != "[":
            raise self._unexpected("a field name")
        start = self.start
        self._next()
        while self.token != "]":
            if self.kind not in ("name", "number") and self.token not in (".", "/", "-"):
                raise self._unexpected("the name of an extension")
            self._next()
        name = self._text[start : self._end]
        self._next()
        return name

    def _scalar(self, wanted: str) -> ProtoScalar:
        start = self.start
        if self.kind == "string":
            return self._strings()
        negative = self.token == "-"
        if negative:
            self._next()
        if self.kind == "number":
            value: Scalar = _number(self.token, self.start)
        elif self.kind == "name" and self.token.lower() in _FLOAT_WORDS:
            value = _FLOAT_WORDS[self.token.lower()]
        elif self.kind == "name" and not negative:
            value = _WORDS.get(self.token, self.token)
        else:
            raise self._unexpected("a number" if negative else wanted)
        if negative and not isinstance(value, str):
            value = -value
        kind = "number" if self.kind == "number" else "word"
        scalar = ProtoScalar(value, kind, start, self._end, _radix(self.token))
        self._next()
        return scalar

    def _strings(self) -> ProtoScalar:
        start, parts = self.start, []
        end = self._end
        while self.kind == "string":
            parts.append(_unescape(self.token[1:-1], self.start + 1))
            end = self._end
            self._next()
        value = "".join(parts)
        if any(0xDC80 <= ord(char) <= 0xDCFF for char in value):
            # bytes written one by one (\\303\\244) are UTF-8 put together
            with suppress(UnicodeEncodeError):
                value = value.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        return ProtoScalar(value, "string", start, end)

    def _separator(self) -> None:
        if self.token in (",", ";"):
            self._next()

    def _expect(self, mark: str, wanted: str) -> None:
        if self.token != mark:
            raise self._unexpected(wanted)
        self._next()

    def _unexpected(self, wanted: str) -> SpecProblemError:
        token = self._shown[self.start : self._end]
        seen = "the end of the file" if self.kind == "end" else f'"{_short(token)}"'
        return SpecProblemError("prototxt-syntax", f"expected {wanted}, found {seen}", offset=self.start)

    def _next(self) -> None:
        text, position = self._text, self._end
        while True:
            match = _TOKEN.match(text, position)
            if match is None:
                if position >= len(text):
                    self.kind, self.token, self.start, self._end = "end", "\0end", len(text), len(text)
                    return
                raise _bad_token(text, position)
            position = match.end()
            kind = match.lastgroup
            if kind != "blank" and kind != "comment":
                break
        self.kind, self.token, self.start, self._end = str(kind), match.group(), match.start(), position


def _number(token: str, offset: int) -> int | float:
    if len(token) > _MAX_DIGITS:
        raise SpecProblemError("prototxt-syntax", f"a number of {len(token)} characters", offset=offset)
    radix = _radix(token)
    if radix == 10:
        return int(token) if token.lstrip("+").replace("_", "").isdigit() else float(token.rstrip("fF"))
    try:
        return int(token, radix)
    except ValueError:
        raise SpecProblemError(
            "prototxt-syntax", f'"{_short(token)}" is not an octal number', offset=offset,
            hint="a leading zero makes a number octal: leave it out",
        ) from None  # fmt: skip


def _radix(token: str) -> int:
    """Of a number that Google's reader takes as Python does.

    Source: protobuf ``text_format._ParseAbstractInteger``.
    """
    digits = token.lstrip("+")
    if digits[:2].lower() in _RADIXES:
        return _RADIXES[digits[:2].lower()]
    return 8 if len(digits) > 1 and digits[0] == "0" and digits.isdigit() else 10


def _unescape(body: str, offset: int) -> str:
    if "\\" not in body:
        return body

    def replace(match: re.Match[str]) -> str:
        named, octal, hexadecimal, short, long, other = match.groups()
        if named:
            return _NAMED.get(named, named)
        if other and other not in "xXuU":
            return match.group()  # Python's reader, which TAO uses, keeps an escape that it does not know
        if octal or hexadecimal:
            code = (int(octal, 8) if octal else int(hexadecimal, 16)) & 0xFF
            return chr(code) if code < 0x80 else chr(0xDC00 + code)
        code = int(short or long, 16) if short or long else -1
        if 0 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code)
        seen = body[match.start() : match.start() + max(2, len(match.group()))]
        raise SpecProblemError(
            "prototxt-syntax", f'"{_short(seen)}" is not an escape', offset=offset + match.start(),
            hint="write a backslash as two backslashes",
        )  # fmt: skip

    return _ESCAPE.sub(replace, body)


def _bad_token(text: str, position: int) -> SpecProblemError:
    char = text[position]
    if char in "\"'":
        return SpecProblemError(
            "prototxt-syntax", "a string is not closed on its line", offset=position,
            hint=f"close it with {char}; inside, write {char} as \\{char}",
        )  # fmt: skip
    if char.isdigit():
        word = re.compile(r"[0-9A-Za-z_.]{1,40}").match(text, position)
        return SpecProblemError(
            "prototxt-syntax", f'"{word.group() if word else char}" is not a number', offset=position,
            hint="put text in double quotes",
        )  # fmt: skip
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    return SpecProblemError(
        "prototxt-syntax", f'"{shown}" is not allowed here', offset=position, hint="put text in double quotes"
    )


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
