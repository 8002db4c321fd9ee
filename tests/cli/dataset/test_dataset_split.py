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
