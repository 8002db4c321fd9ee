"""Whatever a container puts in the place of its results, no command opens or changes a file elsewhere for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli
from opened_files import opened_files

SPEC = """\
results_dir: $results_dir
train: {num_gpus: $num_gpus, gpu_ids: $gpu_ids, num_epochs: 2, validation_interval: 1, checkpoint_interval: 1}
evaluate: {checkpoint: x}
export: {onnx_file: $results_dir/export/model.onnx}
dataset: {train_data_sources: [{image_dir: $dataset_raw/train}]}
"""
READING = [
    ("ps",), ("runs", "list"), ("runs", "show", "e1", "--json"), ("logs", "e1"), ("attach", "e1", "--json"), ("validate",),
    ("evaluate", "e1", "--dry-run", "--checkpoint", "best"), ("export", "e1", "--dry-run"), ("run", "gen_trt_engine", "e1", "--dry-run"),
    ("resume", "e1", "--dry-run"), ("train", "e1", "--overwrite", "--dry-run"), ("runs", "restore", "e1"),
    ("runs", "diff", "e1@2", "e1", "--all"), ("runs", "compare", "e1", "--all"), ("runs", "best", "e1"), ("runs", "lineage", "e1"),
    ("rerun", "e1", "--check"), ("runs", "show", "e1", "--plot", "test_mAP"),
    ("dataset", "evaluate", "projects/example_01/models/e1", "--truth", "coco"),
]  # fmt: skip
CHANGING = [
    ("runs", "prune", "--keep-checkpoints", "last:1", "--yes"), ("runs", "prune", "--results", "--keep", "0", "--yes"),
    ("runs", "restore", "e1", "1", "--yes"), ("train", "e1", "--overwrite", "--keep-checkpoints", "last:1"),
    ("evaluate", "e1"), ("export", "e1", "--overwrite"), ("resume", "e1", "--epochs", "9"),
]  # fmt: skip


PLANTING = """#!/bin/sh
[ -n "${PLANT:-}" ] || exit 0
for word; do case $word in results_dir=*) results=${word#*=} ;; esac; done
rm -rf "$results"/* && cp -a "$PLANT/." "$results/"
"""


@pytest.fixture
def trained(
    workspace_factory: Callable[..., Path],
    cli: Cli,
    tao_commands: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> tuple[Path, Cli]:
    """Two trainings, an export and an evaluation; then ``dino`` is a program that puts ``$PLANT`` in the place of all its
    results, or does nothing."""
    root = workspace_factory(
        {"experiments": {"e1": {"head": "dino", "dataset": "coco", "release": "7.0.1", "backend": "local"}}},
        specs={"e1/train.yaml": SPEC}, data={"coco/annotations.json": "{}", "coco/train/file": "x"},
    )  # fmt: skip
    environ = tao_commands("pyt_7", gpus=1)
    for words in (("train", "e1"), ("train", "e1", "--overwrite"), ("export", "e1"), ("evaluate", "e1")):
        done = Cli(cli.home, environ)(*words, cwd=root)
        assert done.code == 0, done.out + done.err
    idle = tmp_path / "idle" / "dino"
    idle.parent.mkdir()
    idle.write_text(PLANTING)
    idle.chmod(0o755)
    return root, Cli(cli.home, {**environ, "PATH": f"{idle.parent}{os.pathsep}{environ['PATH']}"})


def put_links(results: Path, elsewhere: Path, *, folders: bool) -> int:
    """A link to ``elsewhere`` in the place of each file or each folder of ``results``; gives how many."""
    count = 0
    for path in sorted(results.rglob("*")):
        if path.is_symlink() or path.is_dir() != folders or path.parent.resolve() != path.parent:
            continue
        shutil.rmtree(path) if folders else path.unlink()
        path.symlink_to(elsewhere / path.relative_to(results))
        count += 1
    return count


@pytest.mark.parametrize("folders", [False, True], ids=["files", "folders"])
def test_links_in_the_place_of_results_lead_no_command_elsewhere(
    trained: tuple[Path, Cli], tmp_path: Path, folders: bool
) -> None:
    """Of what starts a run, the program of the run plants them: with links there it would not start."""
    root, cli = trained
    results = root / "projects/example_01/models/e1"
    elsewhere, kept, clean = tmp_path / "elsewhere", tmp_path / "kept", tmp_path / "clean"
    shutil.copytree(results, elsewhere, symlinks=True)
    shutil.copytree(root, clean, symlinks=True)
    assert put_links(results, elsewhere, folders=folders) >= 3
    shutil.copytree(root, kept, symlinks=True)
    with opened_files(elsewhere) as watch:
        (elsewhere / "seen.json").read_bytes()
        assert "read seen.json" in watch.found()  # it does notice
        for words in (*READING, *CHANGING):
            starts = words in CHANGING and words[0] != "runs"
            if words in CHANGING:
                shutil.rmtree(root)
                shutil.copytree(clean if starts else kept, root, symlinks=True)
            done = cli(
                *words, cwd=root, env={"PLANT": str(kept / results.relative_to(root))} if starts else {}
            )
            assert done.code != 2 and "internal error" not in done.out + done.err, (words, done)
            assert watch.found() == [], words
            assert not starts or any(path.is_symlink() for path in results.rglob("*")), "it did plant them"


def test_a_folder_that_is_to_be_made_is_not_made_behind_a_link(
    trained: tuple[Path, Cli], tmp_path: Path
) -> None:
    root, cli = trained
    export = root / "projects/example_01/models/e1/export"
    shutil.rmtree(export)
    export.symlink_to(tmp_path / "not/there")  # it would be made
    done = cli("export", "e1", cwd=root)
    assert (done.code, (tmp_path / "not").exists()) == (4, False), done
    assert "a symbolic link, and taorunner does not follow it" in done.out
