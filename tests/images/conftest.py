"""Registries on loopback and images to put into them, and the engine of this test run."""

from __future__ import annotations

from registries import connected, flaky_registry, images, open_registry, workspace
from scripted_engine import scripted

__all__ = ["connected", "flaky_registry", "images", "open_registry", "scripted", "workspace"]
