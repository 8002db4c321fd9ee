"""Too little of everything, at the figures that NVIDIA states, and just enough."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from planted import IMAGE_5, IMAGE_7, Place, StandInEngine, codes, look

from taorunner.doctor.capacity_checks import look_at_engine_disk, look_at_memory
from taorunner.doctor.host import EngineView, LazyValue, Machine
from taorunner.doctor.workspace_needs import Needs
from taorunner.engine.client import Address, Engine
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


@pytest.mark.parametrize(
    ("kib", "end"),
    [
        (3_906_250, "3.7 GiB of memory: NVIDIA requires 8 GB (7.5 GiB); use smaller batches and fewer workers in the specs"),
        (29_000_000, "27.7 GiB of memory; NVIDIA recommends 32 GB (29.8 GiB)"),
        (29_100_000, "27.8 GiB of memory"),
    ],
)  # fmt: skip
def test_what_is_said_of_the_memory(kib: int, end: str, place: Place) -> None:
    place.file("proc/meminfo", f"MemFree: 1 kB\nMemTotal\nMemTotal:       {kib} kB\n")
    (found,) = look("memory", place.machine())
    assert found.message == end


def test_the_memory_of_an_engine_elsewhere_is_the_one_that_counts(
    place: Place, stand_in_engine: StandInEngine
) -> None:
    stand_in_engine.info["MemTotal"] = 4 * GB
    (found,) = look_at_memory(elsewhere(place, stand_in_engine))
    assert found.code == "memory-small"
    assert look("memory", place.machine())[0].code == "memory"


def elsewhere(place: Place, engine: StandInEngine, **doors: object) -> Machine:
    """The stand-in, reached at an address of another machine."""
    here = place.machine()
    facts = here.engine().facts
    here.close()
    view = EngineView(Engine(None, Address("ssh://gpu-box", "DOCKER_HOST"), ""), facts)
    return place.machine(_engine=LazyValue(lambda: view), **doors)


def test_the_disk_of_an_engine_elsewhere_cannot_be_seen(place: Place, stand_in_engine: StandInEngine) -> None:
    (found,) = look_at_engine_disk(elsewhere(place, stand_in_engine, disk=disk(0)))
    assert found == Finding(
        Severity.INFO,
        "disk-engine",
        "the engine is on another machine: its disk cannot be checked from here",
    )
    stand_in_engine.info["OperatingSystem"] = "Docker Desktop"
    (found,) = look("disk-engine", place.machine(disk=disk(0)))
    assert found.message == "the engine is in a virtual machine: its disk cannot be checked from here"
    stand_in_engine.info["DockerRootDir"] = ""
    assert look("disk-engine", place.machine(disk=disk(0))) == []


def test_what_is_said_of_the_engines_disk(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["DockerRootDir"] = f"{place.folder}/not/there"
    one = Needs(is_known=True, images={IMAGE_5: ("p/a",)})
    said = [
        look("disk-engine", place.machine(needs=needs, disk=disk(free)))[0].message
        for needs, free in (
            (one, 9.5 * GB),
            (one, 30 * GB),
            (one, 50 * GB),
            (TWO_IMAGES, 100 * GB),
            (Needs(), 0.3 * GB),
        )
    ]
    where = f'free for images in "{place.folder}/not/there"'
    assert said == [
        f"8.8 GiB {where}: not enough for one image",
        f"27.9 GiB {where}: one image may need 37.3 GiB",
        f"46.6 GiB {where}, one image to pull",
        f"93.1 GiB {where}, 2 images to pull",
        f"286.1 MiB {where}: not enough for any container",
    ]

    def gone(_: Path) -> os.statvfs_result:
        raise PermissionError(13, "Permission denied")

    (found,) = look("disk-engine", place.machine(disk=gone))
    assert (found.severity, found.message) == (
        Severity.INFO, f'"{place.folder}/not/there" cannot be checked: permission denied',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("free", "whole", "code", "end"),
    [
        (1 * GB + 4096, 1000 * GB, "disk-workspace-small", "little room for checkpoints of every epoch"),
        (0.99 * GB, 1000 * GB, "disk-workspace-full", "not enough for a checkpoint"),
        (21 * GB, 99 * GB, "disk-workspace", "; NVIDIA requires a disk of 100 GB (93.1 GiB)"),
        (21 * GB, 101 * GB, "disk-workspace", '"'),
    ],
)
def test_figures_of_the_disk_under_the_workspace(
    free: float, whole: float, code: str, end: str, place: Place
) -> None:
    (found,) = look(
        "disk-workspace", place.machine(workspace=Workspace(place.folder), disk=disk(free, whole))
    )
    assert found.code == code
    assert found.message.endswith(end)


def test_without_a_workspace_it_is_the_disk_of_the_current_folder(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.home)
    assert f'free in "{place.home}"' in look("disk-workspace", place.machine())[0].message


def test_shared_memory_at_its_limits(place: Place) -> None:
    usual = 8 * 1024**3
    for shm, code in (({"p/e": usual}, "shared-memory"), ({"p/e": usual - 1}, "shared-memory-small")):
        assert look("shared-memory", place.machine(needs=Needs(shm_bytes=shm)))[0].code == code
    (found,) = look("shared-memory", place.machine(needs=Needs(shm_bytes={"p/a": 2 << 20, "p/b": 1 << 20})))
    assert found.message.startswith('shm_size of "p/b" is 1.0 MiB: NVIDIA uses 8.0 GiB or more')
    everything = 65_536_000 * 1024
    for given, code in ((everything, "shared-memory"), (everything + 1, "shared-memory-large")):
        assert look("shared-memory", place.machine(needs=Needs(shm_bytes={"p/a": given})))[0].code == code
    (place.root / "dev/shm").rmdir()
    (found,) = look("shared-memory", place.machine())
    assert (found.severity, found.message) == (
        Severity.INFO, "no /dev/shm on this machine; containers have their own",
    )  # fmt: skip


def test_the_cores_are_those_of_the_engine(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["NCPU"] = 1
    assert look("cores", place.machine(cores=64))[0].message.startswith("1 CPU core: NVIDIA requires 8;")
    stand_in_engine.info["NCPU"] = 0
    assert look("cores", place.machine(cores=64)) == [Finding(Severity.OK, "cores", "64 CPU cores")]


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


def test_the_cores_are_those_that_this_process_may_use() -> None:
    """As in a container or a job that got two cores of a hundred: the others are of no use to it."""
    code = (
        "import os\n"
        "os.cpu_count = lambda: 128\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from taorunner.doctor.host import Machine\n"
        "print(Machine(os.environ).cores)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (shown.stdout, shown.stderr) == ("1\n", "")


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
def small_disk(mount: Callable[[str], Path]) -> Path:
    """A file system of 2 MB with a workspace on it."""
    point = mount("size=2m")
    (point / "projects").mkdir()
    return point


def test_a_full_disk_under_the_workspace_and_what_fills_it(place: Place, small_disk: Path) -> None:
    (small_disk / "projects" / "big").write_bytes(b"x" * 1_000_000)
    (found,) = look("disk-workspace", place.machine(workspace=Workspace(small_disk)))
    assert (found.severity, found.code) == (Severity.ERROR, "disk-workspace-full")
    assert found.message == f'1.0 MiB free in "{small_disk}": not enough for a checkpoint'
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
