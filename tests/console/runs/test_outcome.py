import io
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from taorunner import events
from taorunner.console.base.theme import ASCII, UNICODE, make_console
from taorunner.console.base.typed_commands import Place
from taorunner.console.runs.outcome import outcome_lines, print_outcome
from taorunner.events import RunStarted, RunState
from taorunner.progress.causes.cause import LAST_LINES_HINT
from taorunner.runs.control.ending import Ending
from taorunner.runs.outputs.recorded import Output, RunResults
from taorunner.runs.state.snapshot import fold

END = {
    RunState.STOPPED: Ending(steps=("resume {}",)),
    RunState.SUCCEEDED: Ending(steps=("evaluate {}", "export {}")),
    RunState.FAILED: Ending(steps=("train {} --batch-size 8",)),
}


def printed(scene, runs, width):
    stream = io.StringIO()
    folders = {run.id: Path("/ws/.taorunner/runs") / run.id for run in runs}
    ends = {run.id: END[run.state] for run in runs if run.state in END}
    print_outcome(
        make_console(stream, {"COLUMNS": str(width)}), runs, scene.tails(runs), folders,
        ends=ends, now=scene.at,
    )  # fmt: skip
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 200])
def test_a_failure_among_successes(scene, golden, width):
    runs = [
        scene.finished("first_run"),
        scene.finished("second_run", mean_ap=0.6),
        scene.finished("bad_run", RunState.FAILED, mean_ap=0.01),
        scene.finished("ended", RunState.STOPPED, mean_ap=0.02),
    ]
    golden.check(f"outcome_{width}", printed(scene, runs, width))


def test_a_chain_keeps_its_actions_and_results_at_80_columns(scene):
    runs = [
        replace(scene.finished("segformer_city"), id=f"run-{number}", action=action, notices=())
        for number, action in enumerate(("dataset_convert", "train", "evaluate"))
    ]
    head, *rows = printed(scene, runs, 80).splitlines()[1:5]
    assert head.split() == ["run", "experiment", "action", "state", "epochs", "best"]
    assert [row.split()[3:5] for row in rows] == [[run.action, "succeeded"] for run in runs]
    assert all("0.5312" in row and len(row) <= 80 for row in rows)


def test_a_run_that_goes_on_has_lasted_until_now(scene):
    assert "35m 33s" in printed(scene, [scene.training()], 120)
    stream = io.StringIO()
    began = events.now() - timedelta(seconds=3)
    queued = replace(scene.queue("e"), at=began)
    begun = RunStarted(run="run-e", at=began, gpus=("0",), handle="h")
    print_outcome(make_console(stream, {}), [fold([queued, begun])], {}, {}, ends={})
    assert re.search(r"running .* \d\ds?$|  [3-9]s$", stream.getvalue(), re.MULTILINE)


def test_two_runs_are_compared_and_the_better_one_marked(scene):
    runs = [scene.finished("one", mean_ap=0.5), scene.finished("two", mean_ap=0.6)]
    lines = [line.plain for line in outcome_lines(runs, {}, {}, 80, UNICODE, now=scene.at)]
    at = lines.index("best values     one       two")
    assert lines[at : at + 3] == [
        "best values     one       two",
        "val_mAP      0.5000  * 0.6000",
        "loss         0.5000  * 0.4000",
    ]


def test_the_log_and_the_hint_of_a_failure_are_typed_from_another_folder(scene, tmp_path):
    (tmp_path / "projects").mkdir()
    run = replace(scene.finished("bad", RunState.FAILED), project="p", hint="taorunner convert bad makes it")
    place = Place(tmp_path)
    lines = [line.plain for line in outcome_lines([run], {}, {}, 80, UNICODE, now=scene.at, place=place)]
    assert f"  log:  taorunner --workspace {tmp_path} logs bad" in lines
    assert f"  hint: taorunner --workspace {tmp_path} -p p convert bad makes it" in lines


def test_the_curve_of_a_run_is_in_the_table_where_there_is_room(scene):
    run = scene.finished("one")
    curves = {run.id: [0.1, 0.2, 0.4]}
    for width, symbols, is_there in ((80, UNICODE, True), (50, UNICODE, False), (80, ASCII, False)):
        lines = outcome_lines([run], {}, {}, width, symbols, now=scene.at, curves=curves)
        assert any("▁▃█" in line.plain for line in lines) == is_there, width


def test_one_run_is_not_compared(scene):
    lines = [line.plain for line in outcome_lines([scene.finished("one")], {}, {}, 80, UNICODE, now=scene.at)]
    assert not any("best values" in line for line in lines)


def test_a_run_without_reason_log_or_folder_is_still_reported(scene):
    run = replace(
        scene.finished("e", RunState.LOST), reason=None, hint=None, exit_code=None, metrics={}, best={}
    )
    lines = [line.plain for line in outcome_lines([run], {}, {}, 80, UNICODE, now=scene.at)]
    assert "? e lost: no reason is known" in lines


def test_the_banner_of_the_image_is_none_of_the_last_lines(scene):
    run = scene.finished("e", RunState.FAILED)
    banner = [
        "=====================",
        "== TAO Toolkit ==",
        "NVIDIA Release 7.0.1",
        "Container image Copyright (c) x",
    ]
    lines = outcome_lines([run], {run.id: [*banner, "what went wrong"]}, {}, 80, UNICODE, now=scene.at)
    texts = [line.plain.strip() for line in lines]
    assert any("what went wrong" in line for line in texts)
    assert not any("Toolkit" in line or "Copyright" in line or "====" in line for line in texts)


def test_nothing_at_all_can_be_reported(scene):
    assert outcome_lines([], {}, {}, 80, UNICODE, now=scene.at)


@pytest.mark.parametrize("width", [1, 10, 20, 40])
def test_tables_fit_narrow_terminals(scene, width):
    runs = [scene.finished("a_long_name_of_an_experiment"), scene.finished("b")]
    table = outcome_lines(runs, {}, {}, width, UNICODE, now=scene.at)[1:4]
    assert all(line.cell_len <= width for line in table)


def test_each_run_goes_on_in_its_own_way(scene):
    runs = [scene.finished(name, RunState.STOPPED) for name in ("a", "b", "c")] + [scene.finished("d")]
    steps = [("resume {}",), ("resume {}",), ("train {} --overwrite",), ("evaluate {}", "export {}")]
    ends = {run.id: Ending(steps=each) for run, each in zip(runs, steps, strict=True)}
    lines = [line.plain for line in outcome_lines(runs, {}, {}, 100, UNICODE, ends=ends, now=scene.at)]
    assert lines[-3:] == [
        "next: taorunner -p example_01 resume a b",
        "      taorunner -p example_01 train c --overwrite",
        "      taorunner -p example_01 evaluate d",
    ]


def test_what_the_chain_did_is_no_next_step(scene):
    train = replace(scene.finished("train"), experiment="e")
    evaluate = replace(scene.finished("evaluate"), experiment="e", action="evaluate")
    ends = {train.id: Ending(steps=("evaluate {} --checkpoint best", "export {}"))}
    shown = [
        line.plain for line in outcome_lines([train, evaluate], {}, {}, 100, UNICODE, ends=ends, now=scene.at)
    ]
    assert shown[-1] == "next: taorunner -p example_01 export e"


def test_nothing_that_follows_leaves_the_details(scene):
    lines = [line.plain for line in outcome_lines([scene.finished("a")], {}, {}, 80, UNICODE, now=scene.at)]
    assert lines[-1] == "next: taorunner runs show a"


def test_what_was_never_started_is_said_with_its_reason(scene):
    def never(name, reason):
        return replace(scene.finished(name, RunState.STOPPED), started_at=None, reason=reason)

    rest = [never(name, "not started: train failed") for name in ("a", "b", "c", "d")]
    queued = never("e", "stopped while it was queued")
    runs = [scene.finished("one"), scene.finished("two", RunState.STOPPED), *rest, queued]
    lines = [line.plain for line in outcome_lines(runs, {}, {}, 100, UNICODE, now=scene.at)]
    at = lines.index("■ a, b, c and 1 more: not started: train failed")
    assert lines[at - 1 : at + 2 : 2] == ["", "■ e: stopped while it was queued"]
    assert not any(line.startswith("■ two") for line in lines[at - 1 :])


def test_quiet_drops_the_commands_at_the_end(scene):
    runs = [scene.finished("one")]
    whole, quiet = (
        [line.plain for line in outcome_lines(runs, {}, {}, 80, UNICODE, now=scene.at, is_quiet=is_quiet)]
        for is_quiet in (False, True)
    )
    assert any("taorunner" in line for line in whole)
    assert not any("taorunner" in line for line in quiet)
    assert whole[: len(quiet)] == quiet


def test_what_only_one_run_measured_is_not_compared(scene):
    one, two = scene.finished("one", mean_ap=0.5), scene.finished("two", mean_ap=0.6)
    two = replace(two, best={**two.best, "only_here": next(iter(two.best.values()))})
    lines = [line.plain for line in outcome_lines([one, two], {}, {}, 80, UNICODE, now=scene.at)]
    at = lines.index("best values     one       two")
    assert [line.split()[0] for line in lines[at + 1 : at + 3]] == ["val_mAP", "loss"]
    assert not any("only_here" in line for line in lines[at:])


def text(scene, runs, **facts):
    return [line.plain for line in outcome_lines(runs, {}, {}, 80, UNICODE, now=scene.at, **facts)]


def test_a_doubtful_success_is_no_plain_success(scene):
    caution = events.Notice(
        run="run-e", at=scene.at, level="warning", code="no-learning", text="val_mAP50 was 0 in all 36 epochs"
    )
    run = replace(scene.finished("e"), notices=(caution,))
    lines = text(scene, [run, replace(scene.finished("f"), notices=())])
    assert [line[:1] for line in lines[2:4]] == ["!", "✓"]
    assert "! e succeeded, but val_mAP50 was 0 in all 36 epochs [no-learning]" in lines


def test_a_failure_names_its_epoch_once_and_the_code_of_its_cause(scene):
    run = replace(scene.finished("e", RunState.FAILED), reason="CUDA out of memory", epoch_completed=False)
    assert "✗ e failed in epoch 3: CUDA out of memory [cuda-out-of-memory]" in text(scene, [run])
    run = replace(run, reason="CUDA out of memory at epoch 3")
    assert "✗ e failed: CUDA out of memory at epoch 3 [cuda-out-of-memory]" in text(scene, [run])
    run = replace(run, reason="cause unknown", epoch_completed=True)
    assert "✗ e failed: cause unknown (exit code 1)" in text(scene, [run])


@pytest.mark.parametrize(("reason", "shown"), [("CUDA out of memory", 4), ("cause unknown", 6)])
def test_fewer_lines_of_the_log_where_the_cause_is_known(scene, reason, shown):
    run = replace(scene.finished("e", RunState.FAILED), reason=reason)
    tails = {run.id: [f"line {number}" for number in range(20)]}
    lines = [line.plain for line in outcome_lines([run], tails, {}, 80, UNICODE, now=scene.at)]
    assert sum(line.startswith("  │ line") for line in lines) == shown


def test_a_lack_of_gpu_memory_says_how_full_it_was(scene):
    run = replace(scene.finished("e", RunState.FAILED), reason="CUDA out of memory", hint=None)
    said = "Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 80.00 GiB of which 1.10 GiB is free"
    lines = [line.plain for line in outcome_lines([run], {run.id: [said]}, {}, 80, UNICODE, now=scene.at)]
    at = next(index for index, line in enumerate(lines) if line.startswith("✗ e failed"))
    assert lines[at + 1] == "  78.9 of 80.0 GiB in use, 2.5 GiB more asked"


def test_without_a_metric_the_table_has_what_came_out(scene):
    run = replace(scene.finished("e"), action="export", reason="finished", metrics={}, best={}, notices=())
    outputs = (Output(Path("/r/experiment.yaml"), "spec", 1), Output(Path("/r/model.onnx"), "onnx", 1))
    lines = text(
        scene, [run], ends={run.id: Ending(RunResults(Path("/r"), outputs))}, short_ids={run.id: "cd289e"}
    )
    assert lines[1].split() == ["run", "experiment", "state", "epochs", "best", "duration"]
    assert lines[2].split() == ["✓", "cd289e", "e", "succeeded", "80/80", "model.onnx", "8m", "25s"]
    evaluated = replace(scene.finished("f"), action="evaluate")
    assert "action" in text(scene, [run, evaluated])[1].split()


def test_a_failed_chain_says_what_there_is_to_say_and_no_more(scene):
    failed = replace(
        scene.finished("a", RunState.FAILED),
        id="20261128-222200-a-train-4c20f3",
        hint=LAST_LINES_HINT,
        reason="x",
    )
    rest = replace(
        scene.finished("b", RunState.STOPPED), started_at=None, reason="not started: train failed", best={}
    )
    tail = [
        "TinyDet: a small CPU network in numpy that keeps TAO's contract; it is not a TAO network.",
        "Train results will be saved at: /results", "Epoch 1:  64%|####  | 31/48", "error: it broke",
        "Execution status: FAIL",
    ]  # fmt: skip
    lines = [
        line.plain
        for line in outcome_lines(
            [failed, rest], {failed.id: tail}, {}, 80, UNICODE, now=scene.at, short_ids={failed.id: "4c20f3"}
        )
    ]
    assert lines[-2:] == [
        "  │ error: it broke",
        "  log:  taorunner logs 4c20f3",
    ]


def test_the_hint_to_the_last_lines_stays_where_there_are_none(scene):
    failed = replace(scene.finished("a", RunState.FAILED), hint=LAST_LINES_HINT)
    lines = [line.plain for line in outcome_lines([failed], {}, {}, 80, UNICODE, now=scene.at)]
    assert f"  hint: {LAST_LINES_HINT}" in lines


def test_names_that_do_not_fit_beside_each_other_stand_below_each_other(scene):
    """As of a chain, where a name cut short would say nothing."""
    names = ["tinydet_small_01", "tinydet_small_02", "tinydet_small_03", "tinydet_small_04"]
    runs = [scene.finished(name, mean_ap=0.5 + at / 10) for at, name in enumerate(names)]
    lines = [line.plain for line in outcome_lines(runs, {}, {}, 80, UNICODE, now=scene.at)]
    at = next(at for at, line in enumerate(lines) if line.startswith("best values"))
    assert [line.split()[0] for line in lines[at + 1 : at + 5]] == names


def test_failures_with_one_cause_are_explained_once(scene):
    runs = [
        replace(
            scene.finished(name, RunState.FAILED), id=f"20261128-222200-{name}-train-{number:06x}", reason="CUDA out of memory",
            hint=None,
        )
        for number, name in enumerate("abcdef", 1)
    ]  # fmt: skip
    ends = {run.id: Ending(steps=("train {} --batch-size 8",)) for run in runs}
    tails = {run.id: [f"OutOfMemoryError in {run.experiment}"] for run in runs}

    def said(runs):
        return [line.plain for line in outcome_lines(runs, tails, {}, 80, UNICODE, now=scene.at, ends=ends)]

    lines = said(runs)
    at = lines.index("✗ a failed: CUDA out of memory [cuda-out-of-memory]")
    assert lines[at + 1 : at + 6] == [
        "  │ OutOfMemoryError in a",
        "  next: taorunner -p example_01 train a b c d e f --batch-size 8",
        "  log:  taorunner logs 000001",
        "✗ b, c, d and 2 more failed in the same way",
        "  log:  taorunner logs 000002 000003 000004",
    ]
    unknown = [replace(run, reason="exit code 1", exit_code=1) for run in runs[:2]]
    assert [line for line in said(unknown) if line.startswith("✗ ") and " failed" in line and "exit" in line] == [
        "✗ a failed: exit code 1", "✗ b failed: exit code 1",
    ]  # fmt: skip
