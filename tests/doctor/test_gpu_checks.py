"""The findings on GPUs for each answer of the driver, and the repairs. The driver itself: tests/cli/commands/test_doctor.py."""

from __future__ import annotations

import pytest
from planted import IMAGE_5, IMAGE_7, UBUNTU, Place, StandInEngine, codes, look

from taorunner.doctor.host import LazyValue, Machine
from taorunner.doctor.workspace_needs import Needs
from taorunner.errors import Finding, Severity
from taorunner.gpu import inventory
from taorunner.gpu.inventory import Gpu, Inventory

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
        Finding(Severity.OK, "gpu", "GPU 0: NVIDIA H100, 80 GB"),
        Finding(
            Severity.INFO,
            "gpu-split",
            "GPU 1: NVIDIA A100, 40 GB is split into MIG devices: write the UUID of one of them into gpu_indices",
            "nvidia-smi -L",
        ),
    ]


def test_a_bad_gpu_beside_a_good_one_names_the_good_one(place: Place) -> None:
    small = Gpu(1, "GPU-1", "GTX 750", memory_total_bytes=2 * GB, compute_capability=(5, 0))
    _, found = look("gpu", seeing(place, Inventory((H100, small), driver="580")))
    text = "GPU 1: GTX 750, 2 GB has compute capability 5.0: TAO needs 6.0 (use others in experiments.yml: gpu_indices: [0])"
    assert (found.severity, found.code, found.message) == (Severity.ERROR, "gpu-too-old", text)


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
