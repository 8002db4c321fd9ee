"""What a run was made from and what it made: by digest, by time, by name; also where records are gone or damaged."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from made_runs import LOCK, made_run

from taorunner.console.base.theme import ASCII, UNICODE, Symbols
from taorunner.console.comparison.lineage_view import lineage_lines
from taorunner.errors import RunStateError
from taorunner.events import RunState
from taorunner.runs.inputs.run_lock import FileRead
from taorunner.runs.lineage.links import Link, Match, Stage
from taorunner.runs.lineage.tree import Node, parents_of, tree_of
from taorunner.runs.outputs.recorded import CHECKPOINT, Output, RunResults, save_results
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace

SIZE = {
    "ckpt.pth": 200 << 20,
    "pruned.pth": 98 << 20,
    "again.pth": 98 << 20,
    "model.onnx": 84 << 20,
    "int8.engine": 43 << 20,
}


class Way:
    """Runs that read what the one before made, in a workspace at ``root``."""

    def __init__(self, root: Path) -> None:
        self.root, self.state = root, root / ".taorunner"
        self.number = 0

    @property
    def store(self) -> RunStore:
        return RunStore(self.state)

    def run(self, action: str, reads: str | None = None, makes: str | None = None, metric: float | None = None, *,
            hashed: bool = True, digest: str | None = None, **fields: object) -> RunRecord:  # fmt: skip
        self.number += 1
        digest = digest or (sha(reads) if reads is not None else None)
        weights = () if reads is None else (FileRead(self.path(reads), SIZE[reads], 7, digest),)
        record = made_run(
            self.state, "e", {} if metric is None else {"val_mAP50": [metric]}, number=self.number,
            lock=replace(LOCK, weights=weights, action=action, data=()), action=action, **fields,
        )  # fmt: skip
        if makes is not None:
            kind = CHECKPOINT if makes.endswith(".pth") else makes.rpartition(".")[2]
            out = Output(
                self.root / self.path(makes), kind, SIZE[makes], sha(makes) if hashed else None, modified_ns=7
            )
            save_results(self.store, record.id, RunResults(self.root, (out,)))
        return record

    def path(self, name: str) -> str:
        return f"projects/cars/models/e/{name}"

    def lines(self, record: RunRecord, width: int = 200, symbols: Symbols = UNICODE) -> list[str]:
        nodes = tree_of(self.store, record)
        ids = {run: run[-2:] for run in self.store.run_ids()}
        return [line.plain for line in lineage_lines(nodes, record.id, ids, width, symbols)]


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def way(tmp_path: Path) -> Way:
    return Way(tmp_path)


def test_the_whole_way_is_a_tree_with_accuracy_and_size(way: Way) -> None:
    way.run("train", makes="ckpt.pth", metric=0.712, hashed=False)
    way.run("evaluate", "ckpt.pth", metric=0.71)
    way.run("prune", "ckpt.pth", "pruned.pth")
    way.run("train", "pruned.pth", "again.pth", 0.698)
    way.run("export", "again.pth", "model.onnx")
    engine = way.run("gen_trt_engine", "model.onnx", "int8.engine")
    way.run("deploy.evaluate", "int8.engine", metric=0.68)
    digests = {name: sha(name)[:6] for name in SIZE}
    assert [
        line.split("  ") for line in (re.sub(r"  +", "  ", line.strip()) for line in way.lines(engine))
    ] == [
        ["experiment", "accuracy", "made", "size", "from"],
        ["✓ train 01", "e", "val_mAP50 0.7120 at 1", "ckpt.pth", "200.0 MiB"],
        ["├─ ✓ evaluate 02", "e", "val_mAP50 0.7100", f"ckpt.pth {digests['ckpt.pth']}"],
        ["└─ ✓ prune 03", "e", "pruned.pth", "98.0 MiB", f"ckpt.pth {digests['ckpt.pth']}"],
        [
            "└─ ✓ train 04",
            "e",
            "val_mAP50 0.6980 at 1",
            "again.pth",
            "98.0 MiB",
            f"pruned.pth {digests['pruned.pth']}",
        ],
        ["└─ ✓ export 05", "e", "model.onnx", "84.0 MiB", f"again.pth {digests['again.pth']}"],
        ["└─ ✓ gen_trt_engine 06", "e", "int8.engine", "43.0 MiB", f"model.onnx {digests['model.onnx']}"],
        ["└─ ✓ deploy.evaluate 07", "e", "val_mAP50 0.6800", f"int8.engine {digests['int8.engine']}"],
    ]
    assert [line.index("✓") for line in way.lines(engine)[1:]] == [0, 3, 3, 6, 9, 12, 15]
    for width in (80, 60):
        assert max(map(len, way.lines(engine, width))) <= width
    assert way.lines(engine, 80, ASCII)[7].startswith("            `- + deploy.evaluate 07")


def test_of_several_outputs_the_one_that_was_read_most_is_shown(way: Way) -> None:
    training = way.run("train", hashed=False)
    outputs = tuple(
        Output(way.root / way.path(name), CHECKPOINT, SIZE[name], sha(name), modified_ns=7)
        for name in ("ckpt.pth", "again.pth", "pruned.pth")
    )
    save_results(way.store, training.id, RunResults(way.root, outputs))

    def shown() -> str:
        made = tree_of(way.store, training)[0].made
        assert made is not None
        return made.path.name

    assert shown() == "pruned.pth"  # nothing was read: the newest one
    way.run("evaluate", "ckpt.pth")
    assert shown() == "ckpt.pth"
    way.run("evaluate", "again.pth")
    way.run("export", "again.pth")
    assert shown() == "again.pth"


def matches(node: Node) -> list[tuple[str | None, Match | None]]:
    return [(link.run, link.match) for link in node.stage.links]


def test_a_maker_is_known_by_digest_then_by_time_then_by_path(way: Way) -> None:
    hashed = way.run("train", makes="ckpt.pth")
    timed = way.run("train", makes="again.pth", hashed=False)
    nodes = {
        Match.HASH: way.run("export", "ckpt.pth"),
        Match.TIME: way.run("export", "again.pth"),
        Match.CHANGED: way.run("evaluate", "ckpt.pth", digest="0" * 64),
    }
    lock = way.store.paths(nodes[Match.CHANGED].id).run_lock
    lock.write_text(lock.read_text().replace('"modified_ns": 7', '"modified_ns": 8'))
    found = {
        match: matches(next(one for one in tree_of(way.store, run) if one.record.id == run.id))
        for match, run in nodes.items()
    }
    assert found == {
        Match.HASH: [(hashed.id, Match.HASH)], Match.TIME: [(timed.id, Match.TIME)],
        Match.CHANGED: [(hashed.id, Match.CHANGED)],
    }  # fmt: skip
    assert any("(changed since)" in line for line in way.lines(hashed))


def test_a_maker_whose_record_is_gone_is_a_file_with_its_digest(way: Way) -> None:
    train = way.run("train", makes="ckpt.pth")
    export = way.run("export", "ckpt.pth", "model.onnx")
    for damage in ("{", None):
        record = way.store.paths(train.id).record
        record.write_text(damage) if damage is not None else record.unlink()
        assert way.lines(export)[0] == f"· ckpt.pth {sha('ckpt.pth')[:6]}  no run on record made it"
        assert [node.record.id for node in tree_of(way.store, export)] == [export.id]


def test_a_resumed_training_hangs_on_the_one_it_resumes(way: Way) -> None:
    first = way.run("train", makes="ckpt.pth", state=RunState.STOPPED)
    second = way.run("train", "ckpt.pth", "again.pth", resumed_from=first.id)
    third = way.run("train", resumed_from=second.id)
    nodes = tree_of(way.store, third)
    assert [(node.record.id, node.stage.parent) for node in nodes] == [
        (first.id, None), (second.id, first.id), (third.id, second.id),
    ]  # fmt: skip
    assert matches(nodes[1]) == [(first.id, Match.HASH)]
    assert parents_of(way.store, third) == [second.id]
    assert way.lines(third)[1].startswith("■ train 01 stopped")


def test_a_later_run_at_the_same_path_is_the_maker_only_of_what_came_after(way: Way) -> None:
    first = way.run("train", makes="ckpt.pth", hashed=False)
    export = way.run("export", "ckpt.pth")
    second = way.run("train", makes="ckpt.pth", hashed=False)
    later = way.run("export", "ckpt.pth")
    assert (parents_of(way.store, export), parents_of(way.store, later)) == ([first.id], [second.id])


def test_damaged_files_and_circles_end_no_tree(way: Way) -> None:
    first = way.run("train", makes="ckpt.pth")
    second = way.run("export", "ckpt.pth", resumed_from="no-such-run")
    assert [node.record.id for node in tree_of(way.store, second)] == [second.id]
    third = way.run("train", resumed_from="20261120-140000-e-train-000004")
    fourth = way.run("train", resumed_from=third.id)
    assert {node.record.id for node in tree_of(way.store, fourth)} >= {fourth.id}
    way.store.paths(first.id).outputs.write_text(json.dumps({"outputs": 3}))
    way.store.paths(first.id).run_lock.write_text("{")
    assert len(tree_of(way.store, first)) == 1


def test_a_run_that_never_started_has_no_tree(way: Way) -> None:
    queued = way.run("train", state=RunState.QUEUED, started_at=None)
    with pytest.raises(RunStateError, match="never started"):
        tree_of(way.store, queued)


def test_a_run_that_only_read_the_data_of_another_hangs_on_none(tmp_path: Path) -> None:
    record = made_run(tmp_path, "e")
    data = Link("data/cars", run="convert", match=Match.TIME, is_data=True)
    weights = Link("models/a.pth", run="train", match=Match.HASH)
    assert Stage(record, (data,)).parent is None
    assert Stage(record, (data, weights)).parent == "train"
