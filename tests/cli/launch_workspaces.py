"""Good workspaces with one experiment ``e1`` in project ``p``: small data, and the shortest spec that its network takes.

They are written out here, and not made from scaffolds, so that a planted fault is the only one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from taorunner.embedded.tfrecord import write_records

CLASSES = ("bolt", "nut")
SIZE = (640, 480)
_COCO_SPEC = """results_dir: $results_dir
train:
  num_gpus: $num_gpus
  gpu_ids: $gpu_ids
  num_epochs: 2
model:
  backbone: resnet_50
dataset:
  train_data_sources:
    - image_dir: $dataset_raw/train/images
      json_file: $dataset_raw/train/annotations.json
  val_data_sources:
    VAL_DASHimage_dir: $dataset_raw/val/images
    VAL_INDENTjson_file: $dataset_raw/val/annotations.json
  num_classes: 3
  batch_size: 4
"""
_MAPPING = (
    'target_class_mapping { key: "bolt" value: "bolt" }\n  target_class_mapping { key: "nut" value: "nut" }'
)
_CONVERT = """kitti_config {
  root_directory_path: "$dataset_raw"
  image_dir_name: "images"
  label_dir_name: "labels"
  image_extension: ".png"
  partition_mode: "random"
  num_partitions: 2
  val_split: 20
  num_shards: 2
}
image_directory_path: "$dataset_raw"
"""
SPECS: dict[str, dict[str, str]] = {
    "rtdetr": {"train.yaml": _COCO_SPEC.replace("VAL_DASH", "").replace("VAL_INDENT", "")},
    "dino": {"train.yaml": _COCO_SPEC.replace("VAL_DASH", "- ").replace("VAL_INDENT", "  ")},
    "classification_pyt": {
        "train.yaml": """results_dir: $results_dir
train:
  num_epochs: 2
model:
  backbone:
    type: fan_small_12_p4_hybrid
  head:
    type: TAOLinearClsHead
dataset:
  dataset: CLDataset
  root_dir: $dataset_raw
  num_classes: 2
  batch_size: 4
  train_dataset:
    images_dir: $dataset_raw/train
  val_dataset:
    images_dir: $dataset_raw/val
"""
    },
    "classification_tf2": {
        "train.yaml": """results_dir: $results_dir
dataset:
  train_dataset_path: $dataset_raw/train
  val_dataset_path: $dataset_raw/val
  num_classes: 2
model:
  backbone: efficientnet-b0
train:
  checkpoint: $pretrained_model
  batch_size_per_gpu: 4
  num_epochs: 2
  checkpoint_interval: 1
"""
    },
    "segformer": {
        "train.yaml": """results_dir: $results_dir
train:
  num_epochs: 2
model:
  backbone:
    type: fan_small_12_p4_hybrid
dataset:
  segment:
    dataset: SFDataset
    root_dir: $dataset_raw
    num_classes: 2
    img_size: 224
    batch_size: 4
    train_split: train
    validation_split: val
    palette:
      - {seg_class: ground, mapping_class: ground, label_id: 0, rgb: [0]}
      - {seg_class: part, mapping_class: part, label_id: 1, rgb: [1]}
"""
    },
    "unet": {
        "train.txt": """dataset_config {
  dataset: "custom"
  input_image_type: "color"
  train_images_path: "$dataset_raw/images/train"
  train_masks_path: "$dataset_raw/masks/train"
  val_images_path: "$dataset_raw/images/val"
  val_masks_path: "$dataset_raw/masks/val"
  data_class_config {
    target_classes { name: "ground" mapping_class: "ground" label_id: 0 }
    target_classes { name: "part" mapping_class: "part" label_id: 1 }
  }
}
model_config {
  arch: "resnet"
  num_layers: 18
  model_input_width: 320
  model_input_height: 320
  model_input_channels: 3
}
training_config {
  batch_size: 4
  epochs: 2
  checkpoint_interval: 1
}
"""
    },
    "detectnet_v2": {
        "convert.txt": _CONVERT,
        "train.txt": """dataset_config {
  data_sources {
    tfrecords_path: "$tfrecords/tfrecord-fold*"
    image_directory_path: "$dataset_raw"
  }
  image_extension: "png"
  MAPPING
  validation_fold: 0
}
augmentation_config {
  preprocessing {
    output_image_width: 640
    output_image_height: 480
    output_image_channel: 3
  }
}
model_config {
  arch: "resnet"
  num_layers: 18
  pretrained_model_file: "$pretrained_model"
}
training_config {
  batch_size_per_gpu: 4
  num_epochs: 2
  checkpoint_interval: 1
  visualizer { scalar_logging_frequency: 1 }
}
evaluation_config { validation_period_during_training: 1 first_validation_epoch: 1 }
""".replace("MAPPING", _MAPPING),
    },
    "ssd": {
        "convert.txt": _CONVERT,
        "train.txt": """dataset_config {
  data_sources { tfrecords_path: "$tfrecords/tfrecord-fold*" }
  validation_data_sources {
    image_directory_path: "$dataset_raw/../val/images"
    label_directory_path: "$dataset_raw/../val/labels"
  }
  MAPPING
}
augmentation_config {
  output_width: 512
  output_height: 512
  output_channel: 3
}
training_config {
  batch_size_per_gpu: 4
  num_epochs: 2
  checkpoint_interval: 1
}
eval_config { validation_period_during_training: 1 batch_size: 4 }
ssd_config {
  arch: "resnet"
  nlayers: 18
  aspect_ratios_global: "[1.0, 2.0, 0.5, 3.0, 0.33]"
  scales: "[0.05, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85]"
}
""".replace("MAPPING", _MAPPING),
    },
    "efficientdet_tf2": {
        "convert.yaml": """results_dir: $results_dir
dataset_convert:
  image_dir: $dataset_raw/train/images
  annotations_file: $dataset_raw/train/annotations.json
""",
        "train.yaml": """results_dir: $results_dir
dataset:
  train_tfrecords: [$results_dir/dataset_convert/train-*]
  val_tfrecords: [$results_dir/dataset_convert/val-*]
  val_json_file: $dataset_raw/val/annotations.json
  num_classes: 3
model:
  name: efficientdet-d0
  input_width: 512
  input_height: 512
train:
  checkpoint: $pretrained_model
  num_epochs: 2
  checkpoint_interval: 1
  validation_interval: 1
  batch_size: 4
  num_examples_per_epoch: 16
""",
    },
    "ocrnet": {
        "train.yaml": """results_dir: $results_dir
train:
  num_epochs: 2
dataset:
  train_dataset_dir: [$dataset_raw/train]
  train_gt_file: $dataset_raw/train/labels.txt
  val_dataset_dir: $dataset_raw/val
  val_gt_file: $dataset_raw/val/labels.txt
  character_list_file: $dataset_raw/characters.txt
  max_label_length: 25
  batch_size: 4
"""
    },
}
_WEIGHTS = {  # repository, its folder, and the file in it
    "classification_tf2": ("r", "efficientnet_b0", "w.hdf5"), "efficientdet_tf2": ("r", "efficientnet_b0", "w.hdf5"),
    "detectnet_v2": ("r", "resnet18", "w.hdf5"), "ssd": ("r", "resnet18", "w.hdf5"), "unet": ("r", "resnet18", "w.hdf5"),
}  # fmt: skip
_SUBSET = ("detectnet_v2", "ssd")
"""Networks whose dataset is one subset."""


def good_workspace(root: Path, head: str, images: int = 16) -> Path:
    """A workspace below ``root`` in which ``e1`` of this network can be trained."""
    home = root / "projects" / "p"
    (root / "repositories").mkdir(parents=True)
    dataset = "parts/train" if head in _SUBSET else "parts"
    experiment: dict[str, Any] = {"head": head, "dataset": dataset, "gpus": 1, "vars": {"unused": 1}}
    if head in _WEIGHTS:
        repository, backbone, file = _WEIGHTS[head]
        experiment |= {"repository": repository, "backbone": backbone}
        place = root / "repositories" / repository / f"{repository}_v{backbone}" / file
        place.parent.mkdir(parents=True)
        place.write_bytes(b"\x89HDF\r\n\x1a\n" + b"0" * 2000)
    if head in _SUBSET:
        experiment["model_key"] = "nvidia_tlt"
    for name, text in SPECS[head].items():
        write(home / "specs" / "e1" / name, text)
    write(home / "experiments.yml", json.dumps({"experiments": {"e1": experiment}}, indent=1))
    (home / "models").mkdir()
    _DATA[head](home, images)
    return root


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def picture(path: Path, number: int, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, (number * 37 % 256, number * 91 % 256, number * 13 % 256))
    image.paste((255 - number, number, 128), (number * 17 % 200, number * 29 % 200, 300, 300))
    image.save(path)


def coco(home: Path, images: int) -> None:
    for part, subset in enumerate(("train", "val")):
        folder = home / "data" / "parts" / subset
        listed = [
            {"id": n, "file_name": f"{100 * part + n:03}.png", "width": SIZE[0], "height": SIZE[1]}
            for n in range(images)
        ]
        boxes = [
            {"id": n + 1, "image_id": n, "category_id": n % 2 + 1, "bbox": [10, 10, 100, 100], "area": 10000,
             "iscrowd": 0}
            for n in range(images)
        ]  # fmt: skip
        names = [{"id": n + 1, "name": name} for n, name in enumerate(CLASSES)]
        write(
            folder / "annotations.json",
            json.dumps({"images": listed, "annotations": boxes, "categories": names}),
        )
        for n in range(images):
            picture(folder / "images" / f"{100 * part + n:03}.png", 100 * part + n)


def class_folders(home: Path, images: int) -> None:
    data = home / "data" / "parts"
    for part, subset in enumerate(("train", "val")):
        for n in range(images):
            picture(data / subset / CLASSES[n % 2] / f"{n:03}.png", 100 * part + n, (64, 64))
    write(data / "classes.txt", "bolt\nnut\n")


def masks(home: Path, images: int) -> None:
    data = home / "data" / "parts"
    for part, subset in enumerate(("train", "val")):
        for n in range(images):
            picture(data / "images" / subset / f"{n:03}.png", 100 * part + n, (320, 320))
            mask = Image.new("L", (320, 320), 0)
            mask.paste(1, (20, 20, 100, 100))
            (data / "masks" / subset).mkdir(parents=True, exist_ok=True)
            mask.save(data / "masks" / subset / f"{n:03}.png")


def label(name: str, box: str = "10.00 10.00 110.00 110.00") -> str:
    """A line of KITTI text."""
    return f"{name} 0.00 0 0.00 {box} 0.00 0.00 0.00 0.00 0.00 0.00 0.00\n"


def kitti(home: Path, images: int) -> None:
    for part, subset in enumerate(("train", "val")):
        folder = home / "data" / "parts" / subset
        for n in range(images):
            picture(folder / "images" / f"{n:03}.png", 100 * part + n)
            write(folder / "labels" / f"{n:03}.txt", label(CLASSES[n % 2]))
    for fold in (0, 1):
        name = f"tfrecord-fold-00{fold}-of-002-shard-00000-of-00002"
        (home / "data/tfrecords_e1").mkdir(exist_ok=True)
        write_records(home / "data/tfrecords_e1" / name, [b"x" * 64])


def coco_records(home: Path, images: int) -> None:
    coco(home, images)
    for subset in ("train", "val"):
        (home / "models/e1/dataset_convert").mkdir(parents=True, exist_ok=True)
        name = f"{subset}-00000-of-00001.tfrecord"
        write_records(home / "models/e1/dataset_convert" / name, [b"x" * 64])


def words(home: Path, images: int) -> None:
    data = home / "data" / "parts"
    for part, subset in enumerate(("train", "val")):
        for n in range(images):
            picture(data / subset / f"{n:03}.png", 100 * part + n, (100, 32))
        write(data / subset / "labels.txt", "".join(f"{n:03}.png\tone\n" for n in range(images)))
    write(data / "characters.txt", "o\nn\ne\n")


_DATA = {
    "rtdetr": coco, "dino": coco, "classification_pyt": class_folders, "classification_tf2": class_folders,
    "segformer": masks, "unet": masks, "detectnet_v2": kitti, "ssd": kitti, "efficientdet_tf2": coco_records,
    "ocrnet": words,
}  # fmt: skip
