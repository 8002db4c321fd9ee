"""Which data a run read: of its own converted records, what they were converted from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_runs import LOCK, made_run

from taorunner.runs.comparison.compare import compare
from taorunner.runs.inputs.run_lock import DataRead
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace

RAW = DataRead("cars", ("train",), 640, 320, 6_881_185, "e889" * 16)


def converted_and_trained(root: Path, name: str, number: int, raw: DataRead = RAW, **spec: Any) -> RunRecord:
    """A conversion of ``raw`` into records of the experiment, and a training on them."""
    records = DataRead(f"tfrecords_{name}", (".",), 4, 0, 7_048_585, f"{number:064x}")
    values = {
        "dataset_convert.val_split": 12.5,
        "dataset_convert.output": f"/data/tfrecords_{name}/r",
        **spec,
    }
    made_run(
        root / ".taorunner", name, number=number, action="dataset_convert",
        lock=replace(LOCK, action="dataset_convert", data=(raw,), spec=values),
    )  # fmt: skip
    return made_run(root / ".taorunner", name, number=number + 1, lock=replace(LOCK, data=(records,)))


@pytest.mark.parametrize(
    ("raw", "spec", "reasons"),
    [
        (RAW, {}, ()),
        (RAW, {"model.backbone": "small"}, ()),
        (RAW, {"dataset_convert.val_split": 20}, ("other data (320 images)",)),
        (replace(RAW, fingerprint="91aa" * 16, images=480), {}, ("other data (480 images)",)),
        (replace(RAW, name="boats"), {}, ("other data (320 images)",)),
    ],
)
def test_records_count_by_what_they_were_converted_from(
    tmp_path: Path, raw: DataRead, spec: dict[str, Any], reasons: tuple[str, ...]
) -> None:
    first = converted_and_trained(tmp_path, "a", 1, **{"model.backbone": "tiny"})
    other = converted_and_trained(tmp_path, "b", 11, raw, **spec)
    assert compare(RunStore(tmp_path / ".taorunner"), [first, other]).unlike == ((), reasons)


def test_the_names_of_own_records_are_no_differences(tmp_path: Path) -> None:
    store, runs = RunStore(tmp_path / ".taorunner"), []
    for number, name in enumerate("ab"):
        converted_and_trained(tmp_path, name, 10 * number + 1, replace(RAW, fingerprint=f"{7 + number}" * 64))
        runs.append(made_run(
            tmp_path / ".taorunner", name, number=10 * number + 5,
            lock=replace(
                LOCK, data=(DataRead(f"tfrecords_{name}", (".",), 4, 0, 7, f"{number:064x}"),),
                spec={"train": [f"/w/data/tfrecords_{name}/r*"], "other": f"/w/data/tfrecords_{name}_2"},
            ),
        ))  # fmt: skip
    rows = {(row.kind, row.key): row.values for row in compare(store, runs).differences}
    assert list(rows) == [("spec", "other"), ("data", "cars, converted")]
    assert [value["fingerprint"] for value in rows["data", "cars, converted"]] == ["7" * 64, "8" * 64]


def test_a_later_conversion_and_one_of_another_project_do_not_count(tmp_path: Path) -> None:
    first = converted_and_trained(tmp_path, "a", 1)
    other = converted_and_trained(tmp_path, "b", 11)
    changed = replace(LOCK, data=(replace(RAW, fingerprint="77" * 32),), spec={})
    made_run(tmp_path / ".taorunner", "b", number=30, action="dataset_convert", lock=changed)
    made_run(tmp_path / ".taorunner", "b", number=9, action="dataset_convert", lock=changed, project="boats")
    assert compare(RunStore(tmp_path / ".taorunner"), [first, other]).unlike == ((), ())


def test_without_a_conversion_on_record_the_records_themselves_count(tmp_path: Path) -> None:
    records = [
        made_run(
            tmp_path / ".taorunner", name, number=number,
            lock=replace(LOCK, data=(DataRead(f"tfrecords_{name}", (".",), 4, 0, 7, f"{number:064x}"),)),
        )
        for number, name in enumerate("ab", 1)
    ]  # fmt: skip
    assert compare(RunStore(tmp_path / ".taorunner"), records).unlike == ((), ("other data",))
