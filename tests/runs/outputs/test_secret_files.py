"""Results that hold a secret of the run are closed to others and named."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from taorunner.catalog.load import load_network
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.outputs import secret_files
from taorunner.runs.outputs.secret_files import secured_files

KEY = "canary-key-1234"


def plan(results: Path) -> RunPlan:
    return RunPlan(
        project="p", experiment="e", action="train", backend="local", argv=(),
        contract=load_network("tinydet").contract("train"), workspace=results.parents[3], results_dir=results,
        results_inside=str(results), run_inside="/nowhere",
    )  # fmt: skip


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(path: Path, content: bytes, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_configuration_with_the_key_is_closed_and_named(tmp_path: Path) -> None:
    results = tmp_path / "projects/p/models/e"
    held = write(results / "train/experiment.yaml", b"encryption_key: canary-key-1234\n")
    across = write(results / "train/log.txt", b"x" * (secret_files._BLOCK - 5) + KEY.encode())
    other = write(results / "train/status.json", b"{}")
    private = write(results / "train/own.yaml", KEY.encode(), 0o600)
    outside = write(tmp_path / "outside.txt", KEY.encode())
    (results / "link.txt").symlink_to(outside)
    (results / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(results / "pipe")
    ((code, text),) = secured_files(plan(results), (KEY,), 0)
    assert code == "secret-in-results"
    assert text == (
        "train/own.yaml, train/experiment.yaml, train/log.txt hold a secret of the run: only their owner may read them now "
        "(mode 0600)"
    )  # fmt: skip
    assert [mode(path) for path in (held, across, other, private, outside)] == [
        0o600,
        0o600,
        0o644,
        0o600,
        0o644,
    ]


def test_a_file_with_another_name_elsewhere_is_only_reported(tmp_path: Path) -> None:
    results = tmp_path / "projects/p/models/e"
    held = write(tmp_path / "elsewhere", KEY.encode())
    results.mkdir(parents=True)
    (results / "a.yaml").hardlink_to(held)
    ((_, text),) = secured_files(plan(results), (KEY,), 0)
    assert text.startswith("a.yaml holds a secret of the run, and others may read it: sudo chmod 600 ")
    assert mode(held) == 0o644


def test_published_keys_and_earlier_files_are_left_alone(tmp_path: Path) -> None:
    results = tmp_path / "projects/p/models/e"
    held = write(results / "a.yaml", b"key: tlt_encode " + KEY.encode())
    assert secured_files(plan(results), ("tlt_encode",), 0) == []
    os.utime(held, (1000, 1000))
    assert secured_files(plan(results), (KEY,), 1_000_000) == []
    assert mode(held) == 0o644
    assert secured_files(plan(tmp_path / "projects/p/models/none"), (KEY,), 0) == []
