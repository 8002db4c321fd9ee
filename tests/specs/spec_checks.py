"""Reads a spec file and checks it, as ``validate`` does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from taorunner.errors import Finding
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.walk import Against
from taorunner.specs.spec_file import SpecFile, check_loaded, load_spec
from taorunner.specs.templates.template import Value


def check_template(
    path: Path,
    spec_format: str,
    names: Collection[str],
    against: Against | None = None,
    values: Mapping[str, Value] | None = None,
    memory: SpecMemory | None = None,
) -> tuple[Finding, ...]:
    loaded = load_spec(path)
    if not isinstance(loaded, SpecFile):
        return loaded
    return check_loaded(loaded, spec_format, names, against, values, memory)
