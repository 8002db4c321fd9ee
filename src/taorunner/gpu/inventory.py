"""Lists the GPUs of this machine and their load through NVML. Never raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

_T = TypeVar("_T")

NO_PACKAGE = "the Python package nvidia-ml-py is not installed"
NO_DRIVER = "there is no NVIDIA driver on this machine (libnvidia-ml.so.1 is not found)"
NOT_LOADED = "the NVIDIA driver is installed but not loaded"
MISMATCH = "the NVIDIA driver and its library have different versions: reboot after a driver update"
NO_PERMISSION = "this user has no permission to use the NVIDIA driver"


@dataclass(frozen=True, slots=True)
class GpuProcess:
    pid: int
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; ``index`` as in nvidia-smi. Fields are None when an old driver does not report them."""

    index: int
    uuid: str
    name: str
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    load_percent: int | None = None
    processes: tuple[GpuProcess, ...] = ()
    is_split: bool = False  # into MIG devices; it cannot be used as a whole
    keeps_driver_loaded: bool | None = None  # persistence mode
    compute_capability: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """The GPUs in order of index, or the ``reason`` why none is visible."""

    gpus: tuple[Gpu, ...] = ()
    reason: str | None = None
    driver: str | None = None

    def find(self, gpu_id: str) -> Gpu | None:
        """The GPU with an index (``"1"``), a UUID, or the beginning of a UUID (``"GPU-3f2a"``)."""
        for gpu in self.gpus:
            if gpu_id in (str(gpu.index), gpu.uuid):
                return gpu
        if not gpu_id.startswith("GPU-") or len(gpu_id) <= len("GPU-"):
            return None
        close = [gpu for gpu in self.gpus if gpu.uuid.startswith(gpu_id)]
        return close[0] if len(close) == 1 else None


def inventory() -> Inventory:
    """Queries the driver, which takes about a millisecond. A missing library or driver becomes ``reason``."""
    try:
        import pynvml
    except ImportError:
        return Inventory(reason=NO_PACKAGE)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Inventory(reason=_reason(pynvml, error))
    try:
        count = pynvml.nvmlDeviceGetCount()
        found = tuple(gpu for index in range(count) if (gpu := _gpu(pynvml, index)) is not None)
        driver = _ask(pynvml, lambda: _text(pynvml.nvmlSystemGetDriverVersion()))
        reason = None if found else "the NVIDIA driver works but reports no GPU"
        return Inventory(found, reason, driver)
    except pynvml.NVMLError as error:
        return Inventory(reason=_reason(pynvml, error))
    finally:
        _ask(pynvml, pynvml.nvmlShutdown)


def hardware_of(gpu_ids: Sequence[str], environ: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """The driver, and the names of the GPUs with these ids. Nothing where ``environ`` names a Docker engine on another
    machine: its GPUs are not known here."""
    if not gpu_ids or not environ.get("DOCKER_HOST", "unix://").startswith("unix://"):
        return None, ()
    seen = inventory()
    names = tuple(gpu.name for one in gpu_ids if (gpu := seen.find(one)) is not None)
    return (seen.driver, names) if names else (None, ())


def parent_of(mig_uuid: str) -> str | None:
    """The UUID of the GPU that a MIG device is a part of; None when unknown."""
    if mig_uuid.startswith("MIG-GPU-"):  # form before driver 470: "MIG-<UUID>/1/0"
        return mig_uuid[len("MIG-") :].partition("/")[0]
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no library, no driver
        return None
    try:
        part = pynvml.nvmlDeviceGetHandleByUUID(mig_uuid)
        return _text(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part)))
    except pynvml.NVMLError:
        return None
    finally:
        _ask(pynvml, pynvml.nvmlShutdown)


def _gpu(nvml: Any, index: int) -> Gpu | None:
    """None for a GPU that has fallen off the bus; the others still work."""
    handle = _ask(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(index))
    if handle is None:
        return None
    memory = _ask(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    load = _ask(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    mig = _ask(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle))
    return Gpu(
        index=index,
        uuid=_ask(nvml, lambda: _text(nvml.nvmlDeviceGetUUID(handle))) or "",
        name=_ask(nvml, lambda: _text(nvml.nvmlDeviceGetName(handle))) or "NVIDIA GPU",
        memory_total_bytes=None if memory is None else int(memory.total),
        memory_used_bytes=None if memory is None else int(memory.used),
        load_percent=None if load is None else int(load.gpu),
        processes=_processes(
            _ask(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle))
            or _ask(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses_v2(handle))
            or ()
        ),
        is_split=mig is not None and bool(mig[0]),
    )


def with_settings(found: Inventory) -> Inventory:
    """``found`` with settings that hardly ever change: persistence mode and generation. For ``doctor`` only."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, library or driver, as ``found`` states
        return found
    try:
        return replace(found, gpus=tuple(_with_settings(pynvml, gpu) for gpu in found.gpus))
    finally:
        _ask(pynvml, pynvml.nvmlShutdown)


def _with_settings(nvml: Any, gpu: Gpu) -> Gpu:
    handle = _ask(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(gpu.index))
    mode = _ask(nvml, lambda: nvml.nvmlDeviceGetPersistenceMode(handle))
    capability = _ask(nvml, lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
    return replace(
        gpu,
        keeps_driver_loaded=None if mode is None else bool(mode),
        compute_capability=None if capability is None else (int(capability[0]), int(capability[1])),
    )


def _processes(found: Sequence[Any]) -> tuple[GpuProcess, ...]:
    return tuple(
        GpuProcess(int(process.pid), None if process.usedGpuMemory is None else int(process.usedGpuMemory))
        for process in found
    )


def _ask(nvml: Any, question: Callable[[], _T]) -> _T | None:
    """None for a query that the driver or GPU does not support."""
    # With an old driver, newer functions raise this exception, which is not an NVMLError.
    mismatch = getattr(nvml, "NVMLLibraryMismatchError", nvml.NVMLError)
    try:
        return question()
    except (nvml.NVMLError, mismatch, AttributeError):
        return None


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _reason(nvml: Any, error: Any) -> str:
    code = getattr(error, "value", None)
    if code == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return NO_DRIVER
    if code == nvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return NOT_LOADED
    if code == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return MISMATCH
    if code == nvml.NVML_ERROR_NO_PERMISSION:
        return NO_PERMISSION
    return f"the NVIDIA driver does not answer: {str(error).lower()}"
