"""``dataset split`` as a person types it."""

from __future__ import annotations

from pathlib import Path

from command_line import Cli
from shapes import write_image


def test_a_split_is_printed_and_repeatable(cli: Cli) -> None:
    for number in range(10):
        write_image(cli.home / f"d/images/{number}.png", 40 + number, 30)
        label = cli.home / f"d/labels/{number}.txt"
        label.parent.mkdir(exist_ok=True)
        label.write_text("car 0 0 0 1 1 20 20 0 0 0 0 0 0 0\n")
    done = cli("dataset", "split", "d", "-o", "made", "--val", "0.3")
    assert done.code == 0, done.err
    assert [line.split() for line in done.out.splitlines()[1:3]] == [
        ["(images)", "7", "70.0", "%", "3", "30.0", "%"], ["car", "7", "70.0", "%", "3", "30.0", "%"],
    ]  # fmt: skip
    assert "seed 42, kept in split.json" in done.out
    value = cli("dataset", "split", "d", "-o", "other", "--val", "0.2", "--test", "0.1", "--json").json
    assert [(part["name"], part["images"]) for part in value["parts"]] == [
        ("train", 7),
        ("val", 2),
        ("test", 1),
    ]
    assert cli("dataset", "split", "d", "-o", "made").code == 2
    assert cli("dataset", "split", "d", "-o", "x", "--val", "1.5").code == 2
    assert not Path(cli.home / "x").exists()


def test_what_a_split_leaves_out_is_reported(cli: Cli) -> None:
    for number in range(2):
        write_image(cli.home / f"d/images/{number}.png", 40 + number, 30)
        label = cli.home / f"d/labels/{number}.txt"
        label.parent.mkdir(exist_ok=True)
        label.write_text("car 0 0 0 1 1 20 20 0 0 0 0 0 0 0 0.5\n")
    done = cli("dataset", "split", "d", "-o", "made", "--val", "0.5")
    assert done.code == 0
    assert 'kitti cannot hold "score" (2 objects): left out [fields-lost]' in done.err
    value = cli("dataset", "split", "d", "-o", "other", "--val", "0.5", "--json").json
    assert [finding["code"] for finding in value["findings"]] == ["fields-lost"]


def test_the_next_steps_lead_to_a_spec_that_fits(cli: Cli, tmp_path: Path) -> None:
    """From files in the data folder to the values in the specs, by what each command says."""
    root = tmp_path / "ws"
    words = ("init-project", "p", "--head", "detectnet_v2", "--experiment", "e", "--no-weights")
    assert cli(*words, "--workspace", root).code == 0
    data = root / "projects/p/data"
    for number in range(20):
        write_image(data / f"all/images/{number:03}.png", 100 + number, 80)
        (data / "all/labels").mkdir(exist_ok=True)
        (data / f"all/labels/{number:03}.txt").write_text("car 0 0 0 1 1 40 40 0 0 0 0 0 0 0\n")
    converted = cli("dataset", "convert", "all", "-o", data / "fresh", cwd=root)
    assert converted.err.startswith('"all" was kitti already: this is a copy of it')
    assert converted.err.endswith("next: taorunner dataset split fresh\n")
    done = cli("dataset", "split", "fresh", cwd=root)
    assert done.err == (
        'next: write "dataset: fresh_split/train" for e in experiments.yml\nthen: taorunner specs refresh e\n'
    )
    file = root / "projects/p/experiments.yml"
    file.write_text(file.read_text().replace("dataset: train", "dataset: fresh_split"))
    refused = cli("specs", "refresh", "e", "--yes", cwd=root)
    assert refused.code == 3 and 'write "dataset: fresh_split/train" in experiments.yml' in refused.err
    file.write_text(file.read_text().replace("dataset: fresh_split", "dataset: fresh_split/train"))
    refreshed = cli("specs", "refresh", "e", "--yes", cwd=root)
    assert refreshed.code == 0 and "20 images (16 in train, 4 in val)" in refreshed.out + refreshed.err
    assert cli("dataset", "resize", "fresh_split", "--size", "64x64", "-q", cwd=root).code in (0, 2)
    assert cli("-q", "dataset", "split", "fresh", "-o", data / "again", cwd=root).err == ""
