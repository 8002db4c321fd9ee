"""One damaged file of ``.taorunner`` ends no command with an internal error, hangs none, and stops no other run."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, Done
from plain_runs import plain_plan

from taorunner.events import now
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.store import RunStore

DEEP = "[" * 100_000
WHOLE = [
    "",
    "null",
    "[]",
    "{}",
    "5",
    '"x"',
    "9" * 5000,
    DEEP,
    "\0\0",
    "NaN",
    "\ufeff{}",
    '{"id": "\\ud800"}',
    "true",
]
VALUES: list[object] = [
    None, 5, -1, 10**400, 1e308, "x", "", [], {}, True, "\ud800", float("nan"), ["x", None], "../../x", {"a": {"b": []}},
    "a" * 100_000, "2026-01-01T00:00:00", "9999-12-31T23:59:59+00:00",
]  # fmt: skip
SPEC = """\
results_dir: $results_dir
train: {num_gpus: $num_gpus, gpu_ids: $gpu_ids, num_epochs: 2, validation_interval: 1, checkpoint_interval: 1}
dataset: {train_data_sources: [{image_dir: $dataset_raw/train}]}
"""
ONE, TWO = "20261120-000000-e1-train-aaaaa1", "20261120-000001-e2-train-aaaaa2"


@pytest.fixture
def queued(tmp_path: Path) -> Callable[..., Path]:
    """``queued(name, text)``: two runs of one batch whose supervisor died before it started them, and what of the first
    run, or of its batch, is damaged."""

    def make(name: str, text: str) -> Path:
        root = tmp_path / "w"
        (root / "projects").mkdir(parents=True)
        store = RunStore(root / ".taorunner")
        plans = [(run, plain_plan(root, e, argv=("echo", "hi"))) for run, e in ((ONE, "e1"), (TWO, "e2"))]
        batch = create_batch(store, plans, now(), environ=os.environ)
        store.open_batches.handed_over(batch.id)
        places = {
            "batch.json": store.batch_paths(batch.id).batch,
            "open": root / ".taorunner/open" / batch.id,
        }
        places.get(name, store.paths(ONE).directory / name).write_text(text)
        return root

    return make


def fine(done: Done, *codes: int) -> Done:
    assert done.code in codes and "internal error" not in done.out + done.err, done
    return done


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("plan.json", "{}", "plan.json is damaged: not a stored plan"),
        ("plan.json", DEEP, "plan.json is damaged: nested deeper than 60 levels"),
        ("batch.json", "null", "batch.json is damaged: not an object"),
        ("batch.json", DEEP, "batch.json is damaged: nested deeper than 60 levels"),
    ],
)
def test_a_run_that_cannot_be_continued_is_shown_with_its_file_and_the_way_out(
    cli: Cli, queued: Callable[..., Path], name: str, text: str, why: str
) -> None:
    root = queued(name, text)
    (shown,) = (run for run in fine(cli("ps", "--json", cwd=root), 0).json if run["id"] == ONE)
    assert (shown["state"], shown["reason"]) == ("DAMAGED", why)
    page = fine(cli("runs", "show", ONE, cwd=root), 0).out
    assert (
        f"! aaaaa1 damaged: {why.replace(' is damaged', '')}" in page
        and "taorunner stop aaaaa1 ends it" in page
    )
    attached = fine(cli("attach", ONE, cwd=root), 6)
    assert f'error: run "aaaaa1" cannot be continued: {why}' in attached.err
    assert fine(cli("attach", "e1", cwd=root), 6).err == attached.err
    other = cli("attach", TWO, cwd=root)
    assert (other.code, name) in {(0, "plan.json"), (6, "batch.json")}, other
    stopped = fine(cli("stop", ONE, "--json", cwd=root), 0).json[0]
    assert (stopped["state"], stopped["reason"]) == ("STOPPED", f"stopped while it was queued; {why}")
    if name == "batch.json":
        fine(cli("stop", TWO, cwd=root), 0)
    assert fine(cli("ps", "--json", cwd=root), 0).json == []
    assert os.listdir(root / ".taorunner/open") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("open", "null"), ("open", DEEP), ("events.jsonl", "\0"), ("set_aside.json", DEEP), ("position.json", DEEP),
        ("position.json", '{"size": "x", "stdout": 1e999, "stderr": -5, "start": [], "tails": 5}'),
    ],
)  # fmt: skip
def test_damage_that_decides_nothing_stops_no_run(
    cli: Cli, queued: Callable[..., Path], name: str, text: str
) -> None:
    root = queued(name, text)
    fine(cli("ps", cwd=root), 0)
    fine(cli("attach", ONE, cwd=root), 0)
    fine(cli("attach", TWO, cwd=root), 0)
    assert {run["state"] for run in cli("runs", "list", "--json", cwd=root).json} == {"SUCCEEDED"}


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_record_of_an_end_without_its_last_event_is_completed(
    cli: Cli, queued: Callable[..., Path], is_writable: bool
) -> None:
    root = queued("stop.json", "{}")
    fine(cli("attach", TWO, cwd=root), 0)
    events = RunStore(root / ".taorunner").paths(TWO).events
    lines = events.read_text().splitlines(keepends=True)
    assert '"RunFinished"' in lines[-1]
    events.write_text("".join(lines[:-1]))
    if not is_writable:  # a link is not appended to
        events.rename(root / "events")
        events.symlink_to(root / "events")
    shown = fine(cli("attach", TWO, "--json", cwd=root, timeout_s=20), 0)
    assert [event["event"] for event in shown.events if event["event"] == "RunFinished"] == ["RunFinished"]
    assert events.read_text().count('"RunFinished"') == (1 if is_writable else 0)


COPIES = int(os.environ.get("TAORUNNER_DAMAGED_COPIES", "20"))
"""A few hundred take minutes."""


def damages(file: Path) -> list[tuple[str, str]]:
    """(what was damaged, the text to write): the file as a whole, and each of its values."""
    text = file.read_text()
    found = [
        (f"{file.name}: {one[:20]!r}", one) for one in (*WHOLE, text[: len(text) // 2], text[:-3], text * 2)
    ]
    lines = text.splitlines() if file.suffix == ".jsonl" else [text]
    for number, line in enumerate(lines):
        body = json.loads(line)
        keys: list[Any] = list(body) if isinstance(body, dict) else list(range(len(body)))
        for key in keys:
            for value in VALUES:
                changed = body.copy()
                changed[key] = value
                whole = [*lines[:number], json.dumps(changed), *lines[number + 1 :]]
                found.append((f"{file.name}: {key} = {str(value)[:20]!r}", "\n".join(whole) + "\n"))
    return found


def test_no_damage_of_any_file_ends_a_reading_command_with_an_internal_error(
    workspace_factory: Callable[..., Path], cli: Cli, tao_commands: Callable[..., dict[str, str]], seed: int,
    cli_inside: Callable[..., Done],
) -> None:  # fmt: skip
    """Many copies of a real run, each with another damage: lists meet them all, the other commands one by one."""
    root = workspace_factory(
        {"experiments": {"e1": {"head": "dino", "dataset": "coco", "release": "7.0.1", "backend": "local"}}},
        specs={"e1/train.yaml": SPEC}, data={"coco/annotations.json": "{}", "coco/train/file": "x"},
    )  # fmt: skip
    fine(Cli(cli.home, tao_commands("pyt_7", gpus=1))("train", "e1", cwd=root), 0)
    state = root / ".taorunner"
    (original,) = (state / "runs").iterdir()
    (batch,) = (state / "batches").iterdir()
    places = [
        original / name
        for name in ("record.json", "plan.json", "events.jsonl", "history.jsonl", "outputs.json")
    ]
    known = {file.relative_to(state): damages(file) for file in (*places, batch / "batch.json")}
    chance = random.Random(seed)
    copies = {}
    for number in range(COPIES):
        run, its_batch = f"{original.name[:-6]}{number:06x}", f"{batch.name}-{number}"
        shutil.copytree(original, state / "runs" / run)
        shutil.copytree(batch, state / "batches" / its_batch)
        for file in [*(state / "runs" / run).glob("*.json*"), state / "batches" / its_batch / "batch.json"]:
            file.write_text(file.read_text().replace(original.name, run).replace(batch.name, its_batch))
        place = chance.choice(list(known))
        what, text = chance.choice(known[place])
        file = state / str(place).replace(original.name, run).replace(batch.name, its_batch)
        file.write_text(
            text.replace(original.name, run).replace(batch.name, its_batch), errors="surrogatepass"
        )
        copies[run] = what
    print(json.dumps(copies, indent=1))
    for words in (
        ["ps"], ["runs", "list"], ["runs", "list", "--json"], ["runs", "list", "-p", "example_01", "--state", "failed,succeeded"],
        ["runs", "prune", "--keep", "0"], ["runs", "restore", "e1"], ["validate"], ["runs", "show", "e1"], ["attach", "e1"], ["stop", "e1"], ["train", "e1", "--dry-run", "--overwrite"],
        ["resume", "e1", "--epochs", "9", "--dry-run"], ["logs", "e1"], ["runs", "prune", "--results", "--keep", "0"],
    ):  # fmt: skip
        fine(cli_inside(*words, cwd=root), 0, 2, 3, 6)
    assert sorted(
        run["id"] for run in cli_inside("runs", "list", "--json", "-n", "9999", cwd=root).json
    ) == sorted([*copies, original.name])
    for run in copies:
        for words in (["runs", "show", run], ["runs", "show", run, "--json"], ["logs", run], ["attach", run]):
            fine(cli_inside(*words, cwd=root), 0, 1, 6)
