"""``taorunner add``: one more experiment in a project that exists."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli
from dataset_layouts import put_data
from filled_in import EXAMPLE, fill_in
from source_datasets import make_source

SEED = f"# Experiments of the seed\n{EXAMPLE}"


@pytest.fixture
def parts(cli: Cli, tmp_path: Path) -> Path:
    """A workspace with the project ``parts`` and its experiment ``rtdetr_01``, filled in."""
    root = tmp_path / "ws"
    done = cli("init-project", "parts", "--head", "rtdetr", "--no-weights", "--workspace", root, cwd=tmp_path)
    assert done.code == 0, done.err
    fill_in(root / "projects/parts")
    put_data("rtdetr", root / "projects/parts/data/train")
    return root


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    weights = root / "repositories/pretrained_object_detection/pretrained_object_detection_vresnet18"
    for folder in ("projects/old/data/kitti_detection/train", "projects/old/models", "projects/old/specs"):
        (root / folder).mkdir(parents=True)
    weights.mkdir(parents=True)
    (weights / "resnet_18.hdf5").touch()
    (root / "projects/old/experiments.yml").write_text(SEED)
    return root


def experiments(root: Path, project: str = "parts") -> Path:
    return root / "projects" / project / "experiments.yml"


def test_a_copy_is_an_entry_and_specs_of_its_own(cli: Cli, parts: Path) -> None:
    before = experiments(parts).read_text()
    done = cli("add", "rtdetr_02", "--like", "rtdetr_01", cwd=parts)
    line = experiments(parts).read_text().splitlines().index("  rtdetr_02:") + 1
    assert (done.code, done.out, done.err) == (
        0,
        f"changed projects/parts/experiments.yml (rtdetr_02, line {line})\n"
        "made    projects/parts/specs/rtdetr_02/{distill,quantize,train}.yaml (copy of rtdetr_01)\n"
        "next: taorunner train rtdetr_02\n",
        "",
    )
    specs = parts / "projects/parts/specs"
    for file in (specs / "rtdetr_01").iterdir():
        assert (specs / "rtdetr_02" / file.name).read_bytes() == file.read_bytes()
    after = experiments(parts).read_text()
    gone = [one for one in before.splitlines() if one not in after.splitlines()]
    assert all(one.startswith("  #") for one in gone), gone  # the example of this name
    assert cli("validate", cwd=parts).out == "parts: 2 experiments, 6 specs, 1 dataset\nno problems\n"
    assert cli("train", "rtdetr_02", "--dry-run", cwd=parts).code == 0


def test_a_new_experiment_of_any_network_is_what_a_new_project_has(
    cli: Cli, parts: Path, tmp_path: Path
) -> None:
    done = cli("add", "boxes", "--head", "efficientdet_tf2", cwd=parts)
    assert done.code == 0, done.err
    assert "fill in: train.yaml line 15 (taorunner validate shows them)\n" in done.out
    cli("init-project", "other", "--head", "efficientdet_tf2", "--workspace", tmp_path / "two", cwd=tmp_path)
    (other,) = (tmp_path / "two/projects/other/specs").iterdir()
    for file in other.iterdir():
        assert (parts / "projects/parts/specs/boxes" / file.name).read_text() == file.read_text()
    codes = {one["code"] for one in cli("validate", "--json", cwd=parts).json}
    assert codes - {"pretrained-missing", "missing-input", "not-made-yet", "backbone-differs"} == {"fill-in"}


def test_the_experiments_of_the_seed_become_runnable(cli: Cli, seed: Path) -> None:
    missing = cli("validate", cwd=seed)
    hint = re.search(r"\[missing-specs\]\n.*\n.*\n  hint: taorunner (.*)\n", missing.out)
    assert hint is not None
    done = cli(*hint[1].split(), cwd=seed)
    assert (done.code, done.out.splitlines()[0]) == (
        0, "made    projects/old/specs/dssd_resnet18_01/{convert,train}.txt"
    )  # fmt: skip
    assert experiments(seed, "old").read_text() == SEED
    assert done.out.splitlines()[-1] == "next: taorunner validate old"  # nothing to compute from yet
    codes = {one["code"] for one in cli("validate", "--json", cwd=seed).json}
    assert codes - {"plain-secret", "secret-readable", "not-made-yet"} == {"fill-in", "empty-dataset"}
    fill_in(seed / "projects/old")
    put_data("dssd", seed / "projects/old/data/kitti_detection/train")
    assert cli("validate", cwd=seed).code == 0
    assert cli("train", "dssd_resnet18_01", "--dry-run", "--gpu-indices", "0", cwd=seed).code == 0


def test_specs_of_an_experiment_whose_data_is_there_are_computed_next(cli: Cli, seed: Path) -> None:
    put_data("dssd", seed / "projects/old/data/kitti_detection/train")
    done = cli("add", "dssd_resnet18_01", cwd=seed)
    assert done.out.splitlines()[-2:] == [
        "next: taorunner specs refresh dssd_resnet18_01", "then: taorunner validate old",
    ]  # fmt: skip


def test_a_start_in_the_order_of_tao_runner_says_how_it_is_typed_here(cli: Cli, seed: Path) -> None:
    """Its README types the project first: ``python -m tao-runner train example_01 experiment_01``."""
    refused = cli("train", "old", "dssd_resnet18_01", "--overwrite", cwd=seed)
    assert refused.code == 2
    assert 'hint: "old" is a project: taorunner train dssd_resnet18_01' in refused.err
    assert refused.err.endswith("nothing was started: 1 error\n")
    for action, file in (("convert", "convert.txt"), ("train", "train.txt")):
        refused = cli("-p", "old", action, "dssd_resnet18_01", cwd=seed)
        assert f": {file} [missing-spec]\n" in refused.err
        hints = re.findall(r"\[missing-spec\]\n.*\n.*\n  hint: taorunner (.*)\n", refused.err)
        assert hints == ["add dssd_resnet18_01"]
    assert cli(*hints[0].split(), cwd=seed).code == 0
    for action in ("convert", "train"):
        assert "missing-spec" not in cli("-p", "old", action, "dssd_resnet18_01", cwd=seed).err
    refused = cli("-p", "old", "export", "dssd_resnet18_01", cwd=seed)
    assert refused.code == 3 and "missing-spec" not in refused.err


def test_a_head_without_a_file_to_start_with_says_where_the_spec_goes(cli: Cli, parts: Path) -> None:
    (parts / "networks").mkdir()
    (parts / "networks/mine.yml").write_text("like: rtdetr\n")
    file = parts / "projects/parts/experiments.yml"
    file.write_text(file.read_text() + "  mine_01:\n    head: mine\n    dataset: parts/train\n")
    refused = cli("train", "mine_01", "--dry-run", cwd=parts)
    assert refused.code == 3
    found = re.search(r"\[missing-spec\]\n.*\n.*\n  hint: (.*)\n", refused.err)
    assert found is not None and found[1].startswith("write ")
    assert found[1].endswith("projects/parts/specs/mine_01/train.yaml")


def test_only_what_is_missing_is_written(cli: Cli, seed: Path) -> None:
    folder = seed / "projects/old/specs/dssd_resnet18_01"
    folder.mkdir()
    (folder / "train.cfg").write_text("# my own\nrandom_seed: 3\n")
    done = cli("add", "dssd_resnet18_01", cwd=seed)
    assert (done.code, sorted(path.name for path in folder.iterdir())) == (0, ["convert.txt", "train.cfg"])
    again = cli("add", "dssd_resnet18_01", cwd=seed)
    assert again.code == 3 and "with all its spec files" in again.err


def test_a_variable_that_an_old_entry_lacks_is_a_mark(cli: Cli, parts: Path) -> None:
    with experiments(parts).open("a") as file:
        file.write(
            "  old: {head: dino, dataset: train}\n  mine: {head: dino, dataset: train, vars: {num_classes: 7}}\n"
        )
    for name, count in (("old", "$FILL_IN"), ("mine", "$num_classes")):
        assert cli("add", name, cwd=parts).code == 0
        text = (parts / f"projects/parts/specs/{name}/train.yaml").read_text()
        assert f"  num_classes: {count}  # the largest category_id + 1" in text
    findings = cli("validate", "--json", cwd=parts).json
    assert "unknown-variable" not in {one["code"] for one in findings}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["x"], 2, "--head says of which network"),
        (["x", "--head", "dtr"], 2, 'did you mean "rtdetr"?'),
        (["x", "--head", "radio"], 3, "there are no spec files"),
        (["x", "--like", "rtdetr_1"], 2, 'did you mean "rtdetr_01"?'),
        (["x", "--like", "rtdetr_01", "--head", "dino"], 2, "--head cannot be combined with --like"),
        (["rtdetr_01"], 3, "with all its spec files"),
        (["rtdetr_01", "--head", "dino"], 2, 'has head "rtdetr"'),
        (["rtdetr_01", "--like", "rtdetr_01"], 2, "--like is for a new name"),
        (["a b", "--head", "dino"], 2, "cannot be the name of"),
        (["../x", "--head", "dino"], 2, "is not PROJECT/EXPERIMENT"),
        (["x.sweeps", "--head", "dino"], 2, 'end with ".sweeps"'),
        (["x.rerun-2", "--head", "dino"], 2, 'end with ".rerun-2"'),
        (["x.20261129-010200", "--head", "dino"], 2, "folders beside the results"),
        (["x", "--head", "dino", "--dataset", "../y"], 2, "../y"),
    ],
)
def test_what_is_refused_changes_nothing(
    words: list[str], code: int, said: str, cli: Cli, parts: Path
) -> None:
    before = {path: path.read_bytes() for path in (parts / "projects").rglob("*") if path.is_file()}
    done = cli("add", *words, cwd=parts)
    assert (done.code, done.out) == (code, "")
    assert said in done.err and "Traceback" not in done.err
    assert {path: path.read_bytes() for path in (parts / "projects").rglob("*") if path.is_file()} == before


def tabbed(file: Path) -> None:
    file.write_text("experiments:\n\ta:\n\t\thead: dino\n")


def listed(file: Path) -> None:
    file.write_text("experiments:\n  - head: dino\n")


def aliased(file: Path) -> None:
    file.write_text("tao_config: {gpus: 1}\nexperiments: &all\n  e: {head: dino, dataset: d}\n")
    text = file.read_text()
    file.write_text(text.replace("experiments: &all", "base: &all").rstrip() + "\nexperiments: *all\n")


def leading_out(file: Path) -> None:
    outside = file.parents[3] / "outside.yml"
    file.rename(outside)
    file.symlink_to(outside)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (tabbed, r"experiments\.yml:2:1: error: .*\[yaml-syntax\]"), (listed, r"experiments\.yml:2:3: error: "),
        (aliased, "is an alias"), (lambda file: file.chmod(0o400), "is read-only"), (leading_out, "leads out of the workspace"),
        (lambda file: file.unlink(), "experiments.yml"),
    ],
)  # fmt: skip
def test_an_experiments_file_that_cannot_be_changed_is_left_alone(
    spoil: Callable[[Path], None], said: str, cli: Cli, parts: Path
) -> None:
    file = experiments(parts)
    spoil(file)
    before = file.read_bytes() if file.exists() else None
    done = cli("add", "new", "--head", "dino", cwd=parts)
    assert done.code == 3 and re.search(said, done.err), done.err
    assert (file.read_bytes() if file.exists() else None) == before
    assert not (parts / "projects/parts/specs/new").exists()


def test_byte_order_mark_permissions_and_a_link_inside_stay(cli: Cli, parts: Path) -> None:
    file = experiments(parts)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    file.chmod(0o640)
    real = file.with_name("real.yml")
    file.rename(real)
    file.symlink_to("real.yml")
    assert cli("add", "new", "--head", "dino", cwd=parts).code == 0
    assert file.is_symlink() and real.read_bytes().startswith(b"\xef\xbb\xbf#")
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_file_in_place_of_the_spec_folder_leaves_no_entry(cli: Cli, parts: Path) -> None:
    before = experiments(parts).read_text()
    (parts / "projects/parts/specs/new").write_text("")
    done = cli("add", "new", "--head", "dino", cwd=parts)
    assert (done.code, experiments(parts).read_text()) == (4, before)


def test_additions_at_the_same_time_all_arrive(cli: Cli, parts: Path) -> None:
    def add(name: str) -> None:
        assert cli("add", name, "--head", "dino", cwd=parts).code == 0

    threads = [threading.Thread(target=add, args=(f"n{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = experiments(parts).read_text()
    assert [name for name in ("n0", "n1", "n2", "n3") if f"  {name}:\n" not in text] == []


def test_the_dataset_is_that_of_the_others(cli: Cli, parts: Path) -> None:
    file = experiments(parts)
    file.write_text(file.read_text().replace("dataset: train ", "dataset: cars/train "))
    assert cli("add", "two", "--head", "dino", cwd=parts).code == 0
    assert file.read_text().count("dataset: cars/train") == 2
    assert cli("add", "three", "--head", "tinydet", "--dataset", "bikes", cwd=parts).code == 0
    assert "    dataset: bikes" in file.read_text()
    assert "  three:\n    gpus: 0" in file.read_text()


def test_an_older_release_has_its_own_keys(cli: Cli, parts: Path) -> None:
    assert cli("add", "older", "--head", "dino", "--release", "5.3.0", cwd=parts).code == 0
    assert "    release: 5.3.0" in experiments(parts).read_text()
    assert "gpu_ids" not in (parts / "projects/parts/specs/older/train.yaml").read_text()
    codes = {one["code"] for one in cli("validate", "--json", cwd=parts).json}
    assert not codes & {"unknown-key", "other-release"}
    refused = cli("add", "never", "--head", "segformer", "--release", "5.5.0", cwd=parts)
    assert (refused.code, refused.out) == (2, "")
    assert "hint: releases that they are for: 6.0.0, " in refused.err


@pytest.fixture
def shapes(cli: Cli, tmp_path: Path) -> Path:
    """A project for the CPU, made from boxes."""
    make_source("coco", tmp_path / "drawn")
    root = tmp_path / "small"
    words = ("init-project", "shapes", "--head", "tinydet", "--from-dataset", tmp_path / "drawn")
    made = cli(*words, "--workspace", root, cwd=tmp_path)
    assert made.code == 0, made.err
    return root


def test_a_copy_that_trains_on_records_is_converted_first(cli: Cli, shapes: Path) -> None:
    done = cli("add", "second", "--like", "tinydet_01", cwd=shapes)
    assert done.code == 0 and done.out.splitlines()[-1] == "next: taorunner convert second --then train"
    assert cli("convert", "second", "--dry-run", cwd=shapes).code == 0


def test_a_network_of_another_form_is_led_to_its_data(cli: Cli, shapes: Path) -> None:
    """Its data is the folder around the subset, it takes a GPU, and the boxes are converted for it."""
    done = cli("add", "gpu_01", "--head", "rtdetr", cwd=shapes)
    assert done.code == 0 and "next: taorunner dataset convert shapes -e gpu_01\n" in done.out
    entry = experiments(shapes, "shapes").read_text().partition("  gpu_01:\n")[2]
    assert "    gpus: 1" in entry and re.search(r"^    dataset: shapes\b(?!/)", entry, re.MULTILINE)
    converted = cli("dataset", "convert", "shapes", "-e", "gpu_01", cwd=shapes)
    assert converted.code == 0, converted.err
    assert 'next: write "dataset: shapes_coco" for gpu_01 in experiments.yml' in converted.out


def test_the_dataset_of_the_others_as_the_new_network_names_it(cli: Cli, shapes: Path) -> None:
    done = cli("add", "more", "--head", "detectnet_v2", cwd=shapes)
    assert (
        done.code == 0 and "next: taorunner specs refresh more\nthen: taorunner validate shapes\n" in done.out
    )
    assert "dataset: shapes/train" in experiments(shapes, "shapes").read_text().partition("  more:\n")[2]
