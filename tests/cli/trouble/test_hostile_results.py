"""Whatever a run leaves in its results, it comes to its end, and every command that reads results ends as it should."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Cli, end_what_runs
from PIL import Image

SPEC = """\
results_dir: $results_dir
train: {num_gpus: $num_gpus, gpu_ids: $gpu_ids, num_epochs: 2, validation_interval: 1, checkpoint_interval: 1}
evaluate: {checkpoint: x}
inference: {checkpoint: x}
export: {onnx_file: $results_dir/export/model.onnx}
dataset: {train_data_sources: [{image_dir: $dataset_raw/train}]}
"""
STARTER = """#!/bin/sh
"$REAL/dino" "$@"
code=$?
for word; do case $word in results_dir=*) results=${word#*=} ;; esac; done
cd "$results" && python3 "$PLANT"
exit $code
"""
PLANT = r"""
import os

def nested(folder):
    top = os.open(folder, os.O_RDONLY)
    for _ in range(1500):  # more than a program may recurse, or have open, and than a path may name
        os.mkdir("d", dir_fd=top)
        below = os.open("d", os.O_RDONLY, dir_fd=top)
        os.close(top)
        top = below
    os.close(os.open("last.pth", os.O_WRONLY | os.O_CREAT, dir_fd=top))
    os.close(top)

def write(name, data, time_ns=None):
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as file:
        file.write(data)
    if time_ns is not None:
        try:
            os.utime(name, ns=(time_ns, time_ns))
        except OSError:
            pass  # a disk that takes no such time

ESCAPES = b"\x1b[2J\x1b]0;owned\x07"
for folder in ("train", "export", "evaluate", "inference/labels"):
    os.makedirs(folder, exist_ok=True)
    nested(folder)
    write(os.fsencode(folder) + b"/" + ESCAPES + b".pth", b"x")
    write(os.fsencode(folder) + b"/model_epoch_007_\xff\n.onnx", b"x", 2**62 * 10**9)
    write(f"{folder}/early.onnx", b"x", -(2**62) * 10**9)
    write(f"{folder}/results.json", b"[" * 100_000)
    write(f"{folder}/experiment.yaml", b'a: &a "\\e[2J"\n"\\e]0;owned": "\\e[2J"\n' + b"".join(b"k%d: &x%d *a\n" % (n, n) for n in range(9000)))
    write(f"{folder}/events.out.tfevents.1", bytes(range(256)) * 400)
write("inference/labels/1.txt", ESCAPES + b" 0 0 0 1 1 9 9 0 0 0 0 0 0 0 0.5\n")
write("train/model_epoch_009_step_00009.pth", b"x", 2**62 * 10**9)
with open("train/status.json", "ab") as file:
    for line in (
        b"[" * 100_000, b"null", b'{"kpi": null}', b'{"kpi": {"loss": NaN}}', b'{"epoch": 1e400, "kpi": {"loss": 1}}',
        b'{"epoch": ' + b"9" * 5000 + b', "kpi": {"loss": ' + b"9" * 400 + b"}}", b"x" * 20_000_000,
        b'{"date": "1/1/2026", "time": "1:1:1", "epoch": 1, "message": "' + ESCAPES + b'", "kpi": {"' + ESCAPES + b'": 1, "\\u001b[2J": 2}}',
    ):
        file.write(line + b"\n")
"""
READING = [
    ("ps",), ("runs", "list"), ("runs", "show", "e1"), ("runs", "show", "e1", "--json"), ("logs", "e1"), ("attach", "e1", "--json"),
    ("runs", "show", "e1", "--plot", "loss"), ("validate",), ("runs", "lineage", "e1"), ("runs", "lineage", "e1", "--json"),
    ("runs", "compare", "e1", "e2"), ("runs", "diff", "e1", "e2", "--all"), ("runs", "best", "e1", "e2"), ("rerun", "e1", "--check"),
    ("evaluate", "e1", "--dry-run", "--checkpoint", "best"), ("evaluate", "e1", "--dry-run", "--checkpoint", "last.pth"),
    ("inference", "e1", "--dry-run"), ("export", "e1", "--dry-run"), ("resume", "e1", "--dry-run"),
    ("run", "gen_trt_engine", "e1", "--dry-run"), ("dataset", "evaluate", "projects/example_01/models/e1", "--truth", "coco"),
    ("runs", "prune", "--keep-checkpoints", "last:1", "--yes"), ("train", "e1", "--overwrite", "--dry-run"),
    ("train", "e1", "--overwrite"), ("runs", "restore", "e1"), ("runs", "prune", "--results", "--keep", "0", "--yes"),
]  # fmt: skip


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Iterator[Path]:
    body = {"head": "dino", "dataset": "coco", "release": "7.0.1", "backend": "local"}
    coco = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 9, "height": 9}], "categories": [{"id": 1, "name": "bolt"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0}],
    }  # fmt: skip
    root = workspace_factory(
        {"experiments": {"e1": body, "e2": body}}, specs={f"{name}/train.yaml": SPEC for name in ("e1", "e2")},
        data={"coco/annotations.json": json.dumps(coco), "coco/train/file": "x"},
    )  # fmt: skip
    Image.new("RGB", (9, 9)).save(root / "projects/example_01/data/coco/1.jpg")
    yield root
    end_what_runs(root)
    subprocess.run(["rm", "-rf", str(root)], check=True)  # what pytest removes folders with would recurse


@pytest.mark.slow
def test_a_run_with_hostile_results_ends_and_so_do_the_commands_that_read_them(
    workspace: Path, cli: Cli, tao_commands: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    environ = tao_commands("pyt_7", gpus=1)
    real = environ["PATH"].partition(os.pathsep)[0]
    starter, plant = tmp_path / "bin/dino", tmp_path / "plant.py"
    starter.parent.mkdir()
    starter.write_text(STARTER)
    starter.chmod(0o755)
    plant.write_text(PLANT)
    own = {"PATH": f"{starter.parent}{os.pathsep}{environ['PATH']}", "REAL": real, "PLANT": str(plant)}
    here = Cli(cli.home, {**environ, **own})
    for name in ("e1", "e2"):
        done = here("train", name, cwd=workspace, timeout_s=120)
        assert "internal error" not in done.out + done.err, done.err
    wrong = []
    (workspace / "projects/example_01/data/coco/train/\x1b[2J").write_text("x")
    for words in READING:
        done = here(*words, cwd=workspace, timeout_s=120)
        text = done.out + done.err
        if any(one in text for one in ("internal error", "Traceback", "RecursionError", "\x1b", "\x07")):
            wrong.append((words, done.code, text[-1500:]))
        if "--json" in words:
            for value in done.out.splitlines() if words[0] == "attach" else [done.out]:
                json.loads(value)
    assert wrong == []
    states = {
        record["experiment"]: record["state"]
        for record in (
            json.loads(path.read_text()) for path in (workspace / ".taorunner/runs").glob("*/record.json")
        )
    }
    assert set(states.values()) <= {"SUCCEEDED", "FAILED"}
