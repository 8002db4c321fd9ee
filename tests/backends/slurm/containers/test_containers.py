"""Whole trainings in containers on a real Slurm: TAO's stand-in, from the command line to its verdict."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, Done, wait_for
from slurm_rig import Cluster

from taorunner.backends.slurm.containers import image_file

IMAGE = "registry.test/tao/tao-toolkit:7.0.1-pyt"
KEY = "nvidia_secret_key_31"
SPEC = """\
results_dir: $results_dir
train: {num_gpus: $num_gpus, gpu_ids: $gpu_ids, num_epochs: 2, validation_interval: 1, checkpoint_interval: 1}
dataset: {train_data_sources: [{image_dir: $dataset_raw/train}]}
"""


# A stand-in for srun with pyxis, and for apptainer: the words that taorunner writes, read strictly, and run by Charliecloud.
# As with the real ones, pyxis passes all variables on and keeps those of the image, and apptainer passes none on.
PYXIS = """\
import os, sys
words, own, image, binds = sys.argv[1:], [], None, []
while words[0].startswith("--"):
    name, _, value = words.pop(0).partition("=")
    if name == "--container-image":
        assert value.startswith("/") and value.endswith(".sqsh"), value
        image = value if os.path.isdir(value) else open(value).read().removeprefix("hsqs")
    elif name == "--container-mounts":
        binds = [bind.split(":") for bind in value.split(",")]
    elif name not in ("--no-container-mount-home", "--no-container-entrypoint"):
        own.append(f"{name}={value}" if value else name)
for bind in binds:
    assert len(bind) == 2 or bind[2:] == ["ro"], bind
    inside = image + bind[1]
    os.makedirs(inside if os.path.isdir(bind[0]) else os.path.dirname(inside), exist_ok=True)
    if os.path.isfile(bind[0]):
        open(inside, "a").close()
mounts = [word for bind in binds for word in ("-b", f"{bind[0]}:{bind[1]}")]
os.environ["USER"] = "root"
inside = ["ch-run", *mounts, f"--set-env={image}/ch/environment", image, "--"]
os.execv("/usr/bin/srun", ["srun", *own, *inside, *words])
"""
APPTAINER = """\
import os, sys
words, binds = sys.argv[1:], []
assert words[:4] == ["exec", "--cleanenv", "--no-home", "--nv"], words
del words[:4]
while words[0] == "--bind":
    binds.append(words[1].split(":"))
    del words[:2]
image = words.pop(0)
assert image.startswith("/") and image.endswith(".sif"), image
for bind in binds:
    assert len(bind) == 2 or bind[2:] == ["ro"], bind
    os.makedirs(image + bind[1], exist_ok=True)
assert "APPTAINERENV_HOME" not in os.environ
prefix = "APPTAINERENV_"
sets = [f"--set-env={k[len(prefix):]}={v}" for k, v in os.environ.items() if k.startswith(prefix)]
mounts = [word for bind in binds for word in ("-b", f"{bind[0]}:{bind[1]}")]
own = ["--unset-env=*", f"--set-env={image}/ch/environment", *sets]
os.execv("/usr/bin/ch-run", ["ch-run", *mounts, *own, image, "--", *words])
"""


ENROOT = """\
import os, sys
word, option, part, image = sys.argv[1:]
assert (word, option) == ("import", "--output"), sys.argv
assert not os.path.exists(part), part
with open(COUNT, "a") as file:
    gpus = os.environ.get("SLURM_JOB_GPUS", "no GPU")
    print(os.environ["SLURM_JOB_PARTITION"], os.environ["ENROOT_TEMP_PATH"], gpus, image, file=file)
with open(part, "w") as file:
    file.write(BODY)
print(SAYS, file=sys.stderr)
sys.exit(CODE)
"""


@dataclass(frozen=True)
class Site:
    """A workspace with one experiment ``e``, which trains on a cluster."""

    cli: Cli
    root: Path
    environ: dict[str, str]

    def __call__(self, *words: str) -> Done:
        return self.cli(*words, cwd=self.root, env=self.environ)

    @property
    def seen(self) -> dict[str, Any]:
        """What the training saw inside."""
        path = self.root / "projects/example_01/models/e/seen.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    @property
    def said(self) -> str:
        """What Slurm, srun and the runtime said, and what the run printed."""
        paths = [
            path for name in ("slurm.out", "console.log") for path in self.root.rglob(f"runs/*/**/{name}")
        ]
        return "".join(path.read_text() for path in paths)


@pytest.fixture
def site(workspace_factory: Callable[..., Path], cli: Cli, slurm: Cluster) -> Callable[..., Site]:
    def make(container: dict[str, Any], *, image: str = IMAGE, spec: str = SPEC, **settings: Any) -> Site:
        experiment = {"head": "dino", "dataset": "coco", "image": image, "release": "7.0.1", "gpus": 1}
        env = {"TAO_KEY": "env:MY_KEY", "PYTHONUNBUFFERED": "a,b $HOME"}
        root = workspace_factory(
            {"tao_config": {"cluster": "site", "env": env}, "experiments": {"e": experiment}},
            specs={"e/train.yaml": spec},
            data={"coco/annotations.json": "{}", "coco/train/file": "x"},
        )
        cluster = {"backend": "slurm", "partition": "low", "container": container, **settings}
        (root / "clusters.yml").write_text(json.dumps({"clusters": {"site": cluster}}))
        return Site(cli, root, {**slurm.here, "MY_KEY": KEY})

    return make


@pytest.fixture
def shelf(rootfs: Callable[..., Any], tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """``shelf("pyxis")``: the cluster's ``container``, with TAO's stand-in in its folder of images."""

    def make(runtime: str) -> dict[str, str]:
        images = tmp_path / "images"
        images.mkdir()
        (images / image_file(IMAGE, runtime)).symlink_to(rootfs("pyt7").folder)
        return {"runtime": runtime, "images": str(images)}

    return make


def program(folder: Path, name: str, text: str) -> str:
    """Makes a program, and gives the line of ``setup`` that puts it first on a job's PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!{sys.executable}\n{text}")
    (folder / name).chmod(0o755)
    return f"export PATH={folder}:$PATH"


def assert_trained(site: Site, done: Done) -> None:
    assert done.code == 0, done.out + done.err + site.said
    inside = site.seen
    variables = inside["environment"]
    assert "train.num_gpus=1" in inside["argv"]
    assert (variables["TAO_FAKE_GENERATION"], variables["PYTHONHOME"]) == ("pyt_7", "/opt/py"), "of the image"
    assert variables["PYTHONUNBUFFERED"] == "a,b $HOME", "the experiment's wins over the image's"
    assert (variables["TAO_KEY"], variables["HOME"]) == (KEY, "/taorunner/home")
    assert inside["home_is_writable"]
    assert len(inside["gpus"]) == 1
    assert "WORLD_SIZE" not in variables and "SLURM_NTASKS" not in variables
    kept = "".join(path.read_text() for path in site.root.rglob("runs/*/slurm/*"))
    assert KEY not in kept
    assert list(site.root.rglob("models/e/train/*.pth"))


def test_charliecloud(site: Callable[..., Site], shelf: Callable[..., Any]) -> None:
    here = site(shelf("charliecloud"))
    assert_trained(here, here("train", "e"))


def test_pyxis(site: Callable[..., Site], shelf: Callable[..., Any], tmp_path: Path) -> None:
    here = site(shelf("pyxis"), setup=[program(tmp_path / "bin", "srun", PYXIS)])
    assert_trained(here, here("train", "e"))


def test_apptainer(site: Callable[..., Site], shelf: Callable[..., Any], tmp_path: Path) -> None:
    here = site(shelf("apptainer"), setup=[program(tmp_path / "bin", "apptainer", APPTAINER)])
    assert_trained(here, here("train", "e"))


def test_docker_in_the_job(site: Callable[..., Site], engine: Any, tao_image: Callable[..., str]) -> None:
    here = site({"runtime": "docker"}, image=tao_image("pyt7"), setup=[f"export DOCKER_HOST={engine.url}"])
    assert_trained(here, here("train", "e"))


def test_the_exit_code_of_a_container_is_that_of_the_run(
    site: Callable[..., Site], shelf: Callable[..., Any]
) -> None:
    here = site(shelf("charliecloud"), env={"FAKE_FAIL": "killed_137"})
    done = here("train", "e")
    assert done.code != 0
    (record,) = here.root.rglob("runs/*/record.json")
    assert json.loads(record.read_text())["exit_code"] == 137


def test_a_container_of_docker_is_requeued_and_stopped(
    site: Callable[..., Site], engine: Any, tao_image: Callable[..., str], slurm: Cluster
) -> None:
    """It is no child of Slurm: the second start finds nothing of the first one, and a stop leaves nothing."""
    settings = {"setup": [f"export DOCKER_HOST={engine.url}"], "env": {"FAKE_EPOCH_S": "0,600"}}
    here = site({"runtime": "docker"}, image=tao_image("pyt7"), **settings)
    started = here("train", "e", "--detach")
    assert started.code == 0, started.err
    wait_for(lambda: [*here.root.rglob("models/e/train/*epoch*.pth")] != [])
    (job_file,) = here.root.rglob("runs/*/slurm/job.json")
    run = job_file.parent.parent.name
    slurm.checked("scancel", "-b", "--signal=USR2", json.loads(job_file.read_text())["id"])
    log = job_file.with_name("slurm.jsonl")
    wait_for(lambda: '"attempt":1' in log.read_text())
    name = f"name=taorunner-{run}"
    wait_for(lambda: engine.docker("ps", "-q", "--filter", name).stdout != "")
    stopped = here("stop", "e")
    assert stopped.code == 0, stopped.err
    assert engine.docker("ps", "-aq", "--filter", name).stdout == ""


@dataclass(frozen=True)
class Registry:
    """A stand-in for enroot: what it gives, and for which jobs it was asked."""

    folder: Path

    @property
    def images(self) -> Path:
        return self.folder / "images"

    def container(self, body: str, says: str = "", code: int = 0) -> dict[str, Any]:
        """Settings of a cluster whose images it imports."""
        self.images.mkdir()
        values = {"COUNT": str(self.folder / "asked"), "BODY": body, "SAYS": says}
        text = (
            "".join(f"{name} = {value!r}\n" for name, value in values.items()) + f"CODE = {code}\n" + ENROOT
        )
        program(self.folder / "bin", "enroot", text)
        path = program(self.folder / "bin", "srun", PYXIS)
        shelf = {"images": str(self.images), "import_partition": "main", "tmp": str(self.folder / "tmp")}
        return {"container": {"runtime": "pyxis", **shelf}, "setup": [path]}

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()

    @property
    def kept(self) -> list[str]:
        return sorted(path.name for path in self.images.iterdir())


@pytest.fixture
def registry_stand_in(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def test_an_image_is_imported_once_by_a_job_without_gpus(
    site: Callable[..., Site], rootfs: Callable[..., Any], registry_stand_in: Registry
) -> None:
    registry_stand_in.folder.mkdir()
    here = site(**registry_stand_in.container(f"hsqs{rootfs('pyt7').folder}"))
    file = here.root / "projects/example_01/experiments.yml"
    text = json.loads(file.read_text())
    text["experiments"]["f"] = text["experiments"]["e"]
    file.write_text(json.dumps(text))
    (here.root / "projects/example_01/specs/f").mkdir()
    (here.root / "projects/example_01/specs/f/train.yaml").write_text(SPEC)
    done = here("train", "e", "f")
    assert_trained(here, done)
    name = f"docker://{IMAGE.replace('/', '#', 1)}"
    assert registry_stand_in.asked == [f"main {registry_stand_in.folder}/tmp no GPU {name}"]
    assert registry_stand_in.kept == [image_file(IMAGE, "pyxis"), image_file(IMAGE, "pyxis") + ".log"]


@pytest.mark.parametrize(
    ("body", "says", "code", "message", "hint"),
    [
        ("<html>", "", 0, "what was imported is no image", "its whole log: "),
        ("hsqs", "[ERROR] URL https://x returned error code: 401 Unauthorized", 1, "401 Unauthorized",
         "write the login of the registry into ~/.config/enroot/.credentials"),
        ("hsqs", "write error: No space left on device", 1, "No space left on device", "container.tmp: "),
    ],
)  # fmt: skip
def test_an_import_that_fails_says_why_and_leaves_no_image(
    site: Callable[..., Site], registry_stand_in: Registry, body: str, says: str, code: int, message: str, hint: str
) -> None:  # fmt: skip
    registry_stand_in.folder.mkdir()
    here = site(**registry_stand_in.container(body, says, code))
    done = here("train", "e")
    assert done.code != 0
    assert f'the image "{IMAGE}" could not be imported: ' in done.out
    assert message in done.out and f"hint: {hint}" in done.out
    assert registry_stand_in.kept == [image_file(IMAGE, "pyxis") + ".log"]


def test_a_missing_image_is_refused_with_the_command(site: Callable[..., Site], tmp_path: Path) -> None:
    container = {"runtime": "charliecloud", "images": str(tmp_path / "images")}
    here = site(container)
    done = here("train", "e")
    assert done.code != 0 and f'there is no folder "{tmp_path}/images" on this machine' in done.out
    (tmp_path / "images").mkdir()
    done = here("train", "e")
    assert f'the image "{IMAGE}" is not on the cluster' in done.out
    assert f"ch-image pull {IMAGE} && ch-convert -i ch-image -o dir {IMAGE} {tmp_path}/images/" in done.out
