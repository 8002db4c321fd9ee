"""The short way of ``ps`` and ``runs list`` gives what the whole command line gives, and leaves it all that is odd."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from command_line import Cli

from taorunner.events import EpochProgress, MetricReported, RunFinished, RunStarted, RunState
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

AT = datetime(2026, 11, 20, 9, 5, 7, tzinfo=timezone.utc)
LONG_WAY = (
    sys.executable,
    "-c",
    "import sys; from taorunner.cli.app import run; code = run(sys.argv[1:]); sys.stdout.flush(); sys.exit(code)",
)
UNDERSTOOD: list[tuple[str, ...]] = [
    ("ps",),
    ("ps", "--json"),
    ("ps", "-q"),
    ("runs", "list", "--quiet", "-n", "3"),
    ("runs", "list"),
    ("runs", "list", "--json"),
    ("runs", "list", "-n", "3"),
    ("runs", "list", "--limit", "2", "--json", "-p", "other"),
    ("runs", "list", "--state", "failed,lost", "--since", "2026-01-01", "-p", "other"),
    ("runs", "list", "-e", "e[1-4]", "--action", "train"),
    ("runs", "list", "--experiment", "nothing*"),
    ("ps", "-a"),
    ("ps", "--all", "-q"),
]
NOT_UNDERSTOOD: list[tuple[str, ...]] = [
    ("ps", "--help"),
    ("ps", "extra"),
    ("ps", "--jsno"),
    ("ps", "--", "x"),
    ("runs",),
    ("runs", "list", "--limit", "0"),
    ("runs", "list", "--limit", "many"),
    ("runs", "list", "--limit"),
    ("runs", "list", "--limit=2"),
    ("runs", "list", "-n2"),
    ("runs", "list", "-p", "other", "-p", "p"),
    ("runs", "show"),
    ("runs", "list", "--project", "nothing"),
    ("runs", "list", "--state", "broken"),
    ("runs", "list", "--since", "yesterday"),
    ("ps", "-p", "nothing"),
]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A run in each state and one more, the names of two with letters that only a terminal library can measure."""
    (tmp_path / "w" / "projects").mkdir(parents=True)
    store = RunStore(tmp_path / "w" / ".taorunner")
    open_ones = []
    for number, state in enumerate([*RunState, RunState.SUCCEEDED]):
        at = AT + timedelta(minutes=number)
        record = RunRecord(
            id=f"{at:%Y%m%d-%H%M%S}-e{number}-train-abc{number:03}", batch="b", project="other" if number % 3 else "p",
            experiment=f"e{number}", action="train", backend="docker", state=state, queued_at=at, epochs=8,
        )  # fmt: skip
        store.paths(record.id).directory.mkdir(parents=True)
        store.append_events(record.id, [record.queued_event()])
        if state is not RunState.QUEUED:
            events = [
                RunStarted(run=record.id, at=at, gpus=("0", "3"), handle="c"),
                EpochProgress(run=record.id, at=at, epoch=3, epochs=8),
                MetricReported(run=record.id, at=at, name="val_mAP", value=0.4312, epoch=2),
                MetricReported(run=record.id, at=at, name="loss", value=float("nan"), epoch=2),
            ]
            store.append_events(record.id, events)
        if state.is_final and number % 2:
            end = RunFinished(run=record.id, at=at + timedelta(hours=2), state=state, reason="so it ended")
            store.append_events(record.id, [end])
        store.save(record)
        if not state.is_final:
            open_ones.append(record.id)
    store.open_batches.begin("b", open_ones)
    return tmp_path / "w"


@pytest.mark.parametrize("words", UNDERSTOOD, ids=" ".join)
@pytest.mark.parametrize("env", [{}, {"LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"FORCE_COLOR": "1"}],
                         ids=["utf-8", "ascii", "colours"])  # fmt: skip
def test_both_ways_print_the_same(
    cli: Cli, workspace: Path, words: tuple[str, ...], env: dict[str, str]
) -> None:
    short, long = (cli(*words, cwd=workspace, env=env, program=way) for way in (PROGRAM_TRACED, LONG_WAY))
    short_err, imported = untraced(short.err)
    assert (short.code, without_eta(short.out), short_err) == (long.code, without_eta(long.out), long.err)
    assert "typer" not in imported
    is_table = not {"--json", "-q", "--quiet"} & set(words) and short.out != ""
    assert ("rich" in imported) == ("FORCE_COLOR" in env and is_table)
    assert "dataclasses" not in imported or "rich" in imported


def test_quiet_prints_ids_and_nothing_else(cli: Cli, workspace: Path) -> None:
    whole = [row["id"] for row in json.loads(cli("runs", "list", "--json", cwd=workspace).out)]
    assert len(whole) == len(RunState) + 1
    assert cli("runs", "list", "-q", cwd=workspace).out.splitlines() == whole
    assert cli("-q", "runs", "list", "-n", "3", cwd=workspace).out.splitlines() == whole[:3]


def test_ps_shows_what_runs_before_the_queue_in_its_order(cli: Cli, workspace: Path) -> None:
    names = [run_id.split("-")[2] for run_id in cli("ps", "-q", cwd=workspace).out.split()]
    recorded = [list(RunState)[int(name[1:])].value for name in names]
    assert recorded == ["STARTING", "RUNNING", "QUEUED", "WAITING", "DAMAGED"]


def test_a_list_that_leaves_runs_out_says_so(cli: Cli, workspace: Path) -> None:
    few = cli("runs", "list", "-n", "2", cwd=workspace)
    assert (len(few.out.splitlines()), few.err) == (3, "the newest 2 are shown; -n N shows more\n")
    for words in (("-n", "2", "-q"), ("-n", "2", "--json"), ()):
        assert cli("runs", "list", *words, cwd=workspace).err == ""
    runs = workspace / ".taorunner" / "runs"
    ended = max(folder for folder in runs.iterdir() if "SUCCEEDED" in (folder / "record.json").read_text())
    for number in range(51):
        name = f"{ended.name[:-6]}{number:06x}"
        (runs / name).mkdir()
        text = (ended / "record.json").read_text().replace(ended.name, name)
        (runs / name / "record.json").write_text(text)
    everything = cli("ps", "-a", cwd=workspace)
    assert everything.err == "of ended runs the newest 50 are shown; taorunner runs list -n N shows more\n"


@pytest.mark.parametrize("words", [("-p", "p", "runs", "prune"), ("runs", "prune", "-p", "p")], ids=" ".join)
def test_pruning_keeps_to_the_project_wherever_it_is_named(
    cli: Cli, workspace: Path, words: tuple[str, ...]
) -> None:
    rows = json.loads(cli("runs", "list", "--json", cwd=workspace).out)
    ended = {row["id"] for row in rows if row["finished_at"]}
    of_p = {row["id"] for row in rows if row["project"] == "p"}
    shown = json.loads(cli(*words, "--keep", "0", "--json", cwd=workspace).out)
    assert {row["id"] for row in shown} == ended & of_p
    assert ended & of_p and ended - of_p


@pytest.mark.parametrize("words", NOT_UNDERSTOOD, ids=" ".join)
def test_anything_odd_goes_the_long_way(cli: Cli, workspace: Path, words: tuple[str, ...]) -> None:
    short, long = (cli(*words, cwd=workspace, program=way) for way in (PROGRAM_TRACED, LONG_WAY))
    short_err, imported = untraced(short.err)
    assert (short.code, without_eta(short.out), short_err) == (long.code, without_eta(long.out), long.err)
    assert "typer" in imported


def test_an_error_is_reported_once_and_as_ever(cli: Cli, tmp_path: Path) -> None:
    done = cli("runs", "list", "--workspace", tmp_path / "nowhere")
    assert (done.code, done.out) == (2, "")
    assert done.err == cli("runs", "list", "--workspace", tmp_path / "nowhere", program=LONG_WAY).err


def test_a_workspace_is_named_as_ever(cli: Cli, workspace: Path) -> None:
    beside = cli("runs", "list", "-n", "1", "--workspace", workspace)
    assert (beside.code, beside.out) == (0, cli("runs", "list", "-n", "1", cwd=workspace).out)


@pytest.mark.parametrize("words", [("ps",), ("runs", "list", "--json"), ("runs", "show", "x")], ids=" ".join)
def test_a_batch_from_nowhere_runs_no_code(cli: Cli, tmp_path: Path, words: tuple[str, ...]) -> None:
    """What a container could write into a workspace that it was given whole, by an older program."""
    state = tmp_path / "w" / ".taorunner"
    for folder in ("open", "batches/x", "runs/r"):
        (state / folder).mkdir(parents=True)
    evil = tmp_path / "evil"
    for name in ("sitecustomize.py", "usercustomize.py", "ctypes/__init__.py", "docker/__init__.py"):
        (evil / name).parent.mkdir(parents=True, exist_ok=True)
        (evil / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    names = dict.fromkeys(
        ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PATH", "LD_LIBRARY_PATH"), str(evil)
    )
    (state / "batches/x/batch.json").write_text(
        json.dumps(
            {"id": "x", "runs": ["r"], "environ": {**names, "PYTHONSTARTUP": str(evil / "sitecustomize.py")}}
        )
    )
    (state / "open/x").write_text('["r"]')
    cli(*words, cwd=tmp_path / "w")
    log = state / "batches/x/supervisor.log"
    assert not log.exists(), "nothing is started for a batch whose runs are not on record"
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("words", [("ps",), ("runs", "list"), ("runs", "list", "--json")], ids=" ".join)
def test_runs_that_do_not_count_are_reported_and_not_shown(
    cli: Cli, workspace: Path, words: tuple[str, ...]
) -> None:
    runs = sorted((workspace / ".taorunner/runs").iterdir())
    for number, directory in enumerate(runs[:2]):  # queued, starting
        if number:
            (directory / "record.json").rename(directory / "kept.json")
            (directory / "record.json").symlink_to("kept.json")
        else:
            os.chown(directory / "record.json", 12345, 12345)
    done = cli(*words, cwd=workspace)
    assert done.code == 0
    assert runs[0].name[-6:] not in done.out
    if "ps" not in words:
        assert "damaged" in done.out.lower() and runs[1].name[-6:] in done.out
    assert f'ignored: {runs[0].name}: "{runs[0]}/record.json" belongs to user 12345, not to you\n' in done.err
    assert "chmod -R g+rwXs .taorunner" in done.err
    shown = cli("runs", "show", runs[0].name, cwd=workspace)
    assert (shown.code, "belongs to user 12345" in shown.err) == (6, True)


PROGRAM_TRACED = (sys.executable, "-X", "importtime", "-m", "taorunner")


def untraced(err: str) -> tuple[str, set[str]]:
    """What was printed on stderr, and the packages that were imported."""
    lines = err.splitlines(keepends=True)
    traced = [line for line in lines if line.startswith("import time:")]
    packages = {line.rpartition("|")[2].strip().partition(".")[0] for line in traced}
    return "".join(line for line in lines if line not in traced), packages


def without_eta(out: str) -> str:
    """The clock went on between the two."""
    return re.sub(r"\b\d+d \d\dh\b|\"eta_s\": [\d.]+", "…", out)


@pytest.mark.parametrize(
    ("words", "out", "err"), [(("ps",), "", "nothing is running\n"), (("ps", "--json"), "[]\n", "")]
)
def test_ps_without_open_batches_reads_no_record(
    tmp_path: Path, cli: Cli, words: tuple[str, ...], out: str, err: str
) -> None:
    (tmp_path / "projects").mkdir()
    done = cli(*words, cwd=tmp_path, program=PROGRAM_TRACED)
    shown = "".join(line for line in done.err.splitlines(keepends=True) if "import time:" not in line)
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert (done.code, done.out, shown) == (0, out, err)
    assert "taorunner.runs.state.batch_index" in imported
    assert not imported & {"taorunner.runs.state.store", "taorunner.events", "rich", "typer"}


@pytest.mark.parametrize("words", [("ps",), ("ps", "--json")], ids=" ".join)
def test_ps_of_runs_under_way_imports_nothing_that_it_does_not_need(
    cli: Cli, workspace: Path, words: tuple[str, ...]
) -> None:
    """The import of each of these takes a tenth of the time of ``ps``."""
    bare = cli(cwd=workspace, program=(sys.executable, "-X", "importtime", "-c", "pass"))
    done = cli(*words, cwd=workspace, program=PROGRAM_TRACED)
    assert (done.code, "RUNNING" in done.out.upper()) == (0, True)
    imported = untraced(done.err)[1] - untraced(bare.err)[1]
    assert "taorunner" in imported
    assert not imported & {"typing", "threading", "rich", "typer", "pydantic"}
