"""An engine with scripted answers."""

from __future__ import annotations

from scripted_engine import scripted

__all__ = ["scripted"]
