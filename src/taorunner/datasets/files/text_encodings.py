"""Decodes the text files of a dataset."""

from __future__ import annotations

import re

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
