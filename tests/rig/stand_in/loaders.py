"""Reads the data that a spec names, as TAO's loaders do, and stops where they stop. With ``FAKE_READ_DATA`` only.

What TAO passes over in silence (a class that the mapping lacks, an image that no record names) is an error here, because
these tests look for silent wrong turns.
Source: tao/layouts.md, one section for each network.
"""

from __future__ import annotations

import glob
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from context import Job

_NAMES = "classes.json"
_LOADED_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}
Block = dict[str, list[Any]]


def is_wanted(job: Job) -> bool:
    """Whether the test asks for it, in the environment or in a comment of the spec."""
    return bool(os.environ.get("FAKE_READ_DATA")) or "FAKE_READ_DATA=1" in job.spec_text


def read(job: Job) -> None:
    """Raises what the loader of the network raises."""
    loader = _LOADERS.get((job.task, job.action)) or _LOADERS.get((job.task, ""))
    if loader is None:
        raise NotImplementedError(f"no loader for {job.task} {job.action}: the test would look at nothing")
    images = loader(job)
    print(f"loaded {images} images", flush=True)


# --- networks with YAML specs


def _spec(job: Job) -> dict[str, Any]:
    from ruamel.yaml import YAML

    spec: dict[str, Any] = YAML(typ="safe", pure=True).load(job.spec_text)
    return spec


def _coco(job: Job) -> int:
    """RT-DETR, DINO and Deformable DETR: image folders and COCO files, ids below num_classes, an area for every box."""
    spec = _spec(job)
    data = spec["dataset"]
    weights = (
        spec.get("model", {}).get("pretrained_backbone_path"),
        spec["train"].get("pretrained_model_path"),
    )
    for path in filter(None, weights):
        Path(path).stat()
    total = 0
    sources = data["train_data_sources"], data["val_data_sources"]
    for source in (one for part in sources for one in (part if isinstance(part, list) else [part])):
        document = json.loads(Path(source["json_file"]).read_text())
        for image in document["images"]:
            Path(source["image_dir"], image["file_name"]).stat()
        for box in document["annotations"]:
            box["area"], box["bbox"]
            if not 0 <= box["category_id"] < int(data["num_classes"]):
                raise RuntimeError("CUDA error: device-side assert triggered")
        total += len(document["images"])
        names = {category["name"] for category in document["categories"]}
        if missing := names - set(spec["inference"]["color_map"]):
            raise KeyError(f"no colour for {sorted(missing)}: their boxes are not drawn")
        listed = Path(data["infer_data_sources"]["classmap"]).read_text().splitlines()
        first = 0 if job.task == "rtdetr" else 1
        for category in document["categories"]:
            assert listed[category["id"] - first] == category["name"], "the class map has another order"
    train = json.loads(Path(_first(data["train_data_sources"])["json_file"]).read_text())
    assert len(train["images"]) >= int(data["batch_size"]), "no full batch: nothing is learnt"
    return total


def _first(sources: Any) -> Any:
    return sources[0] if isinstance(sources, list) else sources


def _convert_coco(job: Job) -> int:
    """EfficientDet: records of one subset."""
    images, annotations, tag = (
        job.value(f"dataset_convert.{key}") for key in ("image_dir", "annotations_file", "tag")
    )
    document = json.loads(Path(annotations).read_text())
    for image in document["images"]:
        Path(images, image["file_name"]).stat()
    folder = Path(job.results_dir, "dataset_convert")
    folder.mkdir(parents=True, exist_ok=True)
    payload = json.dumps({"images": len(document["images"])}).encode()
    (folder / f"{tag}-00000-of-00001.tfrecord").write_bytes(frame(payload))
    return len(document["images"])


def _efficientdet(job: Job) -> int:
    spec = _spec(job)
    data = spec["dataset"]
    counts = [sum(_counted(pattern)) for pattern in (*data["train_tfrecords"], *data["val_tfrecords"])]
    validation = json.loads(Path(data["val_json_file"]).read_text())
    highest = max(category["id"] for category in validation["categories"])
    assert int(data["num_classes"]) == highest + 1, f"num_classes {data['num_classes']}, largest id {highest}"
    assert int(spec["train"]["num_examples_per_epoch"]) == counts[0], "another number of images trains"
    assert int(spec["evaluate"]["num_samples"]) == counts[-1], "another number of images validates"
    boxes: dict[int, int] = {}
    for box in validation["annotations"]:
        boxes[box["image_id"]] = boxes.get(box["image_id"], 0) + 1
    assert max(boxes.values()) < int(data["max_instances_per_image"])
    for side in ("input_width", "input_height"):
        assert int(spec["model"][side]) % 128 == 0, f"{side} is no multiple of 128"
    _weights(spec["train"].get("checkpoint"))
    return sum(counts)


def _counted(pattern: str) -> Iterable[int]:
    files = glob.glob(pattern)  # noqa: PTH207 (a pattern with a folder)
    assert files, f"no records: {pattern}"
    for file in files:
        yield json.loads(payload_of(Path(file).read_bytes()))["images"]


def _classification_pyt(job: Job) -> int:
    data = _spec(job)["dataset"]
    folders = data["train_dataset"]["images_dir"], data["val_dataset"]["images_dir"]
    return _class_folders(folders, int(data["num_classes"]))


def _classification_tf2(job: Job) -> int:
    spec = _spec(job)
    data = spec["dataset"]
    _weights(spec["train"].get("checkpoint"))
    folders = data["train_dataset_path"], data["val_dataset_path"]
    return _class_folders(folders, int(data["num_classes"]))


def _class_folders(folders: Iterable[str], classes: int) -> int:
    total = 0
    names: list[str] | None = None
    for folder in folders:
        found = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        assert names is None or found == names, f"{folder} has other classes"
        names = found
        assert len(found) == classes, f"{len(found)} classes, and num_classes is {classes}"
        for name in found:
            images = _images(Path(folder, name))
            assert images, f"no image in {name}"
            total += len(images)
    return total


def _segformer(job: Job) -> int:
    segment = _spec(job)["dataset"]["segment"]
    labels = {tuple(row["rgb"]): int(row["label_id"]) for row in segment["palette"]}
    assert max(labels.values()) < int(segment["num_classes"])
    root = Path(segment["root_dir"])
    assert segment["label_transform"] == "", "another test"
    total = 0
    for split in (segment["train_split"], segment["validation_split"]):
        pictures, drawn = (sorted((root / kind / split).iterdir()) for kind in ("images", "masks"))
        total += _masked(pictures, drawn, lambda value: (value,) in labels)
    return total


# --- networks with protobuf specs


def _convert_kitti(job: Job) -> int:
    """Images with one extension and a label of 15 columns each; the records hold the classes."""
    spec = parsed(job.spec_text)
    kitti = spec["kitti_config"][0]
    root = Path(kitti["root_directory_path"][0])
    suffix = kitti["image_extension"][0]
    images = sorted((root / kitti["image_dir_name"][0]).iterdir())
    assert images and all(path.suffix == suffix for path in images), f"images without {suffix} are left out"
    names: set[str] = set()
    for path in images:
        for line in (root / kitti["label_dir_name"][0] / f"{path.stem}.txt").read_text().splitlines():
            columns = line.split()
            assert len(columns) == 15, f"{len(columns)} columns in the label of {path.name}"
            names.add(columns[0].lower())
    mapped = {one["key"][0] for one in spec.get("target_class_mapping", [])}
    assert not mapped or names <= mapped, f"the mapping lacks {sorted(names - mapped)}"
    prefix = Path(job.options.get("output_filename") or f"{job.options.get('output_dir')}/tfrecord")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    payload = json.dumps({"images": len(images), "classes": sorted(names)}).encode()
    prefix.with_name(f"{prefix.name}-fold-000-of-002-shard-00000-of-00001").write_bytes(frame(payload))
    if int(kitti["val_split"][0]):
        prefix.with_name(f"{prefix.name}-fold-001-of-002-shard-00000-of-00001").write_bytes(frame(payload))
    return len(images)


def _records(job: Job) -> int:
    """DetectNet v2 and SSD: records, and every class of them in the mapping and in the blocks of its target."""
    spec = parsed(job.spec_text)
    data = spec["dataset_config"][0]
    pattern = data["data_sources"][0]["tfrecords_path"][0]
    files = glob.glob(pattern)  # noqa: PTH207 (a pattern with a folder)
    assert files, f"no records: {pattern}"
    records = [json.loads(payload_of(Path(file).read_bytes())) for file in files]
    names = {name for record in records for name in record["classes"]}
    mapping = {one["key"][0]: one["value"][0] for one in data["target_class_mapping"]}
    assert names == set(mapping), f"classes {sorted(names)}, mapping {sorted(mapping)}"
    targets = set(mapping.values())
    for name, field in (("cost_function_config", "target_classes"),):
        if name in spec:
            assert {one["name"][0] for one in spec[name][0][field]} == targets, f"{name}: other classes"
    for name in ("bbox_rasterizer_config", "postprocessing_config"):
        if name in spec:
            assert {one["key"][0] for one in spec[name][0]["target_class_config"]} == targets, name
    _sizes(spec)
    model = spec.get("model_config", [{}])[0]
    training = spec["training_config"][0]
    for block in (model, training):
        _weights(*(block.get(key, [None])[0] for key in ("pretrained_model_file", "pretrain_model_path")))
    if "image_extension" in data:
        folder = Path(data["data_sources"][0]["image_directory_path"][0], "images")
        found = {path.suffix.lstrip(".") for path in folder.iterdir()}
        assert found == {data["image_extension"][0]}, f"images end with {found}"
    for source in data.get("validation_data_sources", []):
        images, labels = (Path(source[f"{key}_directory_path"][0]) for key in ("image", "label"))
        for path in _images(images):
            (labels / f"{path.stem}.txt").stat()
    return sum(record["images"] for record in records)


def _sizes(spec: Block) -> None:
    augmentation = spec["augmentation_config"][0]
    if "preprocessing" in augmentation:
        size = augmentation["preprocessing"][0]
        for side in ("output_image_width", "output_image_height"):
            assert int(size[side][0]) % 16 == 0, f"{side} is no multiple of 16"


def _unet(job: Job) -> int:
    spec = parsed(job.spec_text)
    data = spec["dataset_config"][0]
    classes = {int(one["label_id"][0]) for one in data["data_class_config"][0]["target_classes"]}
    _weights(spec["model_config"][0].get("pretrained_model_file", [None])[0])
    total = 0
    for split in ("train", "val"):
        source = data[f"{split}_data_sources"][0]["data_source"][
            0
        ]  # folders would be paired in the disk's order
        lists = (Path(source[key][0]).read_text().splitlines() for key in ("image_path", "masks_path"))
        pictures, drawn = ([Path(line) for line in lines] for lines in lists)
        total += _masked(pictures, drawn, classes.__contains__)
    return total


# --- what several networks read


def _masked(pictures: list[Path], drawn: list[Path], is_known: Callable[[int], bool]) -> int:
    """Images and masks are paired by their place; every value of a mask must be known."""
    assert pictures and len(pictures) == len(drawn), f"{len(pictures)} images and {len(drawn)} masks"
    for picture, mask in zip(pictures, drawn, strict=True):
        assert picture.stem == mask.stem, f"{picture.name} with {mask.name}"
        picture.stat()
        if unknown := {value for value in gray_values(mask.read_bytes()) if not is_known(value)}:
            raise ValueError(f"{mask.name} has values without a class: {sorted(unknown)}")
    return len(pictures)


def gray_values(data: bytes) -> set[int]:
    """The values of a PNG of 8 bits with one channel. Source: the PNG specification, filters 0 to 4."""
    at, packed, size, kind = 8, b"", (0, 0), (0, 0)
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if name == b"IHDR":
            size, kind = struct.unpack(">II", body[:8]), (body[8], body[9])
        packed += body if name == b"IDAT" else b""
        at += 12 + length
    assert kind[0] == 8 and kind[1] in (0, 3), f"a mask with {kind[0]} bits of colour type {kind[1]}"
    raw, width, found = zlib.decompress(packed), size[0], set[int]()
    above = bytes(width)
    for row in range(size[1]):
        start = row * (width + 1)
        line = bytearray(raw[start + 1 : start + 1 + width])
        _unfilter(raw[start], line, above)
        found |= set(line)
        above = bytes(line)
    return found


def _unfilter(kind: int, line: bytearray, above: bytes) -> None:
    for x in range(len(line) if kind else 0):
        left = line[x - 1] if x else 0
        corner = above[x - 1] if x else 0
        guess = left + above[x] - corner
        nearest = min((left, above[x], corner), key=lambda value: abs(guess - value))
        line[x] = (line[x] + (left, above[x], (left + above[x]) // 2, nearest)[kind - 1]) & 255


def _images(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in _LOADED_SUFFIXES]


def _weights(*paths: str | None) -> None:
    for path in filter(None, paths):
        Path(path).stat()


def frame(payload: bytes) -> bytes:
    """A TFRecord. Source: TensorFlow's record format, with the masked CRC-32C."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", _masked_crc(length)) + payload + struct.pack("<I", _masked_crc(payload))


def payload_of(record: bytes) -> bytes:
    """The content of a file with one record. Raises AssertionError for an empty or damaged one."""
    assert len(record) > 16, "an empty record"
    (length,) = struct.unpack("<Q", record[:8])
    payload = record[12 : 12 + length]
    assert struct.pack("<I", _masked_crc(payload)) == record[12 + length : 16 + length], "a damaged record"
    return payload


def _masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def parsed(text: str) -> Block:
    """Protobuf text as nested dictionaries; every field is a list."""
    import re

    words = re.findall(r'#.*|"(?:[^"\\]|\\.)*"|[{}:\[\],]|[^\s{}:\[\],#"]+', text)
    tokens = [word for word in words if not word.startswith("#") and word not in (":", ",")]
    at = 0

    def block() -> Block:
        nonlocal at
        made: Block = {}
        while at < len(tokens) and tokens[at] != "}":
            name = tokens[at]
            at += 1
            values = made.setdefault(name, [])
            if tokens[at] == "{":
                at += 1
                values.append(block())
                at += 1
            elif tokens[at] == "[":
                end = tokens.index("]", at)
                values += [one.strip('"') for one in tokens[at + 1 : end]]
                at = end + 1
            else:
                values.append(tokens[at].strip('"'))
                at += 1
        return made

    return block()


_LOADERS: dict[tuple[str, str], Callable[[Job], int]] = {
    **dict.fromkeys((("rtdetr", "train"), ("dino", "train"), ("deformable_detr", "train")), _coco),
    ("efficientdet_tf2", "dataset_convert"): _convert_coco,
    ("efficientdet_tf2", "train"): _efficientdet,
    ("classification_pyt", "train"): _classification_pyt,
    ("classification_tf2", "train"): _classification_tf2,
    ("segformer", "train"): _segformer,
    ("unet", "train"): _unet,
    **dict.fromkeys((("detectnet_v2", "dataset_convert"), ("ssd", "dataset_convert")), _convert_kitti),
    **dict.fromkeys((("detectnet_v2", "train"), ("ssd", "train")), _records),
}
