"""Datasets of texts as a person types it: from an export to what a new project reads."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from command_line import Cli
from shapes import write_image


def outlines(root: Path) -> None:
    for number in range(10):
        write_image(root / f"train_images/img_{number}.jpg", 60 + number, 40)
        label = root / f"train_gt/gt_img_{number}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(
            f"\ufeff1,1,30,1,30,20,1,20,word, {number}\r\n5,5,50,9,50,30,5,30,###\r\n", encoding="utf-8"
        )


def words(root: Path) -> None:
    rows = []
    for number in range(10):
        write_image(root / f"word_{number}.png", 60 + number, 20)
        rows.append(f'word_{number}.png, "Café{number % 3}"\n')
    (root / "gt.txt").write_text("".join(rows), encoding="utf-8")


@pytest.mark.parametrize(("head", "made"), [("ocdnet", outlines), ("ocrnet", words)])
def test_from_a_packed_export_to_a_project_without_findings(cli: Cli, head: str, made: object) -> None:
    made(cli.home / "export")  # type: ignore[operator]
    with zipfile.ZipFile(cli.home / "export.zip", "w") as packed:
        for path in sorted((cli.home / "export").rglob("*.*")):
            packed.write(path, path.relative_to(cli.home))
    assert cli("init-project", "signs", "--head", head, "--dataset", "set").code == 0
    data = cli.home / "projects/signs/data"
    done = cli("dataset", "convert", "export.zip", "--to", head, "-o", str(data / "all"))
    assert done.code == 0, done.err
    assert f"({'icdar' if head == 'ocdnet' else 'word-list'} to {head})" in done.out
    assert cli("dataset", "check", str(data / "all")).code == 0
    split = cli("dataset", "split", str(data / "all"), "-o", str(data / "set"), "--val", "0.3", "--overwrite")
    assert split.code == 0, split.err
    assert f"({head})" in split.out
    found = cli("validate", "signs", "--json").json
    about_data = [
        one
        for one in found
        if one["code"] in ("missing-input", "empty-input", "wrong-input", "empty-dataset")
    ]
    assert about_data == []
    assert f"--to {head}" in cli("networks", head).out


def test_the_names_of_formats_and_networks_are_known(cli: Cli) -> None:
    words(cli.home / "d")
    wrong = cli("dataset", "convert", "d", "--to", "ocrnett", "-o", "made")
    assert wrong.code == 2 and '"ocrnet"' in wrong.err
    assert cli("dataset", "convert", "d", "--to", "ocrnet", "--from", "word-list", "-o", "made").code == 0
    boxes = cli("dataset", "convert", "d", "--from", "word-list", "-o", "other")
    assert boxes.code == 3
    assert "taorunner dataset convert d --from word-list -o other --to ocrnet arranges it" in boxes.err
    stats = cli("dataset", "stats", "d")
    assert stats.code == 3 and "has the layout of ocrnet" in stats.err
    coco = cli("dataset", "convert", "d", "--to", "ocrnet", "--from", "coco", "-o", "other")
    assert coco.code == 3 and "Traceback" not in coco.err


def test_a_check_of_words_counts_them(cli: Cli) -> None:
    words(cli.home / "d")
    done = cli("dataset", "check", "d")
    assert done.code == 0, done.err
    assert "word" in done.out
    (cli.home / "d/gt.txt").write_text('word_0.png, "two words"\n')
    bad = cli("dataset", "check", "d", "--json")
    assert bad.code == 3
    assert [(one["code"], one["line"]) for one in bad.json if one["severity"] == "error"] == [
        ("text-blank", 1)
    ]
