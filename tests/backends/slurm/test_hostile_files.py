"""What is in a run's folder on a shared disk, and what Slurm's commands answer, may be anything: it is no fact then."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.backends.contract import EngineEnd, EngineState, Handle
from taorunner.backends.slurm.backend import create
from taorunner.backends.slurm.folder import Cluster, Folder
from taorunner.backends.slurm.scheduler import read_sacct, read_squeue
from taorunner.backends.slurm.states import Asked, refusal
from taorunner.events import now

DEEP = "[" * 100_000
HOSTS = [
    "-oProxyCommand=touch x",
    "-G",
    "a b",
    "a;b",
    "$(x)",
    "a\nb",
    "",
    5,
    ["a"],
    "x" * 300,
    "a'b",
    'a"b',
    "`x`",
    "ä",
]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A run that was handed over as job 7."""
    made = Folder(tmp_path / "run")
    made.path.mkdir(parents=True)
    made.write(
        {"slurm/run.sbatch": "x", "slurm/node.sh": "x"}, Cluster("login1", "run-1", 600, Asked("gpu", gpus=2))
    )
    made.begin_submit()
    made.keep_job("7")
    return made


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_the_folder_is_believed_as_it_was_written(folder: Folder) -> None:
    (folder.path / "exit").write_text("143 2026-11-20T00:00:00.000Z\n")
    found = folder.exit()
    assert folder.job() == "7"
    assert folder.cluster() is not None
    assert found is not None
    assert found[0] == 143


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_no_host_is_never_called(
    folder: Folder, host: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(folder.path / "cluster.json", host=host)
    monkeypatch.setenv("PATH", "")  # any command would fail with an error
    handle = Handle("slurm", "run-1", "7", folder.run_dir)
    assert create().inspect([handle])["run-1"].state is EngineState.MISSING
    create().stop(handle, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"asked": {"gpus": "x"}},
        {"asked": {"time": 5}},
        {"asked": {"x": 1}},
        {"asked": 5},
        {"unknown_after_s": "x"},
    ],
)
def test_what_was_asked_is_what_it_says_or_nothing(folder: Folder, changes: dict[str, Any]) -> None:
    change(folder.path / "cluster.json", **changes)
    assert folder.cluster() is None


@pytest.mark.parametrize(
    "job", ["--user=root", "-1", "7 8", "7;8", "", None, 7, ["7"], "7" * 30, "\u0667", "7_", "_1", "7_1_2"]
)
def test_only_a_number_is_a_job_and_that_of_a_task(folder: Folder, job: object) -> None:
    change(folder.path / "job.json", id=job)
    assert folder.job() is None


@pytest.mark.parametrize(
    "text", ["", "x", "-1 x", "256", "9" * 5000, "1" * 190, "\u0661", "1_0", "0x1", DEEP, "\0"]
)
def test_only_a_code_of_a_process_is_an_exit(folder: Folder, text: str) -> None:
    (folder.path / "exit").write_text(text)
    assert folder.exit() is None


def test_a_time_without_a_zone_is_none(folder: Folder) -> None:
    (folder.path / "exit").write_text("0 2026-01-01T00:00:00")
    found = folder.exit()
    assert found is not None
    assert (now() - found[1]).total_seconds() < 60


@pytest.mark.parametrize(
    "changes",
    [
        {"exit_code": "x"},
        {"exit_code": 1.5},
        {"at": None, "end": {"reason": 5}},
        {"end": {"no": 1}},
        {"end": [1]},
        {"end": "x"},
    ],
)
def test_an_end_that_says_nonsense_is_none(folder: Folder, changes: dict[str, Any]) -> None:
    whole = {
        "exit_code": 1,
        "oom_killed": False,
        "at": "2026-11-20T00:00:00+00:00",
        "end": {"reason": "r", "hint": None},
    }
    (folder.path / "end.json").write_text(json.dumps(whole))
    kept = folder.kept_end()
    assert kept is not None
    assert kept.end == EngineEnd("r")
    (folder.path / "end.json").write_text(json.dumps({**whole, **changes}))
    assert folder.kept_end() is None


@pytest.mark.parametrize(
    "line",
    [DEEP, '{"event": 5}', '{"event": "started", "attempt": "x", "at": []}', "null", '{"a":' * 9000, "\0"],
)
def test_lines_that_say_nonsense_are_passed_over(folder: Folder, line: str) -> None:
    good = '{"at": "2026-11-20T00:00:00Z", "attempt": 1, "event": "started"}'
    (folder.path / "slurm.jsonl").write_text(f"{good}\n{line}\n")
    first, last = folder.starts()
    assert first is not None
    assert last is not None


def _link(path: Path) -> None:
    path.with_name("elsewhere").write_text("0 2026-11-20T00:00:00Z")
    path.symlink_to("elsewhere")


def _twice(path: Path) -> None:
    path.write_text("0 2026-11-20T00:00:00Z")
    path.with_name("other").hardlink_to(path)


def _of_another(path: Path) -> None:
    path.write_text("0 2026-11-20T00:00:00Z")
    os.chown(path, 1234, 1234)


def _huge(path: Path) -> None:
    path.write_text("0 2026-11-20T00:00:00Z")
    os.truncate(path, 5 << 30)


@pytest.mark.parametrize(
    "make", [os.mkfifo, Path.mkdir, _link, _twice, _huge, _of_another], ids=lambda make: make.__name__
)
@pytest.mark.parametrize("name", ["exit", "slurm.jsonl", "end.json", "job.json", "cluster.json", "slurm.out"])
def test_what_is_no_file_of_ours_is_not_read(
    folder: Folder, make: Callable[[Path], object], name: str
) -> None:
    if make is _of_another and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    (folder.path / name).unlink(missing_ok=True)
    make(folder.path / name)
    assert folder.exit() is None
    assert folder.kept_end() is None
    assert folder.starts() == (None, None)
    assert len(folder.messages or "") <= 16 * 1024
    if name == "job.json":
        assert folder.job() is None
    if name == "cluster.json":
        assert folder.cluster() is None
    folder.remove()


def test_answers_of_slurm_control_no_terminal_and_have_their_columns() -> None:
    rows = read_squeue("7|RUNNING|a\x1b[2Jb|n1|x|tr-run|1\n8|RUNNING\n\x1b]0;x\x07|||||\n" + "|" * 50)
    assert [(row.id, row.reason, row.name) for row in rows] == [
        ("7", "a\ufffd[2Jb", "tr-run|1"), ("\ufffd]0;x\ufffd", "", ""), ("", "", "|" * 45),
    ]  # fmt: skip
    (end,) = read_sacct("7|CANCELLED by \x1b[31m0|0:15|x|tr-run\nshort|x\n")
    assert (end.by, end.signal) == ("\ufffd[31m0", 15)
    reason = refusal("sbatch: error: \x1b[2J" + "x" * 5000, Asked()).reason
    assert reason.startswith("sbatch refused the job: \ufffd[2Jxxx")
    assert len(reason) < 400


def test_a_view_of_a_far_side_is_made_in_its_place_alone(folder: Folder) -> None:
    """What a view no longer shows is removed."""
    state = folder.run_dir.parent.parent
    for seen, is_believed in (
        (state / "far/x", True),
        (state, False),
        (state / "far/../y", False),
        ("/home", False),
    ):
        shown = [{"there": "/w", "seen": str(seen), "whole": [], "ends": []}]
        change(folder.path / "cluster.json", far={"run_dir": "/w/r", "shown": shown})
        assert (folder.cluster() is not None) is is_believed


def test_a_refusal_of_any_length_is_read_in_a_moment() -> None:
    began = time.process_time()
    refusal("docker.io " * 500_000 + "401 Unauthorized " * 500_000, Asked())
    assert time.process_time() - began < 2
