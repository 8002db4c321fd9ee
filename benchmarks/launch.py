"""How much longer than ``docker run`` does ``taorunner train`` take, for a container that does nothing?"""

from __future__ import annotations

import tempfile
from pathlib import Path

from engines import docker_run, engine, image_that_only
from timing import print_ratio, process, taking_turns
from workspaces import PROJECT, TAORUNNER, small


def measure(times: int) -> None:
    found = engine()
    image = image_that_only(found, "noop", ["/usr/bin/noop"])
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        workspace = small(Path(folder) / "w", image=image)
        # Exit code 1: whatever trains leaves a model behind, and a container that does nothing has not trained.
        train = process([*TAORUNNER, "-p", PROJECT, "train", "noop"], cwd=str(workspace), codes=(1,))
        run = docker_run(workspace)
        ours, kept, removed = taking_turns(
            {
                "taorunner train": train,
                "docker run": process(run),
                "docker run --rm": process([*run[:2], "--rm", *run[2:]]),
            },
            times,
        )
    print("launch overhead: a container that does nothing")
    print_ratio("taorunner train ÷ docker run", ours, kept, 1.9)
    print_ratio("taorunner train ÷ docker run --rm", ours, removed)
    left = found.docker("ps", "-aq", "--filter", f"ancestor={image}").stdout.split()
    if left:
        found.docker("rm", "-f", *left)
