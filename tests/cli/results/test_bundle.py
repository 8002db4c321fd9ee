"""``bundle``: really exported by the embedded network, run by onnxruntime, and compared with what it inferred."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from command_line import Cli, Done
from jsonschema import Draft202012Validator

import taorunner
from taorunner.console.shapes.shapes import shape_schema
from taorunner.runs.state.store import RunStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    workspace = taorunner.Workspace.create_example(root, images=96, held_out=24)
    for action, options in (("dataset_convert", {}), ("train", {"epochs": 8})):
        assert taorunner.start(workspace, "shapes", action, "tiny", **options).wait(timeout_s=120)
    return root


@pytest.fixture
def typed(cli: Cli, root: Path) -> Callable[..., Done]:
    return lambda *words, **more: cli("-p", "shapes", *words, cwd=root, timeout_s=120, **more)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


def infer(typed: Callable[..., Done], root: Path, *more: str) -> None:
    test = f"inference.image_dir={root}/projects/shapes/data/shapes/test/image_2"
    assert typed("inference", "tiny", "--min-score", "0.05", "--", test, *more).code == 0


def test_the_boxes_are_those_of_the_inference(typed: Callable[..., Done], root: Path) -> None:
    models = root / "projects/shapes/models"
    none = typed("bundle", "tiny")
    assert (none.code, '"tiny" has no export that succeeded' in none.err) == (6, True), none.err
    exported = typed("export", "tiny")
    assert exported.code == 0 and "bundle tiny" in exported.out + exported.err, exported
    unchecked = typed("bundle", "tiny")
    assert unchecked.code == 0, unchecked.err
    assert "not checked: there is no inference to compare with" in unchecked.out
    assert (
        "to check it: taorunner -p shapes inference tiny, then the same command with --overwrite"
        in unchecked.out
    )
    infer(typed, root)
    again = typed("bundle", "tiny")
    assert (again.code, "already exists" in again.err) == (2, True), again.err

    done = typed("bundle", "tiny", "--overwrite", "--json").json
    Draft202012Validator(shape_schema("bundle")).validate(done)
    check = done["check"]
    assert (check["state"], check["images"], check["agree"]) == ("passed", 8, check["boxes"])
    assert check["boxes"] > 20 and check["farthest_px"] <= 0.01 and check["score_off"] <= 1e-4, check
    first = digests(models / "tiny.bundle-onnx")
    assert set(first) == {
        "model.onnx", "labels.txt", "model_card.md", "run.lock", "bundle.json", "SHA256SUMS",
    }  # fmt: skip
    assert {one["path"]: one["sha256"] for one in done["files"]} == first
    lock = (models / "tiny.bundle-onnx/run.lock").read_text()
    assert (json.loads(lock)["host"], str(root) in lock, "$workspace/projects/shapes" in lock) == (
        "",
        False,
        True,
    )
    assert typed("bundle", "tiny", "--overwrite").code == 0
    assert digests(models / "tiny.bundle-onnx") == first, "the same inputs, the same bytes"
    assert (models / "tiny.bundle-onnx/labels.txt").read_text().split() == ["circle", "square", "triangle"]

    for _ in range(2):
        zipped = typed("bundle", "tiny", "-o", "out/tiny.zip", "--overwrite")
        assert zipped.code == 0 and zipped.out.startswith("wrote out/tiny.zip: 6 files, "), zipped
        archive = (root / "out/tiny.zip").read_bytes()
        with zipfile.ZipFile(root / "out/tiny.zip") as file:
            assert {name: hashlib.sha256(file.read(name)).hexdigest() for name in file.namelist()} == {
                f"tiny/{name}": digest for name, digest in first.items()
            }
    assert (root / "out/tiny.zip").read_bytes() == archive, "the same inputs, the same bytes"
    assert [path.name for path in (root / "out").iterdir()] == ["tiny.zip"]
    assert not list((root / ".taorunner").glob("bundle-*"))
    taken = typed("bundle", "tiny", "-o", "out/tiny.zip")
    assert (taken.code, '"out/tiny.zip" already exists' in taken.err) == (2, True), taken.err
    with zipfile.ZipFile(root / "out/other.zip", "w") as file:
        file.writestr("a/b.txt", "mine")
    foreign = typed("bundle", "tiny", "-o", "out/other.zip", "--overwrite")
    assert (foreign.code, "is no bundle of taorunner" in foreign.err) == (2, True), foreign.err
    (root / "out/link.zip").symlink_to("tiny.zip")
    assert typed("bundle", "tiny", "-o", "out/link.zip", "--overwrite").code == 2

    deepstream = typed("bundle", "tiny", "--for", "deepstream", "-o", "out/ds")
    assert deepstream.code == 0 and "checked: " in deepstream.out, deepstream
    settings = configparser.ConfigParser()
    settings.read_string((root / "out/ds/config_infer_primary.txt").read_text())
    own = settings["property"]
    assert (own["onnx-file"], own["infer-dims"], own["num-detected-classes"]) == (
        "model.onnx",
        "3;96;96",
        "3",
    )
    assert float(own["net-scale-factor"]) == 1 / 64 and own["offsets"] == "127.5;127.5;127.5"
    assert own["network-type"] == "100" and "custom-lib-path" not in own
    for line in (root / "out/ds/SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert digest == digests(root / "out/ds")[name]
    assert typed("validate").code == 0, "a bundle among the models is no finding"


def test_a_model_that_gives_other_boxes_is_refused(typed: Callable[..., Done], root: Path) -> None:
    infer(typed, root)
    place = root / "projects/shapes/models/tiny.bundle-onnx"
    assert typed("export", "tiny", "--set", "dataset.input_mean=[100, 100, 100]").code == 0
    refused = typed("bundle", "tiny")
    assert refused.code == 3, refused
    assert re.search(
        r"does not give the boxes that TAO's inference wrote: \d+ of \d+ agree, on 8 images", refused.err
    )
    assert "dataset.input_mean of export" in refused.err
    assert not place.exists() and not list(place.parent.glob(".tiny*"))
    assert typed("export", "tiny", "--overwrite", "--set", "dataset.input_std=[80, 80, 80]").code == 0
    assert typed("bundle", "tiny").code == 3
    unchecked = typed("bundle", "tiny", "--no-check")
    assert (unchecked.code, "not checked: --no-check was given" in unchecked.out) == (0, True)
    assert "Not checked" in (place / "model_card.md").read_text()
    assert typed("export", "tiny", "--overwrite").code == 0
    assert typed("bundle", "tiny", "--overwrite").code == 0
    assert json.loads((place / "bundle.json").read_text())["check"]["state"] == "passed"


def test_what_a_container_put_there_is_not_packed(
    typed: Callable[..., Done], root: Path, tmp_path: Path
) -> None:
    assert typed("export", "tiny").code == 0
    (model,) = (root / "projects/shapes/models/tiny/export").glob("*.onnx")
    kept = tmp_path / "kept.onnx"
    shutil.copy2(model, kept)
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * model.stat().st_size)
    model.unlink()
    model.symlink_to(secret)
    refused = typed("bundle", "tiny")
    assert (refused.code, "moved or changed since" in refused.err) == (6, True), refused.err
    model.unlink()
    other = onnx.load(kept)
    other.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    model.write_bytes(other.SerializeToString()[: kept.stat().st_size].ljust(kept.stat().st_size, b"\0"))
    os.utime(model, ns=(kept.stat().st_mtime_ns,) * 2)
    refused = typed("bundle", "tiny")
    assert refused.code == 3 and not (model.parent.parent.parent / "tiny.bundle-onnx").exists(), refused


def test_a_folder_that_is_no_bundle_is_left_alone(typed: Callable[..., Done], root: Path) -> None:
    assert typed("export", "tiny").code == 0
    mine = root / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    refused = typed("bundle", "tiny", "-o", "mine", "--overwrite")
    assert (refused.code, "exists and is no bundle of taorunner" in refused.err) == (2, True), refused.err
    assert (mine / "thesis.txt").read_text() == "mine"
    for words, message in (
        (("tinny",), 'there is no experiment "tinny" in project "shapes"'),
        (("tiny", "--for", "tritn"), '--for takes deepstream, onnx, triton, not "tritn"'),
    ):
        wrong = typed("bundle", *words)
        assert (wrong.code, message in wrong.err) == (2, True), wrong.err
    store = RunStore(root / ".taorunner")
    assert [one.action for one in store.records()].count("export") == 1
