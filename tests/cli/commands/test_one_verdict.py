"""One fault at a time is planted in a good workspace: every command that looks at it gives the same verdict."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from launch_workspaces import SPECS, good_workspace, label, write
from PIL import Image

from taorunner.cli.app import run

_HEAD = re.compile(
    r"^(?:(?P<place>.*): )?(?P<severity>error|warning|info): (?P<text>.*) \[(?P<code>[a-z0-9-]+)\]$"
)
_SUBSETS = ("detectnet_v2", "ssd")

Plant = Callable[["Home"], None]


@dataclass(frozen=True)
class Home:
    """The project of a workspace, and what a fault may change in it."""

    root: Path

    @property
    def project(self) -> Path:
        return self.root / "projects" / "p"

    @property
    def data(self) -> Path:
        return self.project / "data" / "parts"

    def edit(self, name: str, old: str, new: str) -> None:
        """Replaces text in a file of the project, which must be there."""
        path = self.project / name
        text = path.read_text()
        assert old in text, f"{old} is not in {name}"
        path.write_text(text.replace(old, new))

    def spec(self, old: str, new: str, name: str = "train") -> None:
        path = next(one for one in sorted((self.project / "specs/e1").iterdir()) if one.stem == name)
        self.edit(f"specs/e1/{path.name}", old, new)

    def experiment(self, **values: Any) -> None:
        file = self.project / "experiments.yml"
        content = json.loads(file.read_text())
        content["experiments"]["e1"].update(values)
        file.write_text(json.dumps(content, indent=1))

    def coco(self, subset: str, change: Callable[[dict[str, Any]], None]) -> None:
        file = self.data / subset / "annotations.json"
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    def empty(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def mask(self, subset: str, value: int) -> None:
        Image.new("L", (320, 320), value).save(self.data / "masks" / subset / "003.png")

    @property
    def weights(self) -> Path:
        return next((self.root / "repositories").rglob("w.hdf5"))

    @property
    def records(self) -> Path:
        return self.project / "data" / "tfrecords_e1"


@dataclass(frozen=True)
class Fault:
    """``in_data``: ``dataset check`` sees it too. ``severity`` is that of all commands."""

    id: str
    head: str
    code: str
    plant: Plant
    in_data: bool = False
    severity: str = "error"


def _envs(home: Home, value: str) -> None:
    mounts = {
        "Mounts": [
            {"source": str(home.root / name), "destination": f"/workspace/{name}"}
            for name in ("projects", "repositories")
        ],
        "Envs": [{"variable": "CUDA_VISIBLE_DEVICES", "value": value}],
    }
    write(home.root / ".tao_mounts.json", json.dumps(mounts))


def _mount(home: Home, source: str, destination: str) -> None:
    own = [
        {"source": str(home.root / name), "destination": f"/workspace/{name}"}
        for name in ("projects", "repositories")
    ]
    mounts = {"Mounts": [*own, {"source": source, "destination": destination}]}
    write(home.root / ".tao_mounts.json", json.dumps(mounts))


def _renamed_words(home: Home, before: str, count: int) -> None:
    file = home.data / "val/labels.txt"
    lines = file.read_text().splitlines()
    write(file, "".join(f"{before if at < count else ''}{line}\n" for at, line in enumerate(lines)))


def _category_below_zero(content: dict[str, Any]) -> None:
    first = content["categories"][0]["id"]
    content["categories"][0]["id"] = -1
    for one in content["annotations"]:
        one["category_id"] = -1 if one["category_id"] == first else one["category_id"]


def _first_box(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["annotations"][0].update(values)


def _file_in_place_of(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink()
    folder.rmdir()
    folder.write_text("x")


def _folder_in_place_of(file: Path) -> None:
    file.unlink()
    (file / "x").mkdir(parents=True)


def _third_class(content: dict[str, Any]) -> None:
    content["categories"].append({"id": 7, "name": "clip"})
    content["annotations"][0]["category_id"] = 7


FAULTS = (
    # paths
    Fault("image-folder-misspelt", "rtdetr", "missing-input", lambda h: h.spec("$dataset_raw/train/images", "$dataset_raw/trian/images"), True),
    Fault("annotations-misspelt", "dino", "missing-input", lambda h: h.spec("val/annotations.json", "val/anotations.json"), True),
    Fault("literal-path", "rtdetr", "missing-input", lambda h: h.spec("$dataset_raw/val/images", "/workspace/projects/p/data/parts/valid/images"), True),
    Fault("path-of-an-override", "rtdetr", "missing-input", lambda h: h.experiment(overrides={"dataset": {"val_data_sources": {"json_file": "$dataset_raw/val/labels.json"}}}), True),
    Fault("path-of-a-variable", "rtdetr", "missing-input", lambda h: (h.experiment(vars={"unused": 1, "images": "$dataset_raw/train/pictures"}), h.spec("$dataset_raw/train/images", "$images"))[0], True),
    Fault("folder-for-annotations", "rtdetr", "wrong-input", lambda h: _folder_in_place_of(h.data / "val/annotations.json"), True),
    Fault("file-for-images", "dino", "wrong-input", lambda h: _file_in_place_of(h.data / "val/images"), True),
    Fault("annotations-without-bytes", "rtdetr", "empty-input", lambda h: (h.data / "train/annotations.json").write_bytes(b"") and None, True),
    Fault("class-folders-gone", "classification_pyt", "empty-input", lambda h: h.empty(h.data / "val"), True),
    Fault("covered-by-no-mount", "rtdetr", "not-mounted", lambda h: h.spec("$dataset_raw/val/images", "/data/parts/val/images")),
    Fault("masks-misspelt", "unet", "missing-input", lambda h: h.spec("$dataset_raw/masks/val", "$dataset_raw/mask/val"), True),
    Fault("root-misspelt", "segformer", "missing-input", lambda h: h.spec("root_dir: $dataset_raw", "root_dir: $dataset_raw/all"), True),
    Fault("characters-gone", "ocrnet", "missing-input", lambda h: (h.data / "characters.txt").unlink(), True),
    Fault("validation-labels-gone", "ssd", "empty-input", lambda h: h.empty(h.data / "val/labels"), True),
    Fault("unlisted-key", "segformer", "missing-input", lambda h: h.spec("  num_epochs: 2", "  num_epochs: 2\n  pretrained_model_path: /workspace/repositories/mine/segformer.pth")),
    Fault("dataset-of-nothing", "rtdetr", "empty-dataset", lambda h: h.empty(h.data)),
    Fault("dataset-not-there", "rtdetr", "missing-dataset", lambda h: h.experiment(dataset="bolts")),
    Fault("resumed-from-nothing", "rtdetr", "missing-input", lambda h: h.spec("  num_epochs: 2", "  num_epochs: 2\n  resume_training_checkpoint_path: $results_dir/train/model_epoch_001_step_00004.pth")),
    Fault("resumed-from-a-folder", "dino", "wrong-input", lambda h: h.spec("  num_epochs: 2", "  num_epochs: 2\n  resume_training_checkpoint_path: $dataset_raw/train")),
    Fault("resumed-without-a-mount", "dino", "not-mounted", lambda h: h.spec("  num_epochs: 2", "  num_epochs: 2\n  resume_training_checkpoint_path: /data/model.pth")),
    Fault("relative-images", "rtdetr", "relative-path", lambda h: h.spec("$dataset_raw/val/images", "val/images"), True),
    Fault("relative-root", "segformer", "relative-path", lambda h: h.spec("root_dir: $dataset_raw", "root_dir: data/parts"), True),
    Fault("relative-records", "detectnet_v2", "relative-path", lambda h: h.spec("$tfrecords/", "tfrecords/")),
    # classes
    Fault("num-classes-of-half-the-names", "rtdetr", "too-few-classes", lambda h: h.spec("num_classes: 3", "num_classes: 1"), True),
    Fault("ids-with-a-gap", "dino", "too-few-classes", lambda h: h.coco("train", _third_class), True),
    Fault("a-folder-less", "classification_tf2", "too-many-classes", lambda h: h.spec("num_classes: 2", "num_classes: 3"), True),
    Fault("a-folder-more", "classification_pyt", "too-few-classes", lambda h: h.spec("num_classes: 2", "num_classes: 1"), True),
    Fault("names-of-another-dataset", "detectnet_v2", "no-class-in-dataset", lambda h: (h.spec("bolt", "car"), h.spec("nut", "van"))[0], True),
    Fault("records-of-more-classes", "efficientdet_tf2", "too-few-classes", lambda h: h.spec("num_classes: 3", "num_classes: 2"), True),
    Fault("palette-beyond-classes", "segformer", "too-few-classes", lambda h: h.spec("label_id: 1", "label_id: 2"), True),
    Fault("palette-with-one-label", "segformer", "label-shared", lambda h: h.spec("label_id: 1", "label_id: 0"), True, "warning"),
    Fault("targets-with-one-label", "unet", "label-shared", lambda h: h.spec('label_id: 1 }', 'label_id: 1 }\n    target_classes { name: "rim" mapping_class: "rim" label_id: 1 }'), True, "warning"),
    Fault("mask-value-without-palette", "segformer", "mask-value", lambda h: h.mask("train", 9), True),
    Fault("mask-value-without-class", "unet", "mask-value", lambda h: h.mask("val", 9), True),
    Fault("validated-on-the-same-boxes", "dino", "same-data", lambda h: h.spec("$dataset_raw/val", "$dataset_raw/train"), True, "warning"),
    Fault("validated-on-the-same-folders", "classification_tf2", "same-data", lambda h: h.spec("val_dataset_path: $dataset_raw/val", "val_dataset_path: $dataset_raw/train"), True, "warning"),
    Fault("validated-on-the-same-split", "segformer", "same-data", lambda h: h.spec("validation_split: val", "validation_split: train"), True, "warning"),
    # what is in the data
    Fault("box-outside", "rtdetr", "box-outside", lambda h: h.coco("train", _first_box(bbox=[700, 10, 100, 100])), True),
    Fault("box-inverted", "detectnet_v2", "box-inverted", lambda h: write(h.data / "train/labels/002.txt", label("bolt", "200.00 10.00 100.00 110.00")), True),
    Fault("fourteen-columns", "ssd", "label-columns", lambda h: write(h.data / "train/labels/002.txt", label("bolt")[:-6] + "\n"), True),
    Fault("image-not-there", "dino", "picture-missing", lambda h: (h.data / "val/images/104.png").unlink(), True),
    Fault("image-damaged", "rtdetr", "picture-unreadable", lambda h: write(h.data / "train/images/004.png", b"\x89PNG\r\n\x1a\n"), True),
    Fault("json-cut-off", "rtdetr", "json-syntax", lambda h: write(h.data / "train/annotations.json", (h.data / "train/annotations.json").read_text()[:400]), True),
    Fault("word-without-text", "ocrnet", "word-list-line", lambda h: write(h.data / "train/labels.txt", "000.png\n"), True),
    Fault("mask-not-there", "segformer", "image-without-mask", lambda h: (h.data / "masks/train/004.png").unlink(), True),
    Fault("nothing-to-validate", "rtdetr", "empty-set", lambda h: h.coco("val", lambda c: c.update(images=[], annotations=[])), True),
    Fault("nothing-to-train", "dino", "empty-set", lambda h: h.coco("train", lambda c: c.update(images=[], annotations=[])), True),
    Fault("labels-of-other-images", "ssd", "empty-set", lambda h: [path.rename(path.with_name(f"y{path.name}")) for path in list((h.data / "val/labels").iterdir())] and None),
    Fault("validation-without-boxes", "ssd", "empty-set", lambda h: [path.write_text("\n") for path in (h.data / "val/labels").iterdir()] and None, severity="warning"),
    Fault("words-of-other-images", "ocrnet", "word-list-line", lambda h: _renamed_words(h, "z", 16), True),
    Fault("word-below-a-folder", "ocrnet", "word-list-line", lambda h: _renamed_words(h, "sub/", 1), True),
    # sizes
    Fault("batch-beyond-the-data", "rtdetr", "batch-beyond-samples", lambda h: h.spec("batch_size: 4", "batch_size: 40"), True),
    Fault("too-few-steps", "detectnet_v2", "too-few-steps", lambda h: h.spec("scalar_logging_frequency: 1", "scalar_logging_frequency: 40"), True),
    Fault("size-of-no-multiple", "detectnet_v2", "input-size", lambda h: h.spec("output_image_width: 640", "output_image_width: 650"), True, "warning"),
    Fault("height-of-no-multiple", "efficientdet_tf2", "input-size", lambda h: h.spec("input_height: 512", "input_height: 500"), True),
    Fault("examples-of-another-dataset", "efficientdet_tf2", "examples-differ", lambda h: h.spec("num_examples_per_epoch: 16", "num_examples_per_epoch: 160"), True, "warning"),
    Fault("size-of-zero", "segformer", "not-above-zero", lambda h: h.spec("img_size: 224", "img_size: 0"), True),
    Fault("size-of-the-backbone-zero", "classification_pyt", "not-above-zero", lambda h: h.spec("  batch_size: 4\n", "  batch_size: 4\n  img_size: 0\n"), True),
    Fault("size-below-zero", "rtdetr", "not-above-zero", lambda h: h.spec("  batch_size: 4\n", "  batch_size: 4\n  augmentation:\n    train_spatial_size: [640, -640]\n"), True),
    Fault("width-of-zero", "unet", "not-above-zero", lambda h: h.spec("model_input_width: 320", "model_input_width: 0"), True),
    Fault("height-below-zero", "efficientdet_tf2", "not-above-zero", lambda h: h.spec("input_height: 512", "input_height: -512"), True),
    Fault("no-image-at-once", "ssd", "not-above-zero", lambda h: h.spec("batch_size_per_gpu: 4", "batch_size_per_gpu: 0"), True),
    Fault("no-epoch", "rtdetr", "not-above-zero", lambda h: h.spec("  num_epochs: 2", "  num_epochs: 0"), True),
    Fault("first-validation-behind-the-end", "detectnet_v2", "interval-beyond-epochs", lambda h: h.spec("first_validation_epoch: 1", "first_validation_epoch: 10"), severity="warning"),
    Fault("no-checkpoint-at-all", "classification_tf2", "interval-beyond-epochs", lambda h: h.spec("checkpoint_interval: 1", "checkpoint_interval: 5")),
    # records
    Fault("record-without-bytes", "detectnet_v2", "empty-input", lambda h: [path.write_bytes(b"") for path in h.records.iterdir()] and None),
    Fault("folder-among-records", "ssd", "wrong-input", lambda h: (h.records / "tfrecord-fold-000-checkpoints").mkdir()),
    Fault("records-of-nothing", "efficientdet_tf2", "empty-input", lambda h: write(h.project / "models/e1/dataset_convert/train-00000-of-00001.tfrecord", b"")),
    # weights
    Fault("weights-misspelt", "detectnet_v2", "missing-input", lambda h: h.spec("$pretrained_model", "/workspace/repositories/r/r_vresnet18/v.hdf5")),
    Fault("weights-without-bytes", "unet", "empty-input", lambda h: (h.spec('  num_layers: 18', '  num_layers: 18\n  pretrained_model_file: "/workspace/repositories/r/e.hdf5"'), write(h.root / "repositories/r/e.hdf5", b""))[0]),
    # the environment, and keys
    Fault("the-only-gpu-hidden", "dino", "gpus-hidden", lambda h: _envs(h, "1")),
    Fault("a-gpu-hidden", "rtdetr", "gpus-hidden", lambda h: (h.experiment(gpus=2), _envs(h, "0"))[0]),
    Fault("no-gpu-seen", "segformer", "gpus-hidden", lambda h: h.experiment(env={"CUDA_VISIBLE_DEVICES": "-1"})),
    Fault("count-of-gpus-in-words", "dino", "wrong-type", lambda h: h.spec("num_gpus: $num_gpus", "num_gpus: abc")),
    # once more paths, classes, weights, records and words, as people get them wrong
    Fault("folder-in-other-case", "dino", "missing-input", lambda h: h.spec("$dataset_raw/train/images", "$dataset_raw/Train/images"), True),
    Fault("blank-behind-a-path", "rtdetr", "missing-input", lambda h: h.spec("image_dir: $dataset_raw/val/images", 'image_dir: "$dataset_raw/val/images "'), True),
    Fault("no-path-at-all", "rtdetr", "missing-input", lambda h: h.spec("image_dir: $dataset_raw/val/images", 'image_dir: ""'), True),
    Fault("home-of-the-shell", "rtdetr", "missing-input", lambda h: h.spec("$dataset_raw/val/images", "~/parts/val/images"), True),
    Fault("pattern-for-a-folder", "rtdetr", "wrong-input", lambda h: h.spec("$dataset_raw/val/images", "$dataset_raw/val/images/*.png"), True),
    Fault("path-of-the-host", "rtdetr", "host-path", lambda h: h.spec("$dataset_raw/val/images", str(h.data / "val/images")), True),
    Fault("link-to-nothing", "rtdetr", "missing-input", lambda h: (h.empty(h.data / "val/images"), (h.data / "val/images").rmdir(), (h.data / "val/images").symlink_to("/nowhere"))[0], True),
    Fault("image-in-another-folder", "rtdetr", "picture-missing", lambda h: h.coco("train", lambda c: c["images"][0].update(file_name="sub/000.png")), True),
    Fault("image-of-another-machine", "dino", "picture-missing", lambda h: h.coco("train", lambda c: c["images"][0].update(file_name="/home/me/000.png")), True),
    Fault("packed-annotations", "rtdetr", "not-utf8", lambda h: write(h.data / "train/annotations.json", gzip.compress((h.data / "train/annotations.json").read_bytes())), True),
    Fault("box-of-no-class", "dino", "coco-annotation", lambda h: h.coco("train", _first_box(category_id=42)), True),
    Fault("box-of-no-image", "dino", "coco-annotation", lambda h: h.coco("train", _first_box(image_id=4000)), True),
    Fault("one-id-for-two-classes", "dino", "coco-categories-differ", lambda h: h.coco("train", lambda c: c["categories"].append({"id": 2, "name": "clip"})), True),
    Fault("class-that-only-validates", "classification_tf2", "class-sets-differ", lambda h: shutil.copytree(h.data / "val/nut", h.data / "val/clip") and None, True),
    Fault("two-colours-in-one", "segformer", "mask-value", lambda h: h.spec("rgb: [1]", "rgb: [0]"), True),
    Fault("box-of-no-number", "ssd", "label-not-finite", lambda h: write(h.data / "train/labels/002.txt", label("bolt", "nan 10.00 100.00 110.00")), True),
    Fault("boxes-of-texts", "rtdetr", "coco-annotation", lambda h: h.coco("train", _first_box(bbox=["10", "10", "20", "20"])), True),
    Fault("category-below-zero", "rtdetr", "coco-category", lambda h: [h.coco(part, _category_below_zero) for part in ("train", "val")] and None, True),
    Fault("boxes-without-categories", "rtdetr", "coco-category", lambda h: h.coco("val", lambda c: c.pop("categories")), True),
    Fault("label-that-validates-cut-off", "ssd", "label-columns", lambda h: write(sorted((h.data / "val/labels").iterdir())[2], label("bolt")[:-6] + "\n")),
    Fault("list-without-a-class", "classification_pyt", "class-list-differs", lambda h: write(h.data / "classes.txt", "bolt\nscrew\n"), True),
    Fault("list-with-a-class-too-many", "classification_pyt", "class-list-differs", lambda h: write(h.data / "classes.txt", "bolt\nnut\nscrew\n"), True, "warning"),
    Fault("mark-before-the-first-word", "ocrnet", "word-list-line", lambda h: write(h.data / "train/labels.txt", "\ufeff" + (h.data / "train/labels.txt").read_text()), True),
    Fault("mask-of-another-size", "segformer", "mask-size", lambda h: Image.new("L", (64, 64), 1).save(h.data / "masks/train/003.png"), True),
    Fault("unknown-letters", "ocrnet", "character-unlisted", lambda h: write(h.data / "characters.txt", "a\n"), True),
    Fault("longer-than-allowed", "ocrnet", "text-too-long", lambda h: h.spec("max_label_length: 25", "max_label_length: 1"), True),
    Fault("pointer-for-weights", "detectnet_v2", "pretrained-missing", lambda h: write(h.weights, "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12345\n")),
    Fault("web-page-for-weights", "ssd", "pretrained-missing", lambda h: write(h.weights, "<!DOCTYPE html>\n<html><body>403 Forbidden</body></html>")),
    Fault("two-files-of-weights", "detectnet_v2", "pretrained-missing", lambda h: write(h.weights.with_name("b.hdf5"), h.weights.read_bytes())),
    Fault("repository-misspelt", "ssd", "pretrained-missing", lambda h: h.experiment(repository="rr")),
    Fault("record-cut-off", "detectnet_v2", "wrong-input", lambda h: [path.write_bytes(path.read_bytes()[:-5]) for path in h.records.iterdir()] and None),
    Fault("no-records-but-words", "ssd", "wrong-input", lambda h: [path.write_bytes(b"hello world" * 9) for path in h.records.iterdir()] and None),
    Fault("notes-among-records", "detectnet_v2", "wrong-input", lambda h: write(h.records / "tfrecord-fold-notes.txt", "my notes")),
    Fault("records-are-links-to-nothing", "ssd", "wrong-input", lambda h: [(path.unlink(), path.symlink_to("/nowhere")) for path in list(h.records.iterdir())] and None),
    Fault("only-the-fold-that-validates", "detectnet_v2", "empty-training-fold", lambda h: [path.unlink() for path in h.records.iterdir() if "fold-001" in path.name] and None),
    Fault("epochs-beyond-the-end", "rtdetr", "interval-beyond-epochs", lambda h: h.spec("  num_epochs: 2", "  num_epochs: 2\n  checkpoint_interval: 5")),
    Fault("no-number-of-classes", "dino", "wrong-type", lambda h: h.spec("num_classes: 3", "num_classes: null")),
    Fault("mount-of-nothing", "dino", "missing-source", lambda h: _mount(h, "/nowhere/x", "/data")),
    Fault("mounts-file-cut-off", "dino", "json-syntax", lambda h: write(h.root / ".tao_mounts.json", "{")),
    Fault("gpu-asked-for-twice", "dino", "gpu-twice", lambda h: h.experiment(gpu_indices=[0, 0])),
    Fault("empty-list-of-gpus", "dino", "gpus-hidden", lambda h: h.experiment(env={"CUDA_VISIBLE_DEVICES": ""})),
    Fault("unknown-release", "dino", "unknown-release", lambda h: h.experiment(release="9.9.9")),
    Fault("extends-itself", "dino", "extends-itself", lambda h: h.experiment(extends="e1")),
    Fault("spec-in-utf-16", "dino", "not-text", lambda h: (h.project / "specs/e1/train.yaml").write_bytes((h.project / "specs/e1/train.yaml").read_text().encode("utf-16")) and None),
    Fault("folder-for-a-spec", "dino", "not-a-file", lambda h: _folder_in_place_of(h.project / "specs/e1/train.yaml")),
    Fault("key-of-another-release", "rtdetr", "other-release", lambda h: (h.experiment(release="6.0.0"), h.spec("  num_epochs: 2", "  num_epochs: 2\nevaluate:\n  is_quantized: false"))[0]),
)  # fmt: skip


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A good workspace of the head that the test names; every command runs in it."""
    root = good_workspace(tmp_path / "ws", getattr(request, "param", "rtdetr"))
    monkeypatch.chdir(root)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LAUNCHER_MOUNTS", raising=False)
    return Home(root)


@dataclass(frozen=True)
class Verdict:
    """``findings`` are (code, severity), without infos."""

    exit_code: int
    findings: frozenset[tuple[str, str]]
    text: str

    @property
    def errors(self) -> frozenset[tuple[str, str]]:
        return frozenset(one for one in self.findings if one[1] == "error")


def _verdict(capfd: pytest.CaptureFixture[str], *words: str) -> Verdict:
    code = run([*words])
    text = "\n".join(capfd.readouterr())
    found = {(match["code"], match["severity"]) for line in text.splitlines() if (match := _HEAD.match(line))}
    return Verdict(code, frozenset(one for one in found if one[1] != "info"), text)


def verdicts(home: Home, capfd: pytest.CaptureFixture[str], *, with_data: bool) -> Mapping[str, Verdict]:
    head = json.loads((home.project / "experiments.yml").read_text())["experiments"]["e1"]["head"]
    dataset = "parts/train" if head in _SUBSETS else "parts"
    asked = {
        "validate": ("validate", "p"),
        "dry run": ("-p", "p", "train", "e1", "--dry-run"),
        "train": ("-p", "p", "train", "e1", "--plain"),
    }
    if with_data:
        asked["dataset check"] = ("-p", "p", "dataset", "check", dataset)
    return {name: _verdict(capfd, *words) for name, words in asked.items()}


@pytest.mark.parametrize("home", SPECS, indirect=True)
def test_a_good_workspace_has_no_error(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    found = _verdict(capfd, "validate", "p")
    planned = _verdict(capfd, "-p", "p", "train", "e1", "--dry-run")

    assert (found.exit_code, found.errors) == (0, frozenset()), found.text
    assert (planned.exit_code, planned.errors) == (0, frozenset()), planned.text


@pytest.mark.parametrize(
    ("home", "fault"), [pytest.param(f.head, f, id=f.id) for f in FAULTS], indirect=["home"]
)
def test_every_command_gives_one_verdict(home: Home, fault: Fault, capfd: pytest.CaptureFixture[str]) -> None:
    fault.plant(home)

    found = verdicts(home, capfd, with_data=fault.in_data)

    shown = {name: (one.exit_code, sorted(one.findings)) for name, one in found.items()}
    errors = found["validate"].errors
    assert (fault.code, fault.severity) in found["validate"].findings, shown
    if fault.severity == "warning":
        found = {name: one for name, one in found.items() if name != "train"}  # it goes on, to the engine
    else:
        assert not (home.root / ".taorunner/runs").exists()
    assert {one.exit_code for one in found.values()} == {3 if fault.severity == "error" else 0}, shown
    assert all(one.errors == errors for name, one in found.items() if name != "dataset check"), shown
    assert (fault.code, fault.severity) in found["dry run"].findings, shown
    if fault.in_data:
        assert (fault.code, fault.severity) in found["dataset check"].findings, shown
        assert found["dataset check"].errors <= errors, shown
