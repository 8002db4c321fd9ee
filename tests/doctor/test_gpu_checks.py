"""The findings on GPUs for each answer of the driver, and the repairs. The driver itself: tests/cli/commands/test_doctor.py."""

from __future__ import annotations

import os
import pwd
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from planted import IMAGE_5, IMAGE_7, UBUNTU, Place, StandInEngine, codes, look

from taorunner.doctor.gpu_checks import look_at_driver, look_at_gpus, look_for_other_processes
from taorunner.doctor.host import EngineView, LazyValue, Machine
from taorunner.doctor.workspace_needs import Needs
from taorunner.engine.client import Address, Engine
from taorunner.errors import Finding, Severity
from taorunner.gpu import inventory
from taorunner.gpu.inventory import Gpu, GpuProcess, Inventory
from taorunner.gpu.leases import Leases

GB = 1000**3
H100 = Gpu(
    0, "GPU-0", "NVIDIA H100", memory_total_bytes=80 * GB, keeps_driver_loaded=True, compute_capability=(9, 0)
)


def seeing(place: Place, found: Inventory, **doors: object) -> Machine:
    """A machine whose driver answers that."""
    return place.machine(_gpus=LazyValue(lambda: found), uid=1000, **doors)


@pytest.mark.parametrize(
    ("reason", "code", "commands"),
    [
        (inventory.NOT_LOADED, "driver-not-loaded", ["modprobe nvidia"]),
        (inventory.MISMATCH, "driver-mismatch", ["reboot "]),
        (
            inventory.NO_PERMISSION,
            "driver-permission",
            ["chmod a+rw /dev/nvidia*", "usermod -aG video,render somebody"],
        ),
        ("the NVIDIA driver does not answer: unknown error", "driver-trouble", ["nvidia-smi "]),
    ],
)
def test_a_driver_that_does_not_work(reason: str, code: str, commands: list[str], place: Place) -> None:
    (found,) = look("driver", seeing(place, Inventory(reason=reason)))
    assert (found.severity, found.code, found.message) == (Severity.ERROR, code, reason)
    place.recorded("modprobe", "reboot", "chmod", "usermod", "nvidia-smi")
    place.paste(found.hint)
    assert place.record == commands


def test_a_gpu_without_a_driver(place: Place) -> None:
    place.file("etc/os-release", UBUNTU)
    (found,) = look("driver", seeing(place, Inventory(reason=inventory.NO_DRIVER)))
    assert (found.severity, found.code) == (Severity.ERROR, "driver-missing")
    place.recorded("apt-get", "reboot")
    place.paste(found.hint)
    assert place.record == ["apt-get update", "apt-get install -y nvidia-driver-580", "reboot "]


def test_no_gpu_at_all(place: Place) -> None:
    place.file("sys/bus/pci/devices/0000:01:00.0/vendor", "0x8086\n")
    machine = seeing(place, Inventory(reason=inventory.NO_DRIVER))
    assert [(f.severity, f.code, f.hint) for f in look("driver", machine)] == [
        (Severity.ERROR, "gpu-missing", None)
    ]


def test_no_gpu_where_none_is_wanted(place: Place) -> None:
    machine = seeing(
        place, Inventory(reason=inventory.NO_DRIVER), needs=Needs(is_known=True, wants_gpus=False)
    )
    assert codes(look("driver", machine)) == [(Severity.INFO, "driver-missing")]


def test_without_the_package_nothing_can_be_seen(place: Place) -> None:
    (found,) = look("driver", seeing(place, Inventory(reason=inventory.NO_PACKAGE)))
    assert found.code == "driver-unseen"
    assert found.hint is not None and found.hint.endswith("-m pip install nvidia-ml-py")


def test_images_that_need_the_same_driver_are_one_finding(place: Place) -> None:
    other = IMAGE_5.replace("pyt", "deploy")
    needs = Needs(is_known=True, images={IMAGE_5: ("p/a",), IMAGE_7: ("p/b",), other: ("p/c",)})
    place.file("etc/os-release", UBUNTU)
    findings = look("driver", seeing(place, Inventory((H100,), driver="535.54.03"), needs=needs))
    assert [(f.severity, f.message) for f in findings] == [
        (Severity.ERROR, f'NVIDIA driver 535.54.03 is older than 580, which is needed by "{IMAGE_7}"'),
        (Severity.WARNING, f'NVIDIA driver 535.54.03: NVIDIA requires 550 for "{IMAGE_5}", "{other}"'),
    ]
    assert {f.hint for f in findings} == {
        "sudo apt-get update && sudo apt-get install -y nvidia-driver-580\nsudo reboot"
    }


def test_a_driver_that_does_not_say_its_version(place: Place) -> None:
    machine = seeing(place, Inventory((H100,), driver=None))
    assert codes(look("driver", machine)) == [(Severity.WARNING, "driver-unknown")]


def test_gpus_as_they_should_be_and_a_split_one(place: Place) -> None:
    split = Gpu(1, "GPU-1", "NVIDIA A100", memory_total_bytes=40 * GB, is_split=True)
    assert look("gpu", seeing(place, Inventory((H100, split), driver="580"))) == [
        Finding(Severity.OK, "gpu", "GPU 0: NVIDIA H100, 74.5 GiB"),
        Finding(
            Severity.INFO,
            "gpu-split",
            "GPU 1: NVIDIA A100, 37.3 GiB is split into MIG devices: write the UUID of one of them into gpu_indices",
            "nvidia-smi -L",
        ),
    ]


def test_a_bad_gpu_beside_a_good_one_names_the_good_one(place: Place) -> None:
    small = Gpu(1, "GPU-1", "GTX 750", memory_total_bytes=2 * GB, compute_capability=(5, 0))
    _, found = look("gpu", seeing(place, Inventory((H100, small), driver="580")))
    text = "GPU 1: GTX 750, 1.9 GiB has compute capability 5.0: TAO needs 6.0 (use others in experiments.yml: gpu_indices: [0])"
    assert (found.severity, found.code, found.message) == (Severity.ERROR, "gpu-too-old", text)


def test_where_no_gpu_is_wanted_a_driver_that_hangs_is_no_error(place: Place) -> None:
    for wants, severity in ((True, Severity.ERROR), (False, Severity.INFO)):
        over = threading.Event()
        machine = place.machine(
            _gpus=LazyValue(lambda over=over: Inventory(reason=str(over.wait(30)))),
            uid=1000,
            needs=Needs(is_known=True, wants_gpus=wants),
        )
        (found,) = look("driver", machine)
        over.set()
        text = "the NVIDIA driver does not answer within 3 s"
        assert found == Finding(severity, "driver-hangs", text, "sudo reboot")


def test_a_driver_that_hangs_is_reported_once(place: Place) -> None:
    over = threading.Event()
    machine = place.machine(_gpus=LazyValue(lambda: Inventory(reason=str(over.wait(30)))))
    assert look("gpu-foreign", machine) == []
    over.set()


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        ("525.60", [(Severity.WARNING, "driver-old")]),
        ("525.85.12", [(Severity.OK, "driver")]),
        ("580.65", [(Severity.OK, "driver")]),
    ],
)
def test_without_an_image_the_driver_is_compared_with_tao_5(
    driver: str, expected: list[tuple[Severity, str]], place: Place
) -> None:
    place.file("etc/os-release", UBUNTU)
    findings = look("driver", seeing(place, Inventory((H100,), driver=driver)))
    assert codes(findings) == expected
    if expected[0][0] is Severity.WARNING:
        assert findings[0].message == "NVIDIA driver 525.60: TAO 5 needs 525.85, TAO 7 580"
        assert findings[0].hint is not None and "nvidia-driver-580\n" in findings[0].hint


def test_a_driver_of_windows_is_updated_there(place: Place) -> None:
    place.file("proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n")
    needs = Needs(is_known=True, images={IMAGE_7: ("p/a",)})
    (old,) = look("driver", seeing(place, Inventory((H100,), driver="535"), needs=needs))
    (none,) = look("driver", seeing(place, Inventory(reason=inventory.NO_DRIVER)))
    update = "update the NVIDIA driver of Windows, then in PowerShell: wsl --shutdown"
    assert (old.code, old.hint, none.code, none.hint) == ("driver-old", update, "driver-missing", update)


@pytest.mark.parametrize(
    ("gpu", "expected", "end"),
    [
        (Gpu(0, "G", "X", 4 * GB - 1), (Severity.WARNING, "gpu-memory"), "is less than NVIDIA requires: 4 GB (3.7 GiB)"),
        (Gpu(0, "G", "X", 4 * GB), (Severity.OK, "gpu"), "GPU 0: X, 3.7 GiB; NVIDIA recommends 32 GB (29.8 GiB)"),
        (Gpu(0, "G", "X", 32 * GB - 1), (Severity.OK, "gpu"), "; NVIDIA recommends 32 GB (29.8 GiB)"),
        (Gpu(0, "G", "X", 32 * GB), (Severity.OK, "gpu"), "GPU 0: X, 29.8 GiB"),
        (Gpu(0, "G", "X"), (Severity.OK, "gpu"), "GPU 0: X"),
        (Gpu(0, "G", "X", 32 * GB, compute_capability=(6, 0)), (Severity.OK, "gpu"), "GPU 0: X, 29.8 GiB"),
        (Gpu(0, "G", "X", compute_capability=(5, 2)), (Severity.ERROR, "gpu-too-old"), "5.2: TAO needs 6.0"),
    ],
)  # fmt: skip
def test_a_gpu_at_the_figures_that_nvidia_states(
    gpu: Gpu, expected: tuple[Severity, str], end: str, place: Place
) -> None:
    (found,) = look("gpu", seeing(place, Inventory((gpu,), driver="580")))
    assert (found.severity, found.code) == expected
    assert found.message.endswith(end)


def test_tao_7_needs_a_newer_gpu(place: Place) -> None:
    volta = Gpu(0, "G", "V100", 32 * GB, compute_capability=(7, 0))
    needs = Needs(is_known=True, images={IMAGE_5: ("p/a",), IMAGE_7: ("p/b",)})
    (found,) = look("gpu", seeing(place, Inventory((volta,), driver="580"), needs=needs))
    assert (found.code, found.message) == (
        "gpu-too-old", "GPU 0: V100, 29.8 GiB has compute capability 7.0: TAO needs 7.5",
    )  # fmt: skip


def test_persistence_mode_is_named_where_it_is_off(place: Place) -> None:
    off = [replace(H100, index=index, keeps_driver_loaded=False) for index in (1, 2)]
    unknown = replace(H100, index=3, keeps_driver_loaded=None)
    everything = Inventory((H100, *off, unknown), driver="580")
    found = look("gpu", seeing(place, everything))[-1]
    assert (found.severity, found.code, found.hint) == (
        Severity.INFO, "gpu-persistence", "sudo nvidia-smi -pm 1",
    )  # fmt: skip
    assert "is off on GPU 1, 2:" in found.message
    place.file("proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n")
    assert "gpu-persistence" not in [one.code for one in look("gpu", seeing(place, everything))]


def test_other_processes_are_named_and_those_of_our_runs_are_not(
    place: Place,
) -> None:
    place.file("proc/71/comm", "python\n")
    busy = replace(H100, memory_used_bytes=3 * GB, processes=(GpuProcess(71, 2 * GB), GpuProcess(72)))
    owner = pwd.getpwuid(os.geteuid()).pw_name
    (found,) = look("gpu-foreign", seeing(place, Inventory((busy,))))
    text = f"GPU 0 is in use by other processes (2.8 GiB used): python of {owner}, pid 71, 1.9 GiB; ? of ?, pid 72"
    assert found == Finding(Severity.WARNING, "gpu-in-use", text, "ps -o pid,user,etime,args -p 71,72")
    lease = Leases(Path(place.environ["TAORUNNER_LEASES"])).take(["GPU-0"])
    assert lease is not None
    fine = Finding(Severity.OK, "gpu-foreign", "no other processes on the GPUs")
    assert look("gpu-foreign", seeing(place, Inventory((busy,)))) == [fine]
    lease.release()
    assert codes(look("gpu-foreign", seeing(place, Inventory((busy,))))) == [(Severity.WARNING, "gpu-in-use")]
    assert look("gpu-foreign", seeing(place, Inventory((H100,)))) == [fine]
    assert look("gpu-foreign", seeing(place, Inventory(reason="none"))) == []


def test_the_gpus_of_an_engine_elsewhere_are_not_those_of_this_machine(
    place: Place, stand_in_engine: StandInEngine
) -> None:
    here = place.machine()
    facts = here.engine().facts
    here.close()
    elsewhere = EngineView(Engine(None, Address("tcp://10.1.2.3:2375", "DOCKER_HOST"), ""), facts)
    machine = seeing(place, Inventory((H100,), driver="580"), _engine=LazyValue(lambda: elsewhere))
    assert codes(list(look_at_driver(machine))) == [(Severity.INFO, "driver")]
    assert list(look_at_gpus(machine)) == list(look_for_other_processes(machine)) == []


TAO = Needs(is_known=True, images={IMAGE_5: ("p/a",)})
ONE_GPU = "GPU 0: NVIDIA H100 (UUID: GPU-0)\n"


@pytest.fixture
def with_image(stand_in_engine: StandInEngine) -> StandInEngine:
    """An engine that has the image of the experiments."""
    stand_in_engine.images[IMAGE_5] = {"Id": "sha256:1", "RepoDigests": []}
    return stand_in_engine


def inside(place: Place, gpus: int = 1, needs: Needs = TAO) -> Finding:
    seen = Inventory(tuple(replace(H100, index=index) for index in range(gpus)), driver="580")
    (found,) = look("gpu-in-container", seeing(place, seen, needs=needs))
    return found


def test_what_a_container_sees_of_the_gpus(place: Place, with_image: StandInEngine) -> None:
    with_image.probe = (0, ONE_GPU)
    assert inside(place).message == f'a container of "{IMAGE_5}" sees one GPU'
    found = inside(place, gpus=2)
    assert (found.severity, found.code) == (Severity.WARNING, "gpu-not-in-container")
    assert found.message == f'a container of "{IMAGE_5}" sees one GPU of 2'
    with_image.probe = (0, ONE_GPU + ONE_GPU.replace("0", "1"))
    found = inside(place, gpus=2)
    assert (found.severity, found.message) == (Severity.OK, f'a container of "{IMAGE_5}" sees 2 GPUs')


def test_a_container_that_sees_no_gpu(place: Place, with_image: StandInEngine) -> None:
    with_image.probe = (9, "")
    found = inside(place)
    assert (found.severity, found.code) == (Severity.ERROR, "gpu-not-in-container")
    assert found.message.endswith("sees no GPU: nvidia-smi ended with code 9")
    assert found.hint is not None and "install -y nvidia-container-toolkit" in found.hint
    with_image.probe = (0, "first\nNo devices were found\n")
    place.recorded("nvidia-ctk", "systemctl")
    found = inside(place)
    assert found.message.endswith("sees no GPU: No devices were found")
    place.paste(found.hint)
    assert place.record == ["nvidia-ctk runtime configure --runtime=docker", "systemctl restart docker"]


def test_a_container_with_gpus_that_cannot_start(place: Place, with_image: StandInEngine) -> None:
    with_image.refuses = 'could not select device driver "" with capabilities: [[gpu]]'
    assert inside(place).message.startswith(
        "a container with GPUs cannot start: the docker engine cannot give"
    )
    place.recorded("nvidia-ctk", "systemctl")
    found = inside(place)
    assert found.message.endswith("the NVIDIA toolkit was installed after the engine started")
    place.paste(found.hint)
    assert place.record == ["systemctl restart docker"]


def test_a_probe_is_made_with_any_image_of_tao_or_cuda(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.probe = (0, ONE_GPU)
    for name in ("nvcr.io/nvidia/cuda:12", "cuda:12", "mirror/tao:5"):
        stand_in_engine.images = {"ubuntu:22.04": {"Id": "sha256:1"}, name: {"Id": "sha256:2"}}
        assert inside(place).message == f'a container of "{name}" sees one GPU'


def test_no_container_where_none_or_no_gpu_is_wanted(place: Place, with_image: StandInEngine) -> None:
    with_image.probe = (0, ONE_GPU)
    for needs in (replace(TAO, wants_gpus=False), Needs(is_known=True)):
        assert look("gpu-in-container", seeing(place, Inventory((H100,)), needs=needs)) == []
    with_image.server = "Libpod/4.3.1 (linux)"
    assert codes(look("gpu-in-container", seeing(place, Inventory((H100,)), needs=TAO))) == [
        (Severity.OK, "gpu-in-container")
    ]


def test_no_container_is_started_from_an_image_that_would_have_to_be_fetched(
    place: Place, stand_in_engine: StandInEngine
) -> None:
    stand_in_engine.images["ubuntu:22.04"] = {"Id": "sha256:1"}
    (found,) = look("gpu-in-container", place.machine(needs=Needs(is_known=True, images={IMAGE_5: ("p/a",)})))
    assert (found.severity, found.code, found.hint) == (
        Severity.INFO,
        "gpu-in-container",
        f"docker pull {IMAGE_5}",
    )
