"""Which values of a spec are secrets and must not be shown or recorded: by their keys, and by the secrets that are
known."""

from __future__ import annotations

import re

_SECRET_KEY = re.compile(
    r"(?:^|_)(?:encryption_key|enc_key|model_key|api_key|password|secret|token)\Z", re.IGNORECASE
)
LONG_SECRET = 8
"""Shorter ones are masked only where they are a whole value."""
_PLACE_HOLDER = re.compile(r"\?\?\?\Z|\$\{|\Z")
_OF_TRACKERS = "wandb_config.key"
"""Source: results.md section 2.3."""


def is_secret(key: str, value: object, secrets: tuple[str, ...]) -> bool:
    """``key`` is dotted; ``secrets`` are those that are known."""
    if value is None or isinstance(value, (bool, dict)):
        return False
    text = str(value)
    if text in secrets or any(len(one) >= LONG_SECRET and one in text for one in secrets):
        return True
    last = key.rpartition(".")[2]
    is_named = key == "key" or key.endswith(_OF_TRACKERS) or _SECRET_KEY.search(last) is not None
    return is_named and not _PLACE_HOLDER.match(text)
