"""How long does ``taorunner image pull`` take for three layers of 100 MB from loopback, beside ``docker pull``?"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import engines
from timing import Measured, print_ratio, process
from workspaces import TAORUNNER

LAYERS, LAYER_MB = 3, 100
CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: 127.0.0.1:{port}}}
"""


def measure(times: int) -> None:
    found = engines.engine()
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as name, registry(Path(name)) as address:
        reference = f"{address}/bench/three-layers:1"
        noise = "\n".join(f"RUN head -c {LAYER_MB}000000 /dev/urandom >/layer-{i}" for i in range(LAYERS))
        base = engines.image_that_only(found, "nothing", ["true"])
        (Path(name) / "Dockerfile").write_text(f"FROM {base}\n{noise}\n")
        engines.images.checked(found, "build", "-q", "-t", reference, "-f", f"{name}/Dockerfile", name)
        engines.images.checked(found, "push", "-q", reference)
        actions = {
            "taorunner image pull": process([*TAORUNNER, "image", "pull", reference]),
            "docker pull": process(["docker", "pull", "-q", reference]),
        }
        seconds: dict[str, list[float]] = {one: [] for one in actions}
        for turn in range(times + 1):  # the first is not counted
            for one, action in actions.items():
                found.docker("rmi", "-f", reference)
                found.docker("image", "prune", "-f")
                started = time.perf_counter()
                action()
                if turn:
                    seconds[one].append(time.perf_counter() - started)
        found.docker("rmi", "-f", reference)
    print(f"pull of {LAYERS} layers of {LAYER_MB} MB from a registry on loopback")
    ours, docker = (Measured(one, tuple(taken)) for one, taken in seconds.items())
    print_ratio("image pull ÷ docker pull", ours, docker, 1.2)


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """The address of a registry of its own, as Debian's docker-registry has it."""
    program = shutil.which("docker-registry")
    if program is None:
        raise SystemExit("not installed: docker-registry (as root: python tests/rig/rig.py install)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config.yml").write_text(CONFIG.format(folder=folder / "data", port=port))
    server = subprocess.Popen(
        [program, "serve", str(folder / "config.yml")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=2).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()
