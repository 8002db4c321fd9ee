from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from taorunner.catalog.load import load_network, network_names
from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.theme import ASCII, UNICODE
from taorunner.console.pages.network_page import network_lines, network_table_lines
from taorunner.console.runs.run_details import PageFacts, run_detail_lines
from taorunner.console.runs.run_table import TableFacts, plain_run_lines, run_lines
from taorunner.errors import UserFilesError
from taorunner.events import RunState
from taorunner.runs.control.ending import Ending
from taorunner.runs.control.origin import Origin
from taorunner.runs.outputs.recorded import CHECKPOINT, Output, RunResults
from taorunner.runs.state.metric_names import Best
from taorunner.runs.state.record import RunRecord


def text_of(lines):
    return "".join(line.plain.rstrip() + "\n" for line in lines)


def with_ids(runs):
    return [replace(run, id=f"20260301-120000-{run.experiment}-{run.action}-3f2a1b") for run in runs]


@pytest.mark.parametrize("width", [80, 200])
def test_runs_in_every_state(scene, golden, width):
    runs = with_ids(scene.mixed())
    facts = TableFacts({run.id: run.id[-6:] for run in runs}, zone=timezone.utc)
    golden.check(f"runs_{width}", text_of(run_lines(runs, width, UNICODE, scene.at, facts=facts)))


@pytest.mark.parametrize("width", [30, 60, 80, 120, 200])
@pytest.mark.parametrize("symbols", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_a_table_without_a_terminal_has_the_same_lines(scene, width, symbols):
    runs = with_ids(scene.mixed())
    styled = [line.plain for line in run_lines(runs, width, symbols, scene.at)]
    assert plain_run_lines(runs, width, symbols, scene.at) == styled


def test_a_run_that_waits_in_its_engine_says_why(scene):
    run = scene.waiting("dino_big", "Priority, job 48213")
    facts = text_of(run_detail_lines(run, 80, UNICODE, scene.at, timezone.utc))
    assert facts.splitlines()[0] == "○ dino_big · train  waiting for 35m 38s"
    assert "  waits      docker: Priority, job 48213" in facts.splitlines()


def test_characters_of_unknown_width_are_left_to_those_who_know(scene):
    run = replace(scene.finished("a"), project="検出")
    assert plain_run_lines([run, scene.finished("b")], 80, UNICODE, scene.at) is None


def test_runs_of_several_projects_name_the_project(scene):
    runs = [scene.finished("a"), replace(scene.finished("b"), project="other")]
    assert "project" in text_of(run_lines(runs, 200, UNICODE, scene.at)).splitlines()[0]


@pytest.mark.parametrize("kind", ["running", "failed", "pulling"])
def test_one_run_in_full(scene, golden, kind):
    runs = {
        "running": scene.training(),
        "failed": scene.finished("bad_run", RunState.FAILED),
        "pulling": scene.pulling("dino_fan"),
    }
    lines = run_detail_lines(runs[kind], 80, UNICODE, scene.at, timezone.utc)
    golden.check(f"run_{kind}_80", text_of(lines))


OTHER = "20261128-230000-rtdetr_01-export-cd289e"


def page(scene):
    """The run of the manual's example, with all parts that a page has."""
    epochs = range(1, 37)
    history = {
        "val_mAP50": {epoch: 0.748 - abs(epoch - 31) / 60 for epoch in epochs},
        "val_loss": {epoch: 4.981 + abs(epoch - 29) / 5 for epoch in epochs},
    }
    run = replace(
        scene.finished("rtdetr_01"), id="20261128-222200-rtdetr_01-train-eaf22b", epoch=36, epochs=36, notices=(),
        image="nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt", image_digest=f"sha256:4e01c7{'0' * 58}",
        metrics={name: values[36] for name, values in history.items()},
        best={"val_mAP50": Best(0.748, 31), "val_loss": Best(4.981, 29)},
        queued_at=scene.at, started_at=scene.at + timedelta(minutes=3), finished_at=scene.at + timedelta(minutes=127),
    )  # fmt: skip
    folder = Path("/ws/projects/parts/models/rtdetr_01/train")
    checkpoints = [
        Output(folder / f"model_epoch_{epoch - 1:03}.pth", CHECKPOINT, 214 * 2**20, epoch=epoch)
        for epoch in epochs
    ]
    others = [Output(folder / name, "spec", 10) for name in ("experiment.yaml", "status.json")]
    facts = PageFacts(
        where="docker, GPU 0",
        origin=Origin(
            Path("/ws/projects/parts/data/parts"), "random values", followed_by=(("export", OTHER),)
        ),
        ending=Ending(RunResults(folder, (*checkpoints, *others)), best=checkpoints[30]),
        history=history, short_ids={OTHER: "cd289e"}, here=Path("/ws"),
        commands=["taorunner evaluate rtdetr_01 --checkpoint best"],
    )  # fmt: skip
    return run, facts


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("symbols", [UNICODE, ASCII], ids=["utf8", "ascii"])
def test_the_page_of_a_training_has_every_part(scene, golden, width, symbols):
    run, facts = page(scene)
    lines = run_detail_lines(run, width, symbols, scene.at, timezone.utc, facts)
    assert all(line.cell_len <= width for line in lines)
    golden.check(f"run_page_{'80' if symbols is UNICODE else 'ascii'}", text_of(lines))


def test_the_page_names_the_gpu_and_its_driver(scene):
    run, facts = page(scene)
    record = RunRecord(
        id=run.id, batch="b", project="p", experiment="e", action="train", backend="docker", state=RunState.SUCCEEDED,
        queued_at=scene.at,
    ).launched(("0", "1"), scene.at, {}, ("570.86", ("NVIDIA H100 80GB HBM3",) * 2))  # fmt: skip
    record = RunRecord.from_json(record.to_json())
    lines = text_of(
        run_detail_lines(run, 80, UNICODE, scene.at, timezone.utc, replace(facts, record=record))
    ).splitlines()
    assert "  ran on     docker, GPU 0 (H100 80GB HBM3), driver 570.86" in lines
    assert (record.origin_json()["driver"], record.origin_json()["gpu_models"]) == (
        "570.86", ["NVIDIA H100 80GB HBM3"] * 2,
    )  # fmt: skip


def test_a_narrow_page_drops_the_curve_and_breaks_no_word(scene):
    run, facts = page(scene)
    lines = text_of(run_detail_lines(run, 44, UNICODE, scene.at, timezone.utc, facts)).splitlines()
    assert "metric       last    best  epoch" in lines
    assert (
        lines[lines.index("  outputs    36 checkpoints (7.5 GiB),") + 1]
        == "             experiment.yaml, status.json"
    )


def test_a_metric_without_a_better_direction_has_no_best(scene):
    run = replace(scene.finished("e"), metrics={"lr": 0.01}, best={"lr": Best(0.1, 1)})
    lines = text_of(run_detail_lines(run, 80, UNICODE, scene.at, timezone.utc)).splitlines()
    assert lines[lines.index("metric    last") + 1] == "lr      0.0100"


def test_what_was_set_aside_names_the_command_for_its_project(scene, tmp_path):
    (tmp_path / "projects").mkdir()
    ending = Ending(results=RunResults(Path("/w/models/e/train")), set_aside=Path("/w/set_aside/e"))
    run = replace(scene.finished("e"), project="p", hint="taorunner convert e makes it")
    facts = PageFacts(ending=ending, root=tmp_path)
    lines = text_of(run_detail_lines(run, 80, UNICODE, scene.at, timezone.utc, facts)).splitlines()
    assert "  results    set aside: /w/set_aside/e" in lines
    assert f"  restore    taorunner --workspace {tmp_path} -p p runs restore e" in lines
    assert f"  hint       taorunner --workspace {tmp_path} -p p convert e makes it" in lines


def test_results_that_are_gone_name_the_run_that_came_later(scene):
    facts = PageFacts(
        ending=Ending(RunResults(Path("/w/e"))),
        origin=Origin(later="x-bbbd9e"),
        short_ids={"x-bbbd9e": "bbbd9e"},
    )
    lines = text_of(run_detail_lines(scene.finished("e"), 80, UNICODE, scene.at, timezone.utc, facts))
    assert "  results    none are left; run bbbd9e came later\n" in lines


def test_a_run_that_never_started_has_no_results_of_another(scene):
    there = Output(Path("/w/e/model.pth"), CHECKPOINT, 1, epoch=1)
    facts = PageFacts(ending=Ending(RunResults(Path("/w/e"), (there,)), best=there))
    lines = text_of(run_detail_lines(scene.queued("e"), 80, UNICODE, scene.at, timezone.utc, facts))
    assert "results" not in lines and "model.pth" not in lines


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_of_all_networks_fits(width):
    networks = [load_network(name) for name in network_names()]
    lines = network_table_lines(networks, width, UNICODE)
    assert len(lines) == len(networks) + 1
    assert all(line.cell_len <= width for line in lines)
    assert [line.plain.split()[0] for line in lines[1:]] == list(network_names())


@pytest.mark.slow
def test_networks_have_a_page_of_each_release():
    """A third of the pairs, among them the newest of each network: networks that share an image have the same releases."""
    for number, name in enumerate(network_names()):
        network = load_network(name)
        for release in {*network.releases[number % 3 :: 3], *network.releases[-1:]} or {None}:
            text = text_of(network_lines(network, None, release, 80, ASCII))
            assert network.title in text.splitlines()[0]
            assert all(
                f"\n{action} " in text or f"\n{action}\n" in text for action in network.actions(release)
            )


def test_an_action_is_reported_with_the_releases_that_have_it():
    def spans(name, release=None):
        lines = [line.plain.split() for line in network_lines(load_network(name), None, release, 100, ASCII)]
        start = next(place for place, words in enumerate(lines) if words[:1] == ["action"]) + 1
        table = lines[start : lines.index([], start)]
        return {words[0]: " ".join(words[-3:]) for words in table}

    dino = spans("dino")
    assert dino["train"].endswith("7.0.1-pyt all") and dino["distill"].endswith("from 5.5.0")
    assert dino["default_specs"].endswith("from 7.0.0")
    assert dino["deploy.default_specs"].endswith("from 6.25.11")
    assert spans("efficientdet_tf2")["download_specs"].endswith("5.0.0 to 5.3.0")
    assert spans("bevfusion")["convert"] == "to 6.26.3, 7.1.0"
    dssd = spans("dssd", "3.21.08")
    assert dssd["train"] == "3.22.02, from 5.0.0" and dssd["gen_trt_engine"].endswith("from 5.0.0")


def test_an_unknown_release_is_an_error():
    with pytest.raises(UserFilesError, match=r'unknown TAO release "1\.2"'):
        network_lines(load_network("dino"), None, "1.2", 80, UNICODE)


def test_columns_leave_in_order_and_then_shrink_no_further():
    columns = [
        Column("name", shrinks_to=4),
        Column("b", drop=2),
        Column("c", drop=1, right=True),
        Column("empty"),
    ]
    rows = [Row(tuple(map(Text, ("a name", "bbb", "c", "")))), Row(tuple(map(Text, ("x", "b", "cc", ""))))]

    def at(width):
        return [line.plain for line in laid_out(columns, rows, width, UNICODE)]

    assert at(15) == ["name    b     c", "a name  bbb   c", "x       b    cc"]
    assert at(13) == ["name  b     c", "a n…  bbb   c", "x     b    cc"]
    assert at(12) == ["name    b", "a name  bbb", "x       b"]
    assert at(6) == ["name", "a name", "x"]
    assert at(3) == ["nam", "a n", "x"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab警 ", max_size=30), min_size=3, max_size=3), st.integers(1, 60))
def test_no_row_is_ever_wider_than_asked(cells, width):
    columns = [Column("one", shrinks_to=3), Column("two", drop=1, right=True), Column("three")]
    for line in laid_out(columns, [Row(tuple(map(Text, cells)))], width, ASCII):
        assert line.cell_len <= width
