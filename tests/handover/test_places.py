"""What is handed over names neither the machine nor the folders where it was made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taorunner.handover.places import scores_without_places, without_places
from taorunner.runs.inputs.run_lock import DataRead, FileRead, RunLock

ROOT = Path("/home/ann/work space")


def argv_of(text: str) -> str:
    lock = RunLock("0.2.0", "dino", "export", "7.0.1", argv=(text,))
    return without_places(lock, ROOT).argv[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{ROOT}/projects/a", "$workspace/projects/a"),
        (f"results_dir={ROOT}", "results_dir=$workspace"),
        (f"{ROOT}2/data", ".../data"),
        ("/mnt/disk 1/cars/", ".../cars"),
        ("dir=/mnt/disk/cars,/mnt/b/c", "dir=.../cars,.../c"),
        ("['/mnt/disk/cars']", "['.../cars']"),
        ("nvcr.io/nvidia/tao:7", "nvcr.io/nvidia/tao:7"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("$results_dir/train/a.pth", "$results_dir/train/a.pth"),
        ("../a/b and 1/2/3", "../a/b and 1/2/3"),
        ("/", "/"),
        ("", ""),
    ],
)
def test_a_path_keeps_its_name(text: str, said: str) -> None:
    assert argv_of(text) == said


def test_every_field_of_a_lock() -> None:
    lock = RunLock(
        "0.2.0", "dino", "export", "7.0.1", host="ann-pc", spec={"a.b": [f"{ROOT}/x", 3, None]},
        resolved={"c": {"d": "/data/one/two"}}, data=(DataRead("/data/cars", (".",), 1, 1, 9, "f1"),),
        weights=(FileRead("/data/w/a.pth", 9, 7, "5a"),), argv=("dino", "export"), gpus=("H100",),
    )  # fmt: skip
    assert without_places(lock, ROOT) == RunLock(
        "0.2.0", "dino", "export", "7.0.1", host="", spec={"a.b": ["$workspace/x", 3, None]},
        resolved={"c": {"d": ".../two"}}, data=(DataRead(".../cars", (".",), 1, 1, 9, "f1"),),
        weights=(FileRead(".../a.pth", 9, 7, "5a"),), argv=("dino", "export"), gpus=("H100",),
    )  # fmt: skip


def test_the_folder_of_the_scored_dataset() -> None:
    body = {"data": {"name": "cars", "folder": f"{ROOT}/projects/a/data/cars"}, "classes": ["/a/b"]}
    done = json.loads(scores_without_places(json.dumps(body).encode(), ROOT))
    assert done == {
        "data": {"name": "cars", "folder": "$workspace/projects/a/data/cars"},
        "classes": ["/a/b"],
    }
