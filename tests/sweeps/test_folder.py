"""What a sweep has on disk: every line counts once, damaged ones not at all, and one process writes."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from taorunner.errors import RunStateError
from taorunner.project.sweeps.constraint import parse_constraint
from taorunner.project.sweeps.definition import Axis, Limit, Pruner, Sweep
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.folder import StoredSweep, SweepFolder, changed_keys, stored_sweeps
from taorunner.sweeps.trial import Trial
from taorunner.values.value import replace

SWEEP = Sweep(name="s", base="b", space=(Axis(key="lr", kind="log", low=1e-5, high=1e-1),), trials=4)


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    one = SweepFolder(RunStore(tmp_path / ".taorunner"), "p", "s")
    one.save(
        StoredSweep(
            body=SWEEP.body(),
            metric="mAP",
            maximize=True,
            started_at="2026-11-30T10:00:00+00:00",
            results="tiny.sweeps/s",
        )
    )
    return one


def test_what_was_written_is_read(folder: SweepFolder) -> None:
    folder.add(0, values={"lr": 1e-3}, base=True)
    folder.add(0, run="r0")
    folder.add(1, values={"lr": 0.01}, base=False)
    folder.add(0, pruning="pruned at epoch 1")
    folder.add(0, ended="pruned", value=0.5, epoch=1, curve=[(1, 0.5)], reason="pruned at epoch 1")
    assert folder.trials() == [
        Trial(number=0, values={"lr": 1e-3}, is_base=True, run="r0", pruning="pruned at epoch 1", ending="pruned",
              value=0.5, epoch=1, reason="pruned at epoch 1", curve={1: 0.5}),
        Trial(number=1, values={"lr": 0.01}),
    ]  # fmt: skip
    stored = folder.stored()
    assert stored is not None
    assert (stored.metric, stored.maximize, changed_keys(stored, SWEEP)) == ("mAP", True, [])


def test_a_line_that_a_crash_cut_off_is_no_line(folder: SweepFolder) -> None:
    folder.add(0, values={"lr": 1e-3}, base=False)
    whole = folder.journal.read_bytes()
    line = b'{"trial": 0, "run": "r0"}\n'
    for cut in range(1, len(line)):
        folder.journal.write_bytes(whole + line[:cut])
        folder.add(1, values={"lr": 0.01}, base=False)
        first, second = folder.trials()
        assert (first.run, second.values) == (None, {"lr": 0.01})


@pytest.mark.parametrize(
    "line",
    [
        '{"trial": 0, "ended": "pruned", "value": "inf"}', '{"trial": 0, "ended": "pruned", "reason": [1]}',
        '{"trial": 0, "ended": "failed", "epoch": "x"}', '{"trial": 0, "run": 5}', '{"trial": 0, "pruning": {}}',
        '{"trial": 0, "ended": "pruned", "curve": [[true, 1]]}', '{"trial": 0, "ended": "pruned", "value": 1' + "0" * 310 + "}",
        '{"trial": 0, "ended": "elsewhere", "value": 0.5}', "[]", "3", "null", '{"trial": "0", "run": "x"}', '{"trial": -1, "values": {}}', '{"trial": 0, "values": 3}',
        '{"trial": 0, "ended": "x", "curve": [1]}', '{"trial": 0, "ended": "x", "value": []}', "\xff", "[" * 5000,
        '{"trial": 1e999}', '{"trial": 0, "ended": "failed", "value": 1e999}',
    ],
)  # fmt: skip
def test_damage_does_not_spread(folder: SweepFolder, line: str) -> None:
    folder.add(0, values={"lr": 1e-3}, base=False)
    with folder.journal.open("ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    folder.add(0, run="r0")
    (trial,) = folder.trials()
    assert (trial.run, trial.ending) == ("r0", None)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"definition": 3}', "{" * 5000])
def test_a_damaged_definition_is_named(folder: SweepFolder, text: str) -> None:
    folder.definition.write_text(text)
    with pytest.raises(RunStateError, match=r"sweep\.json"):
        folder.stored()


def test_one_process_at_a_time(folder: SweepFolder) -> None:
    with folder.owning() as first, folder.owning() as second:
        assert (first, second, folder.is_owned) == (True, False, True)
    assert not folder.is_owned


def test_links_are_not_followed(folder: SweepFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    folder.journal.symlink_to(outside)
    with pytest.raises(OSError, match="link"):
        folder.add(0, run="r0")
    assert outside.read_text() == "kept"


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"trials": 9, "parallel": 3, "stop": Limit(hours=3), "keep": "best"}, []),
        ({"seed": 5}, ["seed"]),
        ({"metric": "mAP", "epochs": 3}, ["metric", "epochs"]),
        ({"space": (Axis(key="lr", kind="log", low=1e-5, high=1e-2),)}, ["space"]),
        ({"sampler": "random", "base": "c"}, ["base", "sampler"]),
    ],
)
def test_what_may_change_under_a_study(
    folder: SweepFolder, changes: dict[str, object], changed: list[str]
) -> None:
    stored = folder.stored()
    assert stored is not None
    assert sorted(changed_keys(stored, replace(SWEEP, **changes))) == sorted(changed)


def test_a_sweep_begins_anew_beside_the_old_one(folder: SweepFolder) -> None:
    folder.add(0, run="r0")
    aside = folder.set_aside(datetime(2026, 11, 30, 10, 0, 0, tzinfo=timezone.utc))
    assert folder.stored() is None and folder.trials() == []
    assert (aside / "trials.jsonl").exists()


def test_texts_that_are_not_unicode_are_kept(folder: SweepFolder) -> None:
    """YAML can write half of a pair: ``"\\ud800"``."""
    folder.add(0, values={"a": "\ud800"}, base=False)
    folder.add(0, ended="failed", reason="\udcff é")
    (trial,) = folder.trials()
    assert (trial.values, trial.reason) == ({"a": "\ud800"}, "\udcff é")


def test_the_definition_is_what_was_started(folder: SweepFolder) -> None:
    full = replace(
        SWEEP, pruner=Pruner(kind="median", first=2), stop=Limit(hours=3), start_with=({"lr": 0.01},),
        together=(parse_constraint("lr < 1"),),
        space=(*SWEEP.space, Axis(key="n", kind="int", low=1, high=9, step=2), Axis(key="w", kind="choice", choices=("a", "b"))),
    )  # fmt: skip
    stored = folder.stored()
    assert stored is not None
    folder.save(replace(stored, body=full.body()))
    again = folder.stored()
    assert again is not None
    assert folder.definition_of(again) == full
    assert changed_keys(again, folder.definition_of(again)) == []


@pytest.mark.parametrize(
    "change",
    [{"trials": "x"}, {"space": []}, {"space": [{"key": 1}]}, {"together": ["import os"]}, {"base": "../x"}, {"seed": -1}],
)  # fmt: skip
def test_a_definition_that_no_file_may_have_is_damaged(
    folder: SweepFolder, change: dict[str, object]
) -> None:
    stored = folder.stored()
    assert stored is not None
    with pytest.raises(RunStateError, match="is damaged"):
        folder.definition_of(replace(stored, body={**stored.body, **change}))


def test_results_lie_below_a_base(folder: SweepFolder) -> None:
    stored = folder.stored()
    assert stored is not None
    folder.save(replace(stored, results="../../elsewhere"))
    with pytest.raises(RunStateError, match="no folder of trials"):
        folder.stored()


def test_sweeps_that_were_kept_aside_are_not_listed(folder: SweepFolder) -> None:
    store = RunStore(folder.directory.parents[2])
    assert [one.name for one in stored_sweeps(store, "p")] == ["s"]
    aside = folder.set_aside(datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc))
    assert stored_sweeps(store, "p") == []
    assert [one.name for one in stored_sweeps(store, "p", with_aside=True)] == [aside.name]


@pytest.mark.parametrize("name", ["trials.jsonl", "sweep.json"])
@pytest.mark.parametrize("damage", ["folder", "mode", "pipe"])
def test_a_file_that_does_not_count_is_named_and_the_sweep_can_be_removed(
    folder: SweepFolder, name: str, damage: str
) -> None:
    folder.add(0, values={"lr": 1e-3}, base=False)
    file = folder.directory / name
    if damage == "mode":
        file.chmod(0o666)
    else:
        file.unlink()
        os.mkfifo(file) if damage == "pipe" else (file / "x").mkdir(parents=True)
    with pytest.raises(RunStateError, match=f'sweep "s" is damaged: .*{name}: ') as caught:
        folder.stored(), folder.trials()
    assert caught.value.hint == "taorunner sweep rm s --yes removes it; its runs stay"
    folder.remove()
    assert not folder.directory.exists() and folder.directory.parent.exists()
