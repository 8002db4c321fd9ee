"""One command makes a project from a dataset: it validates, and a stand-in that reads the data as TAO does trains."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CALLER, Cli, wait_for
from PIL import Image
from source_datasets import make_source, save_image

Commands = Callable[..., dict[str, str]]
BOXES = ("coco", "yolo", "voc", "kitti")
TRAINED = [
    *((kind, "rtdetr") for kind in BOXES), ("coco", "dino"), ("yolo", "detectnet_v2"), ("voc", "ssd"),
    ("kitti", "efficientdet_tf2"),
    ("folders", "classification_pyt"), ("folders", "classification_tf2"),
    ("masks", "segformer"), ("polygons", "segformer"),
]  # fmt: skip
CONVERSIONS = {"detectnet_v2": 1, "ssd": 1, "efficientdet_tf2": 1}
GENERATIONS = {"detectnet_v2": "tf1", "ssd": "tf1", "unet": "tf1", "efficientdet_tf2": "tf2_6.0",
               "classification_tf2": "tf2_6.0"}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "ws").mkdir()
    return tmp_path / "ws"


@pytest.mark.parametrize(("kind", "head"), TRAINED)
def test_a_dataset_becomes_a_project_that_trains(
    kind: str, head: str, cli: Cli, root: Path, tmp_path: Path, tao_commands: Commands
) -> None:
    """No file is edited between the dataset and the end of the training."""
    make_source(kind, tmp_path / "source", images=40)
    made = cli(
        "init-project",
        "parts",
        "--head",
        head,
        "--from-dataset",
        tmp_path / "source",
        "--no-weights",
        cwd=root,
    )
    assert made.code == 0, made.out + made.err
    assert "validated: no errors" in made.out
    assert cli("validate", "parts", cwd=root).code == 0
    env = {**tao_commands(GENERATIONS.get(head, "pyt_7"), gpus=1), "FAKE_READ_DATA": "1", "FAKE_EPOCHS": "10"}
    words = ("--backend", "local")
    steps = [
        line.partition(": taorunner ")[2].split()
        for line in made.out.splitlines()
        if line.startswith(("next: ", "then: "))
    ]
    converts = CONVERSIONS.get(head, 0)
    assert [step[0] for step in steps] == (["convert"] * converts or ["train"])
    assert converts == 0 or steps[-1][-2:] == ["--then", "train"]
    for step in steps:
        host = [word.replace("/workspace/projects", str(root / "projects")) for word in step]
        done = cli(*host[:2], *words, *host[2:], cwd=root, env=env)
        assert done.code == 0, done.out + done.err
    log = next((root / ".taorunner/runs").glob("*/console.log"))
    logs = [path.read_text() for path in (root / ".taorunner/runs").glob("*/console.log")]
    assert any("loaded " in text for text in logs), log.read_text()


@pytest.mark.parametrize("kind", ["masks", "polygons"])
def test_a_network_that_pairs_lists_trains_in_a_container(
    kind: str, docker_cli: Cli, tmp_path: Path, tao_image: Callable[..., str], root: Path
) -> None:
    """The lists hold paths inside the container."""
    make_source(kind, tmp_path / "source", images=40)
    words = ("--head", "unet", "--from-dataset", tmp_path / "source", "--no-weights")
    os.chown(root, CALLER, CALLER)
    made = docker_cli("init-project", "parts", *words, cwd=root)
    assert made.code == 0, made.out + made.err
    (spec,) = (root / "projects/parts/specs").glob("*/train.txt")
    spec.write_text(f"{spec.read_text()}# FAKE_READ_DATA=1 FAKE_EPOCHS=10\n")
    done = docker_cli("train", spec.parent.name, "--image", tao_image("tf1"), cwd=root, timeout_s=120)
    assert done.code == 0, done.out + done.err
    (log,) = (root / ".taorunner/runs").glob("*/console.log")
    assert "loaded 40 images" in log.read_text()


def test_a_batch_is_not_larger_than_the_images_that_validate(cli: Cli, root: Path, tmp_path: Path) -> None:
    """The network leaves out a last batch that is not full: with fewer images it would have nothing to validate with."""
    make_source("folders", tmp_path / "source", images=24)
    words = ("init-project", "parts", "--head", "classification_pyt", "--from-dataset", tmp_path / "source")
    made = cli(*words, "--no-weights", "--val", "0.25", cwd=root)
    assert made.code == 0, made.err
    assert re.search(r"batch_size [1-6] \([1-6] images to validate with\)", made.out)
    assert "validated: no errors\n" in made.out  # and no warning
    assert [
        one["code"] for one in cli("validate", "--json", cwd=root).json if one["severity"] != "info"
    ] == []


def test_it_says_what_it_found_and_chose(cli: Cli, root: Path, tmp_path: Path) -> None:
    counts = make_source("coco", tmp_path / "source", images=40)
    made = cli(
        "init-project",
        "parts",
        "--head",
        "dino",
        "--from-dataset",
        tmp_path / "source",
        "--no-weights",
        cwd=root,
    )
    lines = made.out.splitlines()
    facts = {line[:10].strip(): line[10:] for line in lines if line[:1] not in (" ", "")}
    assert facts["found"] == f"COCO: 40 images, {sum(counts.values())} boxes, no split"
    largest = sorted(counts.items(), key=lambda one: -one[1])
    assert facts["classes"] == f"3: {', '.join(f'{name} {count}' for name, count in largest)}"
    assert re.fullmatch(r"train 3\d, val \d, by class", facts["split"])
    assert facts["data"] == "projects/parts/data/parts (linked; --copy copies)"
    assert facts["weights"].startswith("none")
    assert "num_classes 4" in made.out
    assert lines[-2:] == ["validated: no errors", "next: taorunner train dino_01"]
    assert all(len(line) <= 100 for line in lines)


def test_the_images_are_links_and_the_source_is_as_it_was(cli: Cli, root: Path, tmp_path: Path) -> None:
    make_source("yolo", tmp_path / "source")
    before = {path: path.read_bytes() for path in (tmp_path / "source").rglob("*") if path.is_file()}
    made = cli(
        "init-project", "p", "--head", "ssd", "--from-dataset", tmp_path / "source", "--no-weights", cwd=root
    )
    assert made.code == 0, made.err
    after = {path: path.read_bytes() for path in (tmp_path / "source").rglob("*") if path.is_file()}
    assert before == after
    image = next((root / "projects/p/data/p").rglob("a000.jpg"))
    assert image.stat().st_nlink == 2


def test_in_place_leaves_the_images_and_mounts_their_folder(cli: Cli, root: Path, tmp_path: Path) -> None:
    make_source("coco", tmp_path / "source")
    made = cli(
        "init-project", "p", "--head", "dino", "--from-dataset", tmp_path / "source", "--in-place",
        "--no-weights", cwd=root,
    )  # fmt: skip
    assert made.code == 0, made.err
    image = next((root / "projects/p/data/p").rglob("a000.jpg"))
    assert image.is_symlink()
    assert image.resolve() == tmp_path / "source/images/a000.jpg"
    mounts = json.loads((root / ".tao_mounts.json").read_text())["Mounts"]
    source = str(tmp_path / "source")
    assert {"source": source, "destination": source, "read_only": True} in mounts
    assert {entry["destination"] for entry in mounts} >= {"/workspace/projects", "/workspace/repositories"}
    shown = cli("train", next((root / "projects/p/specs").iterdir()).name, "--dry-run", "--json", cwd=root)
    assert {"source": source, "target": source, "read_only": True} in shown.json[0]["mounts"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--from-dataset", "{source}"), 2, "--from-dataset needs --head"),
        (("--head", "rtdetr", "--from-dataset", "nowhere"), 2, "there is no dataset"),
        (("--head", "rtdetr", "--from-dataset", "{source}", "--copy", "--in-place"), 2, "cannot be combined"),
        (("--head", "rtdetr", "--from-dataset", "{source}", "--val", "1.5"), 2, "--val cannot be 1.5"),
        (("--head", "rtdetr", "--from-dataset", "{source}", "--from", "coc"), 2, 'did you mean "coco"?'),
        (("--head", "rtdetr", "--val", "0.5"), 2, "--val needs --from-dataset"),
        (("--head", "action_recognition", "--from-dataset", "{source}"), 3, "taorunner networks action_recognition"),
        (("--head", "segformer", "--from-dataset", "{source}"), 3, "without outlines"),
        (("--head", "classification_pyt", "--from-dataset", "{source}"), 3, "has boxes (coco)"),
        (("--head", "rtdetr", "--from-dataset", "{unknown}"), 3, "no annotations in a known format"),
        (("--head", "rtdetrr", "--from-dataset", "{source}"), 2, 'did you mean "rtdetr"?'),
    ],
)  # fmt: skip
def test_a_refusal_leaves_no_project(
    words: tuple[str, ...], code: int, said: str, cli: Cli, root: Path, tmp_path: Path
) -> None:
    make_source("coco", tmp_path / "source")
    save_image(tmp_path / "unknown/a.jpg", "a")
    (tmp_path / "unknown/a.json").write_text('{"frame": 1, "marks": []}')
    places = {"source": str(tmp_path / "source"), "unknown": str(tmp_path / "unknown")}
    done = cli("init-project", "p", *(word.format(**places) for word in words), cwd=root)
    assert (done.code, said in done.err) == (code, True), done.err
    assert "Traceback" not in done.err
    projects = root / "projects"
    assert not projects.exists() or os.listdir(projects) == []


def test_an_interruption_leaves_nothing(cli: Cli, root: Path, tmp_path: Path) -> None:
    make_source("coco", tmp_path / "source", images=400)
    for number in (signal.SIGINT, signal.SIGTERM):
        process = cli.start(
            "init-project",
            "p",
            "--head",
            "rtdetr",
            "--from-dataset",
            tmp_path / "source",
            "--no-weights",
            cwd=root,
        )
        wait_for(lambda: any((root / "projects").glob(".new-p-*/projects/p")))
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
        assert process.returncode in (130, 143), err
        assert os.listdir(root / "projects") == []


def test_what_a_killed_command_left_is_removed_by_the_next_one(cli: Cli, root: Path, tmp_path: Path) -> None:
    make_source("coco", tmp_path / "source", images=400)
    words = ("init-project", "p", "--head", "rtdetr", "--from-dataset", tmp_path / "source", "--no-weights")
    process = cli.start(*words, cwd=root)
    wait_for(lambda: any((root / "projects").glob(".new-p-*/projects/p")))
    process.kill()
    process.communicate(timeout=120)
    assert any((root / "projects").glob(".new-p-*"))
    assert cli(*words, cwd=root).code == 0
    assert os.listdir(root / "projects") == ["p"]


def test_a_second_project_of_the_name_is_refused_before_anything_is_read(
    cli: Cli, root: Path, tmp_path: Path
) -> None:
    make_source("coco", tmp_path / "source")
    words = ("init-project", "p", "--head", "rtdetr", "--from-dataset", tmp_path / "source", "--no-weights")
    assert cli(*words, cwd=root).code == 0
    done = cli(*words, cwd=root)
    assert done.code == 3
    assert 'there is already a project "p"' in done.err


def test_a_class_that_only_validates_is_said_where_one_subset_trains(
    cli: Cli, root: Path, tmp_path: Path
) -> None:
    """The records are made of train alone, and so are the classes."""
    make_source("coco", tmp_path / "source", images=24)
    file = tmp_path / "source/annotations.json"
    document = json.loads(file.read_text())
    document["categories"].append({"id": 9, "name": "rare"})
    for image in document["images"]:
        part = "val" if image["id"] < 5 else "train"
        target = tmp_path / "split" / part / "images" / Path(image["file_name"]).name
        target.parent.mkdir(parents=True, exist_ok=True)
        next((tmp_path / "source").rglob(Path(image["file_name"]).name)).rename(target)
        image["file_name"] = target.name
    for part in ("val", "train"):
        images = [one for one in document["images"] if (one["id"] < 5) == (part == "val")]
        ids = {one["id"] for one in images}
        boxes = [one for one in document["annotations"] if one["image_id"] in ids]
        if part == "val":
            boxes[0]["category_id"] = 9
        text = json.dumps({**document, "images": images, "annotations": boxes})
        (tmp_path / "split" / part / "annotations.json").write_text(text)
    words = ("--from-dataset", tmp_path / "split", "--no-weights")
    made = cli("init-project", "p", "--head", "detectnet_v2", *words, cwd=root)
    assert made.code == 0, made.err
    assert (
        'class "rare" (1 box) is missing in "train": it is not learnt [class-missing-in-subset]' in made.err
    )
    assert "projects/p/data/p: warning" in made.err


def test_what_is_left_out_is_no_error_of_the_new_project(cli: Cli, root: Path, tmp_path: Path) -> None:
    make_source("coco", tmp_path / "source", images=40)
    file = next((tmp_path / "source").rglob("*.jpg"))
    file.write_text("no image")
    words = (
        "init-project",
        "parts",
        "--head",
        "rtdetr",
        "--no-weights",
        "--from-dataset",
        tmp_path / "source",
    )
    assert cli(*words, cwd=root).code == 3
    made = cli(*words, "--skip-bad", cwd=root)
    assert made.code == 0 and "validated: no errors" in made.out
    assert "warning: left out: not an image" in made.err and "error" not in made.err


def test_boxes_without_outlines_are_said_in_one_sentence(cli: Cli, root: Path, tmp_path: Path) -> None:
    make_source("voc", tmp_path / "source", images=20)
    words = (
        "init-project",
        "parts",
        "--head",
        "segformer",
        "--no-weights",
        "--from-dataset",
        tmp_path / "source",
    )
    for more in ((), ("--skip-bad",)):
        refused = cli(*words, *more, cwd=root)
        assert refused.code == 3 and len(refused.err.splitlines()) <= 3, refused.err
        assert "has boxes (voc) without outlines, and this network trains on masks" in refused.err


def test_a_class_folder_without_images_is_named(cli: Cli, root: Path, tmp_path: Path) -> None:
    """It does not hide that the others are classes."""
    make_source("folders", tmp_path / "source", images=20)
    folder = next(path for path in sorted((tmp_path / "source").rglob("*")) if path.suffix).parent.parent
    (folder / "zebra").mkdir()
    checked = cli("dataset", "check", folder, cwd=tmp_path)
    assert checked.code == 3 and 'class "zebra" has no images [class-folder-empty]' in checked.out


def test_images_to_test_on_need_no_classes(cli: Cli, root: Path, tmp_path: Path) -> None:
    """The training does not read them: neither a class without such images nor masks of background alone stop it."""
    for number, part in enumerate(("train", "val", "test")):
        for name in ("bolt", "Nut") if part == "test" else ("bolt", "Nut", "clip"):
            for index in range(4):
                save_image(
                    tmp_path / "classes" / part / name / f"{index}.jpg", f"{number} {name} {index} {part}"
                )
        for index in range(4):
            save_image(tmp_path / "masks/images" / part / f"{index}.png", f"{part} {index}")
            mask = Image.new("L", (320, 240), 0)
            if part != "test":
                mask.paste(1, (10, 10, 90, 90))
            (tmp_path / "masks/masks" / part).mkdir(parents=True, exist_ok=True)
            mask.save(tmp_path / "masks/masks" / part / f"{index}.png")
    for source, head, said in (
        ("classes", "classification_tf2", 'no image of the class "clip" is in "test" [class-set-differs]'),
        ("masks", "segformer", "no class is measured there [mask-background]"),
    ):
        made = cli(
            "init-project",
            source,
            "--head",
            head,
            "--from-dataset",
            tmp_path / source,
            "--no-weights",
            cwd=root,
        )
        assert made.code == 0, made.err
        assert said in made.err and "error" not in made.err
    folders = sorted(path.name for path in (root / "projects/classes/data/classes/test").iterdir())
    assert folders == ["Nut", "bolt", "clip"]


def test_what_refuses_a_project_is_said_of_the_dataset_that_stays(
    cli: Cli, root: Path, tmp_path: Path
) -> None:
    for part in ("train", "val"):
        make_source("yolo", tmp_path / "source" / part)
    for part in ("train", "val"):
        (tmp_path / "source" / part / "data.yaml").unlink()
    (tmp_path / "source/data.yaml").write_text(
        "train: train/images\nval: val/images\nnames: [bolt, Nut, clip]\n"
    )
    source = tmp_path / "source"
    words = ("init-project", "p", "--head", "dino", "--from-dataset", source, "--no-weights")
    for more in ((), ("--copy",)):
        refused = cli(*words, *more, cwd=root)
        assert refused.code == 3 and "[same-image-in-subsets]" in refused.err
        assert "projects/p" not in refused.err
        assert f"taorunner dataset check {source} shows them" in refused.err
        assert (f"{source}/val/images/a000.jpg" in refused.err) == (not more)


def test_a_network_that_validates_on_a_part_of_train_is_said(cli: Cli, root: Path, tmp_path: Path) -> None:
    make_source("kitti", tmp_path / "source", images=40)
    for head, is_said in (("detectnet_v2", True), ("ssd", False)):
        made = cli(
            "init-project",
            head,
            "--head",
            head,
            "--from-dataset",
            tmp_path / "source",
            "--no-weights",
            cwd=root,
        )
        said = "validates on the first 20 % of train by file name, not on val" in re.sub(
            r"\s+", " ", made.out
        )
        assert (made.code, said) == (0, is_said), made.out
