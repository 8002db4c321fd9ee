"""What do the protobuf descriptors of one nvidia-tao-deploy wheel say? The specs of TF1 are these messages.

The modules are read, not imported, by ``taorunner.specs.extract.protobuf_schemas``. Needs ``protobuf``.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from taorunner.specs.extract.protobuf_schemas import read_messages


def read_wheel(wheel: Path) -> dict[str, Any]:
    """Schema name → the tree of its keys."""
    with zipfile.ZipFile(wheel) as archive:
        sources = [archive.read(name) for name in archive.namelist() if name.endswith("_pb2.py")]
    return read_messages("nvidia_tao_deploy", sources)
