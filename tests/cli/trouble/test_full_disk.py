"""A full disk is named with what is free on it, wherever it is met: real file systems of 2 MB, real processes."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Cli, wait_for

SPEC = "results_dir: $results_dir\ntrain:\n  num_epochs: 3\n"
PROGRAM = """#!/bin/sh
for word; do case $word in results_dir=*) results=${word#*=} ;; esac; done
mkdir -p "$results/train"
status() { echo "{\\"date\\": \\"1/1/2026\\", \\"time\\": \\"1:1:1\\", \\"status\\": $1}" >> "$results/train/status.json"; }
: > "$results/ready"
BODY
"""
WAITS = """
echo started
while [ ! -e "${results}.go" ]; do sleep 0.05; done
echo weights > "$results/train/model_epoch_002_step_00010.pth"
status '"SUCCESS", "message": "Train finished successfully."'
echo 'Execution status: PASS'
"""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Never in shared memory: a full disk there is another cause of failure."""
    folder = Path(tempfile.mkdtemp(prefix="taorunner-tests-full-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def person(cli: Cli, tmp_path: Path) -> Callable[[str], Cli]:
    """A user on whose PATH ``dino`` is a program with this body."""

    def make(body: str) -> Cli:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "dino").write_text(PROGRAM.replace("BODY", body))
        (folder / "dino").chmod(0o755)
        return Cli(cli.home, {"PATH": f"{folder}:{cli.environment()['PATH']}"})

    return make


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path], small_disk: Path) -> Path:
    """Its state folder lies on a small disk, its results do not."""
    root = workspace_factory(
        "experiments:\n  e1: {head: dino, dataset: d, backend: local, gpus: 0}\n",
        specs={"e1/train.yaml": SPEC}, data={"d/": ""},
    )  # fmt: skip
    (root / ".taorunner").symlink_to(small_disk)
    return root


def fill(place: Path) -> Path:
    filler = place / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return filler


def results(workspace: Path) -> Path:
    return workspace / "projects/example_01/models/e1"


def go_on(workspace: Path) -> None:
    """What runs, and what will, may end."""
    results(workspace).with_suffix(".go").touch()


def record(workspace: Path) -> dict[str, object]:
    (found,) = (workspace / ".taorunner/runs").glob("*/record.json")
    body: dict[str, object] = json.loads(found.read_text())
    return body


def test_a_start_on_a_full_disk_is_refused(
    person: Callable[[str], Cli], workspace: Path, small_disk: Path
) -> None:
    cli = person(WAITS)
    fill(small_disk)
    for words in (["train", "e1"], ["train", "e1", "--detach"], ["train", "e1", "--dry-run"]):
        done = cli(*words, cwd=workspace)
        assert done.code == 4, done
        assert done.out == ""
        error, hint = done.err.splitlines()
        assert re.fullmatch(
            rf'error: "\.taorunner/\S+" cannot be written: no space left on device; '
            rf'the file system "{small_disk}" has 0 B of 2\.0 MiB free \[disk\]',
            error,
        ), done.err
        assert hint == (
            f"hint: free some space there; du -x -h -d2 {small_disk} | sort -h | tail -n 15 shows the largest folders"
        )
    assert not (results(workspace) / "ready").exists()


@pytest.mark.parametrize("left", [0, 4096, 8192, 16384, 32768])
def test_a_disk_with_room_for_half_a_run(
    left: int, person: Callable[[str], Cli], workspace: Path, small_disk: Path
) -> None:
    """Whichever file it is that no longer fits: the same words, and nothing that lies in the way later."""
    cli = person(WAITS)
    go_on(workspace)
    filler = fill(small_disk)
    with filler.open("r+b") as file:
        file.truncate(filler.stat().st_size - left)
    done = cli("train", "e1", cwd=workspace)
    assert done.code == 4, done
    assert "no space left on device" in done.err + done.out, done
    assert f'the file system "{small_disk}" has ' in done.err + done.out
    assert "Traceback" not in done.out + done.err
    filler.unlink()
    cli("attach", cwd=workspace)
    assert cli("ps", cwd=workspace).err == "nothing is running\n"
    again = cli("train", "e1", "--overwrite", cwd=workspace)
    assert again.code == 0, again


def test_a_disk_that_fills_up_while_a_run_goes_on(
    person: Callable[[str], Cli], workspace: Path, small_disk: Path
) -> None:
    """The viewer says what is wrong; the run goes on, and is followed again once there is room."""
    cli = person(WAITS)
    viewer = cli.start("train", "e1", "--plain", cwd=workspace)
    wait_for(lambda: (results(workspace) / "ready").exists())
    wait_for(lambda: record(workspace)["state"] == "RUNNING")
    filler = fill(small_disk)
    go_on(workspace)
    out, err = viewer.communicate(timeout=120)
    assert viewer.returncode == 4, (out, err)
    assert "Traceback" not in (out + err).decode()
    full = f'no space left on device; the file system "{small_disk}" has '
    assert err.decode().startswith(f'error: runs cannot be recorded in ".taorunner": {full}')
    assert "then resume watching with taorunner attach" in err.decode()
    stopped = cli("stop", "e1", cwd=workspace)
    assert (stopped.code, full in stopped.err) == (4, True), stopped
    (log,) = small_disk.glob("batches/*/supervisor.log")
    assert "Traceback" not in log.read_text()

    filler.unlink()
    attached = cli("attach", cwd=workspace)
    assert attached.code == 0, attached
    assert record(workspace)["state"] == "SUCCEEDED", record(workspace)


def use_up(place: Path) -> None:
    """Every inode, or all the space."""
    with contextlib.suppress(OSError):
        for number in range(10_000):
            (place / f"empty-{number}").touch()
    if shutil.disk_usage(place).free < 3 * 1024**2:
        fill(place)


@pytest.mark.parametrize("options", ["size=2500k", "size=40m,nr_inodes=120"])
def test_a_run_that_fails_on_a_full_disk_is_recorded_there(
    options: str,
    person: Callable[[str], Cli],
    workspace_factory: Callable[..., Path],
    mount: Callable[..., Path],
) -> None:
    """What the program says of it cannot be stored, and its end has the space that was kept for it."""
    cli = person('while [ ! -e "$GO" ]; do sleep 0.05; done; exit 7')
    disk = mount(options)
    go = disk.parent / "go"
    shutil.copytree(
        workspace_factory(
            f"experiments:\n  e1: {{head: dino, dataset: d, backend: local, gpus: 0, env: {{GO: {go}}}}}\n",
            specs={"e1/train.yaml": SPEC}, data={"d/": ""},
        ),
        disk, dirs_exist_ok=True,
    )  # fmt: skip
    viewer = cli.start("train", "e1", "--plain", cwd=disk)
    wait_for(lambda: (results(disk) / "ready").exists())
    wait_for(lambda: record(disk)["state"] == "RUNNING")
    use_up(disk)
    go.touch()
    out, err = viewer.communicate(timeout=120)
    assert "Traceback" not in (out + err).decode()
    said = record(disk)
    assert (viewer.returncode, said["state"], said["exit_code"]) == (1, "FAILED", 7), (out, err, said)
    assert str(said["reason"]).startswith(f'TAO ended with exit code 7, and the disk of "{disk}'), said
    assert str(said["hint"]).startswith(f'the file system "{disk}" has '), said
    assert [*disk.rglob("reserve")] == []


FILLS = 'python3 -I -c "import sys; f = open(sys.argv[1], chr(119) + chr(98), 0); [f.write(bytes(4096)) for _ in range(1 << 20)]"'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        # Python names no file where a write fails
        (f'{FILLS} "$TMPDIR/x"; rm "$TMPDIR/x"; exit 1', 'temporary files in "{tmp}"'),
        (
            'echo "ResourceExhaustedError: $TMPDIR/tmp5/part-0.tempstate1; No space left on device [Op:SaveV2]"; exit 1',
            'temporary files in "{tmp}"',
        ),
        (
            "echo \"OSError: [Errno 28] No space left on device: '$TMPDIR/a' -> '$results/train/model.pth'\"; exit 1",
            '"{results}/train/model.pth"',
        ),
    ],
    ids=["write", "tensorflow", "move"],
)
def test_a_full_tmpdir_is_not_called_the_results_folder(
    body: str,
    reason: str,
    person: Callable[[str], Cli],
    workspace_factory: Callable[..., Path],
    small_disk: Path,
) -> None:
    root = workspace_factory(
        f"experiments:\n  e1: {{head: dino, dataset: d, backend: local, gpus: 0, env: {{TMPDIR: {small_disk}}}}}\n",
        specs={"e1/train.yaml": SPEC}, data={"d/": ""},
    )  # fmt: skip
    done = person(body)("train", "e1", cwd=root)
    assert done.code == 1, done
    said = record(root)
    where = reason.format(tmp=small_disk, results=results(root))
    assert said["reason"] == f"the disk is full: {where}", done.out
    hint = str(said["hint"])
    if "temporary" in reason:
        assert hint.startswith(f'the file system "{small_disk}" has ')
        assert hint.endswith(
            'free some, or set "TMPDIR" in "env" of the experiment to a folder on a larger disk'
        )
    else:
        assert str(small_disk) not in hint
        assert hint.endswith("free some, or point the mounts at a larger disk")


def test_full_results_are_named_with_what_is_free(
    person: Callable[[str], Cli], workspace_factory: Callable[..., Path], small_disk: Path
) -> None:
    root = workspace_factory(
        "experiments:\n  e1: {head: dino, dataset: d, backend: local, gpus: 0}\n",
        specs={"e1/train.yaml": SPEC}, data={"d/": ""},
    )  # fmt: skip
    models = root / "projects/example_01/models"
    models.rmdir()
    models.symlink_to(small_disk)
    done = person(f'{FILLS} "$results/train/model.pth"; exit 1')("train", "e1", cwd=root)
    assert done.code == 1, done
    said = record(root)
    assert said["reason"] == f'the disk is full: "{results(root)}"', done.out
    assert said["hint"] == (
        f'the file system "{small_disk}" has 0 B of 2.0 MiB free: free some, or point the mounts at a larger disk'
    )


def test_what_is_not_a_run_is_named_too(cli: Cli, small_disk: Path) -> None:
    (small_disk / "projects").mkdir()
    fill(small_disk)
    done = cli("init-project", "new", cwd=small_disk)
    assert (done.code, done.out) == (4, ""), done
    assert f'no space left on device; the file system "{small_disk}" has 0 B of 2.0 MiB free' in done.err


def test_standard_output_that_is_full(cli: Cli, small_disk: Path) -> None:
    with (small_disk / "out").open("wb") as out:
        fill(small_disk)
        process = cli.start("networks", "--json", stdout=out)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 4
    assert err.decode().startswith(
        f'error: "{small_disk}/out" cannot be written: no space left on device; the file system "{small_disk}" has '
    )
