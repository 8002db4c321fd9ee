"""Too little of everything, at the figures that NVIDIA states, and just enough."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from planted import IMAGE_5, IMAGE_7, Place, StandInEngine, codes, look

from taorunner.doctor.workspace_needs import Needs
from taorunner.errors import Finding, Severity
from taorunner.project.workspace import Workspace

GB = 1000**3
TWO_IMAGES = Needs(is_known=True, images={IMAGE_5: ("p/a",), IMAGE_7: ("p/b",)})


def disk(free: float, whole: float = 1000 * GB, inodes: int = 1000) -> Callable[[Path], os.statvfs_result]:
    """Every place lies on a disk like this."""
    block = 4096
    return lambda _: os.statvfs_result(
        (
            block,
            block,
            int(whole // block),
            int(free // block),
            int(free // block),
            10_000,
            inodes,
            inodes,
            0,
            255,
        )
    )


@pytest.mark.parametrize(
    ("kib", "expected"),
    [
        (3_900_000, (Severity.WARNING, "memory-small")),
        (7_750_000, (Severity.OK, "memory")),  # what Linux reports on a machine with 8 GB
        (65_536_000, (Severity.OK, "memory")),
    ],
)
def test_memory(kib: int, expected: tuple[Severity, str], place: Place) -> None:
    place.file("proc/meminfo", f"MemTotal:       {kib} kB\nMemFree: 1 kB\n")
    assert codes(look("memory", place.machine())) == [expected]


def test_unknown_memory(place: Place) -> None:
    place.file("proc/meminfo", "nonsense\n")
    assert codes(look("memory", place.machine())) == [(Severity.INFO, "memory")]


@pytest.mark.parametrize(
    ("shm", "code"),
    [
        ({"p/e": 64 * 1024**2}, "shared-memory-small"),
        ({"p/e": 200 * 1024**3}, "shared-memory-large"),
        ({"p/e": 16 * 1024**3}, "shared-memory"),
        ({}, "shared-memory"),
    ],
)
def test_shared_memory(shm: dict[str, int], code: str, place: Place) -> None:
    (found,) = look("shared-memory", place.machine(needs=Needs(shm_bytes=shm)))
    assert found.code == code


def test_cores(place: Place) -> None:
    assert look("cores", place.machine(cores=4)) == [
        Finding(
            Severity.WARNING,
            "cores-few",
            "4 CPU cores: NVIDIA requires 8; use fewer workers in the specs",
        )
    ]
    assert look("cores", place.machine(cores=8)) == [Finding(Severity.OK, "cores", "8 CPU cores")]


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (0, (Severity.ERROR, "disk-engine-full")),
        (39 * GB, (Severity.ERROR, "disk-engine-full")),
        (41 * GB, (Severity.WARNING, "disk-engine-small")),
        (81 * GB, (Severity.OK, "disk-engine")),
    ],
)
def test_disk_for_two_images_that_are_missing(
    free: int, expected: tuple[Severity, str], place: Place, stand_in_engine: StandInEngine
) -> None:
    assert codes(look("disk-engine", place.machine(needs=TWO_IMAGES, disk=disk(free)))) == [expected]


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (0.5 * GB, (Severity.ERROR, "disk-engine-full")),
        (4 * GB, (Severity.WARNING, "disk-engine-small")),
        (6 * GB, (Severity.OK, "disk-engine")),
    ],
)
def test_images_that_are_there_need_no_disk(
    free: float, expected: tuple[Severity, str], place: Place, stand_in_engine: StandInEngine
) -> None:
    stand_in_engine.images = {image: {"Id": "sha256:1", "RepoDigests": []} for image in TWO_IMAGES.images}
    assert codes(look("disk-engine", place.machine(needs=TWO_IMAGES, disk=disk(free)))) == [expected]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB with a workspace on it."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    point = tmp_path / "small"
    point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(point)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs may be mounted here")
    (point / "projects").mkdir()
    yield point
    subprocess.run(["umount", str(point)], check=True)


def test_a_full_disk_under_the_workspace_and_what_fills_it(place: Place, small_disk: Path) -> None:
    (small_disk / "projects" / "big").write_bytes(b"x" * 1_000_000)
    (found,) = look("disk-workspace", place.machine(workspace=Workspace(small_disk)))
    assert (found.severity, found.code) == (Severity.ERROR, "disk-workspace-full")
    assert found.message == f'1 MB free in "{small_disk}": not enough for a checkpoint'
    assert found.hint is not None
    shown = subprocess.run(["sh", "-c", found.hint], capture_output=True, text=True, check=True).stdout
    assert [line.split("\t")[1] for line in shown.splitlines()] == [
        str(small_disk),
        str(small_disk / "projects"),
    ]


@pytest.mark.parametrize(
    ("free", "inodes", "expected"),
    [
        (10 * GB, 1000, (Severity.WARNING, "disk-workspace-small")),
        (500 * GB, 0, (Severity.ERROR, "disk-workspace-full")),
        (500 * GB, 1000, (Severity.OK, "disk-workspace")),
    ],
)
def test_disk_under_the_workspace(
    free: int, inodes: int, expected: tuple[Severity, str], place: Place
) -> None:
    machine = place.machine(workspace=Workspace(place.folder), disk=disk(free, inodes=inodes))
    assert codes(look("disk-workspace", machine)) == [expected]


def test_a_workspace_that_went_away(place: Place) -> None:
    (found,) = look("disk-workspace", place.machine(workspace=Workspace(place.folder / "gone")))
    assert (found.severity, found.code) == (Severity.ERROR, "disk-workspace-gone")
    assert found.message.endswith("no such file or directory")
