"""Decodes the text files of a dataset, and searches large ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_BLOCK_BYTES = 8 * 1024 * 1024
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


def decoded(data: bytes) -> str:
    """Decodes UTF-8, UTF-16 with a byte order mark, or the encoding an XML file declares. Raises UnicodeDecodeError."""
    if data.startswith(UTF16_MARKS):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = _DECLARED.match(data)
        if declared is None:
            raise
        try:
            name = declared[1].decode("ascii").lower()
            return data.decode("gb18030" if name in ("gbk", "gb2312") else name)  # a superset of both
        except LookupError:
            pass
        raise


def words_in(path: Path, words: Sequence[str]) -> list[bool]:
    """For each word, whether it is in the file, which is read in blocks and at most once."""
    left = {word.encode() for word in words}
    end, overlap = b"", max(map(len, left), default=1) - 1
    with suppress(OSError), path.open("rb") as file:
        while left and (block := file.read(_BLOCK_BYTES)):
            left -= {word for word in left if word in block or word in end + block[:overlap]}
            end = block[-overlap:]
    return [word.encode() not in left for word in words]
