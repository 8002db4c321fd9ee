"""The ways a job fails, each at its place: before it starts, or after its first epoch."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
from pathlib import Path

from context import Job


class OutOfMemoryError(RuntimeError):
    """torch's, by name."""


OutOfMemoryError.__module__ = "torch"


def at_start(job: Job) -> None:
    """What goes wrong before any work."""
    fail = job.settings.fail
    if fail == "invalid_key":
        message = "Invalid decryption. Unable to open file. The key used to load the model is incorrect."
        if job.generation.family != "tf1":
            raise ValueError(message)
        job.log(message, "ERROR")
        sys.exit(1)
    if fail == "spec_validation" and job.generation.family == "tf1":
        job.log("Spec file validation failed.", "ERROR")
        sys.exit(1)
    if fail == "missing_file":
        raise FileNotFoundError(
            2, "No such file or directory", "/workspace/projects/missing/annotations.json"
        )
    if fail == "export_exists" and job.action == "export":
        raise AssertionError("Default onnx file /results/export/model.onnx already exists")
    if fail == "failure_line_but_continues":
        job.log("Failed to load the optional fused kernel, using the slow path.", "ERROR")


def in_the_middle(job: Job, epochs_done: int = 0) -> None:
    """What happens after an epoch, and goes wrong after the first one or half way through another action."""
    while epochs_done and epochs_done == job.settings.gate and not (job.top_dir / "go").exists():
        time.sleep(0.02)
    fail = job.settings.fail
    if fail == "exit0_interrupted":
        raise SystemExit(1) if job.generation.family == "tf1" else KeyboardInterrupt
    if fail in ("exit0_fail_footer", "silent_exit0_pyt55"):
        raise RuntimeError("NCCL error: unhandled system error")
    if fail == "traceback":
        raise KeyError("image_id")
    if fail == "oom_runtimeerror":
        run_out_of_gpu_memory(job)
    if fail == "oom_killed":
        eat_memory(job.settings.memory_mib)
    if fail == "killed_137":
        os._exit(137)
    if fail == "shm_sigbus_135":
        exhaust_shared_memory()
    if fail == "hang":
        while True:
            time.sleep(3600)


def run_out_of_gpu_memory(job: Job) -> None:
    if job.generation.family == "tf1":
        job.log(
            "Ran out of GPU memory, please lower the batch size, use a smaller input resolution, …", "ERROR"
        )
        raise RuntimeError(
            "OOM when allocating tensor with shape[16,512,38,38] and type float on /device:GPU:0"
        )
    raise OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.11 GiB "
        "of which 1.02 GiB is free."
    )


def eat_memory(most_mib: int) -> None:
    """Takes memory until the kernel ends this process; where nothing limits it, ends itself the same way."""
    held = []
    for _ in range(most_mib // 16):
        held.append(bytearray(16 << 20))
    os.kill(os.getpid(), signal.SIGKILL)


def exhaust_shared_memory() -> None:
    """Maps more of /dev/shm than there is and touches it: SIGBUS."""
    print(
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
        flush=True,
    )
    shm = os.statvfs("/dev/shm")
    size = shm.f_bavail * shm.f_frsize + (16 << 20)
    if size > 1 << 30:
        os.kill(os.getpid(), signal.SIGBUS)
    path = Path("/dev/shm/torch_stand_in")
    with path.open("w+b") as segment:
        segment.truncate(size)
        with mmap.mmap(segment.fileno(), size) as view:
            for start in range(0, size, 4096):
                view[start] = 1
