"""What a conversion left, against what its spec asks for."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.embedded.tfrecord import write_records
from taorunner.events import RunState
from taorunner.planning.model.plan import RenderedSpec, RunPlan
from taorunner.progress.tfrecord_frames import BrokenRecordsError, count_records
from taorunner.progress.verdict import Caution, Verdict
from taorunner.runs.supervisor.tfrecord_check import with_records_checked

DONE = Verdict(RunState.SUCCEEDED, "finished")
AGAIN = "look at the log, then convert again with --overwrite"


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    spec = 'kitti_config { partition_mode: "random" num_partitions: 2 val_split: 20 num_shards: 2 }'
    contract = load_network("dssd").contract("dataset_convert")
    return RunPlan(
        project="p", experiment="e", action="dataset_convert", backend="docker", contract=contract, argv=(),
        workspace=tmp_path, results_dir=tmp_path, results_inside="/r", run_inside="/i",
        spec=RenderedSpec(tmp_path / "convert.txt", "convert.txt", spec, "/i/convert.txt"),
    )  # fmt: skip


Records = Callable[..., Path]


@pytest.fixture
def records(tmp_path: Path) -> Records:
    def write(fold: int, shard: int, count: int, shards: int = 2) -> Path:
        path = tmp_path / f"tfrecord-fold-{fold:03d}-of-002-shard-{shard:05d}-of-{shards:05d}"
        write_records(path, (os.urandom(50 + n) for n in range(count)))
        return path

    return write


def checked(plan: RunPlan, verdict: Verdict = DONE) -> Verdict:
    return with_records_checked(plan, verdict, plan.workspace.iterdir())


def whole(records: Records) -> list[Path]:
    return [records(fold, shard, 2 + 3 * fold) for fold in (0, 1) for shard in (0, 1)]


def test_what_is_whole_is_counted(plan: RunPlan, records: Records) -> None:
    for path in whole(records):
        index = path.with_name(f"idx-{path.name}")
        index.write_text("".join(f"{n} 100\n" for n in range(count_records(path))))
    reason = "finished: 14 records in 4 files (fold 0: 4, fold 1: 10)"
    assert checked(plan) == Verdict(RunState.SUCCEEDED, reason)


def test_a_file_that_is_cut_off_fails_the_run(plan: RunPlan, records: Records) -> None:
    path = whole(records)[3]
    path.write_bytes(path.read_bytes()[:-3])
    assert checked(plan) == Verdict(RunState.FAILED, f"{path.name} is cut off after 4 records", AGAIN)


def test_a_missing_shard_fails_the_run(plan: RunPlan, records: Records) -> None:
    whole(records)[1].unlink()
    assert checked(plan) == Verdict(
        RunState.FAILED, "tfrecord-fold-000-of-002-shard-… lacks 1 of 2 shards", AGAIN
    )


def test_a_missing_fold_fails_the_run(plan: RunPlan, records: Records) -> None:
    for path in whole(records)[2:]:
        path.unlink()
    found = checked(plan)
    assert (found.state, found.reason) == (RunState.FAILED, "fold 1 is missing")
    assert "set a larger one" in (found.hint or "")


@pytest.mark.parametrize("split", ["1", "0.5"])
def test_the_smallest_split_has_a_second_fold(plan: RunPlan, records: Records, split: str) -> None:
    for path in whole(records)[2:]:
        path.unlink()
    assert plan.spec is not None
    spec = replace(plan.spec, text=plan.spec.text.replace("val_split: 20", f"val_split: {split}"))
    assert checked(replace(plan, spec=spec)).reason == "fold 1 is missing"


@pytest.mark.parametrize(
    ("partitions", "reason"),
    [(2, "finished: 14 records"), (3, "fold 2 is missing"), (1, "finished: 14 records")],
)
def test_a_split_by_sequence_has_a_fold_for_each_partition(
    plan: RunPlan, records: Records, partitions: int, reason: str
) -> None:
    whole(records)
    assert plan.spec is not None
    text = f'kitti_config {{ partition_mode: "sequence" num_partitions: {partitions} }}'
    found = checked(replace(plan, spec=replace(plan.spec, text=text)))
    assert found.reason.startswith(reason)


def test_one_fold_is_right_where_nothing_is_split_off(plan: RunPlan, records: Records) -> None:
    for path in whole(records)[2:]:
        path.unlink()
    assert plan.spec is not None
    spec = replace(plan.spec, text='kitti_config { partition_mode: "random" val_split: 0 }')
    assert checked(replace(plan, spec=spec)) == Verdict(
        RunState.SUCCEEDED, "finished: 4 records in 2 files (fold 0: 4)"
    )


def test_an_empty_fold_is_cautioned_about(plan: RunPlan, records: Records) -> None:
    for shard in (0, 1):
        records(0, shard, 0)
        records(1, shard, 3)
    assert checked(plan) == Verdict(
        RunState.SUCCEEDED,
        "finished: 6 records in 4 files (fold 0: 0, fold 1: 6)",
        cautions=(Caution("empty-fold", "fold 0 holds no records"),),
    )


def test_a_stale_index_fails_the_run(plan: RunPlan, records: Records) -> None:
    path = whole(records)[0]
    path.with_name(f"idx-{path.name}").write_text("0 100\n")
    assert checked(plan) == Verdict(
        RunState.FAILED, f"idx-{path.name} names 1 records, its file holds 2", AGAIN
    )


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_an_index_that_is_no_file_is_not_read(
    plan: RunPlan, records: Records, make: Callable[[Path], None]
) -> None:
    path = whole(records)[0]
    make(path.with_name(f"idx-{path.name}"))
    verdicts: list[Verdict] = []
    checking = threading.Thread(target=lambda: verdicts.append(checked(plan)), daemon=True)
    checking.start()
    checking.join(100)
    assert [verdict.state for verdict in verdicts] == [RunState.SUCCEEDED]


def test_nothing_converted_fails_the_run(plan: RunPlan, records: Records) -> None:
    for fold in (0, 1):
        for shard in (0, 1):
            records(fold, shard, 0)
    found = checked(plan)
    assert (found.state, found.reason) == (RunState.FAILED, "the records are empty: no image was converted")
    assert "image_extension" in (found.hint or "")


def test_other_actions_and_failures_are_left_alone(plan: RunPlan, records: Records) -> None:
    records(0, 0, 0)
    failed = Verdict(RunState.FAILED, "why")
    assert checked(plan, failed) == failed
    train = replace(plan, contract=load_network("dssd").contract("train"))
    assert checked(train) == DONE


def test_any_cut_of_a_file_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    sizes = [random.Random(1).randrange(2000) for _ in range(5)]
    assert write_records(path, map(os.urandom, sizes)) == count_records(path) == 5
    data = path.read_bytes()
    ends = {0}
    for size in sizes:
        ends.add(max(ends) + size + 16)
    for end in range(0, len(data), 7):
        path.write_bytes(data[:end])
        if end in ends:
            continue
        with pytest.raises(BrokenRecordsError, match="is cut off after"):
            count_records(path)
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(BrokenRecordsError, match="is not a TFRecord file"):
        count_records(path)
