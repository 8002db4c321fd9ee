"""What does not go together in the specs of a training, with its dataset and with the mounts: a case for each rule.

Each case is a scaffold with one thing changed, checked by ``validate_projects``. Without the change, nothing is found.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from dataset_layouts import put_data
from filled_in import fill_in

from taorunner.embedded.tfrecord import write_records
from taorunner.errors import Finding
from taorunner.planning.model.forcing import OF_DATASETS
from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.new_project import new_project
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.scaffold import scaffold_heads
from taorunner.project.workspace import Workspace

CLASSES = ("car", "cyclist", "pedestrian")
DATASET = "set/train"
ELSEWHERE = Caller(1000, 1000, (), "ada", {"DOCKER_HOST": "tcp://192.0.2.1:2375"})
"""The engine is on another machine, so this one's GPUs do not count."""
NOT_OF_SPECS = OF_DATASETS | {"pretrained-missing", "not-made-yet"}
"""What is found in the files themselves, which are empty here, and what was not made before."""


def kitti(root: Path, pictures: int = 100, suffix: str = ".png", classes: Sequence[str] = CLASSES) -> None:
    """``pictures`` with one box each in ``images`` and ``labels``."""
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for number in range(pictures):
        os.mknod(root / "images" / f"{number:04}{suffix}")
        box = f"{classes[number % len(classes)]} 0.0 0 0.0 1 1 20 20 0 0 0 0 0 0 0\n"
        (root / "labels" / f"{number:04}.txt").write_text(box)


def coco(root: Path, pictures: int = 64, ids: Sequence[int] = ()) -> None:
    """A COCO dataset with the categories that scaffolds have, or as many as ``ids``."""
    for part in ("train", "val"):
        (root / part / "images").mkdir(parents=True)
        for number in range(pictures):
            os.mknod(root / part / "images" / f"{number}.jpg")
        named = {number: f"c{number}" for number in ids} or dict(enumerate(CLASSES, 1))
        categories = [{"id": number, "name": name} for number, name in named.items()]
        content = {"images": [{"id": 0}], "annotations": [], "categories": categories}
        (root / part / "annotations.json").write_text(json.dumps(content))


def folders(root: Path, classes: Sequence[str] = CLASSES) -> None:
    """A dataset with a folder for each class."""
    for part in ("train", "val", "test"):
        for name in classes:
            (root / part / name).mkdir(parents=True)
            for number in range(50):
                (root / part / name / f"{number}.jpg").touch()
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in sorted(classes)))


def masks(root: Path) -> None:
    """Images and masks for segmentation."""
    for part in ("train", "val", "test"):
        for name in ("images", "masks"):
            (root / name / part).mkdir(parents=True)
            for number in range(50):
                (root / name / part / f"{number}.png").touch()


DATASETS: Mapping[str, Callable[[Path], None]] = {
    **dict.fromkeys(("dino", "deformable_detr", "rtdetr", "efficientdet_tf2"), coco),
    **dict.fromkeys(("classification_pyt", "classification_tf1"), folders),
    "segformer": masks,
}
"""What the dataset of a head looks like; KITTI where nothing is said."""


class Bench:
    """A workspace with the project ``p`` and its experiment ``e``."""

    def __init__(self, root: Path, head: str, dataset: Callable[[Path], None] | None = None) -> None:
        self.root = root
        root.mkdir()
        new_project(root, root, "p", head=head, backbone=None, experiment="e", dataset=DATASET)
        fill_in(root / "projects/p")
        self.project = root / "projects" / "p"
        (dataset or DATASETS.get(head, kitti))(self.project / "data" / DATASET)
        put_data(head, self.project / "data" / DATASET)
        for repository in (root / "repositories").glob("*/*"):
            (repository / "weights.hdf5").touch()

    def spec(self, name: str) -> Path:
        (path,) = (self.project / "specs" / "e").glob(f"{name}.*")
        return path

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Each first text, which stands there once, becomes the second."""
        path = self.project / "experiments.yml" if name == "experiments" else self.spec(name)
        text = path.read_text()
        for old, new in changes:
            assert text.count(old) == 1, (old, text.count(old))
            text = text.replace(old, new)
        path.write_text(text)

    def findings(self) -> list[Finding]:
        found = validate_projects(Workspace(self.root), ["p"], {})
        return [one for one in found if one.code not in {*NOT_OF_SPECS, "class-without-colour"}]

    def messages(self) -> list[tuple[str, str, str]]:
        """Severity and code, the line with a bar where the finding points, message and hint."""
        return [(f"{f.severity.value} {f.code}", where(f), f"{f.message}; {f.hint}") for f in self.findings()]


def where(finding: Finding) -> str:
    """The file's name and its line, with a bar where ``finding`` points."""
    assert finding.file is not None and finding.line is not None and finding.column is not None
    line = finding.file.read_text().splitlines()[finding.line - 1]
    before, after = line[: finding.column - 1], line[finding.column - 1 :]
    return f"{finding.file.name}: {before.lstrip()}|{after.partition('  #')[0].rstrip()}"


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda head, dataset=None: Bench(tmp_path / "workspace", head, dataset)


Make = Callable[..., Bench]


@pytest.mark.parametrize("head", scaffold_heads())
def test_a_scaffold_with_a_sound_dataset_gives_nothing(head: str, bench: Make) -> None:
    assert bench(head).messages() == []


# the names of classes at inference


RENUMBER = "number the categories from 1: taorunner dataset convert set --to coco does"


def with_class_map(root: Path, names: Sequence[str], ids: Sequence[int] = (1, 2, 3)) -> None:
    coco(root, ids=ids)
    (root / "train" / "names.txt").write_text("".join(f"{name}\n" for name in names))


@pytest.mark.parametrize(
    ("head", "ids", "names", "messages"),
    [
        ("rtdetr", (1, 2), ("-", "c1", "c2"), None),
        ("rtdetr", (0, 1), ("c0", "c1"), None),
        ("rtdetr", (1, 2), ("c1", "c2"), (0, "c1", 1, 1, "put a line in front of the names")),
        ("dino", (1, 2), ("c1", "c2"), None),
        ("dino", (0, 1), ("c0", "c1"), (1, "c0", 0, 1, RENUMBER)),  # no line stands for id 0
        ("deformable_detr", (1, 2), ("-", "c1", "c2"), (1, "c1", 1, 2, "take a line away in front")),
        ("dino", (1, 3), ("c1", "c2", "c3"), None),
        ("dino", (1, 2), ("a", "b"), None),  # names of something else: not for this rule to say
    ],
)
def test_a_class_map_that_begins_at_another_id(
    head: str, ids: tuple[int, ...], names: tuple[str, ...], messages: tuple[object, ...] | None, bench: Make
) -> None:
    """C2 of the real runs: every name is that of the next class, and nothing says so."""
    made = bench(head, lambda root: with_class_map(root, names, ids))
    old = "train/label_map_from_0.txt" if head == "rtdetr" else "train/label_map.txt"
    made.edit("train", (old, "train/names.txt"))
    wanted = []
    if messages is not None:
        first, name, number, line, hint = messages
        wanted = [
            (
                "warning class-map-shifted",
                "train.yaml: classmap: |$dataset_raw/train/names.txt",
                f'line 1 of names.txt is read as category id {first}, and "{name}", which has the id {number}, '
                f"is in line {line}: inference gives wrong names; {hint}",
            )
        ]
    assert made.messages() == wanted


def test_the_label_map_from_1_is_reported_of_the_one_beside_it(bench: Make) -> None:
    made = bench("rtdetr", lambda root: with_class_map(root, ("c1", "c2", "c3")))
    folder = made.project / "data" / DATASET / "train"
    (folder / "names.txt").rename(folder / "label_map.txt")
    made.edit("train", ("train/label_map_from_0.txt", "train/label_map.txt"))
    ((_, _, said),) = made.messages()
    assert said.endswith("put a line in front of the names; label_map_from_0.txt, which dataset convert and split "
                         "write beside it, has one")  # fmt: skip


@pytest.mark.parametrize(
    ("head", "names", "expected"),
    [
        ("rtdetr", ("-", "-", "c1", "c2"), None),
        ("rtdetr", ("-", "c1", "c2"), (-1, 2, "put a line in front of the names")),
        ("rtdetr", ("c1", "c2"), (-1, 1, "put 2 lines in front of the names")),
        ("dino", ("c1", "c2"), None),
        ("dino", ("-", "c1", "c2"), (1, 2, "take a line away in front")),
    ],
)
def test_the_class_map_of_inference_with_tensorrt(
    head: str, names: tuple[str, ...], expected: tuple[int, int, str] | None, bench: Make
) -> None:
    """Source: tao-deploy 7.0.1 cv/rtdetr/scripts/inference.py takes one off the number of a line counted from 0."""
    made = bench(head, lambda root: with_class_map(root, names, (1, 2)))
    old = "train/label_map_from_0.txt" if head == "rtdetr" else "train/label_map.txt"
    made.edit("train", (old, "train/names.txt"))
    few(made.project, "models/e/gen_trt_engine/model.engine", "models/e/train/model.pth")
    wishes = {"action": "deploy.inference", "checkpoint": str(made.project / "models/e/train/model.pth")}
    found = [one for one in launch(made, **wishes) if "class-map" in one[0]]  # type: ignore[arg-type]
    if expected is None:
        assert found == []
        return
    first, line, hint = expected
    message = (
        f'line 1 of names.txt is read as category id {first}, and "c1", which has the id 1, is in line {line}: '
        "inference gives wrong names"
    )
    assert found == [("warning class-map-shifted", message)]
    request = ActionRequest("deploy.inference", ("e",), checkpoint=wishes["checkpoint"])
    planned = plan_action(Workspace(made.root), "p", request, ELSEWHERE)
    (said,) = [finding.hint or "" for finding in planned.findings if finding.code == "class-map-shifted"]
    assert said.startswith(hint) and ("in a copy that only this action names" in said) == hint.startswith(
        "put"
    )


def test_a_class_map_of_binary_noise_says_nothing(bench: Make) -> None:
    made = bench("rtdetr", coco)
    (made.project / "data" / DATASET / "train" / "label_map_from_0.txt").write_bytes(b"\xff\xfe\x00c1")
    assert made.messages() == []


# epochs and intervals


@pytest.mark.parametrize("key", ["checkpoint_interval", "validation_interval"])
@pytest.mark.parametrize("head", ["dino", "classification_pyt", "segformer"])
def test_pytorch_stops_at_an_interval_beyond_the_epochs(head: str, key: str, bench: Make) -> None:
    made = bench(head)
    epochs = made.spec("train").read_text().partition("num_epochs: ")[2].split()[0]
    made.edit("train", (f"{key}: 1", f"{key}: 100"))
    assert made.messages() == [
        (
            "error interval-beyond-epochs",
            f"train.yaml: {key}: |100",
            f'"train.{key}" is 100, and there are {epochs} epochs: the training stops at its start; '
            f"use {epochs} or less",
        )
    ]


@pytest.mark.parametrize(
    ("key", "line"),
    [("checkpoint_interval", "checkpoint_interval: 10"), ("validation_interval", "# validation_interval: 5")],
)
def test_efficientdet_tf2_stops_at_an_interval_beyond_the_epochs(key: str, line: str, bench: Make) -> None:
    made = bench("efficientdet_tf2")
    made.edit("train", (line, f"{key}: 61"))
    assert made.messages() == [
        (
            "error interval-beyond-epochs",
            f"train.yaml: {key}: |61",
            f'"train.{key}" is 61, and there are 60 epochs: the training stops at its start; use 60 or less',
        )
    ]


@pytest.mark.parametrize(("release", "is_reported"), [("6.0.0", True), ("5.5.0", False)])
def test_efficientdet_tf2_has_an_interval_that_is_left_out(
    release: str, is_reported: bool, bench: Make
) -> None:
    """Version 5.0, which release 5.5.0 has, knows no such key."""
    made = bench("efficientdet_tf2")
    made.edit("experiments", ("head: efficientdet_tf2", f"release: {release}\n    head: efficientdet_tf2"))
    made.edit(
        "train",
        ("num_epochs: 60", "num_epochs: 5"),
        ("checkpoint_interval: 10", "checkpoint_interval: 5"),
        ("warmup_epoch: 3", "warmup_epoch: 1"),
    )
    messages = (
        "error interval-beyond-epochs",
        "train.yaml: num_epochs: |5",
        '"train.validation_interval" is 10 when it is left out, and there are 5 epochs; '
        "the training stops at its start: set it to 5 or less",
    )
    assert made.messages() == ([messages] if is_reported else [])


def test_an_interval_in_steps_is_not_held_against_epochs(bench: Make) -> None:
    made = bench("dino")
    made.edit(
        "train", ("checkpoint_interval: 1", "checkpoint_interval: 500\n  checkpoint_interval_unit: step")
    )
    assert made.messages() == []


@pytest.mark.parametrize("head", ["ssd", "dssd", "faster_rcnn"])
def test_keras_saves_nothing_with_an_interval_beyond_the_epochs(head: str, bench: Make) -> None:
    made = bench(head)
    epochs = made.spec("train").read_text().partition("num_epochs: ")[2].split()[0]
    made.edit("train", ("checkpoint_interval: 10", "checkpoint_interval: 100"))
    assert made.messages() == [
        (
            "error interval-beyond-epochs",
            "train.txt: checkpoint_interval: |100",
            f'"training_config.checkpoint_interval" is 100, and there are {epochs} epochs: no weights are saved; '
            f"use {epochs}, or a number that divides it",
        )
    ]


def test_tf1_without_a_validation_is_reported(bench: Make) -> None:
    made = bench("detectnet_v2")
    made.edit(
        "train",
        ("validation_period_during_training: 10", "validation_period_during_training: 81"),
    )
    assert made.messages() == [
        (
            "warning interval-beyond-epochs",
            "train.txt: validation_period_during_training: |81",
            '"evaluation_config.validation_period_during_training" is 81, and there are 80 epochs: '
            "nothing is validated; use 80 or less",
        )
    ]


@pytest.mark.parametrize("head", ["ssd", "dssd"])
def test_the_last_epochs_of_keras_are_lost(head: str, bench: Make) -> None:
    made = bench(head)
    made.edit("train", ("num_epochs: 80", "num_epochs: 85"))
    assert made.messages() == [
        (
            "warning last-epochs-lost",
            "train.txt: num_epochs: |85",
            f"{head} saves every 10 epochs and not at the end: of 85 epochs, those after 80 are lost; "
            'use 80 or 90 epochs, or a "training_config.checkpoint_interval" that divides 85',
        )
    ]


@pytest.mark.parametrize("head", ["yolo_v4", "retinanet", "detectnet_v2", "unet"])
def test_networks_that_save_the_last_epoch_are_left_alone(head: str, bench: Make) -> None:
    made = bench(head)
    made.edit("train", ("checkpoint_interval: 10", "checkpoint_interval: 7"))
    assert made.messages() == []


def test_the_last_epochs_of_pytorch_are_lost(bench: Make) -> None:
    made = bench("dino")
    made.edit("train", ("checkpoint_interval: 1", "checkpoint_interval: 5"))
    assert made.messages() == [
        (
            "warning last-epochs-lost",
            "train.yaml: num_epochs: |12",
            "dino saves every 5 epochs and not at the end: of 12 epochs, those after 10 are lost; "
            'use 10 or 15 epochs, or a "train.checkpoint_interval" that divides 12',
        )
    ]


def test_yolo_refuses_an_interval_of_zero(bench: Make) -> None:
    made = bench("yolo_v3")
    made.edit("train", ("checkpoint_interval: 10", "checkpoint_interval: 0"))
    assert made.messages() == [
        (
            "error interval-zero",
            "train.txt: checkpoint_interval: |0",
            '"training_config.checkpoint_interval" is 0, which yolo_v3 refuses; use 1 or more',
        )
    ]


@pytest.mark.parametrize("number", [".inf", ".nan", "1e400", "1" + "0" * 400, '"12"', "${train.seed}"])
def test_numbers_that_are_none_are_no_crash(number: str, bench: Make) -> None:
    made = bench("dino")
    made.edit("train", ("checkpoint_interval: 1", f"checkpoint_interval: {number}"))
    assert [finding.code for finding in made.findings() if "interval-" in finding.code] == []


# masks


def test_a_class_of_the_palette_beyond_their_number(bench: Make) -> None:
    made = bench("segformer")
    made.edit("train", ("label_id: 1, rgb: [1]", "label_id: 2, rgb: [1]"))
    assert made.messages() == [
        (
            "error too-few-classes",
            "experiments.yml: num_classes: |2",
            '"dataset.segment.num_classes" is 2, and the palette has label_id 2: the training stops; '
            "taorunner specs refresh e",
        )
    ]


def test_two_classes_of_the_palette_with_one_label(bench: Make) -> None:
    made = bench("segformer")
    text = made.spec("train").read_text()
    made.spec("train").write_text(text.replace("label_id: 1,", "label_id: 0,"))
    shared = [one for one in made.messages() if one[0] == "warning label-shared"]
    assert [(one[1], one[2]) for one in shared] == [
        (
            "train.yaml: palette: [{seg_class: background, mapping_class: background, label_id: 0, rgb: [0]}, "
            "{seg_class: foreground, mapping_class: foreground, label_id: |0, rgb: [1]}]",
            '"background" and "foreground" have the label_id 0: they are learnt as one class; '
            'give "foreground" a label_id of its own, or both one mapping_class',
        )
    ]


def test_two_classes_with_one_mapping_class_are_meant(bench: Make) -> None:
    made = bench("segformer")
    text = made.spec("train").read_text()
    changed = text.replace("label_id: 1,", "label_id: 0,").replace(
        "mapping_class: foreground", "mapping_class: background"
    )
    made.spec("train").write_text(changed)
    assert "label-shared" not in [one.code for one in made.findings()]


def pairs(root: Path, suffix: str, reverse: bool) -> None:
    """Images and masks of the same names; ``reverse``: the masks are made in the opposite order."""
    for part in ("train", "val"):
        for name, ending in (("images", ".png"), ("masks", suffix)):
            (root / name / part).mkdir(parents=True)
            numbers = range(40) if name == "images" or not reverse else reversed(range(40))
            for number in numbers:
                (root / name / part / f"n{number}{ending}").touch()


def is_paired_by_unet(root: Path, part: str) -> bool:
    """Whether two plain listings, side by side, have the same names."""
    images, masks = (os.listdir(root / kind / part) for kind in ("images", "masks"))
    return [name.partition(".")[0] for name in images] == [name.partition(".")[0] for name in masks]


@pytest.mark.parametrize(("suffix", "reverse"), [(".png", False), (".jpg", True)])
def test_unet_gives_images_the_masks_of_others(bench: Make, suffix: str, reverse: bool) -> None:
    made = bench("unet", lambda root: pairs(root, suffix, reverse))
    data = made.project / "data" / DATASET
    messages = [(code, place) for code, place, _ in made.messages()]
    wrong = [part for part in ("train", "val") if not is_paired_by_unet(data, part)]
    assert messages == [
        ("error pictures-with-other-masks", f'train.txt: {part}_images_path: |"$dataset_raw/images/{part}"')
        for part in wrong
    ]
    assert (wrong != []) == reverse
    lists = 'train_data_sources { data_source { image_path: "$dataset_raw/a.txt" masks_path: "$dataset_raw/b.txt" } }'
    for name in ("a.txt", "b.txt"):
        (data / name).write_text("one.png\n")
    made.edit("train", ("  augment: true", f"  {lists}\n  {lists.replace('train', 'val')}\n  augment: true"))
    assert made.messages() == []


# texts


def words(root: Path, line: str) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "characters.txt").write_text("a\nb\n")
    for part in ("train", "val"):
        (root / part).mkdir(parents=True)
        for number in range(40):
            (root / part / f"{number}.png").touch()
        (root / part / "labels.txt").write_text("".join(f"{number}.png\tab\n" for number in range(39)) + line)


def test_lists_of_words_are_read_as_ocrnet_reads_them(bench: Make) -> None:
    made = bench("ocrnet", lambda root: words(root, "39.png\tab\n"))
    assert made.messages() == []
    lists = [made.project / "data" / DATASET / part / "labels.txt" for part in ("train", "val")]
    lists[0].write_text(lists[0].read_text().replace("\t", " "))
    ((code, place, message),) = made.messages()
    assert (code, place) == (
        "warning word-list-line",
        "convert.yaml: gt_file: |$dataset_raw/train/labels.txt",
    )
    assert 'with a tab between them: "0.png ab"; write the name, a tab and the text' in message
    assert launch(made) == []
    assert [code for code, _ in launch(made, action="dataset_convert")] == ["error word-list-line"]
    lists[0].write_text("0.png\ttwo words\n")
    lists[1].write_text("0.png\tab\n\n")
    assert [(code, place) for code, place, _ in made.messages()] == [
        ("error word-list-line", "train.yaml: train_gt_file: |$dataset_raw/train/labels.txt"),
        ("error word-list-line", "train.yaml: val_gt_file: |$dataset_raw/val/labels.txt"),
    ]


def test_characters_and_lengths_are_those_of_the_texts(bench: Make) -> None:
    made = bench("ocrnet", lambda root: words(root, "39.png\tab\n"))
    data = made.project / "data" / DATASET
    assert made.messages() == []
    (data / "val/labels.txt").write_text("0.png\tabé\n1.png\tB\n", encoding="utf-8")
    (data / "train/labels.txt").write_text(f"0.png\t{'ab' * 13}\n" + "1.png\ta\n" * 39)
    found = made.messages()
    assert [(code, place) for code, place, _ in found] == [
        ("error text-too-long", "train.yaml: max_label_length: |25"),
        ("error character-unlisted", "train.yaml: character_list_file: |$dataset_raw/characters.txt"),
    ]
    assert (
        "has a text of 26 characters" in found[0][2] and 'set "dataset.max_label_length" to 26' in found[0][2]
    )
    assert "has 2 characters that the list lacks: B é; add them" in found[1][2]
    made.edit("train", ("max_label_length: 25", "max_label_length: 26"))
    (data / "characters.txt").write_text("a\nb\né\nB\n", encoding="utf-8")
    assert made.messages() == []


# batch and samples


def test_a_batch_larger_than_a_coco_dataset_is_an_error(bench: Make) -> None:
    made = bench("dino", lambda root: coco(root, pictures=10))
    made.edit("train", ("\n  batch_size: 4", "\n  batch_size: 11"))
    assert made.messages() == [
        (
            "error batch-beyond-samples",
            "train.yaml: batch_size: |11",
            'a batch of 11 ("dataset.batch_size" 11) is more than the 10 images there are to train on; '
            "use 10 or less",
        )
    ]


def test_every_gpu_takes_a_batch(bench: Make) -> None:
    made = bench("dino", lambda root: coco(root, pictures=10))
    made.edit("experiments", ("gpus: 1", "gpus: 4"))
    assert made.messages() == [
        (
            "error batch-beyond-samples",
            "train.yaml: batch_size: |4",
            'a batch of 16 ("dataset.batch_size" 4 on 4 GPUs) is more than the 10 images there are to train on; '
            "use 2 or less",
        )
    ]
    made.edit("experiments", ("gpus: 4", "gpus: 2"))
    assert made.messages() == []


def fewer(root: Path, part: str, left: int) -> None:
    for path in sorted((root / part).iterdir())[left:]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_validation_set_smaller_than_a_batch(bench: Make) -> None:
    def few(root: Path) -> None:
        masks(root)
        fewer(root, "images/val", 7)

    made = bench("segformer", few)
    assert made.messages() == [
        (
            "warning batch-beyond-samples",
            "train.yaml: batch_size: |8",
            'a batch of 8 ("dataset.segment.batch_size" 8) is more than the 7 samples of '
            '"dataset.segment.validation_split": the training stops at its first validation; use 7 or less',
        )
    ]
    made.edit("train", ("  batch_size: 8", "  batch_size: 7"))
    assert made.messages() == []
    made.edit("train", ("  batch_size: 7", "  batch_size: 8"))
    made.edit("experiments", ("gpus: 1", "gpus: 1\n  release: 5.5.0"))
    assert [messages for messages in made.messages() if "batch" in messages[0]] == []


def test_sets_to_evaluate_and_infer_on_smaller_than_a_batch(bench: Make) -> None:
    made = bench("deformable_detr", lambda root: coco(root, pictures=10))
    test = made.project / "data" / DATASET / "test"
    test.mkdir()
    (test / "one.jpg").touch()
    checkpoint = made.project / "models/e/train/dd_model_latest.pth"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    spec = made.spec("train")
    spec.write_text(
        re.sub(r"(infer_data_sources:\n +image_dir: )\S+", r"\1[$dataset_raw/test]", spec.read_text())
    )
    ((code, message),) = launch(made, action="inference", checkpoint=str(checkpoint))
    assert (
        code == "warning batch-beyond-samples"
        and 'the 1 sample of "dataset.infer_data_sources.image_dir"' in message
    )
    given = {"dataset.batch_size": "1"}
    assert launch(made, action="inference", checkpoint=str(checkpoint), overrides=given) == []
    assert launch(made, action="evaluate", checkpoint=str(checkpoint)) == []
    (message,) = [m for _, m in launch(made, action="evaluate", checkpoint=str(checkpoint), gpus=4)]
    assert message.endswith("evaluate stops at its start")


def test_videos_are_what_action_recognition_counts(bench: Make) -> None:
    def videos(root: Path) -> None:
        for part, number in (("train", 20), ("val", 3)):
            for name in ("fall", "ride", "walk"):
                for video in range(number):
                    (root / part / name / f"v{video}" / "rgb").mkdir(parents=True)

    ((code, _, message),) = bench("action_recognition", videos).messages()
    assert code == "warning batch-beyond-samples" and "is more than the 9 samples" in message


def few(root: Path, *paths: str, content: str | bytes = b"") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.encode() if isinstance(content, str) else content)


def three_arrays(root: Path) -> None:
    """As ``numpy.save`` writes three sequences."""
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 300, 34, 1), }"
    content = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117) + b"\n"
    few(root, "val_data.npy", "test_data.npy", content=content)


def few_to_validate(root: Path, left: int) -> None:
    coco(root, pictures=50)
    fewer(root, "val/images", left)


@pytest.mark.parametrize(
    ("network", "dataset", "at_once", "what"),
    [
        ("grounding_dino", lambda root: few_to_validate(root, 3), 4, '3 samples of "dataset.val_data_sources.image_dir"'),
        ("codetr", lambda root: few_to_validate(root, 1), 2, '1 sample of "dataset.val_data_sources.image_dir"'),
        ("re_identification", lambda root: few(root, "query/1_c1.jpg", "gallery/1_c2.jpg", "gallery/2_c1.jpg"), 128,
         '3 samples of "dataset.query_dataset_dir" and "dataset.test_dataset_dir"'),
        ("visual_changenet", lambda root: few(root, "list/val.txt", content="a.png\nb.png\nc.png\n"), 4,
         '3 samples of "dataset.segment.validation_split"'),
        ("pose_classification", three_arrays, 16, '3 samples of "dataset.val_dataset.data_path"'),
        ("centerpose", lambda root: few(root, "val/bike/0/1.png", "val/bike/0/2.png", "val/bike/1/1.png"), 16,
         '3 samples of "dataset.val_data"'),
        ("mae", lambda root: few(root, "val/a/1.png", "val/b/1.png", "val/b/c/1.jpg"), 16,
         '3 samples of "dataset.val_data_sources"'),
        ("clip", lambda root: few(root, *[f"val/images/{n}.jpg" for n in range(3)]), 16,
         '3 samples of "dataset.val.datasets.image_dir"'),
    ],
)  # fmt: skip
def test_validation_sets_of_other_networks_smaller_than_a_batch(
    bench: Make, network: str, dataset: Callable[[Path], None], at_once: int, what: str
) -> None:
    made = bench(network, dataset)
    ((code, message),) = [(code, text) for code, _, text in made.messages() if "batch" in code]
    assert code == "warning batch-beyond-samples" and message.startswith(f"a batch of {at_once} ")
    assert f"is more than the {what}: the training stops at its first validation" in message
    made.edit("experiments", ("gpus: 1", "gpus: 1\n  release: 5.5.0"))
    assert [expected for expected in made.messages() if "batch" in expected[0]] == []


@pytest.mark.parametrize(
    ("network", "action", "dataset", "what"),
    [
        ("codetr", "evaluate", lambda root: few_to_validate(root, 1), '"dataset.test_data_sources.image_dir"'),
        ("ml_recog", "evaluate", lambda root: few(root, "train/a/1.jpg", "train/b/1.jpg"),
         '"dataset.val_dataset.reference"'),
        ("ml_recog", "inference", lambda root: few(root, "val/a/1.jpg", "val/b/1.jpg"), '"inference.input_path"'),
        ("re_identification", "evaluate", lambda root: few(root, "query/1_c1.jpg", "gallery/1_c2.jpg"),
         '"inference.query_dataset" and "inference.test_dataset"'),
        ("pose_classification", "inference", three_arrays, '"inference.test_dataset.data_path"'),
    ],
)  # fmt: skip
def test_sets_of_other_networks_to_evaluate_and_infer_on(
    bench: Make, network: str, action: str, dataset: Callable[[Path], None], what: str
) -> None:
    made = bench(network, dataset)
    few(made.project, "models/e/train/model.pth")
    expected = launch(made, action=action, checkpoint=str(made.project / "models/e/train/model.pth"))
    (message,) = [message for code, message in expected if code == "warning batch-beyond-samples"]
    assert what in message and message.endswith(f"{action} stops at its start")


@pytest.mark.parametrize(
    ("network", "written", "content", "what"),
    [
        ("optical_inspection", "$results_dir/dataset_convert/valid_combined.csv", "input_path,golden\na,b\nc,d\n",
         '2 samples of "dataset.validation_dataset.csv_path"'),
        ("depth_net", "$results_dir/convert/val.txt", "a.png a.pfm\n\nb.png b.pfm\n",
         '2 samples of "dataset.val_dataset.data_sources.data_file"'),
    ],
)  # fmt: skip
def test_lists_of_other_networks_with_less_than_a_batch(
    bench: Make, network: str, written: str, content: str, what: str
) -> None:
    made = bench(network, lambda root: few(root, "val.list", content=content))
    spec = made.spec("train")
    text = spec.read_text().replace(written, "$dataset_raw/val.list")
    spec.write_text(text.replace("    batch_size: 1\n", "    batch_size: 3\n"))
    (message,) = [text for code, _, text in made.messages() if code == "warning batch-beyond-samples"]
    assert f"more than the {what}: the training stops at its first validation" in message


def test_inference_that_takes_any_number_of_pictures(bench: Make) -> None:
    """Source: tao-pytorch 7.0.1 cv/codetr/model/pl_codetr_model.py has an on_predict_start of its own."""
    made = bench("codetr", lambda root: few_to_validate(root, 1))
    few(made.project, "models/e/train/model.pth")
    assert launch(made, action="inference", checkpoint=str(made.project / "models/e/train/model.pth")) == []


def test_a_last_batch_that_mask2former_leaves_out(bench: Make) -> None:
    made = bench("mask2former", lambda root: few_to_validate(root, 10))
    few(made.project, "models/e/train/model.pth")
    wishes = {"action": "inference", "checkpoint": str(made.project / "models/e/train/model.pth")}
    assert launch(made, **wishes) == []  # type: ignore[arg-type]
    assert launch(made, overrides={"dataset.test.batch_size": "4"}, **wishes) == [  # type: ignore[arg-type]
        (
            "warning last-batch-left-out",
            'dataset.test.batch_size of the command line: the last 2 of the 10 samples of "dataset.test.img_dir" get '
            'no result: they fill no batch of 4 ("dataset.test.batch_size" 4), and mask2former leaves such a batch out',
        )
    ]
    assert launch(made, overrides={"dataset.test.batch_size": "5"}, **wishes) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ("/m/a.png\n/m/b.png\n", None),
        ("/m/mask_b.png\n/m/mask_a.png\n", None),  # other names: nothing is known of the pairs
        ("/m/b.png\n/m/a.png\n", (
            "warning pictures-with-other-masks",
            'line 1 of images.txt is "/i/a.jpg", and of masks.txt "/m/b.png": TAO takes them for a pair '
            "(2 of 2 masks are in other lines); bring both lists into one order",
        )),
        ("/m/a.png\n", (
            "error lists-differ",
            "images.txt has 2 lines, masks.txt has 1: the rest is left out; "
            "write the mask of each line of the one list into the same line of the other",
        )),
    ],
)  # fmt: skip
def test_the_two_lists_of_unet(bench: Make, masks: str, expected: tuple[str, str] | None) -> None:
    def lists(root: Path) -> None:
        few(root, "images.txt", content="/i/a.jpg\n/i/b.jpg\n")
        few(root, "masks.txt", content=masks)

    made = bench("unet", lists)
    made.edit("train", ("  # train_data_sources", "  train_data_sources"))
    found = [(code, said) for code, _, said in made.messages() if code != "error dataset-missing"]
    assert found == ([expected] if expected else [])


@pytest.mark.parametrize("outline", [[[1, 1, 5, 1, 5, 5]], None])
def test_objects_without_the_masks_that_the_training_reads(bench: Make, outline: object) -> None:
    def lines(root: Path) -> None:
        few_to_validate(root, 50)
        objects = [{"bbox": [1, 1, 5, 5], "label": 0, "category": "c1", "mask": [[1, 1, 5, 1, 5, 5]]}]
        last = [{key: value for key, value in objects[0].items() if key != "mask" or outline}]
        written = [{"file_name": "0.jpg", "detection": {"instances": one}} for one in (objects, [], last)]
        few(
            root, "train/annotations.jsonl", content="\n".join(map(json.dumps, written))
        )  # no line end at the last

    made = bench("mask_grounding_dino", lines)
    found = [expected for expected in made.messages() if expected[0] != "warning batch-beyond-samples"]
    assert found == ([] if outline else [
        (
            "error mask-missing",
            "train.yaml: json_file: |$dataset_raw/train/annotations.jsonl",
            'line 3 of annotations.jsonl has an object without "mask", and "dataset.has_mask" is true: the training '
            'stops there; taorunner dataset convert set --to odvg writes the outlines of its source as "mask"',
        )
    ])  # fmt: skip
    if not outline:
        text = made.spec("train").read_text()
        made.spec("train").write_text(text.replace("has_mask: true", "has_mask: false"))
        assert made.messages() == []


def test_records_without_those_for_validation_are_the_samples(bench: Make) -> None:
    made = bench("yolo_v4", lambda root: kitti(root, pictures=10))
    made.edit("train", ("batch_size_per_gpu: 8", "batch_size_per_gpu: 9"))
    assert made.messages() == [
        (
            "warning batch-beyond-samples",
            "train.txt: batch_size_per_gpu: |9",
            'a batch of 9 ("training_config.batch_size_per_gpu" 9) is more than the 8 images there are to train on; '
            "use 8 or less",
        )
    ]
    made.edit("train", ("batch_size_per_gpu: 9", "batch_size_per_gpu: 8"))
    assert made.messages() == []


def test_records_of_another_experiment_are_not_counted(bench: Make) -> None:
    made = bench("yolo_v4", lambda root: kitti(root, pictures=10))
    made.edit(
        "train",
        ("batch_size_per_gpu: 8", "batch_size_per_gpu: 9"),
        ("$dataset_tfrecord/tfrecord-fold*", "$dataset_raw/../tfrecords_other/tfrecord-fold*"),
    )
    other = made.project / "data" / DATASET / "../tfrecords_other/tfrecord-fold-000"
    other.parent.mkdir()
    write_records(other, [b"x"])
    assert made.messages() == []


def test_a_batch_larger_than_the_stated_dataset_of_tf2(bench: Make) -> None:
    made = bench("efficientdet_tf2")
    made.edit("train", ("num_examples_per_epoch: 1000", "num_examples_per_epoch: 7"))
    assert made.messages() == [
        (
            "warning batch-beyond-samples",
            "train.yaml: batch_size: |8",
            'a batch of 8 ("train.batch_size" 8) is more than the 7 images there are to train on; use 7 or less',
        )
    ]


def listed(root: Path) -> None:
    """A COCO dataset whose annotations list 64 images for training and 8 to validate."""
    coco(root)
    for part, images in (("train", 64), ("val", 8)):
        file = root / part / "annotations.json"
        names = [{"id": number, "file_name": f"{number}.jpg"} for number in range(images)]
        file.write_text(json.dumps({**json.loads(file.read_text()), "images": names}))


@pytest.mark.parametrize(
    ("head", "key", "samples"),
    [
        ("efficientdet_tf2", "num_examples_per_epoch", "num_samples"),
        ("efficientdet_tf1", "num_examples_per_epoch", "eval_samples"),
        ("mask_rcnn", "num_examples_per_epoch", "eval_samples"),
    ],
)
def test_stated_numbers_of_images_are_those_of_the_annotations(
    head: str, key: str, samples: str, bench: Make
) -> None:
    made = bench(head, listed)
    text = made.spec("train").read_text()

    def stated(images: int, validated: int) -> list[tuple[str, str]]:
        changed = re.sub(rf"{key}: \d+", f"{key}: {images}", text)
        made.spec("train").write_text(re.sub(rf"{samples}: \d+", f"{samples}: {validated}", changed))
        return [(f.code, f"{f.message}; {f.hint}") for f in made.findings() if f.code == "examples-differ"]

    assert stated(64, 8) == stated(64, 4) == []
    ((_, trained), (_, held_out)) = sorted(stated(1000, 500), key=lambda one: samples in one[1])
    assert (
        f'{key}" is 1000, and train/annotations.json has 64 images: an epoch is not the whole data' in trained
    )
    assert trained.endswith("; taorunner specs refresh e")
    assert f'{samples}" is 500, and val/annotations.json has 8 images: some are validated more' in held_out


def test_records_with_another_name_are_of_other_annotations(bench: Make) -> None:
    made = bench("efficientdet_tf2", listed)
    made.edit("train", ("dataset_convert/train-*", "dataset_convert/all-*"))
    assert [f for f in made.findings() if "num_examples" in f.message] == []


def test_detectnet_v2_refuses_fewer_steps_than_it_logs(bench: Make) -> None:
    made = bench("detectnet_v2", lambda root: kitti(root, pictures=40))
    assert made.messages() == [
        (
            "error too-few-steps",
            "train.txt: batch_size_per_gpu: |8",
            "32 images in batches of 8 are 4 steps an epoch, fewer than the 5 that are logged: the training stops "
            'at its start; use a smaller batch, or set "training_config.visualizer.scalar_logging_frequency" to 4 '
            "or less",
        )
    ]
    made.edit("train", ("scalar_logging_frequency: 5", "scalar_logging_frequency: 4"))
    assert made.messages() == []


# classes


@pytest.mark.parametrize("head", ["dino", "deformable_detr", "rtdetr"])
def test_a_category_id_beyond_num_classes(head: str, bench: Make) -> None:
    made = bench(head, lambda root: coco(root, ids=(1, 2, 90)))
    assert made.messages() == [
        (
            "error too-few-classes",
            "experiments.yml: num_classes: |4",
            "num_classes is 4, the data needs 91: train/annotations.json has category ids 1 to 90; "
            "taorunner specs refresh e",
        )
    ]


def test_rtdetr_never_learns_a_last_id_of_num_classes(bench: Make) -> None:
    made = bench("rtdetr", lambda root: coco(root, ids=(1, 2, 3, 4)))
    assert [messages[0] for messages in made.messages()] == ["warning too-few-classes"]
    made.edit("train", ("remap_mscoco_category: false", "remap_mscoco_category: true"))
    assert made.messages() == []


def test_tf2_counts_the_background_as_a_class(bench: Make) -> None:
    made = bench("efficientdet_tf2")
    made.edit("train", ("num_classes: 4", "num_classes: 3"))
    assert made.messages() == [
        (
            "error too-few-classes",
            "train.yaml: num_classes: |3",
            "num_classes is 3, the data needs 4: val/annotations.json has category ids 1 to 3; "
            "taorunner specs refresh e",
        )
    ]


def test_class_folders_are_counted(bench: Make) -> None:
    made = bench("classification_pyt")
    folder = made.project / "data" / DATASET / "train"
    made.edit("experiments", ("num_classes: 3", "num_classes: 2"))
    hint = "taorunner specs refresh e"
    message = f"num_classes is 2, the data needs 3: {folder} has 3 class folders; {hint}"
    assert made.messages() == [("error too-few-classes", "experiments.yml: num_classes: |2", message)]
    made.edit("experiments", ("num_classes: 2", "num_classes: 4"))
    message = f"num_classes is 4, the data needs 3: {folder} has 3 class folders; {hint}"
    assert made.messages() == [("warning too-many-classes", "experiments.yml: num_classes: |4", message)]


@pytest.mark.parametrize("head", ["ssd", "yolo_v4", "faster_rcnn", "detectnet_v2"])
def test_a_mapping_of_which_no_class_is_in_the_labels(head: str, bench: Make) -> None:
    made = bench(head, lambda root: kitti(root, classes=("bus", "Truck")))
    assert made.messages() == [
        (
            "error no-class-in-dataset",
            'train.txt: target_class_mapping { key: |"car" value: "car" }',
            'no class of "target_class_mapping" is in the labels: 100 files have bus, truck; '
            "correct the names, or the dataset",
        )
    ]


def test_blanks_capitals_and_missing_classes(bench: Make) -> None:
    made = bench("ssd")
    made.edit(
        "train",
        ('key: "car"', 'key: "traffic light"'),
        ('key: "cyclist"', 'key: "Cyclist"'),
        ("target_class_mapping { key: \"pedestrian\" value: \"pedestrian\" }",
         'target_class_mapping { key: "pedestrian" value: "pedestrian" }\n  '
         'target_class_mapping { key: "dog" value: "dog" }'),
    )  # fmt: skip
    assert made.messages() == [
        (
            "warning class-not-mapped",
            'train.txt: target_class_mapping { key: |"traffic light" value: "car" }',
            '"target_class_mapping" lacks car of the labels: these boxes are ignored; '
            "map every class that is to be learnt",
        ),
        (
            "warning class-with-blank",
            'train.txt: target_class_mapping { key: |"traffic light" value: "car" }',
            'the class "traffic light" has a blank, and labels are split at blanks: it is never found; '
            'name it "traffic_light", here and in the labels',
        ),
        (
            "warning class-with-capitals",
            'train.txt: target_class_mapping { key: |"Cyclist" value: "cyclist" }',
            'the class "Cyclist" has capitals, and records hold lower case: it is never found; write "cyclist"',
        ),
        (
            "warning class-not-in-dataset",
            'train.txt: target_class_mapping { key: |"dog" value: "dog" }',
            'no label has the class "dog" (100 files); there are: car, cyclist, pedestrian',
        ),
    ]


def test_capitals_in_labels_that_are_read_raw_are_fine(bench: Make) -> None:
    made = bench("ssd", lambda root: kitti(root, classes=("Car", "cyclist", "pedestrian")))
    made.edit(
        "train",
        ('tfrecords_path: "$dataset_tfrecord/tfrecord-fold*"',
         'image_directory_path: "$dataset_raw/images"\n    label_directory_path: "$dataset_raw/labels"'),
        ('target_class_mapping { key: "car"', 'target_class_mapping { key: "Car"'),
    )  # fmt: skip
    assert made.messages() == []


# networks without a scaffold: the same rules, other keys

COUNTED = "num_classes is 3, the data needs 4: val/annotations.json has category ids 1 to 3; taorunner specs refresh e"
OTHERS = [
    (
        "mask_rcnn", coco, "train_batch_size: 1\ndata_config {\n  num_classes: 3\n"
        '  val_json_file: "$dataset_raw/val/annotations.json"\n}\n',
        ("error too-few-classes", "train.txt: num_classes: |3",
         COUNTED),
    ),
    (
        "efficientdet_tf1", coco, "dataset_config {\n  num_classes: 3\n"
        '  validation_json_file: "$dataset_raw/val/annotations.json"\n}\n',
        ("error too-few-classes", "train.txt: num_classes: |3",
         COUNTED),
    ),
    (
        "mask_rcnn", coco, "train_batch_size: 8\nnum_examples_per_epoch: 4\n",
        ("warning batch-beyond-samples", "train.txt: train_batch_size: |8",
         'a batch of 8 ("train_batch_size" 8) is more than the 4 images there are to train on; use 4 or less'),
    ),
    (
        "multitask_classification", kitti, "training_config {\n  num_epochs: 5\n  checkpoint_interval: 2\n}\n",
        ("warning last-epochs-lost", "train.txt: num_epochs: |5",
         "multitask_classification saves every 2 epochs and not at the end: of 5 epochs, those after 4 are lost; "
         'use 4 or 6 epochs, or a "training_config.checkpoint_interval" that divides 5'),
    ),
    (
        "multitask_classification", kitti, "training_config {\n  num_epochs: 5\n  checkpoint_interval: 0\n}\n",
        ("error interval-zero", "train.txt: checkpoint_interval: |0",
         '"training_config.checkpoint_interval" is 0, which multitask_classification refuses; use 1 or more'),
    ),
    (
        "lprnet", kitti, 'training_config {\n  pretrain_model_path: "$pretrained_model"\n}\n',
        ("warning ignored-key", 'train.txt: pretrain_model_path: |"$pretrained_model"',
         'lprnet does not read "training_config.pretrain_model_path": its weights come from the command line; '
         "leave it out: taorunner passes the weights of repository and backbone"),
    ),
    (
        "classification_tf2", folders, "dataset:\n  num_classes: 4\n  train_dataset_path: $dataset_raw/train\n",
        ("error too-many-classes", "train.yaml: num_classes: |4",
         "num_classes is 4, the data needs 3: DATASET/train has 3 class folders; taorunner specs refresh e"),
    ),
    (
        "classification_tf2", folders, "train:\n  batch_size_per_gpu: 151\ndataset:\n"
        "  train_dataset_path: $dataset_raw/train\n",
        ("warning batch-beyond-samples", "train.yaml: batch_size_per_gpu: |151",
         'a batch of 151 ("train.batch_size_per_gpu" 151) is more than the 150 images there are to train on; '
         "use 150 or less"),
    ),
    (
        "pointpillars", kitti, "train:\n  num_epochs: 5\n  checkpoint_interval: 6\n",
        ("error interval-beyond-epochs", "train.yaml: checkpoint_interval: |6",
         '"train.checkpoint_interval" is 6, and there are 5 epochs: no weights are saved; '
         "use 5, or a number that divides it"),
    ),
    (
        "mask2former", coco, "train:\n  num_epochs: 5\n  validation_interval: 6\n",
        ("error interval-beyond-epochs", "train.yaml: validation_interval: |6",
         '"train.validation_interval" is 6, and there are 5 epochs: the training stops at its start; use 5 or less'),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("head", "dataset", "text", "wanted"), OTHERS)
def test_networks_without_a_scaffold(
    head: str, dataset: Callable[[Path], None], text: str, wanted: tuple[str, str, str], bench: Make
) -> None:
    made = bench("ssd", dataset)
    made.edit("experiments", ("head: ssd", f"head: {head}"))
    for name in ("train", "convert"):
        made.spec(name).unlink()
    suffix = "yaml" if ":\n" in text else "txt"
    (made.project / "specs" / "e" / f"train.{suffix}").write_text(text)
    place = str(made.project / "data" / DATASET)
    assert tuple(part.replace("DATASET", place) for part in wanted) in made.messages()


@pytest.mark.parametrize(
    "value",
    [
        "a\\0b",
        "/workspace/projects/p/\\0",
        "/",
        "",
        "$dataset_raw/../../../../../..",
        "/dev/zero",
        "$nope",
        "\\u2028",
    ],
)
@pytest.mark.parametrize(
    ("head", "name", "old"),
    [
        ("ssd", "convert", 'root_directory_path: "$dataset_raw"'),
        ("ssd", "convert", 'label_dir_name: "labels"'),
        ("dino", "train", "- image_dir: $dataset_raw/train/images"),
        ("dino", "train", "json_file: $dataset_raw/train/annotations.json"),
        ("segformer", "train", "root_dir: $dataset_raw"),
    ],
)
def test_paths_that_are_none_are_no_crash(head: str, name: str, old: str, value: str, bench: Make) -> None:
    made = bench(head)
    made.edit(name, (old, f'{old.partition(": ")[0]}: "{value}"'))
    assert {finding.code for finding in made.findings()} <= {
        "unknown-variable", "wrong-type", "not-text", "syntax", "unreadable-spec", "image-extension", "missing-input",
        "wrong-input", "relative-path",
    }  # fmt: skip


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(bench: Make) -> None:
    made = bench("dino")
    annotations = made.project / "data" / DATASET / "train" / "annotations.json"
    annotations.unlink()
    os.mkfifo(annotations)
    assert made.messages() == []


# folds, extensions


def test_a_validation_fold_without_a_split_leaves_nothing_to_train_on(bench: Make) -> None:
    made = bench("yolo_v4")
    made.edit("convert", ("val_split: 20", "val_split: 0"))
    assert made.messages() == [
        (
            "error empty-training-fold",
            "train.txt: validation_fold: |0",
            '"dataset_config.validation_fold" 0 leaves nothing to train on: "val_split" 0 in convert.txt writes all '
            'images as fold 0; set "kitti_config.val_split" in convert.txt to a percentage such as 20, and convert '
            "again",
        )
    ]


def test_a_share_of_few_images_that_is_none_leaves_nothing_to_train_on(bench: Make) -> None:
    made = bench("yolo_v4")
    made.edit("convert", ("val_split: 20", "val_split: 1"))
    assert made.messages() == []
    made.edit("convert", ("val_split: 1", "val_split: 0.5"))
    ((severity, _, message),) = made.messages()
    assert severity == "error empty-training-fold"
    assert '"val_split" 0.5 of 100 images in convert.txt writes all images as fold 0' in message


def test_images_with_another_extension_are_left_out(bench: Make) -> None:
    made = bench("ssd")
    folder = made.project / "data" / DATASET / "images"
    (folder / "0.jpg").touch()
    assert made.messages() == [
        (
            "warning image-extension",
            'convert.txt: image_extension: |".png"',
            f'1 images in {folder} do not end with ".png" and are left out: it has 1 .jpg, 100 .png; '
            "bring all images to one extension",
        )
    ]


@pytest.mark.parametrize("suffix", [".jpg", ".PNG"])
def test_no_image_with_the_extension_is_an_error(suffix: str, bench: Make) -> None:
    made = bench("ssd", lambda root: kitti(root, suffix=suffix))
    folder = made.project / "data" / DATASET / "images"
    assert made.messages() == [
        (
            "error image-extension",
            'convert.txt: image_extension: |".png"',
            f'no image in {folder} ends with ".png": there are 100 {suffix}; '
            f'set "kitti_config.image_extension" to "{suffix}"',
        )
    ]


@pytest.mark.parametrize("head", ["yolo_v4", "faster_rcnn", "detectnet_v2"])
def test_the_extension_of_a_training_has_no_dot(head: str, bench: Make) -> None:
    made = bench(head)
    made.edit("train", ('image_extension: "png"', 'image_extension: ".png"'))
    assert made.messages() == [
        (
            "warning image-extension",
            'train.txt: image_extension: |".png"',
            '"dataset_config.image_extension" is ".png": in the spec of a training it has no dot; write "png"',
        )
    ]


@pytest.mark.parametrize("head", ["yolo_v4", "faster_rcnn", "detectnet_v2"])
def test_training_and_conversion_read_the_same_images(head: str, bench: Make) -> None:
    made = bench(head)
    made.edit("train", ('image_extension: "png"', 'image_extension: "jpg"'))
    assert made.messages() == [
        (
            "error image-extension",
            'train.txt: image_extension: |"jpg"',
            '"dataset_config.image_extension" is "jpg", and convert.txt takes the images that end with ".png"; '
            "name the same extension in both",
        )
    ]


def test_yolo_needs_an_extension_with_records(bench: Make) -> None:
    made = bench("yolo_v4")
    made.edit("train", ('image_extension: "png"', ""))
    assert made.messages() == [
        (
            "error image-extension",
            'train.txt: tfrecords_path: |"$dataset_tfrecord/tfrecord-fold*"',
            '"dataset_config.image_extension" is missing, and yolo_v4 needs it with records; '
            'write it into "dataset_config", as in image_extension: "png"',
        )
    ]


# earlier results


def results(made: Bench, *names: str) -> Path:
    folder = made.project / "models" / "e"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("w")
    return folder


AFRESH = "taorunner train e --overwrite sets the earlier ones aside (nothing is deleted)"


@pytest.mark.parametrize(
    ("head", "checkpoint"),
    [
        ("dino", "train/model_epoch_011_step_00012.pth"),
        ("detectnet_v2", "model.epoch-80.hdf5"),
        ("efficientdet_tf2", "train/efficientdet-d0_060.tlt"),
    ],
)
def test_results_that_would_be_resumed_silently(head: str, checkpoint: str, bench: Make) -> None:
    made = bench(head)
    folder = results(made, checkpoint)
    assert made.messages() == [
        (
            "info results-exist",
            "experiments.yml: |e:",
            f"{folder} already holds a checkpoint of an earlier training, which TAO would silently resume "
            f"from; taorunner resume e continues from the newest one; {AFRESH}",
        )
    ]


def test_results_that_are_not_resumed_are_no_finding(bench: Make) -> None:
    made = bench("ssd")
    results(made, "weights/ssd_resnet18_epoch_080.hdf5")
    assert made.messages() == []


@pytest.mark.parametrize(
    ("head", "checkpoint", "exported"),
    [
        ("ssd", "weights/ssd_resnet18_epoch_080.hdf5", "export/ssd_resnet18_epoch_080.onnx"),
        ("retinanet", "weights/retinanet_resnet18_epoch_100.hdf5", "export/retinanet_resnet18_epoch_100.onnx"),
        ("dino", "train/model_epoch_011_step_00012.pth", "export/model_epoch_011_step_00012.onnx"),
    ],
)  # fmt: skip
def test_an_export_file_that_exists(head: str, checkpoint: str, exported: str, bench: Make) -> None:
    made = bench(head)
    folder = results(made, checkpoint, exported)
    messages = [item for item in made.messages() if item[0] != "info results-exist"]
    assert messages == [
        (
            "info output-exists",
            "experiments.yml: |e:",
            f"{folder}/{exported} exists, and {head} export does not overwrite it; "
            f"{AFRESH.replace('train', 'export')}",
        )
    ]


# keys that are not read, results elsewhere, paths


@pytest.mark.parametrize("value", ['"$pretrained_model"', '"/workspace/repositories/w.hdf5"'])
@pytest.mark.parametrize("head", ["ssd", "dssd"])
def test_weights_in_the_spec_are_not_read(head: str, value: str, bench: Make) -> None:
    made = bench(head)
    made.edit("train", ("num_epochs: 80", f"num_epochs: 80\n  pretrain_model_path: {value}"))
    assert made.messages() == [
        (
            "warning ignored-key",
            f"train.txt: pretrain_model_path: |{value}",
            f'{head} does not read "training_config.pretrain_model_path": its weights come from the command line; '
            "leave it out: taorunner passes the weights of repository and backbone",
        )
    ]


def test_weights_that_are_empty_are_no_finding(bench: Make) -> None:
    made = bench("ssd")
    made.edit("train", ("num_epochs: 80", 'num_epochs: 80\n  pretrain_model_path: ""'))
    assert made.messages() == []


def test_unet_does_not_read_num_epochs(bench: Make) -> None:
    made = bench("unet")
    made.edit("train", ("epochs: 60", "epochs: 60\n  num_epochs: 70"))
    assert made.messages() == [
        (
            "warning ignored-key",
            "train.txt: num_epochs: |70",
            'unet does not read "training_config.num_epochs"; write "training_config.epochs" instead',
        )
    ]


def test_results_that_go_elsewhere(bench: Make) -> None:
    made = bench("dino")
    made.edit("train", ("num_epochs: 12", "num_epochs: 12\n  results_dir: /workspace/projects/p/other"))
    assert made.messages() == [
        (
            "warning results-elsewhere",
            "train.yaml: results_dir: |/workspace/projects/p/other",
            '"train.results_dir" sends the results to where taorunner does not look for them; '
            'leave it out: "results_dir" is set for every run',
        )
    ]
    made.edit("train", ("/workspace/projects/p/other", "$results_dir/train"))
    assert made.messages() == []


@pytest.mark.parametrize(
    ("old", "line", "severity"),
    [
        ("image_dir: $dataset_raw/train/images", "- image_dir: ", "error"),
        ("[$dataset_raw/val/images]", "image_dir: ", "warning"),
    ],
)
def test_a_path_of_this_machine_below_a_mount_is_reported_with_its_name_inside(
    old: str, line: str, severity: str, bench: Make
) -> None:
    made = bench("dino")
    folder = f"{made.root}/projects/p/data/set/train/train"
    made.edit("train", (old, f"image_dir: {folder}" if old.startswith("image") else folder))
    assert made.messages() == [
        (
            f"{severity} host-path",
            f"train.yaml: {line}|{folder}",
            f'"{folder}" is a path of this machine, which the container does not have; '
            'write "/workspace/projects/p/data/set/train/train", or use $dataset_raw, $results_dir or '
            "$pretrained_model",
        )
    ]


def test_a_path_of_this_machine_in_an_override(bench: Make) -> None:
    made = bench("dino")
    folder = f"{made.root}/repositories/w.pth"
    entry = "head: dino\n    overrides:\n      train.pretrained_model_path: "
    made.edit("experiments", ("head: dino", entry + folder))
    assert [item[:2] for item in made.messages()] == [
        ("error host-path", f"experiments.yml: train.pretrained_model_path: |{folder}")
    ]
    (made.root / "repositories").mkdir(exist_ok=True)
    (made.root / "repositories/w.pth").write_bytes(b"x")
    made.edit("experiments", (folder, "/workspace/repositories/w.pth"))
    assert made.messages() == []


@pytest.mark.parametrize("path", ["/home/me/results", "/Users/me/results", "C:\\results"])
def test_a_path_that_looks_like_one_of_a_machine(path: str, bench: Make) -> None:
    made = bench("dino")
    made.edit("train", ("$dataset_raw/train/label_map.txt", f"'{path}'"))
    assert made.messages() == [
        (
            "warning host-path",
            f"train.yaml: classmap: |'{path}'",
            f'"{path}" looks like a path of this machine; paths in a spec are those '
            "inside the container: use $dataset_raw, $results_dir or $pretrained_model",
        )
    ]


def test_a_path_outside_all_mounts_that_exists_here(bench: Make) -> None:
    folder = next(path for path in ("/srv/.", "/mnt/.", "/home/.") if Path(path).is_dir())  # not /tmp: below
    made = bench("ssd")
    made.edit("convert", ('image_directory_path: "$dataset_raw"', f'image_directory_path: "{folder}"'))
    assert [item[:2] for item in made.messages()] == [
        ("warning host-path", f'convert.txt: image_directory_path: |"{folder}"')
    ]


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/var/tmp"])
def test_a_path_that_every_container_has_as_well(folder: str, bench: Make) -> None:
    made = bench("ssd")
    made.edit("convert", ('image_directory_path: "$dataset_raw"', f'image_directory_path: "{folder}"'))
    assert made.messages() == []


def test_paths_are_free_where_no_container_is(bench: Make) -> None:
    made = bench("dino")
    (made.root.parent / "classmap.txt").write_text("c1\n")
    made.edit("train", ("$dataset_raw/train/label_map.txt", f"{made.root.parent}/classmap.txt"))
    made.edit("experiments", ("head: dino", "head: dino\n    backend: local"))
    assert made.messages() == []


def test_a_mount_at_the_same_place_makes_host_paths_right(bench: Make) -> None:
    made = bench("dino")
    root = str(made.root)
    mounts = {
        "Mounts": [
            {"source": root, "destination": root, "read_only": True},
            {"source": root, "destination": "/workspace", "read_only": True},
        ]
    }
    (made.root / ".tao_mounts.json").write_text(json.dumps(mounts))
    (made.root / "projects/p/data/set/classmap.txt").write_text("c1\n")
    made.edit("train", ("$dataset_raw/train/label_map.txt", f"{root}/projects/p/data/set/classmap.txt"))
    assert made.messages() == []


# overrides, and what a launch adds


def test_an_override_is_reported_where_it_is_written(bench: Make) -> None:
    made = bench("dino")
    made.edit(
        "experiments",
        ("head: dino", "head: dino\n    overrides:\n      train:\n        checkpoint_interval: 13"),
    )
    assert made.messages() == [
        (
            "error interval-beyond-epochs",
            "experiments.yml: checkpoint_interval: |13",
            '"train.checkpoint_interval" is 13, and there are 12 epochs: the training stops at its start; '
            "use 12 or less",
        )
    ]
    made.edit("experiments", ("checkpoint_interval: 13", "checkpoint_interval: 13\n        num_epochs: 13"))
    assert made.messages() == []


@pytest.mark.parametrize("folder", ["$dataset_raw", "${dataset_raw}"])
def test_a_folder_of_this_project_in_an_override_is_looked_into(folder: str, bench: Make) -> None:
    made = bench("dino")
    key = "train.pretrained_model_path"
    made.edit("experiments", ("head: dino", f"head: dino\n    overrides:\n      {key}: {folder}/start.pth"))
    assert [one[:2] for one in made.messages()] == [
        ("error missing-input", f"experiments.yml: {key}: |{folder}/start.pth"),
    ]
    assert "projects" not in made.messages()[0][2]  # below the project, as people name it
    (made.project / "data" / DATASET / "start.pth").write_bytes(b"x")
    assert made.messages() == []


def test_a_list_element_that_is_overridden_is_not_known(bench: Make) -> None:
    made = bench("dino", lambda root: coco(root, ids=(1, 2, 90)))
    made.edit(
        "experiments",
        ("head: dino", "head: dino\n    overrides:\n"
         "      dataset.train_data_sources.0.json_file: /data/a.json\n"
         "      dataset.val_data_sources.0.json_file: /data/b.json"),
    )  # fmt: skip
    assert [finding for finding in made.findings() if finding.code == "too-few-classes"] == []


def test_the_experiments_own_variables_count(bench: Make) -> None:
    made = bench("ssd")
    made.edit("train", ("num_epochs: 80", "num_epochs: $epochs"))
    made.edit("experiments", ("      image_dir:", "      epochs: 84\n      image_dir:"))
    assert [item[:2] for item in made.messages()] == [
        ("warning last-epochs-lost", "experiments.yml: epochs: |84")
    ]
    made.edit("experiments", ("epochs: 84", "epochs: 90"))
    assert made.messages() == []


def launch(made: Bench, action: str = "train", **wishes: object) -> list[tuple[str, str]]:
    """Severity and code, and the message, of what a launch says."""
    request = ActionRequest(action, ("e",), **wishes)  # type: ignore[arg-type]
    planned = plan_action(Workspace(made.root), "p", request, ELSEWHERE)
    return [
        (f"{finding.severity.value} {finding.code}", finding.message)
        for finding in planned.findings
        if finding.code not in NOT_OF_SPECS
    ]


def test_a_launch_is_refused(bench: Make) -> None:
    made = bench("dino")
    assert launch(made) == []
    made.edit("train", ("checkpoint_interval: 1", "checkpoint_interval: 13"))
    assert [code for code, _ in launch(made)] == ["error interval-beyond-epochs"]
    assert launch(made, overrides={"train.num_epochs": "13"}) == []
    assert launch(made, extra=("train.num_epochs=13",)) == []
    assert [code for code, _ in launch(made, overrides={"+train.num_epochs": "6"})] == [
        "error interval-beyond-epochs"
    ]


def test_a_launch_counts_its_own_gpus_and_overrides(bench: Make) -> None:
    made = bench("dino", lambda root: coco(root, pictures=10))
    assert launch(made, gpus=2) == []
    assert [code for code, _ in launch(made, gpus=4)] == ["error batch-beyond-samples"]
    assert launch(made, overrides={"dataset.batch_size": "11"}) == [
        (
            "error batch-beyond-samples",
            'dataset.batch_size of the command line: a batch of 11 ("dataset.batch_size" 11) is more than the 10 images there are '
            "to train on",
        )
    ]


def test_a_launch_without_containers_may_use_paths_of_this_machine(bench: Make) -> None:
    made = bench("dino")
    made.edit("train", ("$dataset_raw/train/label_map.txt", "/home/me/classmap.txt"))
    assert [code for code, _ in launch(made)] == ["warning host-path"]
    assert launch(made, backend="local") == []


# a sweep is checked together, and none hides behind another


def test_specs_that_differ_in_numbers_are_each_held_against_their_own(bench: Make) -> None:
    made = bench("ssd")
    specs = made.project / "specs"
    entry = made.project / "experiments.yml"
    text = entry.read_text()
    lines = text[text.index("  e:") :].splitlines()[1:]
    for number, epochs in enumerate((80, 85, 90, 95)):
        shutil.copytree(specs / "e", specs / f"s{number}")
        path = specs / f"s{number}" / "train.txt"
        path.write_text(f"# {number}\n" + path.read_text().replace("num_epochs: 80", f"num_epochs: {epochs}"))
        text += "\n".join([f"  s{number}:", *lines]) + "\n"
    entry.write_text(text)
    found = [(f.file.parent.name, where(f)) for f in made.findings() if f.file is not None]
    assert found == [("s1", "train.txt: num_epochs: |85"), ("s3", "train.txt: num_epochs: |95")]


def test_equal_specs_of_experiments_with_other_gpus_are_each_held_against_their_own(bench: Make) -> None:
    made = bench("dino", lambda root: coco(root, pictures=10))
    made.edit("train", ("$num_classes", "4"))  # what reads variables of an experiment is not shared
    entry = made.project / "experiments.yml"
    text = entry.read_text()
    lines = text[text.index("  e:") :].splitlines()[1:]
    for gpus in (4, 2, 3):
        shutil.copytree(made.project / "specs/e", made.project / f"specs/on{gpus}")
        text += "\n".join([f"  on{gpus}:", f"    gpus: {gpus}", *lines]) + "\n"
    entry.write_text(text)
    found = [(f.file.parent.name, f.message.partition(" is more")[0]) for f in made.findings() if f.file]
    assert found == [
        ("on4", 'a batch of 16 ("dataset.batch_size" 4 on 4 GPUs)'),
        ("on3", 'a batch of 12 ("dataset.batch_size" 4 on 3 GPUs)'),
    ]


def test_many_more_classes_than_the_data_has_are_a_note(bench: Make) -> None:
    """As after a spec for the 80 classes of COCO was taken over; one spare class is usual."""
    made = bench("rtdetr")
    made.edit("experiments", ("num_classes: 4", "num_classes: 80"))
    needed = re.search(r"the data needs (\d+)", str(made.messages()))
    assert needed is not None
    assert made.messages() == [
        ("info too-many-classes", "experiments.yml: num_classes: |80",
         f"num_classes is 80, the data needs {needed[1]}: the others are never learnt; taorunner specs refresh e"),
    ]  # fmt: skip


def test_a_size_that_yolo_does_not_take(bench: Make) -> None:
    made = bench("yolo_v4")
    size = re.search(r"output_width: (\d+)", (made.project / "specs/e/train.txt").read_text())
    assert size is not None
    odd = int(size[1]) + 8
    made.edit("train", (f"output_width: {size[1]}", f"output_width: {odd}"))
    found = [one for one in made.messages() if "input-size" in one[0]]
    assert [(one[0], f"is {odd}, which is no multiple of 32" in one[2]) for one in found] == [
        ("error input-size", True)
    ]
