"""Each row of the table is shown at least one line as the tools really write it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.progress.causes.table import CAUSES, Place, SeenCause, cause_with_reason, find_cause

SAMPLES: list[tuple[str, str, str]] = [
    (
        "shared-memory",
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
        "shared memory ran out in a data loader at epoch 3",
    ),
    (
        "shared-memory",
        "RuntimeError: DataLoader worker (pid 512) is killed by signal: Bus error. It is possible that dataloader's"
        " workers are out of shared memory. Please try to raise your shared memory limit.",
        "shared memory ran out in a data loader at epoch 3",
    ),
    (
        "shared-memory",
        "OSError: [Errno 28] No space left on device: '/dev/shm/torch_1_2'",
        "shared memory ran out in a data loader at epoch 3",
    ),
    (
        "shared-memory",
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_7_1>: No space left on device (28)",
        "shared memory ran out in a data loader at epoch 3",
    ),
    (
        "shared-memory",
        "RuntimeError: unable to write to file </torch_512_3018_0>: No space left on device (28)",
        "shared memory ran out in a data loader at epoch 3",
    ),
    (
        "cuda-out-of-memory",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 23.65 GiB total)",
        "CUDA out of memory at epoch 3",
    ),
    (
        "cuda-out-of-memory",
        "RuntimeError: CUDA error: out of memory",
        "CUDA out of memory at epoch 3",
    ),
    (
        "cuda-out-of-memory",
        "tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor with shape[8,64]",
        "CUDA out of memory at epoch 3",
    ),
    (
        "cuda-out-of-memory",
        "Ran out of GPU memory, please lower the batch size, use a smaller input resolution",
        "CUDA out of memory at epoch 3",
    ),
    (
        "cuda-out-of-memory",
        "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA out of memory at epoch 3",
    ),
    ("disk-full", "OSError: [Errno 28] No space left on device", "the disk is full at epoch 3"),
    ("disk-full", "tee: /results/log: Disk quota exceeded", "the disk is full at epoch 3"),
    (
        "wrong-model-key",
        "Invalid decryption. Unable to open file (File signature not found)."
        " The key used to load the model is incorrect.",
        "the model key does not fit the weights",
    ),
    (
        "wrong-model-key",
        "ValueError: Cannot decrypt the checkpoint",
        "the model key does not fit the weights",
    ),
    (
        "host-out-of-memory",
        "RuntimeError: DataLoader worker (pid 99) is killed by signal: Killed.",
        "the host's memory ran out at epoch 3",
    ),
    (
        "host-out-of-memory",
        "OSError: [Errno 12] Cannot allocate memory",
        "the host's memory ran out at epoch 3",
    ),
    (
        "host-out-of-memory",
        "mpirun noticed that process rank 0 with PID 0 on node x exited on signal 9 (Killed).",
        "the host's memory ran out at epoch 3",
    ),
    ("host-out-of-memory", "  exitcode  : -9 (pid: 123)", "the host's memory ran out at epoch 3"),
    (
        "spec-rejected",
        'google.protobuf.text_format.ParseError: 12:3 : Message type "TrainingConfig" has no field named "nun_epochs".',
        'the spec has an unknown field "nun_epochs" in "TrainingConfig" (line 12)',
    ),
    (
        "spec-syntax",
        "google.protobuf.text_format.ParseError: 7:20 : '  num_epochs: ten': Couldn't parse integer: ten",
        "the spec cannot be parsed: ' num_epochs: ten': Couldn't parse integer: ten (line 7)",
    ),
    ("unknown-spec-key", "Key 'num_epoch' not in 'TrainConfig'", 'the spec has an unknown key "num_epoch"'),
    (
        "unknown-spec-key",
        "Could not override 'train.foo'.",
        'the spec has an unknown key "train.foo"',
    ),
    (
        "unknown-spec-key",
        "omegaconf.errors.ConfigAttributeError: Key 'gpus' is not in struct",
        'the spec has an unknown key "gpus"',
    ),
    (
        "spec-value",
        "omegaconf.errors.ValidationError: Value 'ten' of type 'str' could not be converted to Integer",
        "the spec has a wrong value: Value 'ten' of type 'str' could not be converted to Integer",
    ),
    (
        "spec-value",
        "omegaconf.errors.MissingMandatoryValue: Missing mandatory value: evaluate.checkpoint",
        "the spec has a wrong value: Missing mandatory value: evaluate.checkpoint",
    ),
    (
        "override-syntax",
        "mismatched input '<EOF>' expecting {BRACKET_CLOSE, ','}",
        "a command line override cannot be parsed",
    ),
    ("no-gpu", "RuntimeError: No CUDA GPUs are available", "no GPU is visible inside the container"),
    (
        "no-gpu",
        "FileNotFoundError: [Errno 2] No such file or directory: 'nvidia-smi'",
        "no GPU is visible inside the container",
    ),
    (
        "no-gpu",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        "no GPU is visible inside the container",
    ),
    (
        "no-gpu",
        "ImportError: libcuda.so.1: cannot open shared object file",
        "no GPU is visible inside the container",
    ),
    ("gpu-index", "CUDA error: invalid device ordinal", "a GPU id was used that the container does not have"),
    (
        "gpu-index",
        "MisconfigurationException: You requested gpu: [0, 1]\n But your machine only has: [0]",
        "a GPU id was used that the container does not have: [0, 1]",
    ),
    (
        "gpu-too-new",
        "CUDA error: no kernel image is available for execution on the device",
        "the image's CUDA does not support this GPU",
    ),
    (
        "driver-too-old",
        "CUDA driver version is insufficient for CUDA runtime version",
        "the NVIDIA driver is too old for this image",
    ),
    (
        "label-out-of-range",
        "RuntimeError: CUDA error: device-side assert triggered",
        "a CUDA assertion failed at epoch 3, most often a class number beyond num_classes",
    ),
    (
        "weights-do-not-fit",
        "size mismatch for fc.weight: copying a param with shape torch.Size([20, 512]) from checkpoint",
        "the weights do not fit this model: fc.weight",
    ),
    (
        "weights-do-not-fit",
        'Missing key(s) in state_dict: "fc.weight"',
        "the weights do not fit this model: fc.weight",
    ),
    (
        "export-exists",
        "AssertionError: Default onnx file /results/export/model.onnx already exists",
        'the file "/results/export/model.onnx" already exists and TAO does not overwrite it',
    ),
    (
        "export-exists",
        "AssertionError: Output file already exists",
        "the exported file already exists and TAO does not overwrite it",
    ),
    (
        "file-exists",
        "FileExistsError: [Errno 17] File exists: '/results/weights/model.tlt'",
        '"/results/weights/model.tlt" already exists, from an earlier run',
    ),
    (
        "permission-denied",
        "PermissionError: [Errno 13] Permission denied: '/results/train'",
        'permission denied on "/results/train"',
    ),
    ("permission-denied", "bash: Permission denied", "permission denied"),
    (
        "read-only-data",
        "OSError: [Errno 30] Read-only file system: '/data/x'",
        'the run tried to write to a folder that is mounted read-only: on "/data/x"',
    ),
    (
        "missing-file",
        "FileNotFoundError: [Errno 2] No such file or directory: '/workspace/projects/p/data/a b/x.png'",
        'there is no "/workspace/projects/p/data/a b/x.png" inside the container',
    ),
    (
        "missing-file",
        "tensorflow.python.framework.errors_impl.NotFoundError: /data/tfrecords/train; No such file or directory",
        'there is no "/data/tfrecords/train" inside the container',
    ),
    (
        "missing-file",
        "AssertionError: /workspace/specs/train.txt does not exist",
        'there is no "/workspace/specs/train.txt" inside the container',
    ),
    (
        "missing-file",
        "ValueError: Cannot find input file name /models/resnet_18.hdf5",
        'there is no "/models/resnet_18.hdf5" inside the container',
    ),
    (
        "unreadable-weights",
        "_pickle.UnpicklingError: invalid load key, 'v'.",
        "the weights cannot be read: damaged, incomplete or encrypted with another key",
    ),
    (
        "no-samples",
        "ValueError: num_samples should be a positive integer value, but got num_samples=0",
        "the dataset has no samples that can be used",
    ),
    (
        "too-few-steps",
        "ValueError: Number of logging points 10 must be <= than the number of steps per epoch 3",
        "the dataset is so small that an epoch has fewer steps than the logging needs",
    ),
    ("nan-loss", "Batch 12: Invalid loss, terminating training", "the loss became NaN at epoch 3"),
    ("nan-loss", "To avoid NaN loss, please set the output_width >= 96", "the loss became NaN at epoch 3"),
    (
        "no-user",
        "KeyError: 'getpwuid(): uid not found: 1234'",
        "the process has a user id without a name inside the container",
    ),
    (
        "port-in-use",
        "RuntimeError: The server socket has failed to bind: errno: 98 - Address already in use",
        "a network port that the run needs is taken",
    ),
    ("spec-validation", "Spec file validation failed. Quitting.", "TAO rejected the spec"),
    (
        "spec-validation",
        "Schema validation error: batch_size must be positive",
        "TAO rejected the spec: batch_size must be positive",
    ),
    (
        "nccl",
        "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1970",
        "the GPUs could not communicate through NCCL at epoch 3",
    ),
    (
        "assertion",
        "AssertionError: Checkpoint interval 10 > number of epochs 5.",
        "TAO's check failed: Checkpoint interval 10 > number of epochs 5",
    ),
    ("interrupted", "Command was interrupted.", "interrupted inside the container, not by taorunner"),
    ("interrupted", "Training was interrupted", "interrupted inside the container, not by taorunner"),
]


FRAMED: list[tuple[str, str, str, str]] = [
    *((code, text, "", reason) for code, text, reason in SAMPLES),
    *(
        (sample["code"], sample["text"], sample.get("frame", ""), sample["reason"])
        for sample in yaml.safe_load((Path(__file__).parents[1] / "data/cause_samples.yml").read_text())
    ),
]
_NAMES = (
    "CUDA", "TAO", "TensorRT", "Slurm", "PyTorch", "TensorFlow", "Apptainer", "Kubernetes", "INT8", "JOB_ID", "NCCL", "Open MPI", "the", "cuDNN", "cuBLAS",
)  # fmt: skip


@pytest.mark.parametrize(("code", "text", "frame", "reason"), FRAMED)
def test_a_known_text_becomes_one_readable_line(code: str, text: str, frame: str, reason: str) -> None:
    seen = find_cause(text, epoch=3, frame=frame)
    assert seen is not None
    assert (seen.cause.code, seen.reason()) == (code, reason)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.code)
def test_every_row_has_a_sample_and_speaks_the_houses_language(cause: object) -> None:
    found = (find_cause(text, frame=frame) for _, text, frame, _ in FRAMED)
    seen = next(seen for seen in found if seen is not None and seen.cause is cause)
    for text in (seen.reason(), seen.hint("train.batch_size")):
        assert not text.endswith(".")
        assert "{" not in text
        assert "  " not in text
        assert not text[0].isupper() or text.startswith(_NAMES)


def test_a_row_that_needs_a_frame_says_nothing_without_it() -> None:
    assert find_cause("KeyError: 'bbox'") is None
    seen = find_cause("KeyError: 'bbox'", frame='File "/x/cv/dino/model/head.py", line 3, in f')
    assert seen is not None and seen.cause.code == "name-missing"
    assert find_cause("ZeroDivisionError: division by zero", frame='File "/x/cfg.py", line 3, in f') is None


def test_the_hint_names_the_specs_own_key() -> None:
    seen = find_cause("CUDA out of memory")
    assert seen is not None
    assert (
        seen.hint("train.batch_size")
        == 'use a smaller batch size ("train.batch_size") or a GPU with more memory'
    )
    assert (seen.hint(), seen.reason()) == (
        "use a smaller batch size or a GPU with more memory",
        "CUDA out of memory",
    )


@pytest.mark.parametrize(
    "harmless",
    [
        "",
        "Telemetry data couldn't be sent, but the command ran successfully.",
        "telemetry: PermissionError: [Errno 13] Permission denied: '/x'",
        "Allocator (GPU_0_bfc) ran out of memory trying to allocate 2.1GiB."
        " The caller indicates that this is not a failure",
        "epoch 3: 12 images with errors were skipped",
        "GPU memory in use: 12 GiB",
        "the optimiser exists already",
        "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.",
        "For debugging consider passing CUDA_LAUNCH_BLOCKING=1",
        "_IncompatibleKeys(missing_keys=['norm.weight'], unexpected_keys=['head.weight'])",
        "mkdir -p failed for path /.config/matplotlib: [Errno 13] Permission denied: '/.config'",
        "NOTE: The SHMEM allocation limit is set to the default of 64MB, which gave a bus error once",
        "Failed to import an extra. Error: No module named 'sam3'",
        "dso_loader.cc:59] Could not load dynamic library; /usr/lib/libnvinfer.so.6: No such file or directory",
    ],
)
def test_harmless_lines_betray_nothing(harmless: str) -> None:
    assert find_cause(harmless) is None


def test_what_is_harmless_as_a_line_counts_as_an_exception() -> None:
    text = "PermissionError: [Errno 13] Permission denied: '/home/u/.config/matplotlib'"
    assert find_cause(text) is None
    seen = find_cause(text, place=Place.EXCEPTION)
    assert seen is not None
    assert seen.cause.code == "permission-denied"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([text for _, text, _, _ in FRAMED]) | st.text(max_size=30), max_size=5))
def test_any_text_gives_a_line_or_nothing(parts: list[str]) -> None:
    seen = find_cause("".join(parts))
    if seen is not None:
        assert seen.reason()
        assert seen.hint()


@pytest.mark.parametrize(
    "unit",
    ["/", " /a", "'", "Key '", "Value 'x' ", "No such file or directory: '", "/a.onnx already exists", "not found ",
     "onnx", "size mismatch for a.", "7:", "/dev/shm ", "AssertionError: ", "Message type \"a\" has no field named \""],
)  # fmt: skip
def test_hostile_lines_take_no_time(unit: str) -> None:
    needles = " ".join(needle for cause in CAUSES for needle in cause.needles if len(needle) < 14)
    text = (needles + unit * 5000)[:4096]
    began = time.process_time()
    for _ in range(20):
        find_cause(text)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
def test_a_reason_leads_back_to_its_cause(filled: bool) -> None:
    facts = ("/a/b.tfrecord", "what", "3", 2) if filled else (None, None, None, None)
    for cause in CAUSES:
        reason = SeenCause(cause, 0, *facts).reason()
        found = cause_with_reason(f"{reason} (exit code 1)")
        assert found is not None and found.code == cause.code, reason
    assert cause_with_reason("exit code 1") is None


def test_rows_that_only_place_a_failure_say_that_no_cause_is_known() -> None:
    frame = 'File "/usr/lib/python3/dist-packages/torch/nn/functional.py", line 7, in f\n    raise ValueError("odd")'
    placed, known = (
        find_cause("ValueError: odd", None, Place.EXCEPTION, frame),
        find_cause("CUDA out of memory"),
    )
    assert placed is not None
    assert known is not None
    assert placed.hint().startswith("no cause known, to try: if it names a value of the spec")
    assert not known.hint().startswith("no cause known")
