"""XML nodes with line and column, which the standard library's tree does not keep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat


@dataclass(slots=True)
class Node:
    tag: str
    attributes: dict[str, str]
    line: int
    column: int
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def child(self, tag: str) -> Node | None:
        return next((child for child in self.children if child.tag == tag), None)

    def text_of(self, tag: str) -> str:
        """The stripped text of the child ``tag``; empty when there is none."""
        child = self.child(tag)
        return child.text.strip() if child is not None else ""

    def all(self, tag: str) -> Iterator[Node]:
        """All descendants called ``tag``, in file order."""
        for child in self.children:
            if child.tag == tag:
                yield child
            yield from child.all(tag)


class XmlError(ValueError):
    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line, self.column = line, column


_MAX_DEPTH = 100
_BLANK = re.compile(r"\ufeff?\s*")
_DOCTYPE = re.compile(r"""<!DOCTYPE(?:"[^"]*"|'[^']*'|\[[^\]]*\]|[^>"'\[])*>""")
_TAG = re.compile(r"<([^\s/>!?]+)")


def root_tag(text: str) -> str:
    """The name of the root element, after comments and declarations; "" when there is none in ``text``."""
    at = _after_blanks(text, 0)
    while True:
        doctype = _DOCTYPE.match(text, at)
        if doctype is not None:
            at = doctype.end()
        elif end := next((e for s, e in (("<?", "?>"), ("<!--", "-->")) if text.startswith(s, at)), ""):
            found = text.find(end, at + 2)
            if found < 0:
                return ""
            at = found + len(end)
        else:
            match = _TAG.match(text, at)
            return match[1] if match is not None else ""
        at = _after_blanks(text, at)


def _after_blanks(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match is not None else at


def read_xml(text: str) -> Node:
    """The root node. Raises XmlError for bad syntax, and for entity declarations, which no annotation tool writes."""
    parser = expat.ParserCreate("utf-8")  # the text is already decoded, so ignore the declared encoding
    parser.buffer_text = True
    top = Node("", {}, 1, 1)
    stack = [top]
    texts: list[list[str]] = [[]]

    def fail(message: str) -> None:
        raise XmlError(message, parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(stack) > _MAX_DEPTH:
            fail(f"nested deeper than {_MAX_DEPTH} levels")
        node = Node(tag, attributes, parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)
        stack[-1].children.append(node)
        stack.append(node)
        texts.append([])

    def end(tag: str) -> None:
        stack.pop().text = "".join(texts.pop())

    def data(text: str) -> None:
        texts[-1].append(text)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.EntityDeclHandler = lambda *_: fail("it declares an entity")
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        message = expat.ErrorString(error.code)
        raise XmlError(message, error.lineno, error.offset + 1) from None
    return top.children[0]
