"""Several nodes, as the entrypoint of TAO 6 and later joins them from variables. Source: tao/pytorch.md section 2."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from context import Job
from generations import Generation
from status import StatusFile

NEEDED = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")


def override(generation: Generation, spec: Path) -> None:
    """With WORLD_SIZE set the spec is rewritten in place. Whatever goes wrong is logged, and the node trains alone."""
    if generation.name not in ("pyt_6", "pyt_7") or "WORLD_SIZE" not in os.environ:
        return
    try:
        count = int(os.environ["WORLD_SIZE"])
        missing = [name for name in NEEDED if name not in os.environ]
        if count > 1 and missing:
            raise ValueError(f"{', '.join(missing)} must be set")
        text = re.sub(r"^ +num_nodes:.*\n", "", spec.read_text(), flags=re.MULTILINE)
        spec.write_text(re.sub(r"^train:\n", f"train:\n  num_nodes: {count}\n", text, flags=re.MULTILINE))
    except (OSError, ValueError) as error:
        print(
            f"[Multinode] Error overriding configs: {error}\n[Multinode] Using default configs.", flush=True
        )


def rank() -> int:
    return int(os.environ.get("NODE_RANK", "0")) if "WORLD_SIZE" in os.environ else 0


def without_files(job: Job) -> Job:
    """The job of another node than the first: it trains as well, and leaves no file in the results folder."""
    return replace(job, results_dir=Path(tempfile.mkdtemp()), status=StatusFile(None))
