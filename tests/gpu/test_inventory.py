"""GPUs as the real nvidia-ml-py tells them, with a library of ours in the place of the driver's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from taorunner.gpu.inventory import Gpu, GpuProcess, Inventory, inventory, parent_of, with_settings

GiB = 1024**3
TWO = Inventory((Gpu(0, "GPU-11aa", "A"), Gpu(1, "GPU-11ab", "B"), Gpu(2, "GPU-22cc", "C")))


def ask(environment: Mapping[str, str], before: str = "", question: str = "inventory()") -> Inventory:
    """The inventory that a fresh process sees."""
    code = f"{before}\nfrom taorunner.gpu.inventory import *; print(repr({question}))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = eval(done.stdout, {"Inventory": Inventory, "Gpu": Gpu, "GpuProcess": GpuProcess})
    assert isinstance(found, Inventory)
    return found


def test_two_gpus_one_of_them_busy(fake_nvml: Callable[..., dict[str, str]]) -> None:
    found = ask(fake_nvml(2, total_mib=81920, used_mib=[40960, 0], load=[98, 0]))
    assert found.reason is None
    assert [
        (g.index, g.name, g.memory_total_bytes, g.memory_used_bytes, g.load_percent) for g in found.gpus
    ] == [
        (0, "NVIDIA H100 80GB HBM3", 80 * GiB, 40 * GiB, 98),
        (1, "NVIDIA H100 80GB HBM3", 80 * GiB, 0, 0),
    ]
    assert len({gpu.uuid for gpu in found.gpus}) == 2 and all(gpu.uuid for gpu in found.gpus)
    assert found.driver


def test_the_models_of_gpus_that_a_run_gets(fake_nvml: Callable[..., dict[str, str]]) -> None:
    def hardware(ids: str, environ: str = "{}") -> str:
        code = f"from taorunner.gpu.inventory import hardware_of; print(hardware_of({ids}, {environ}))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **fake_nvml(2)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    driver = ask(fake_nvml(2)).driver
    assert hardware("('1', '7')") == f"({driver!r}, ('NVIDIA H100 80GB HBM3',))"
    assert hardware("()") == hardware("('7',)") == "(None, ())"
    assert hardware("('1',)", "{'DOCKER_HOST': 'ssh://me@box'}") == "(None, ())"


def test_a_driver_that_is_not_loaded(fake_nvml: Callable[..., dict[str, str]]) -> None:
    assert ask(fake_nvml(1, init_rc=9)) == Inventory(reason="the NVIDIA driver is installed but not loaded")


def test_a_driver_that_was_updated_and_not_restarted(fake_nvml: Callable[..., dict[str, str]]) -> None:
    reason = "the NVIDIA driver and its library have different versions: reboot after a driver update"
    assert ask(fake_nvml(1, init_rc=18)) == Inventory(reason=reason)


def test_another_trouble_is_reported_as_it_is(fake_nvml: Callable[..., dict[str, str]]) -> None:
    found = ask(fake_nvml(1, init_rc=15))
    assert found.gpus == () and found.reason is not None
    assert found.reason.startswith("the NVIDIA driver does not answer: ")


def test_a_driver_without_gpus(fake_nvml: Callable[..., dict[str, str]]) -> None:
    found = ask(fake_nvml(0))
    assert (found.gpus, found.reason) == ((), "the NVIDIA driver works but reports no GPU")


def test_functions_that_an_old_driver_lacks(fake_nvml: Callable[..., dict[str, str]]) -> None:
    lacking = (
        "import pynvml\n"
        "real = pynvml._nvmlGetFunctionPointer\n"
        "def lacking(name):\n"
        "    if any(word in name for word in ('Utilization', 'MemoryInfo', 'RunningProcesses', 'DriverVersion')):\n"
        "        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)\n"
        "    return real(name)\n"
        "pynvml._nvmlGetFunctionPointer = lacking\n"
    )
    found = ask(fake_nvml(1), before=lacking)
    assert (found.driver, found.reason) == (None, None)
    (gpu,) = found.gpus
    assert (gpu.memory_total_bytes, gpu.memory_used_bytes, gpu.load_percent, gpu.processes) == (
        None,
        None,
        None,
        (),
    )


def test_a_machine_without_a_driver() -> None:
    missing = (
        "import pynvml\n"
        "def load(): raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)\n"
        "pynvml._LoadNvmlLibrary = load\n"
    )
    reason = "there is no NVIDIA driver on this machine (libnvidia-ml.so.1 is not found)"
    assert ask({}, before=missing) == Inventory(reason=reason)


def test_without_the_package() -> None:
    found = ask({}, before="import sys; sys.modules['pynvml'] = None")
    assert found == Inventory(reason="the Python package nvidia-ml-py is not installed")


def test_asking_here_never_raises() -> None:
    found = inventory()
    assert bool(found.gpus) != (found.reason is not None)


def test_a_gpu_is_found_by_index_and_by_uuid() -> None:
    assert [TWO.find(gpu_id) for gpu_id in ("1", "GPU-22cc", "GPU-22")] == [
        TWO.gpus[1],
        TWO.gpus[2],
        TWO.gpus[2],
    ]
    assert [TWO.find(gpu_id) for gpu_id in ("3", "GPU-11", "GPU-", "", "-1", "01", "MIG-1")] == [None] * 7


def test_the_beginning_of_every_uuid_names_no_gpu() -> None:
    alone = Inventory((Gpu(0, "GPU-11aa", "A"),))
    assert [alone.find(gpu_id) for gpu_id in ("GPU-1", "GPU-", "GPU", "G", "")] == [
        alone.gpus[0],
        *[None] * 4,
    ]


def test_processes_with_their_memory(fake_nvml: Callable[..., dict[str, str]]) -> None:
    found = ask(fake_nvml(2, processes={0: {4711: 512, 12: 1}}))
    assert found.gpus[0].processes == (GpuProcess(4711, 512 * 1024**2), GpuProcess(12, 1024**2))
    assert found.gpus[1].processes == ()
    assert [gpu.is_split for gpu in found.gpus] == [False, False]


def test_a_gpu_that_is_split_and_one_that_has_fallen_off_the_bus(
    fake_nvml: Callable[..., dict[str, str]],
) -> None:
    changed = (
        "import pynvml\n"
        "handle, mode = pynvml.nvmlDeviceGetHandleByIndex, pynvml.nvmlDeviceGetMigMode\n"
        "def lost(index):\n"
        "    if index == 0:\n"
        "        raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)\n"
        "    return handle(index)\n"
        "pynvml.nvmlDeviceGetHandleByIndex = lost\n"
        "pynvml.nvmlDeviceGetMigMode = lambda device: [1, 1]\n"
    )
    found = ask(fake_nvml(3), before=changed)
    assert [(gpu.index, gpu.is_split) for gpu in found.gpus] == [(1, True), (2, True)]
    assert found.reason is None


@pytest.mark.parametrize(
    ("persistence", "capability", "expected"),
    [("1", "7.0", (True, (7, 0))), ("0", "9.0", (False, (9, 0)))],
)
def test_settings_that_doctor_wants(
    fake_nvml: Callable[..., dict[str, str]], persistence: str, capability: str,
    expected: tuple[bool, tuple[int, int]],
) -> None:  # fmt: skip
    environ = {**fake_nvml(1), "FAKE_NVML_PERSISTENCE": persistence, "FAKE_NVML_CAPABILITY": capability}
    found = ask(
        environ, before="import taorunner.gpu.inventory as i", question="i.with_settings(i.inventory())"
    )
    (gpu,) = found.gpus
    assert (gpu.keeps_driver_loaded, gpu.compute_capability) == expected
    (plain,) = ask(environ).gpus
    assert (plain.keeps_driver_loaded, plain.compute_capability) == (None, None)


def test_settings_that_the_driver_does_not_tell(fake_nvml: Callable[..., dict[str, str]]) -> None:
    lacking = (
        "import pynvml, taorunner.gpu.inventory as i\n"
        "def lacks(*_): raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)\n"
        "pynvml.nvmlDeviceGetPersistenceMode = pynvml.nvmlDeviceGetCudaComputeCapability = lacks\n"
    )
    (gpu,) = ask(fake_nvml(1), before=lacking, question="i.with_settings(i.inventory())").gpus
    assert (gpu.keeps_driver_loaded, gpu.compute_capability) == (None, None)


def test_without_a_driver_the_settings_change_nothing() -> None:
    found = Inventory(reason="none")
    assert with_settings(found) == found


def test_no_permission_is_named(fake_nvml: Callable[..., dict[str, str]]) -> None:
    reason = "this user has no permission to use the NVIDIA driver"
    assert ask(fake_nvml(1, init_rc=4)) == Inventory(reason=reason)


def test_an_old_name_of_a_part_says_whose_part_it_is() -> None:
    assert parent_of("MIG-GPU-3f2a/1/0") == "GPU-3f2a"


def test_without_a_driver_the_mig_parent_is_unknown() -> None:
    assert parent_of("MIG-3f2a0000-0000-4000-8000-000000000000") is None


@pytest.mark.parametrize(("now", "after_a_restart", "is_split"), [(1, 0, True), (0, 1, False)])
def test_a_gpu_is_split_by_its_present_mode(
    fake_nvml: Callable[..., dict[str, str]], now: int, after_a_restart: int, is_split: bool
) -> None:
    changed = f"import pynvml; pynvml.nvmlDeviceGetMigMode = lambda device: [{now}, {after_a_restart}]"
    (gpu,) = ask(fake_nvml(1), before=changed).gpus
    assert gpu.is_split is is_split
