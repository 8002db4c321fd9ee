"""Reads a spec file and checks it, as ``validate`` does."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType

from taorunner.errors import Finding
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.walk import Against
from taorunner.specs.spec_file import SpecFile, check_loaded, load_spec
from taorunner.specs.templates.template import SpecValue

ROOT = Path(__file__).parents[2]


def load_tool(name: str) -> ModuleType:
    """The module ``tools/NAME.py``."""
    spec = importlib.util.spec_from_file_location(Path(name).name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def check_template(
    path: Path,
    spec_format: str,
    names: Collection[str],
    against: Against | None = None,
    values: Mapping[str, SpecValue] | None = None,
    memory: SpecMemory | None = None,
) -> tuple[Finding, ...]:
    loaded = load_spec(path)
    if not isinstance(loaded, SpecFile):
        return loaded
    return check_loaded(loaded, spec_format, names, against, values, memory)
