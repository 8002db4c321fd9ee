"""What do the configuration dataclasses of one nvidia-tao-core wheel say? Printed as JSON.

Runs as a process of its own, ``python tools/wheel_dataclasses.py WHEEL``: the wheel's modules are imported out of the
wheel by ``taorunner.specs.config_reader``, which says how; none of its dependencies is installed.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from taorunner.specs.config_reader import config_packages, read_configs

PACKAGE = "nvidia_tao_core"


def read_wheel(wheel: Path) -> dict[str, Any]:
    """Schema name → the tree of its keys; under ``failed`` those that could not be read, with the reason."""
    prefix = f"{PACKAGE}/"
    with zipfile.ZipFile(wheel) as archive:
        files = [name[len(prefix) :] for name in archive.namelist() if name.startswith(f"{prefix}config/")]
    sys.path.insert(0, str(wheel))
    return read_configs(config_packages(PACKAGE, files))


if __name__ == "__main__":
    json.dump(read_wheel(Path(sys.argv[1])), sys.stdout)
