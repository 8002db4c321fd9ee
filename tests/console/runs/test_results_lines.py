from pathlib import Path

from taorunner.console.base.typed_commands import Place
from taorunner.console.runs.results_lines import results_lines
from taorunner.events import RunState
from taorunner.runs.control.ending import Ending
from taorunner.runs.outputs.recorded import Output, RunResults

FOLDER = Path("/ws/projects/parts/models/e/train")


def checkpoint(epoch):
    return Output(FOLDER / f"model_epoch_{epoch - 1:03}.pth", "checkpoint", 214 << 20, epoch=epoch)


def lines(runs, endings, here="/ws", place=None):
    ends = {run.id: ending for run, ending in zip(runs, endings, strict=True)}
    names = {run.id: run.experiment for run in runs}
    return [line.plain for line in results_lines(runs, ends, names, Path(here), place)]


def test_the_best_and_the_newest_checkpoint(scene):
    first, last = checkpoint(31), checkpoint(36)
    ending = Ending(RunResults(FOLDER, (first, last)), first, counts_from=0)
    assert lines([scene.finished("e")], [ending]) == [
        "results of e: projects/parts/models/e/train",
        "  best    model_epoch_030.pth (epoch 31; TAO counts from 0)",
        "  newest  model_epoch_035.pth",
    ]


def test_the_newest_may_be_the_best_or_there_may_be_no_best(scene):
    only = RunResults(FOLDER, (checkpoint(36),))
    best = lines([scene.finished("e")], [Ending(only, checkpoint(36))])
    assert best[1:] == ["  best  model_epoch_035.pth (epoch 36, the newest)"]
    assert lines([scene.finished("e")], [Ending(only)])[1:] == ["  newest  model_epoch_035.pth"]


def test_models_engines_and_images(scene):
    outputs = (
        Output(FOLDER / "model.onnx", "onnx", 84 << 20),
        Output(FOLDER / "images_annotated", "images", 96 << 20, files=1482),
        Output(FOLDER / "status.json", "status", 5),
    )
    assert lines([scene.finished("e")], [Ending(RunResults(FOLDER, outputs))]) == [
        "results of e: projects/parts/models/e/train",
        "  onnx    model.onnx  84.0 MiB",
        "  images  images_annotated  1,482 files, 96.0 MiB",
    ]


def test_runs_that_left_nothing_to_use_are_not_named(scene):
    status = RunResults(FOLDER, (Output(FOLDER / "status.json", "status", 5),))
    assert (
        lines([scene.finished("e"), scene.finished("f", RunState.FAILED)], [Ending(status), Ending()]) == []
    )


def test_many_runs_and_many_outputs_are_cut(scene, tmp_path):
    many = RunResults(FOLDER, tuple(Output(FOLDER / f"{n}.onnx", "onnx", n) for n in range(9)))
    runs = [scene.finished(f"e{n}") for n in range(6)]
    found = lines(runs, [Ending(many)] * 6, here="/elsewhere")
    assert found[:2] == ["results of e0: /ws/projects/parts/models/e/train", "  onnx  0.onnx  0 B"]
    assert found[5].split() == ["and", "5", "more"]
    assert len(found) == 4 * 6 + 1
    assert found[-1] == "results of 2 more runs: taorunner runs show RUN"
    (tmp_path / "projects").mkdir()
    found = lines(runs, [Ending(many)] * 6, place=Place(tmp_path))
    assert found[-1] == f"results of 2 more runs: taorunner --workspace {tmp_path} runs show RUN"


def test_a_name_from_a_container_cannot_control_the_terminal(scene):
    outputs = (Output(FOLDER / "a\x1b[2J.onnx", "onnx", 1),)
    assert "\x1b" not in "".join(lines([scene.finished("e")], [Ending(RunResults(FOLDER, outputs))]))


def test_a_folder_that_was_not_counted_to_its_end(scene):
    outputs = (Output(FOLDER / "images_annotated", "images", 96 << 20, files=20_000),)
    found = lines([scene.finished("e")], [Ending(RunResults(FOLDER, outputs))])
    assert found[1] == "  images  images_annotated  at least 20,000 files, 96.0 MiB"
