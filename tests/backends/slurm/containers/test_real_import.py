"""Images imported into a folder of the cluster by charliecloud's own tools, from a real registry, and trained in."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import images
import pytest
import registries
from command_line import Cli
from slurm_rig import Cluster

import rig
from taorunner.backends.slurm.containers import image_file

SERVED = """\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {data}}}, maintenance: {{readonly: {{enabled: true}}}}}}
http: {{addr: '{address}', tls: {{certificate: {folder}/cert.pem, key: {folder}/key.pem}}}}
"""
SPEC = "train:\n  num_epochs: 2\nmodel:\n  backbone: resnet_50\n"


@pytest.fixture
def served(engine: rig.Engine, slurm: Cluster, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The name of TAO's stand-in in a registry that nodes reach by TLS, and the certificate to trust."""
    for name in ("docker-registry", "ch-image", "openssl"):
        if shutil.which(name) is None:
            pytest.skip(f"not installed: {name} (as root: python tests/rig/rig.py install)")
    folder, address = tmp_path / "registry", f"{slurm.layout.network}.1"
    folder.mkdir()
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry",
            "-addext", f"subjectAltName=IP:{address}", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    open_port, port = free_port(), free_port()
    (folder / "open.yml").write_text(registries.CONFIG.format(folder=folder / "data", port=open_port))
    (folder / "tls.yml").write_text(
        SERVED.format(data=folder / "data", address=f"{address}:{port}", folder=folder)
    )
    servers = [
        subprocess.Popen(["docker-registry", "serve", str(folder / name)], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for name in ("open.yml", "tls.yml")
    ]  # fmt: skip
    try:
        registries.wait_for_answer(open_port)
        pushed = f"127.0.0.1:{open_port}/tao/stand-in:7.0.1-pyt"
        images.checked(engine, "tag", images.tao_image(engine, "pyt7"), pushed)
        images.checked(engine, "push", "-q", pushed)
        images.checked(engine, "rmi", pushed)
        yield f"{address}:{port}/tao/stand-in:7.0.1-pyt", folder / "cert.pem"
    finally:
        for server in servers:
            server.kill()
            server.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.mark.slow
def test_charliecloud_imports_an_image_by_a_job_and_runs_it(
    cli: Cli, workspace_factory: Callable[..., Path], slurm: Cluster, served: tuple[str, Path], tmp_path: Path
) -> None:
    image, certificate = served
    shelf, scratch = tmp_path / "images", tmp_path / "scratch"
    for folder in (shelf, scratch):
        folder.mkdir()
    (scratch / "of somebody").touch()
    experiment = {"head": "dino", "dataset": "coco", "image": image, "release": "7.0.1", "gpus": 1}
    root = workspace_factory(
        {"tao_config": {"cluster": "site"}, "experiments": {"e": experiment, "f": experiment}},
        specs={"e/train.yaml": SPEC, "f/train.yaml": SPEC},
        data={"coco/annotations.json": "{}", "coco/train/file": "x"},
    )
    container: dict[str, object] = {
        "runtime": "charliecloud",
        "images": str(shelf),
        "import_partition": "low",
        "tmp": str(scratch),
    }
    container["import_options"] = ["--mem=2G"]  # nodes here give a job 100 MB by default
    setup = [
        f"export REQUESTS_CA_BUNDLE={certificate} PATH=/usr/bin:$PATH"
    ]  # ch-image wants the system's Python
    cluster = {"backend": "slurm", "partition": "low", "container": container, "setup": setup}
    (root / "clusters.yml").write_text(json.dumps({"clusters": {"site": cluster}}))
    done = cli("train", "e", "f", cwd=root, env=slurm.here)
    log = shelf / f"{image_file(image, 'charliecloud')}.log"
    assert done.code == 0, done.out + done.err + (log.read_text() if log.exists() else "")
    assert sorted(path.name for path in shelf.iterdir()) == [image_file(image, "charliecloud"), log.name]
    for name in ("e", "f"):
        assert list((root / "projects/example_01/models" / name).rglob("*.pth"))
    jobs = [job for job in slurm.jobs().values() if job.name.startswith("tr-image-")]
    assert len([job for job in jobs if job.state == "COMPLETED"]) >= 1
    assert os.listdir(scratch) == ["of somebody"]
    wrong = image.replace("stand-in", "missing")
    done = cli("train", "e", "--image", wrong, "--overwrite", cwd=root, env=slurm.here)
    assert (done.code != 0, f'the image "{wrong}" could not be imported: ' in done.out) == (True, True), (
        done.out
    )
    assert not (shelf / image_file(wrong, "charliecloud")).exists()
