"""Finds the user's NGC API key in the environment or NGC's config file; never stores it."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

VARIABLES = ("NGC_API_KEY", "NGC_CLI_API_KEY")
"""Source: tao/pretrained.md section B5."""
KEY_PAGE = "https://org.ngc.nvidia.com/setup/api-key"


class ApiKey:
    """A key whose text never appears in representations, messages or tracebacks."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text.strip()

    def reveal(self) -> str:
        """Only for the Authorization header of a request."""
        return self._text

    @property
    def is_bearer(self) -> bool:
        """True for keys of the new kind, which are sent directly; others are exchanged for a token first."""
        return self._text.startswith("nvapi-")

    @property
    def is_usable(self) -> bool:
        """True for printable ASCII without spaces, as HTTP headers require."""
        return bool(self._text) and all("!" <= c <= "~" for c in self._text)

    def __repr__(self) -> str:
        return "ApiKey(***)"


def find_key(environ: Mapping[str, str], home: Path) -> ApiKey | None:
    """The first usable key: the environment variables, then ``apikey`` in ``~/.ngc/config``."""
    for variable in VARIABLES:
        key = ApiKey(environ.get(variable, ""))
        if key.is_usable:
            return key
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read(home / ".ngc" / "config", encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return None
    for section in config.sections():
        key = ApiKey(config.get(section, "apikey", fallback=""))
        if key.is_usable and key.reveal() != "no-apikey":
            return key
    return None
