"""``dataset resize`` as a person types it, also without Pillow and when it is interrupted."""

from __future__ import annotations

import signal
import time

from command_line import Cli
from shapes import SHAPES, write_image


def test_images_get_one_size(cli: Cli) -> None:
    SHAPES["vott"][1](cli.home / "drawn")
    done = cli("dataset", "resize", "drawn", "-o", "made", "--size", "64x48", "--letterbox")
    assert done.code == 0, done.err
    assert "4 images resized, 2 linked (size already right); 6 boxes" in done.out
    assert cli("dataset", "resize", "drawn", "-o", "made", "--size", "64x48").code == 2
    assert cli("dataset", "resize", "drawn", "-o", "other", "--size", "64").code == 2


def test_without_pillow_the_line_to_type_is_printed(cli: Cli) -> None:
    SHAPES["vott"][1](cli.home / "drawn")
    hidden = cli.home / "hidden/PIL"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError\n")
    done = cli(
        "dataset", "resize", "drawn", "-o", "made", "--size", "64x48", env={"PYTHONPATH": str(hidden.parent)}
    )
    assert (done.code, "pip install 'taorunner[datasets]'" in done.err) == (3, True)


def test_an_interruption_leaves_nothing_and_can_be_repeated(cli: Cli) -> None:
    for number in range(200):
        write_image(cli.home / f"d/images/{number:03}.png", 400 + number, 300)
        (cli.home / "d/labels").mkdir(exist_ok=True)
        (cli.home / f"d/labels/{number:03}.txt").write_text("")
    (cli.home / "d/labels/000.txt").write_text("car 0 0 0 1 1 20 20 0 0 0 0 0 0 0\n")
    words = ("dataset", "resize", "d", "-o", "made", "--size", "1600x1200")
    process = cli.start(*words)
    end = time.monotonic() + 60
    while not list(cli.home.glob(".made.partial-*/images/*.png")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert sorted(path.name for path in cli.home.iterdir() if "made" in path.name) == []
    assert cli(*words[:-1], "64x48").code == 0
    assert len(list((cli.home / "made/images").iterdir())) == 200
