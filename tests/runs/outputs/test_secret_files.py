"""Results that hold a secret of the run are closed to others and named."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from nested_folders import nested_folders

from taorunner.catalog.load import load_network
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.outputs import secret_files
from taorunner.runs.outputs.recorded import Output, RunResults
from taorunner.runs.outputs.secret_files import secured_files, without_secret_names

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


def test_a_file_that_claims_to_be_older_than_the_run_is_searched(tmp_path: Path) -> None:
    held = write(tmp_path / "projects/p/models/e/a.yaml", KEY.encode())
    since_s = held.stat().st_ctime - 10
    os.utime(held, (1000, 1000))
    assert [code for code, _ in secured_files(plan(held.parent), (KEY,), since_s)] == ["secret-in-results"]
    assert mode(held) == 0o600


def test_folders_that_are_nested_without_end_are_named_and_end_no_search(tmp_path: Path) -> None:
    results = tmp_path / "projects/p/models/e"
    held = write(results / "z.yaml", KEY.encode())
    with nested_folders(results):
        found = secured_files(plan(results), (KEY,), 0)
    assert [code for code, _ in found] == ["secret-in-results", "secrets-not-searched"]
    assert mode(held) == 0o600


def test_published_keys_and_earlier_files_are_left_alone(tmp_path: Path) -> None:
    results = tmp_path / "projects/p/models/e"
    held = write(results / "a.yaml", b"key: tlt_encode " + KEY.encode())
    assert secured_files(plan(results), ("tlt_encode",), 0) == []
    assert secured_files(plan(results), (KEY,), held.stat().st_ctime + 1000) == []
    assert mode(held) == 0o644
    assert secured_files(plan(tmp_path / "projects/p/models/none"), (KEY,), 0) == []


def test_a_path_with_the_key_in_it_is_named_without_it_and_not_recorded(tmp_path: Path) -> None:
    results = tmp_path / "projects/p/models/e"
    write(results / "train/model.pth", b"weights")
    for name in (f"train/{KEY}.pth", f"{KEY.encode().hex()}/a/b.txt", "train/in/y.txt"):
        write(results / name, b"weights")
    (results / "train/link").symlink_to(f"/nowhere/{KEY}/x")
    old = write(results / f"old-{KEY}.txt", b"")
    (notice,) = secured_files(plan(results), (KEY, "nvidia_tlt", "in/y.txt"), 0)
    assert notice == (
        "secret-in-results",
        "***, old-***.txt, train/***.pth and 2 more files have a secret of the run in their names, which others may see: "
        "rename it or remove it",
    )
    found = RunResults(results, tuple(Output(path, "model", 1) for path in sorted(results.rglob("*.pth"))))
    kept = without_secret_names(found, plan(results), (KEY,))
    assert [one.path.name for one in kept.outputs] == ["model.pth"]
    later = old.stat().st_ctime + secret_files.CLOCK_SLACK_S + 1
    assert secured_files(plan(results), (KEY,), later) == []


def large(path: Path, at: int, size: int, filling: bytes) -> Path:
    """A file with the key at that place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for _ in range(size // len(filling)):
            file.write(filling)
        file.seek(at)
        file.write(KEY.encode())
    path.chmod(0o644)
    return path


def test_large_files_are_searched_texts_whole_and_weights_at_their_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_files, "_LARGE", 4 << 20)
    monkeypatch.setattr(secret_files, "_HEAD", 2 << 20)
    results = tmp_path / "projects/p/models/e"
    size, text, zeros = 8 << 20, b"a line\n" * 1024, bytes(1 << 20)
    large(results / "log.txt", size - 3_000_000, size, text)
    large(results / "first.pth", 1000, size, zeros)
    large(results / "last.pth", size - 1000, size, zeros)
    large(results / "middle.pth", size // 2, size, zeros)
    write(results / "small.yaml", KEY.encode())
    ((_, notice),) = secured_files(plan(results), (KEY,), 0)
    assert notice.startswith("small.yaml, "), "small files come first"
    held = {path.name for path in results.iterdir() if mode(path) == 0o600}
    assert held == {"log.txt", "first.pth", "last.pth", "small.yaml"}


def test_what_is_too_much_to_search_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_files, "_LARGE", 1 << 20)
    monkeypatch.setattr(secret_files, "_MOST_OF_LARGE", 3 << 20)
    results = tmp_path / "projects/p/models/e"
    large(results / "a.log", (6 << 20) - 100, 6 << 20, b"a line\n" * 1024)
    large(results / "b.log", 0, 7 << 20, b"a line\n" * 1024)
    assert secured_files(plan(results), (KEY,), 0) == [
        (
            "secrets-not-searched",
            "a.log, b.log were not searched for secrets of the run: there is too much to read",
        )
    ]
