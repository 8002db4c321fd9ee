"""A disk fills up, has no inode left or becomes read-only, or /dev/shm is full: at the start, in the middle, at the end.

Each of 36 cases is one trouble, at one moment, with one backend. What was wrong is named, nothing ends with a traceback,
and once the disk has room again the record of the run is whole. CI runs a few of them; all:

    TAORUNNER_ALL_DISKS=1 pytest tests/faults/test_disk_trouble.py
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, Cli, Done, end_what_runs, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")

SPEC = "results_dir: $results_dir\ntrain: {num_epochs: 3}\n"
TINY = """\
results_dir: $results_dir
dataset_convert: {root_directory_path: $dataset_raw, val_split: 20, output_filename: $dataset_tfrecord/tfrecord}
model: {backbone: tiny, input_width: 32, input_height: 32}
dataset:
  train_tfrecords: $dataset_tfrecord/tfrecord-fold-001*
  val_tfrecords: $dataset_tfrecord/tfrecord-fold-000*
  class_names: [circle, square, triangle]
train: {num_epochs: 30, batch_size: 8, checkpoint_interval: 1}
"""
DINO = """#!/bin/sh
cat > "$STEER/program.py" <<'END'
import os, sys, time
results, steer = next(w[12:] for w in sys.argv if w.startswith("results_dir=")), os.environ["STEER"]
moment = os.environ.get("FULL_SHM")

def wait(name):
    open(f"{steer}/{name}.reached", "w").close()
    while not os.path.exists(f"{steer}/{name}"):
        time.sleep(0.02)
    if moment == name:  # in the words of torch
        try:
            with open(f"/dev/shm/torch_{os.getpid()}", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, 8 << 20)
        except OSError as error:
            text = f"unable to allocate shared memory(shm) for file </torch_7_1>: {error.strerror} ({error.errno})"
            raise RuntimeError(text) from None

def status(**body):
    with open(f"{results}/train/status.json", "a") as file:
        file.write('{"date": "1/1/2026", "time": "1:1:1", ' + ", ".join(f'"{k}": "{v}"' for k, v in body.items()) + "}\\n")

print("begun", flush=True)
wait("start")
os.makedirs(f"{results}/train", exist_ok=True)
wait("middle")
with open(f"{results}/train/model_epoch_002_step_00010.pth", "wb") as file:
    file.write(bytes(200_000))
status(status="SUCCESS", message="Train finished successfully.")
wait("end")
print("Execution status: PASS", flush=True)
END
exec python3 -u "$STEER/program.py" "$@"
"""
DISKS = ("full", "inodes", "read-only", "shm")
MOMENTS = ("start", "middle", "end")
BACKENDS = ("docker", "local", "embedded")
IN_CI = {
    ("full", "middle", "docker"), ("full", "end", "docker"), ("shm", "middle", "docker"),
    ("full", "middle", "embedded"), ("inodes", "end", "embedded"), ("inodes", "start", "local"), ("shm", "end", "local"),
}  # fmt: skip
"""``tests/cli/trouble/test_full_disk.py`` has more of the local backend."""
NAMED = {
    "full": r"no space left on device|has [\d.]+ \w+ of [\d.]+ \w+ free",
    "inodes": r"no space left on device|inode",
    "read-only": "[Rr]ead-only file system",
    "shm": "shared memory",
}
CASES = [
    pytest.param(disk, moment, backend, id=f"{disk}-{moment}-{backend}")
    for disk in DISKS
    for moment in MOMENTS
    for backend in BACKENDS
    if os.environ.get("TAORUNNER_ALL_DISKS") or (disk, moment, backend) in IN_CI
]


@dataclass
class Disk:
    """A small file system of its own, for a whole workspace."""

    place: Path
    kind: str
    image: Path
    _made: list[Path] = field(default_factory=list)

    def mount(self) -> None:
        if self.kind == "read-only":  # what ext4 does after a fault cannot be had of a file system in memory
            options = ["-o", "loop,errors=remount-ro", str(self.image), str(self.place)]
        else:
            limits = "size=64m,nr_inodes=400" if self.kind == "inodes" else "size=32m"
            options = ["-t", "tmpfs", "-o", limits, "tmpfs", str(self.place)]
        subprocess.run(["mount", *options], check=True)

    def break_it(self) -> None:
        if self.kind == "read-only":
            os.sync()  # what was written seconds before a fault is on the disk
            source = next(
                line.split()[0]
                for line in Path("/proc/mounts").read_text().splitlines()
                if line.split()[1] == str(self.place)
            )
            Path("/sys/fs/ext4", Path(source).name, "trigger_fs_error").write_text("test")
            wait_for(lambda: not self._is_writable())
        elif self.kind == "inodes":
            with contextlib.suppress(OSError):
                for number in range(1000):
                    (self.place / f"empty-{number}").touch()
                    self._made.append(self.place / f"empty-{number}")
        elif self.kind == "full":
            self._made.append(self.place / "filler")
            with contextlib.suppress(OSError), self._made[-1].open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)

    def mend(self) -> None:
        for path in self._made:
            path.unlink(missing_ok=True)
        if self.kind == "read-only":
            # the kernel keeps it so as long as anybody holds it; a copy is what a repair and a restart leave
            subprocess.run(["umount", "-l", str(self.place)], check=True)
            self.image = shutil.copy(self.image, self.image.with_suffix(".mended"))
            self.mount()

    def _is_writable(self) -> bool:
        """``access`` says so of a disk that refuses every write since its fault."""
        try:
            os.utime(self.place)
        except OSError:
            return False
        return True


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    folder = Path(tempfile.mkdtemp(prefix="taorunner-tests-disk-", dir="/tmp"))
    folder.chmod(0o755)
    made = Disk(folder / "w", request.node.callspec.params["trouble"], folder / "image")
    made.place.mkdir()
    if made.kind == "read-only":
        made.image.touch()
        os.truncate(made.image, 48 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(made.image)], check=True)
    made.mount()
    yield made
    end_what_runs(folder)
    for line in Path("/proc/mounts").read_text().splitlines():
        if line.split()[1].startswith(str(folder)):
            subprocess.run(["umount", "-l", line.split()[1]], check=False)
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Trial:
    disk: Disk
    cli: Cli
    moment: str
    backend: str
    words: list[str]

    def __call__(self, *words: str) -> Done:
        """From nothing where the command has a /dev/shm of its own."""
        return self.cli(*words, cwd=self.disk.place, program=PROGRAM if self.cli.prefix else None)

    @property
    def steer(self) -> Path:
        return self.disk.place.parent / "steer"

    @property
    def results(self) -> Path:
        return self.disk.place / "projects/example_01/models/e1/train"

    def record(self) -> dict[str, Any]:
        newest = max((self.disk.place / ".taorunner/runs").glob("*-train-*/record.json"))
        body: dict[str, Any] = json.loads(newest.read_text())
        return {**body, "folder": newest.parent}

    def run(self) -> tuple[int, str]:
        """Trains, with the trouble at its moment. The exit code, and all that the user saw."""
        if self.moment == "start":
            self.disk.break_it()
        for name in () if self.moment == "start" and self.disk.kind != "shm" else MOMENTS:
            if name != self.moment:
                (self.steer / name).touch()
        viewer = self.cli.start("train", "e1", "--plain", *self.words, cwd=self.disk.place)
        try:
            if self.moment != "start" or self.disk.kind == "shm":
                self._meet(viewer)
            out, err = viewer.communicate(timeout=120)
        finally:
            viewer.kill()
        return viewer.returncode, (out + err).decode()

    def _meet(self, viewer: subprocess.Popen[bytes]) -> None:
        if self.backend == "embedded":
            if self.disk.kind != "shm":
                self._meet_embedded()
            return
        wait_for(lambda: (self.steer / f"{self.moment}.reached").exists() or viewer.poll() is not None)
        assert viewer.poll() is None, viewer.communicate()
        wait_for(lambda: self.record()["state"] == "RUNNING")
        self.disk.break_it()
        (self.steer / self.moment).touch()

    def _meet_embedded(self) -> None:
        """It stands still while the disk fills up: after its first checkpoint, or before its last."""
        epochs = 2 if self.moment == "middle" else 25
        wait_for(lambda: len([*self.results.glob("*epoch*.npz")]) >= epochs)
        pid = json.loads((self.record()["folder"] / "process/started.json").read_text())["pid"]
        os.kill(pid, signal.SIGSTOP)
        self.disk.break_it()
        os.kill(pid, signal.SIGCONT)


def full_shm() -> tuple[str, ...]:
    """In front of a command: it has a /dev/shm of its own, with 64 KiB."""
    return ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"', "sh")


@pytest.fixture
def trial(
    disk: Disk, workspace_factory: Callable[..., Path], request: pytest.FixtureRequest, pictures: Path
) -> Trial:
    moment, backend = (request.node.callspec.params[name] for name in ("moment", "backend"))
    folder = disk.place.parent
    for name in ("home", "steer", "bin"):
        (folder / name).mkdir()
    (folder / "bin/dino").write_text(DINO)
    (folder / "bin/dino").chmod(0o755)
    env = {"STEER": "/steer" if backend == "docker" else str(folder / "steer")}
    if disk.kind == "shm":
        env["FULL_SHM"] = moment
    experiment: dict[str, Any] = {
        "head": "tinydet" if backend == "embedded" else "dino", "dataset": "d", "backend": backend, "gpus": 0, "env": env,
    }  # fmt: skip
    steered = {"PATH": f"{folder / 'bin'}:{Cli(folder / 'home').environment()['PATH']}"}
    steered["TAORUNNER_LEASES"] = str(folder / "leases")
    words: list[str] = []
    if backend == "docker":
        engine = request.getfixturevalue("engine")
        experiment |= {"image": request.getfixturevalue("tao_image")("pyt_7"), "release": "7.0.1"}
        if disk.kind == "shm":
            experiment["shm_size"] = "1m"
        steered |= engine.environment()
        words = [
            "--volume",
            f"{folder / 'steer'}:/steer",
            "--volume",
            f"{folder / 'bin/dino'}:/usr/local/bin/taofake",
        ]
    spec = TINY if backend == "embedded" else SPEC
    root = workspace_factory(
        {"experiments": {"e1": experiment}},
        specs={"e1/train.yaml": spec, "e1/convert.yaml": spec}, data={"d/": ""},
    )  # fmt: skip
    if backend == "embedded":
        shutil.copytree(pictures, root / "projects/example_01/data/d", dirs_exist_ok=True)
    shutil.copytree(root, disk.place, dirs_exist_ok=True)
    prefix = full_shm() if disk.kind == "shm" and backend != "docker" else ()
    made = Trial(disk, Cli(folder / "home", steered, prefix), moment, backend, words)
    if backend == "embedded":
        done = made("convert", "e1")
        assert done.code == 0, done
    return made


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny dataset, made once."""
    folder = tmp_path_factory.mktemp("pictures") / "shapes"
    command = [
        sys.executable,
        "-m",
        "taorunner.embedded",
        "sample-dataset",
        folder,
        "--images",
        "20",
        "--size",
        "32",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path_factory.getbasetemp())
    train = folder / "train"
    return train if train.is_dir() else folder


@pytest.mark.parametrize(("trouble", "moment", "backend"), CASES)
def test_trouble_with_a_disk_is_named_and_the_record_is_whole(
    trouble: str, moment: str, backend: str, trial: Trial
) -> None:
    code, seen = trial.run()
    logs = [path.read_text() for path in trial.disk.place.glob(".taorunner/batches/*/supervisor.log")]
    for text in (seen, *logs):
        assert re.search(r"(?m)^Traceback", text) is None, text  # that of the program is indented
        assert "internal error" not in text
    for name in MOMENTS:
        (trial.steer / name).touch()
    trial.disk.mend()
    runs = [*(trial.disk.place / ".taorunner/runs").glob("*-train-*")]
    refused = moment == "start" and trouble != "shm"
    if refused:
        assert (code, runs) == (4, []), seen
        assert re.search(NAMED[trouble], seen), seen
        assert str(trial.disk.place) in seen or ".taorunner" in seen, seen
        return
    attached = trial("attach", "e1")
    assert "internal error" not in attached.err, attached
    record = trial.record()
    wait_for(lambda: not os.listdir(trial.disk.place / ".taorunner/open"))
    record = trial.record()
    unaffected = backend == "embedded" and trouble == "shm"
    is_late = moment == "end" and backend != "embedded" and trouble != "shm"  # all results were written
    expected = {"SUCCEEDED"} if unaffected or is_late else {"FAILED"}
    if trouble == "read-only" and backend != "docker":
        # its output was on that disk, and only a process of that disk knew its exit code
        expected = {"FAILED", "LOST"}
    ended = record["state"]
    assert ended in expected, (code, seen, attached, record)
    named = f"{seen}\n{record['reason']}\n{record.get('hint')}"
    if ended != "SUCCEEDED" or (not unaffected and code):
        assert re.search(NAMED[trouble], named), named
    events = [json.loads(line) for line in (record["folder"] / "events.jsonl").read_text().splitlines()]
    assert [event["state"] for event in events if event["event"] == "RunFinished"] == [ended]
    assert json.loads((record["folder"] / "plan.json").read_text())
    log = (record["folder"] / "console.log").read_text()
    assert backend == "embedded" or "begun\n" in log
    assert not (record["folder"] / "reserve").exists()
    assert trial("ps").err == "nothing is running\n"
