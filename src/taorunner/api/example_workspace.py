"""An example workspace: generated images and the embedded network, which trains on the CPU in a minute."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from taorunner.backends.registry import load_backend
from taorunner.catalog.load import network_names
from taorunner.errors import MachineError, UserFilesError
from taorunner.project.scaffold import create_example
from taorunner.project.workspace import Workspace
from taorunner.targets import EMBEDDED

PROJECT = "shapes"
EXPERIMENTS = ("small", "tiny")
_SEED = "1"


def make_example_workspace(folder: Path, *, images: int, held_out: int) -> Workspace:
    """Makes a workspace in ``folder`` with the project ``shapes``: circles, squares and triangles to be detected.

    ``images`` are in ``data/shapes/train``, ``held_out`` more in ``data/shapes/test``, with KITTI labels. The same
    numbers give the same dataset.

    Raises:
        UserFilesError: the folder is not empty.
        MachineError: the extra "embedded" is not installed, or the disk refuses.
    """
    for finding in load_backend(EMBEDDED.name).check():
        if finding.is_error:
            raise MachineError(finding.message, hint=finding.hint)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserFilesError(f'"{folder}" is not empty', hint="name another folder")
    create_example(folder, PROJECT, heads=network_names())
    workspace = Workspace(folder)
    data = workspace.project(PROJECT).data_dir / "shapes"
    counts = ["--images", str(images + held_out), "--held-out", str(held_out), "--seed", _SEED]
    command = [sys.executable, "-m", "taorunner.embedded", "sample-dataset", str(data), *counts]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        problem = made.stderr.strip() or made.stdout.strip()
        raise MachineError(f"the example dataset could not be made: {problem}")
    return workspace
