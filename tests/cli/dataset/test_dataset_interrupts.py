"""Ended in the middle, by Ctrl-C, by SIGTERM or by a kill: the result is not there, and the same command makes it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Cli, wait_for
from PIL import Image

COUNT = 1500


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many images that there is a middle; one JPEG under many names."""
    root = tmp_path_factory.mktemp("home") / "many"
    (root / "images").mkdir(parents=True)
    first = root / "images/00000.jpg"
    Image.effect_noise((640, 480), 40).convert("RGB").save(first)
    for number in range(1, COUNT):
        os.link(first, root / f"images/{number:05}.jpg")
    value = {
        "images": [{"id": n, "file_name": f"{n:05}.jpg"} for n in range(COUNT)],
        "annotations": [{"image_id": 7, "category_id": 1, "bbox": [-9, 1, 30, 30], "area": 900}],
        "categories": [{"id": 1, "name": "car"}],
    }
    (root / "labels.json").write_text(json.dumps(value))
    return root


@pytest.fixture
def home(cli: Cli, many: Path) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(dir=many.parent))
    yield place
    shutil.rmtree(place)


def stopped_in_the_middle(cli: Cli, home: Path, *words: str | Path) -> subprocess.Popen[bytes]:
    """Standing still while its partial result grows, in a process group of its own.

    On a busy machine it may be over before it is stopped: then it is started again.
    """
    deadline = time.monotonic() + 100
    while True:
        process = cli.start(*words, cwd=home, start_new_session=True)
        while partial_images(home) <= 5 and process.poll() is None:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: state_of(process.pid) in ("T", "Z", ""))  # noqa: B023
        if 0 < partial_images(home) < COUNT:
            return process
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, (out, err)
        shutil.rmtree(home / "made")


def partial_images(home: Path) -> int:
    """How many lie in a result that has no name yet."""
    for path in home.glob(".made.partial-*/images"):
        try:
            return len(os.listdir(path))
        except FileNotFoundError:  # it has its name by now
            break
    return 0


WORDS = {
    "convert": ("dataset", "convert", "{many}", "--to", "kitti", "-o", "made"),
    "resize": ("dataset", "resize", "{many}", "--size", "320x240", "-o", "made", "--processes", "2"),
    "fix": ("dataset", "check", "{many}", "--fix", "-o", "made"),
}


@pytest.mark.parametrize("command", WORDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_or_all(cli: Cli, many: Path, home: Path, command: str, number: signal.Signals) -> None:
    words = [word.format(many=many) for word in WORDS[command]]
    process = stopped_in_the_middle(cli, home, *words)
    group = [pid for pid in running() if parent_of(pid) == process.pid]
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=120)
    code = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert (process.returncode, out) == (code, b"")
    if number != signal.SIGKILL:  # then Python's own tracker of semaphores has a last word
        assert err == (b"interrupted\n" if number == signal.SIGINT else b"")
    left = os.listdir(home)
    assert left == [] if number != signal.SIGKILL else [name[:14] for name in left] == [".made.partial-"]
    wait_for(lambda: not set(group) & set(running()))  # no worker outlives the command
    if command == "resize":
        words[4] = "640x480"  # all of them have it: the repetition is quick
    again = cli(*words, cwd=home)
    assert again.code == 0, again.err
    assert os.listdir(home) == ["made"]
    assert len(os.listdir(home / "made/images")) == COUNT


def running() -> list[int]:
    return [
        int(name) for name in os.listdir("/proc") if name.isdigit() and state_of(int(name)) not in ("Z", "")
    ]


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def test_across_file_systems_images_are_copied(cli: Cli, tmp_path: Path) -> None:
    mine = tmp_path.stat().st_dev
    others = (Path(folder) for folder in ("/dev/shm", tempfile.gettempdir(), "/var/tmp"))
    other = next((one for one in others if os.access(one, os.W_OK) and one.stat().st_dev != mine), None)
    if other is None:
        pytest.skip("there is no second file system here that can be written to")
    root = tmp_path / "d"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for number in range(3):
        Image.new("RGB", (64, 48), (number, 0, 0)).save(root / f"images/{number}.jpg")
        (root / f"labels/{number}.txt").write_text("car 0 0 0 1 1 20 20 0 0 0 0 0 0 0\n")
    with tempfile.TemporaryDirectory(dir=other) as place:
        for words in (("convert",), ("split", "--val", "0.4"), ("resize", "--size", "64x48")):
            made = Path(place) / words[0]
            done = cli("dataset", *words, root, "-o", made, "--json")
            assert done.code == 0, done.err
            copies = sorted(path for path in made.rglob("*.jpg"))
            assert [path.stat().st_nlink for path in copies] == [1, 1, 1], words
            assert [path.read_bytes() for path in sorted(copies, key=lambda p: p.name)] == [
                (root / f"images/{n}.jpg").read_bytes() for n in range(3)
            ]
            if words[0] != "resize":
                assert done.json["placed"] == {"copies": 3}
        repaired = Path(place) / "repaired"
        assert cli("dataset", "check", root, "--fix", "-o", repaired).code in (0, 3)
        assert len(list(repaired.rglob("*.jpg"))) == 3


@pytest.fixture
def small_disk(mount: Callable[[str], Path]) -> Path:
    return mount("size=400k")


@pytest.mark.parametrize("command", WORDS)
def test_a_full_disk_is_reported_and_nothing_is_left(
    cli: Cli, many: Path, small_disk: Path, command: str
) -> None:
    words = [word.format(many=many) for word in WORDS[command]]
    done = cli(*words, cwd=small_disk)
    assert done.code == 4
    why = "copies of the images need" if command == "convert" else "no space left on device"
    assert f'"made" cannot be written: {why}' in done.err
    assert os.listdir(small_disk) == []
