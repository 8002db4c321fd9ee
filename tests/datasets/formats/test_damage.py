"""One file of a dataset is damaged at random: a finding or an error names it, and no box is lost without a word.

Text files of labels are not cut off: what is left of them may be a whole label file.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from shapes import SHAPES, write_image

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.files.json_text import parse_json
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.annotations import DetectionDataset
from taorunner.datasets.transform.convert import convert
from taorunner.datasets.transform.split import split_dataset
from taorunner.errors import TaorunnerError, UserFilesError

TRIES = 25
NUMBERS = ("nan", "-1", "1e999", "", "null", "99999999999999999999", "true", '"x"', "[]", "{}")
TEXTS = ("null", "1", "[]", "{}", '""', '"\\u0000"', "true")


def _replaced(pattern: str, values: tuple[str, ...]) -> Callable[[random.Random, bytes], bytes]:
    def damage(rng: random.Random, data: bytes) -> bytes:
        text = data.decode("utf-8", "surrogateescape")
        found = list(re.finditer(pattern, text))
        if not found:
            return data
        at = rng.choice(found)
        return (text[: at.start()] + rng.choice(values) + text[at.end() :]).encode("utf-8", "surrogateescape")

    return damage


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 3))):
        changed[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(changed)


def _with_nul(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + b"\0" + data[at:]


DAMAGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "cut in a line": lambda rng, data: data[: rng.randrange(max(1, data.find(b"\n")))] or b"{",
    "byte": _flipped,
    "number": _replaced(r"-?\d+(\.\d+)?", NUMBERS),
    "text": _replaced(r'"[^"\n]*"', TEXTS),
    "noise": lambda rng, _: bytes(rng.randrange(256) for _ in range(rng.randrange(1, 2000))),
    "digits": lambda rng, data: data + b"9" * rng.choice((5000, 100_000)) + b"\n",
    "UTF-16": lambda _, data: data.decode("utf-8", "replace").encode("utf-16"),
    "nul": _with_nul,
}


def boxes(dataset: DetectionDataset) -> int:
    return sum(len(image.boxes) for image in dataset.images)


def use(folder: Path, made: Path) -> None:
    """Whatever is wrong is an error of ours, with a message."""
    for command in (
        lambda: check_dataset(folder),
        lambda: convert(folder, made, to="coco", from_=None, overwrite=True, skip_bad=True),
    ):
        try:
            command()
        except TaorunnerError as error:
            assert error.message


def test_a_class_with_a_name_of_digits_is_written_and_counted(tmp_path: Path) -> None:
    SHAPES["yolo-darknet"][1](tmp_path / "d")
    (names,) = [path for path in (tmp_path / "d").rglob("*") if path.suffix == ".names"]
    lines = names.read_text().splitlines()
    names.write_text("\n".join([*lines[:-1], "9" * 400]) + "\n")
    done = convert(tmp_path / "d", tmp_path / "made", to="coco")
    assert sum(done.after.values()) > 0


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_random_damage_is_never_silent(shape: str, tmp_path: Path, seed: int) -> None:
    rng = random.Random(f"{seed} {shape}")
    root = tmp_path / "whole"
    SHAPES[shape][1](root)
    whole = read_dataset(root)
    known = {finding.code for finding in whole.findings}
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    labels = [path for path in files if path.suffix.lower() not in (".jpg", ".jpeg", ".png")]
    for number in range(TRIES):
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(root, folder)
        file = folder / rng.choice([path for path in labels if path.stat().st_size]).relative_to(root)
        kind = rng.choice(sorted(DAMAGES.keys() - ({"cut in a line"} if file.suffix == ".txt" else set())))
        file.write_bytes(DAMAGES[kind](rng, file.read_bytes()))
        what = f"try {number}: {kind} in {file.relative_to(folder)}"
        if file.suffix == ".txt" and not file.read_bytes().strip():
            continue  # an empty label file marks a background image
        use(folder, tmp_path / "made")
        try:
            read = read_dataset(folder)
        except TaorunnerError as error:
            assert error.message, what
            continue
        is_named = {finding.code for finding in read.findings} - known
        assert is_named or (len(read.images), boxes(read)) >= (len(whole.images), boxes(whole)), what


def test_json_that_python_cannot_read_is_a_problem() -> None:
    assert parse_json('{"a": 1}') == ({"a": 1}, None)
    for text, message in (
        ("[" * 200_000, "the JSON cannot be read: nested deeper than 60 levels"),
        ("9" * 5000, "the JSON cannot be read: a number has more than 300 digits"),
        ('{"a"', "not valid JSON: expecting ':' delimiter"),
    ):
        value, problem = parse_json(text)
        assert problem is not None
        assert (value, problem.message) == (None, message)


@pytest.mark.parametrize(
    "broken", [{"annotations": {}}, {"annotations": [{"results": []}]}, {"annotations": [7]}]
)
def test_results_of_label_studio_at_another_place_are_no_background(
    tmp_path: Path, broken: dict[str, object]
) -> None:
    root = tmp_path / "drawn"
    SHAPES["label-studio"][1](root)
    (file,) = root.rglob("*.json")
    tasks = json.loads(file.read_text())
    tasks[-1].update(broken)
    file.write_text(json.dumps(tasks))
    (finding,) = [one for one in read_dataset(root).findings if one.code == "json-syntax"]
    assert finding.message.endswith('have no list "result"')
    assert finding.is_error


@pytest.mark.parametrize(
    ("broken", "is_error"),
    [({"regions": {}}, True), ({"": []}, True), ({"asset": 7}, True), ({"asset.state": 1}, False)],
)
def test_regions_of_vott_at_another_place_are_no_background(
    tmp_path: Path, broken: dict[str, object], is_error: bool
) -> None:
    root = tmp_path / "drawn"
    SHAPES["vott"][1](root)
    (file,) = root.rglob("*.json")
    project = json.loads(file.read_text())
    entry = next(one for one in project["assets"].values() if one["regions"])
    del entry["regions"]
    if "asset.state" in broken:  # nobody has drawn anything
        entry["asset"]["state"] = broken["asset.state"]
    else:
        entry.update(broken)
    file.write_text(json.dumps(project))
    found = [one for one in read_dataset(root).findings if one.code == "vott-region"]
    assert [one.is_error for one in found] == [True] * is_error


@pytest.mark.parametrize("text", ['{"images": [{"id": 1, "file_n', "garbage", "[[[", '{"a": 1}}'])
def test_annotations_that_are_all_damaged_are_no_class_folders(text: str, tmp_path: Path) -> None:
    """Each subset has a folder of images and a file of annotations: without the file, they look like classes."""
    root = tmp_path / "set"
    for part in ("train", "val"):
        (root / part / "images").mkdir(parents=True)
        (root / part / "annotations.json").write_text(text)
        for number in range(3):
            Image.effect_noise((64, 64), 50 + number).save(root / part / "images" / f"{part}{number}.png")
    for command in (
        lambda: check_dataset(root),
        lambda: convert(root, tmp_path / "made", to="coco"),
        lambda: split_dataset(root, tmp_path / "made", shares={"train": 0.7, "val": 0.3}, seed=1),
    ):
        with pytest.raises(
            UserFilesError, match=r"JSON file that cannot be read: .train/annotations"
        ) as caught:
            command()
        assert [finding.code for finding in caught.value.findings] == ["json-syntax"]


LINE = '{"file_name": "a.jpg", "height": 30, "width": 40, "detection": {"instances": []}}\n'
MANY = "9" * 5000


@pytest.mark.parametrize(
    "files",
    [
        {"x-export.json": '{"tags": 1e308, "assets": {"1": {"asset": {"name": "a.jpg"}}}}'},
        {"lines.jsonl": LINE, "label_map.json": '{"²": "car"}'},
        {"lines.jsonl": LINE, "label_map.json": f'{{"{MANY}": "car"}}'},
        {"faces.txt": "a.jpg\n²\n1 1 5 5\n"},
        {"faces.txt": f"a.jpg\n{MANY}\n1 1 5 5\n"},
        {"data.yaml": f"train: .\nnames: {{'{MANY}': car}}\n", "a.txt": "0 0.5 0.5 0.1 0.1\n"},
    ],
)
def test_a_number_or_a_list_that_is_another_value_is_no_internal_error(
    files: dict[str, str], tmp_path: Path
) -> None:
    write_image(tmp_path / "a.jpg", 40, 30)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with contextlib.suppress(TaorunnerError):
        read_dataset(tmp_path)
