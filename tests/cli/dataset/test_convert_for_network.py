"""``dataset convert --for HEAD`` and ``-e EXPERIMENT``: what the network reads, as ``init-project --from-dataset`` has
it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import Cli
from source_datasets import make_source


@pytest.fixture
def parts(cli: Cli, tmp_path: Path) -> Path:
    """A workspace whose project has two experiments, and a COCO dataset without a split in its data folder."""
    root = tmp_path / "ws"
    made = cli("init-project", "parts", "--head", "rtdetr", "--no-weights", "--workspace", root, cwd=tmp_path)
    assert made.code == 0, made.err
    assert cli("add", "yard", "--head", "detectnet_v2", cwd=root).code == 0
    make_source("coco", root / "projects/parts/data/shots")
    return root


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_network_says_which_format_is_written(cli: Cli, parts: Path) -> None:
    project = parts / "projects/parts"
    done = cli("dataset", "convert", "shots", "--for", "detectnet_v2", cwd=project)
    assert (done.code, done.err) == (0, ""), done.err
    assert re.fullmatch(
        r"wrote data/shots_kitti: (\d+) images \(linked\), \1 labels, \d+ boxes, train \d+, val \d+, \d+\.\ds\n",
        done.out,
    ), done.out
    made = cli("init-project", "other", "--head", "detectnet_v2", "--from-dataset", project / "data/shots",
               "--no-weights", cwd=parts)  # fmt: skip
    assert made.code == 0, made.err
    assert files(project / "data/shots_kitti") == files(parts / "projects/other/data/other")


def test_an_experiment_names_its_network_and_what_to_write_there(cli: Cli, parts: Path) -> None:
    project = parts / "projects/parts"
    done = cli("dataset", "convert", "shots", "-e", "rtdetr_01", cwd=project)
    assert done.code == 0, done.err
    assert done.out.startswith("wrote data/shots_coco: ")
    dataset = re.search(r'next: write "dataset: (\S+)" for rtdetr_01 in experiments.yml\n', done.out)
    assert dataset is not None
    file = project / "experiments.yml"
    file.write_text(re.sub(r"dataset: \S+", f"dataset: {dataset[1]}", file.read_text(), count=1))
    then = re.search(r"^then: taorunner (.*)$", done.out, re.MULTILINE)
    assert then is not None
    assert cli(*then[1].split(), cwd=project).code == 0
    again = cli("dataset", "convert", "shots", "-e", "rtdetr_01", "--overwrite", cwd=project)
    assert (again.code, again.err) == (0, "")  # the experiment has it already


def test_what_is_there_is_replaced_on_request_only(cli: Cli, parts: Path) -> None:
    words = ("dataset", "convert", "shots", "--for", "rtdetr", "-p", "parts")
    assert cli(*words, cwd=parts).code == 0
    folder = parts / "projects/parts/data/shots_coco"
    before = files(folder)
    (folder / "mine.txt").write_text("mine")
    refused = cli(*words, cwd=parts)
    assert (refused.code, (folder / "mine.txt").exists()) == (2, True)
    assert "already exists" in refused.err
    done = cli(*words, "--overwrite", "--json", "--val", "0.5", cwd=parts)
    assert done.code == 0, done.err
    assert {name.rpartition("/")[2] for name in files(folder)} == {name.rpartition("/")[2] for name in before}
    body = done.json
    assert list(body) == [
        "source", "from", "to", "for", "output", "images", "classes", "subsets", "placed", "findings",
    ]  # fmt: skip
    assert (body["for"], body["to"], body["output"]) == ("rtdetr", "coco", str(folder))
    assert sum(body["subsets"].values()) == body["images"]
    assert [one.name for one in folder.parent.iterdir() if one.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--for", "rtdtr"], 2, 'did you mean "rtdetr"?'),
        (["-e", "rtdetr_1"], 2, 'did you mean "rtdetr_01"?'),
        (["--for", "rtdetr", "--to", "coco"], 2, "--to cannot be combined with --for"),
        (["-e", "yard", "--to", "coco"], 2, "--to cannot be combined with --experiment"),
        (["--for", "rtdetr", "-e", "yard"], 2, "--for cannot be combined with --experiment"),
        (["--val", "0.3"], 2, "--val needs --for or --experiment"),
        (["--for", "rtdetr", "--val", "2"], 2, "--val cannot be 2"),
        (["--for", "bevfusion"], 3, 'no command writes the data of "bevfusion"'),
        (["--for", "classification_pyt"], 3, "this network trains on a folder of images for each class"),
        (["--for", "rtdetr", "--from", "cco"], 2, 'did you mean "coco"?'),
    ],
)  # fmt: skip
def test_wrong_words_are_refused_and_nothing_is_written(
    words: list[str], code: int, said: str, cli: Cli, parts: Path
) -> None:
    done = cli("dataset", "convert", "shots", *words, cwd=parts)
    assert (done.code, said in done.err) == (code, True), done
    assert [one.name for one in (parts / "projects/parts/data").iterdir()] in (
        ["shots", "train"],
        ["train", "shots"],
    )
