"""Values out of a spec file, by the shortest way: enough for a stand-in, no parser of YAML or protobuf text."""

from __future__ import annotations

import re


def flat_yaml(text: str) -> dict[str, str]:
    """Dotted keys to scalars of a block-style YAML file. Flow lists stay text; ``- `` items are left out."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = re.match(r"( *)([\w.-]+|\"[^\"]+\"|'[^']+'):(?:\s+(.*))?$", line)
        if not match:
            continue
        depth, key = len(match[1]), match[2].strip("\"'")
        while path and path[-1][0] >= depth:
            path.pop()
        path.append((depth, key))
        found[".".join(part for _, part in path)] = plain(match[3] or "")
    return found


def plain(value: str) -> str:
    """A scalar without its comment and quotes."""
    value = re.sub(r"(?:^|\s)#.*$", "", value).strip()
    quoted = re.fullmatch(r"\"(.*)\"|'(.*)'", value)
    return (quoted[1] or quoted[2] or "") if quoted else value


def prototxt_value(text: str, field: str) -> str | None:
    """The last value of a field anywhere in protobuf text, without quotes."""
    bare = re.sub(r"(?m)#.*$", "", text)
    values = re.findall(rf"\b{field}\s*:\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'{{}};,]+))", bare)
    return next((part for part in values[-1] if part), "") if values else None
