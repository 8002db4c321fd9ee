"""Makes tests/assets/workspace_<version>: what this version leaves on disk, for later versions to read.

    python tools/make_sample_workspace.py tests/assets/workspace_0_1_0

Real commands run in /srv/taorunner-sample (needs the right to make it): a run in every state, an open batch whose
supervisor was killed, a run with a torn record, a lock of images, caches. What would tell of this machine (process ids,
the boot, where Python lies) is replaced, large files are left out. Beside it ``expected.json`` keeps what this version
says of it. Run once for each version whose files are to be read for ever; never edit what it wrote.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import taorunner
from taorunner.project.image_lock import lock_text

ROOT = Path("/srv/taorunner-sample")
LARGEST_BYTES = 20_000
LEFT_OUT = {"bin", "data", "leases", ".gitignore", "experiments.schema.json"}
IMAGE = "nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt"

EXPERIMENTS = f"""\
experiments:
  shapes: {{head: tinydet, dataset: shapes}}
  fails: {{head: dino, dataset: d, backend: local, gpus: 0, env: {{MODE: fail}}}}
  stopped: {{head: dino, dataset: d, backend: local, gpus: 0}}
  lost: {{head: dino, dataset: d, backend: local, gpus: 0}}
  running: {{head: dino, dataset: d, backend: local, gpus: 0}}
  queued: {{head: dino, dataset: d, backend: local, gpus: 0}}
  starting: {{head: dino, dataset: d, gpus: 0, image: "{IMAGE}"}}
"""
CONVERT = """\
results_dir: $results_dir
dataset_convert:
  root_directory_path: $dataset_raw
  val_split: 20
  output_filename: $dataset_tfrecord/tfrecord
"""
SHAPES = """\
results_dir: $results_dir
model: {backbone: tiny, input_width: 32, input_height: 32}
dataset:
  train_tfrecords: $dataset_tfrecord/tfrecord-fold-001*
  val_tfrecords: $dataset_tfrecord/tfrecord-fold-000*
  class_names: [circle, square, triangle]
train: {num_epochs: 2, batch_size: 8, checkpoint_interval: 1}
"""
DINO = "results_dir: $results_dir\ntrain:\n  num_epochs: 12\n"
PROGRAM = r"""#!/bin/sh
for word; do case $word in results_dir=*) results=${word#*=} ;; esac; done
mkdir -p "$results/train"
status() { echo "{\"date\": \"11/28/2026\", \"time\": \"1:1:1\", $1}" >> "$results/train/status.json"; }
epoch() {
  times='"time_per_epoch": "0:00:02", "eta": "0:00:20"'
  going='"status": "RUNNING", "message": "Training loop in progress"'
  kpi="\"kpi\": {\"val_mAP50\": 0.$2, \"train_loss\": $3}"
  status "\"epoch\": $1, \"max_epoch\": 11, $times, $going, $kpi"
  echo weights > "$results/train/model_epoch_00$1_step_00010.pth"
}
status '"status": "STARTED", "message": "Starting DINO training."'
echo 'Epoch 0: 100%|##########| 10/10 [00:02<00:00, 5.00it/s, v_num=1, train_loss=9.1]'
epoch 0 21 9.1
if [ "$MODE" = fail ]; then
  status '"status": "FAILURE", "message": "CUDA out of memory"'
  echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB' >&2
  echo 'Execution status: FAIL'
  exit 1
fi
sleep 1
echo 'Epoch 1: 100%|##########| 10/10 [00:02<00:00, 5.00it/s, v_num=1, train_loss=7.4]'
epoch 1 34 7.4
sleep 600
"""


def main() -> None:
    target = Path(sys.argv[1])
    if ROOT.exists() or target.exists():
        sys.exit(f"{ROOT} and {target} must not be there")
    prepare()
    try:
        over()
        stopped_and_lost()
        open_batches()
        damaged()
        take_along(target)
    finally:
        end_processes()
        shutil.rmtree(ROOT)
    (target / "expected.json").write_text(json.dumps(said_of(target), indent=1) + "\n", encoding="utf-8")


def prepare() -> None:
    home = ROOT / "projects" / "parts"
    for folder in ("data/d", "models", "specs/shapes"):
        (home / folder).mkdir(parents=True)
    (ROOT / "repositories").mkdir()
    (home / "experiments.yml").write_text(EXPERIMENTS)
    (home / "specs/shapes/train.yaml").write_text(SHAPES)
    (home / "specs/shapes/convert.yaml").write_text(CONVERT)
    for name in ("fails", "stopped", "lost", "running", "queued", "starting"):
        (home / "specs" / name).mkdir()
        (home / "specs" / name / "train.yaml").write_text(DINO)
    program = ROOT / "bin/dino"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    words = ("sample-dataset", str(home / "data/shapes"), "--images", "20", "--size", "32")
    subprocess.run([sys.executable, "-m", "taorunner.embedded", *words], check=True, env=environment())


def environment(**more: str) -> dict[str, str]:
    """Nothing of the caller's environment."""
    return {
        "PATH": f"{ROOT}/bin:/usr/bin:/bin", "HOME": f"{ROOT}/home", "USER": "somebody", "LANG": "C.UTF-8",
        "TAORUNNER_LEASES": f"{ROOT}/leases", "DOCKER_HOST": f"unix://{ROOT}/engine.sock",
        "PYTHONPATH": str(Path(taorunner.__file__).parent.parent), **more,
    }  # fmt: skip


def command(*words: str, code: int = 0, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "taorunner", *words], cwd=cwd, env=environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != code:
        sys.exit(f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def over() -> None:
    """SUCCEEDED, a training that went on in a second run, FAILED."""
    command("convert", "shapes")
    command("train", "shapes")
    command("resume", "shapes", "--set", "train.num_epochs=3")
    command("train", "shapes", "--dry-run", "--overwrite")
    command("train", "fails", code=1)
    (ROOT / "taorunner.lock").write_text(lock_text({IMAGE: f"sha256:{'4e01c7ad' * 8}"}))


def stopped_and_lost() -> None:
    command("train", "stopped", "--detach")
    wait_for_epoch("stopped", 2)
    command("stop", "stopped")
    command("train", "lost", "--detach")
    wait_for_epoch("lost", 2)
    kill_supervisor("lost")
    kill_run("lost")
    command("ps")
    wait_for(lambda: record("lost")["state"] == "LOST")


def open_batches() -> None:
    """RUNNING and QUEUED in one batch, STARTING (an engine that does not answer) in another."""
    command("train", "running", "queued", "--parallel", "1", "--detach")
    wait_for_epoch("running", 2)
    kill_supervisor("running")
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(f"{ROOT}/engine.sock")
        engine.listen()
        viewer = subprocess.Popen(
            [sys.executable, "-m", "taorunner", "train", "starting"], cwd=ROOT, env=environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(lambda: bool(folders("starting")) and record("starting")["state"] == "STARTING")
        viewer.kill()
        viewer.wait()
        kill_supervisor("starting")
    (ROOT / "engine.sock").unlink()


def damaged() -> None:
    """A run whose record was cut off, as by a machine that lost power."""
    (whole,) = folders("fails")
    torn = whole.with_name(f"{whole.name[:-6]}dddddd")
    shutil.copytree(whole, torn)
    text = (torn / "record.json").read_text()
    (torn / "record.json").write_text(text[: len(text) // 2])


def folders(experiment: str) -> list[Path]:
    return sorted((ROOT / ".taorunner/runs").glob(f"*-{experiment}-train-*"))


def record(experiment: str) -> dict[str, object]:
    with contextlib.suppress(OSError, ValueError):
        body: dict[str, object] = json.loads((folders(experiment)[-1] / "record.json").read_text())
        return body
    return {"state": None}


def wait_for(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not claim():
        if time.monotonic() > deadline:
            sys.exit("it did not happen in time")
        time.sleep(0.05)


def wait_for_epoch(experiment: str, number: int) -> None:
    events = folders(experiment)[-1] / "events.jsonl"
    wait_for(lambda: f'"epoch": {number}, "epochs": 12' in events.read_text())
    time.sleep(1)  # and what was read is recorded


def kill_supervisor(experiment: str) -> None:
    lock = ROOT / ".taorunner/batches" / str(record(experiment)["batch"]) / "supervisor.lock"
    if lock.read_text():
        os.kill(int(lock.read_text()), signal.SIGKILL)
        wait_for(lambda: not is_locked(lock))
        return
    for pid in processes():  # it had not looked after every run yet
        if b"supervise" in words_of(pid) and is_below(pid):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_locked(lock))


def is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def kill_run(experiment: str) -> None:
    directory = folders(experiment)[-1] / "process"
    for pid in processes():
        if str(directory).encode() in words_of(pid):
            os.kill(pid, signal.SIGKILL)  # the reaper
    os.killpg(json.loads((directory / "started.json").read_text())["pid"], signal.SIGKILL)


def processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid())


def words_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_below(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(ROOT)
    return False


def end_processes() -> None:
    for pid in processes():
        with contextlib.suppress(OSError):
            if is_below(pid):
                os.kill(pid, signal.SIGKILL)


def take_along(target: Path) -> None:
    """The files without what describes this machine."""
    replaced = {
        sys.executable: "/usr/bin/python3",
        environment()["PYTHONPATH"]: "/usr/lib/python3/dist-packages",
        Path("/proc/sys/kernel/random/boot_id").read_text().strip(): "6f3c1f0a-0000-4000-8000-000000000000",
    }
    for number, path in enumerate(sorted(ROOT.glob(".taorunner/runs/*/process/started.json"))):
        body = json.loads(path.read_text())
        replaced[f"{body['pid']}:{body['start']}"] = f"{4100 + number}:{70000 + number}"
        replaced[f'"pid": {body["pid"]}, "start": {body["start"]}'] = (
            f'"pid": {4100 + number}, "start": {70000 + number}'
        )
    for path in sorted(ROOT.rglob("*")):
        inside = path.relative_to(ROOT)
        if LEFT_OUT & set(inside.parts) or not path.is_file() or path.is_symlink():
            continue
        data = path.read_bytes()
        if path.name == "supervisor.lock" and data:
            data = b"4000\n"
        if len(data) > LARGEST_BYTES or b"\0" in data:
            continue
        for old, new in replaced.items():
            data = data.replace(old.encode(), new.encode())
        (target / inside).parent.mkdir(parents=True, exist_ok=True)
        (target / inside).write_bytes(data)


def said_of(sample: Path) -> dict[str, object]:
    """What this version says while the supervisors of the open batches hold their locks, as if they lived."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as held:
        root = Path(place) / "workspace"
        shutil.copytree(sample, root)
        for path in root.rglob("*"):
            if path.is_file():
                path.write_text(path.read_text().replace(str(ROOT), str(root)))
        for batch in (root / ".taorunner/open").iterdir():
            lock = held.enter_context(
                (root / ".taorunner/batches" / batch.name / "supervisor.lock").open("ab")
            )
            fcntl.flock(lock, fcntl.LOCK_EX)

        def output_of(*words: str) -> str:
            return command(*words, cwd=root).replace(str(root), "$ROOT")

        runs = json.loads(output_of("runs", "list", "--json"))
        return {
            "ps": json.loads(output_of("ps", "--json")),
            "runs list": runs,
            "logs": {run["id"]: output_of("logs", run["id"]) for run in runs},
        }


if __name__ == "__main__":
    main()
