"""What is taken for the cause when a log says many things, and what never is.

Each console is made here in the form that the tools write; the real tracker reads it and the real verdict judges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from taorunner.contracts import (
    CheckpointContract,
    Contract,
    Framework,
    GpuUse,
    ProgressContract,
    SpecContract,
    VerdictContract,
)
from taorunner.progress.console.lines import ConsoleParser
from taorunner.progress.status_json import StatusRecord
from taorunner.progress.tracker import Tracker
from taorunner.progress.verdict import Verdict, judge

T0 = datetime(2026, 11, 20, tzinfo=timezone.utc)
RULES = VerdictContract(success_suffix="finished successfully.", status_required=True)
FRAME = '  File "/x/nvidia_tao_pytorch/{file}", line 40, in run\n    step()\n'
CUDA_TRAILER = (
    "CUDA kernel errors might be asynchronously reported at some other API call.\n"
    "For debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)
BAR = "Epoch {epoch}: 100%|██████████| 9/9 [00:06<00:00, 3.57it/s, v_num=1, train_loss=1.1]\n"


def raised(exception: str, file: str = "core/x.py", head: str = "Traceback (most recent call last):") -> str:
    return f"{head}\n{FRAME.format(file=file)}{exception}\n"


def verdict(
    console: str, code: int = 1, status: Iterable[StatusRecord] = (), *, oom_killed: bool = False
) -> Verdict:
    contract = Contract(
        "net", "train", "model", Framework.PYT, "7.0.1", None, (), (), SpecContract("yaml", ("train",)),
        ProgressContract("lightning", first_epoch=0), RULES, CheckpointContract(), GpuUse.MANY,
    )  # fmt: skip
    tracker = Tracker(contract, "r", 30)
    for number, line in enumerate(console.splitlines(keepends=True)):
        tracker.feed_console(line.encode(), T0 + timedelta(seconds=number))
    at = T0 + timedelta(minutes=30)
    tracker.feed_status(status, at)
    tracker.flush(at)
    return judge(RULES, replace(tracker.facts, exit_code=code, oom_killed=oom_killed))


def reason(console: str, code: int = 1, status: Iterable[StatusRecord] = ()) -> str:
    return verdict(console, code, status).reason


# A CUDA error is not a class number because PyTorch 2 ends each of them with a remark on assertions.


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("CUDA error: an illegal memory access was encountered", "an illegal memory access on the GPU"),
        ("CUDA error: unspecified launch failure", "a program on the GPU crashed (launch failure)"),
        ("CUDA error: unknown error", "the GPU failed without giving a reason"),
        ("CUDA error: uncorrectable ECC error encountered", "the memory of the GPU has a fault"),
        ("CUDA error: all CUDA-capable devices are busy or unavailable", "the GPU is busy"),
        ("CUDA error: device-side assert triggered", "a CUDA assertion failed, most often a class number"),
    ],
)
def test_each_cuda_error_is_called_what_it_is(error: str, expected: str) -> None:
    assert reason(raised(f"RuntimeError: {error}") + CUDA_TRAILER).startswith(expected)


def test_a_gpu_that_was_lost_explains_the_cuda_error_behind_it() -> None:
    lost = "Unable to determine the device handle for GPU 0000:0A:00.0: GPU is lost.\n"
    assert reason(lost + raised("RuntimeError: CUDA error: unspecified launch failure") + CUDA_TRAILER) == (
        "the GPU is lost: it fell off the bus"
    )


# TAO labels every ValueError and TypeError a parameter validation error.


def failure(message: str) -> list[StatusRecord]:
    return [StatusRecord("FAILURE", "INFO", message)]


def test_the_label_of_status_json_is_no_cause() -> None:
    message = "unsupported operand type(s) for +: 'NoneType' and 'int'"
    label = failure(f"Parameter validation error: {message}")
    assert reason(BAR.format(epoch=2) + raised(f"TypeError: {message}"), 1, label) == (
        f"a value is missing (None): TypeError: {message}"
    )
    assert reason(BAR.format(epoch=2), 1, label) == message
    known = failure(
        "Parameter validation error: Dataset size (12) is smaller than the total batch size (32)."
    )
    assert reason("", 1, known).startswith("the dataset has fewer samples than one batch")


def test_the_tracebacks_exception_beats_another_message_of_status_json() -> None:
    assert reason(raised("KeyError: 'siglip'"), 1, failure("No such file or directory: '/later'")) == (
        "a name was looked up that is not there: KeyError: 'siglip'"
    )


# Wrappers, chains and clean-ups.


def test_the_original_exception_of_a_loader_worker_is_the_cause() -> None:
    console = raised("ValueError: Caught ValueError in DataLoader worker process 0.") + raised(
        "ValueError: the crop of sample 7 has no area",
        "cv/dino/dataloader/crop.py",
        "Original Traceback (most recent call last):",
    )
    assert reason(console) == "reading the data failed: ValueError: the crop of sample 7 has no area"
    status = failure("Parameter validation error: Caught ValueError in DataLoader worker process 0.")
    assert (
        reason(console, 1, status) == "reading the data failed: ValueError: the crop of sample 7 has no area"
    )


def test_the_innermost_exception_of_a_chain_is_the_cause_and_a_later_one_may_name_more() -> None:
    between = "\nThe above exception was the direct cause of the following exception:\n\n"
    chain = raised("ArithmeticError: got a float") + between + raised("RuntimeError: loading sample 3 failed")
    assert reason(chain) == "ArithmeticError: got a float"
    hub = (
        raised("socket.gaierror: [Errno -2] Name or service not known")
        + between
        + raised("requests.exceptions.ConnectionError: Failed to resolve 'hub.example' ([Errno -2])")
    )
    assert reason(hub) == 'the container cannot reach "hub.example"'


@pytest.mark.parametrize(
    "noise",
    [
        "Exception ignored in: <function Iter.__del__ at 0x7f>\n"
        + raised("AssertionError: can only test a child process"),
        "Exception ignored in atexit callback: <function f at 0x7f>\n"
        + raised("FileNotFoundError: [Errno 2] No such file or directory: '/tmp/pymp-ab'"),
        raised("OSError: [Errno 16] Device or resource busy: '/results/.nfs00001'"),
        "Exception in thread Thread-3 (beam):\n" + raised("ConnectionResetError: [Errno 104] reset"),
        raised("torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "),
        raised("SystemExit: 1"),
        raised("torch.distributed.DistBackendError: NCCL error in: x.cpp:1, remote process exited"),
    ],
    ids=["ignored", "atexit", "nfs", "thread", "elastic", "exit", "peer"],
)
def test_what_python_prints_around_the_failure_is_not_the_cause(noise: str) -> None:
    failed = raised("RuntimeError: the grid has a hole")
    assert reason(noise + failed) == "RuntimeError: the grid has a hole"
    assert reason(failed + noise) == "RuntimeError: the grid has a hole"


def test_a_remark_of_python_without_a_traceback_does_not_hide_the_next_one() -> None:
    remark = "Exception ignored in: <object repr() failed>\nAttributeError: gone\n"
    assert reason(remark + "a\nb\nc\nd\n" + raised("ValueError: odd")) == "ValueError: odd"


def test_frames_at_the_top_of_the_last_lines_are_no_causes() -> None:
    frames = "    raise Full('No space left on device')\n" * 300
    console = f"Traceback (most recent call last):\n{frames}ValueError: odd\n"
    assert reason(console) == "ValueError: odd"


def test_only_a_wrapper_is_better_than_nothing() -> None:
    assert reason("Exception in thread T:\n" + raised("OSError: pipe broke")) == "OSError: pipe broke"


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        (
            raised("tensorflow.errors.InternalError: 2 root error(s) found.")
            + "  (0) Internal: the sampler is empty\n  (1) Internal: the sampler is empty\n",
            "TensorFlow or a library below it failed: the sampler is empty",
        ),
        (
            raised("ValueError: in user code:")
            + "\n"
            + FRAME.format(file="m.py")
            + "    ValueError: bad rank 3\n",
            "ValueError: bad rank 3",
        ),
        (
            "[TRT] [E] 2: [builder.cpp] Error Code 2: the weights of layer 3 are odd\n[TRT] [E] giving up\n"
            + raised("AttributeError: __enter__"),
            "TensorRT could not build or run the engine: [builder.cpp] Error Code 2: the weights of layer 3 "
            "are odd",
        ),
        (
            raised("torch.DistBackendError: NCCL error in: x.cpp:1, invalid usage")
            + "Last error:\nDuplicate GPU detected : rank 1 and rank 0 both on CUDA device 41000\n",
            "two processes of the run use the same GPU: the spec asks for more GPUs than there are",
        ),
    ],
    ids=["tensorflow-root", "keras-user-code", "tensorrt", "nccl"],
)
def test_the_next_lines_hold_what_the_exception_only_points_to(console: str, expected: str) -> None:
    assert reason(console + "Execution status: FAIL\n") == expected


# Signals.


def test_a_signal_hides_neither_the_traceback_nor_nccl() -> None:
    watchdog = "[rank1]:[E ProcessGroupNCCL.cpp:563] [Rank 1] Watchdog caught collective operation timeout\n"
    assert reason(watchdog, 134) == "the GPUs could not communicate through NCCL"
    crash = raised("RuntimeError: the grid has a hole") + "Segmentation fault (core dumped)\n"
    assert reason(crash, 139) == "RuntimeError: the grid has a hole"
    assert reason("Segmentation fault (core dumped)\n", 139) == "crashed (segmentation fault)"
    assert reason("Segmentation fault (core dumped)\n", 255) == "crashed (segmentation fault)"


@pytest.mark.parametrize("code", [137, 143])
def test_a_plain_line_does_not_hide_a_signal_from_outside(code: int) -> None:
    line = "reading the cache: /cache/x not found, going on without it\n"
    assert "SIG" in reason(line, code)
    assert verdict(line, code).is_transient
    assert not verdict(raised("RuntimeError: the grid has a hole"), code).is_transient


def test_what_ran_out_beats_its_consequences() -> None:
    console = (
        raised("torch.distributed.DistBackendError: NCCL error in: x.cpp:1, remote process exited")
        + raised("torch.OutOfMemoryError: CUDA out of memory.")
        + "terminate called after throwing an instance of 'c10::Error'\n"
    )
    assert reason(console, 134) == "CUDA out of memory"


def test_the_engines_word_on_memory_beats_a_traceback() -> None:
    found = verdict(raised("EOFError: no more data"), 1, oom_killed=True)
    assert found.reason == "a process of the run was killed: the host's memory limit was reached"


# What training survived.


def test_a_warning_of_an_earlier_epoch_is_not_the_cause() -> None:
    warning = "RuntimeWarning: CUDA out of memory. Falling back to the CPU for the ranking\n"
    console = BAR.format(epoch=2) + warning + BAR.format(epoch=3) + BAR.format(epoch=4)
    assert reason(console + raised("ValueError: odd")) == "ValueError: odd"
    assert reason(console) == "TAO ended with exit code 1, cause unknown"


def test_an_error_line_that_was_not_live_is_not_found_again_in_the_tail() -> None:
    survived = "/cache/old does not exist, going on without it\n"
    assert "/cache/old" not in reason(BAR.format(epoch=2) + survived + BAR.format(epoch=3))
    assert "/cache/old" in reason(BAR.format(epoch=2) + BAR.format(epoch=3) + survived)


def test_the_epoch_of_a_cause_is_the_one_it_was_seen_in() -> None:
    console = BAR.format(epoch=2) + raised("torch.OutOfMemoryError: CUDA out of memory.")
    assert reason(console) == "CUDA out of memory at epoch 3"


def test_an_epoch_in_status_json_alone_clears_an_earlier_error() -> None:
    contract = Contract(
        "net", "train", "model", Framework.PYT, "7.0.1", None, (), (), SpecContract("yaml", ("train",)),
        ProgressContract("plain"), RULES, CheckpointContract(), GpuUse.MANY,
    )  # fmt: skip
    tracker = Tracker(contract, "r", 30)
    tracker.feed_status([StatusRecord("RUNNING", epoch=1, max_epoch=30)], T0)
    tracker.feed_console(b"/cache/old does not exist, going on without it\n", T0)
    tracker.feed_status([StatusRecord("RUNNING", epoch=2, max_epoch=30)], T0 + timedelta(minutes=5))
    assert tracker.facts.causes == ()


@pytest.mark.parametrize(
    "harmless",
    [
        "mkdir -p failed for path /.config/matplotlib: [Errno 13] Permission denied: '/.config'\n",
        "NOTE: The SHMEM allocation limit is set to 64MB: a bus error may follow\n",
        "W tensorflow/dso_loader.cc:59] dlerror: libnvinfer.so.6: cannot open shared object file\n",
        "WARNING: The NVIDIA Driver was not detected.  GPU functionality will not be available.\n",
    ],
)
def test_what_good_runs_print_too_is_never_the_cause(harmless: str) -> None:
    assert reason(harmless + raised("ValueError: odd")) == "ValueError: odd"
    assert reason(harmless) == "TAO ended with exit code 1, cause unknown"
    assert reason(harmless, 139) == "crashed (segmentation fault)"


def test_the_banner_explains_an_empty_list_of_gpus() -> None:
    empty = raised("ValueError: invalid literal for int() with base 10: ''", "core/entrypoint.py")
    banner = "WARNING: The NVIDIA Driver was not detected.  GPU functionality will not be available.\n"
    assert reason(banner + empty) == "no GPU is visible inside the container"
    found = verdict(empty)
    assert found.reason == "invalid literal for int() with base 10: '': a list or number of GPUs is empty"
    assert "WORLD_SIZE" in (found.hint or "")


# The forms of error lines and exceptions.


@pytest.mark.parametrize(
    "line",
    [
        "2026-04-30 15:40:41,162 - [TAO Toolkit] - ERROR - the label map is empty (builder.py:163)",
        "[2026-04-30 15:40:41,162 - TAO Toolkit - TAO Toolkit - ERROR] the label map is empty",
        "2026-11-20 09:05:01,001 [TAO Toolkit] [ERROR] nvidia_tao_pytorch.core 12: the label map is empty",
        "[ERROR] the label map is empty",
    ],
)
def test_error_lines_of_every_release_are_read(line: str) -> None:
    footer = (
        "2026-04-30 15:40:41,906 - [TAO Toolkit] - WARNING - Execution status: FAIL (entrypoint.py:362)\n"
    )
    assert reason(f"{line}\n{footer}") == "the label map is empty"


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        ("PIL.UnidentifiedImageError: cannot identify image file '/d/7.jpg'", 'an image cannot be read: "/d/7.jpg"'),
        ("cv2.error: OpenCV(4.8.0) a.cpp:1: error: odd size", "cv2.error: OpenCV(4.8.0) a.cpp:1: error: odd size"),
        ("zlib.error: Error -3 while decompressing", "zlib.error: Error -3 while decompressing"),
        ("Some.Upper.Case_Error: told", "Some.Upper.Case_Error: told"),
    ],
)  # fmt: skip
def test_exceptions_of_any_spelling_are_seen(exception: str, expected: str) -> None:
    assert reason(raised(exception)) == expected


def test_an_assertion_without_words_shows_its_source() -> None:
    console = 'Traceback (most recent call last):\n  File "/x/a.py", line 5, in f\n    assert len(rows) == 4\nAssertionError\n'
    assert reason(console) == "TAO's check failed: assert len(rows) == 4"


def test_a_generic_check_does_not_blame_the_spec() -> None:
    found = verdict(raised("AssertionError: the gallery lacks the query's persons"))
    assert found.hint == (
        "correct what it names: a value of the spec, the dataset or the command line; raised in x.py:40 (run)"
    )


def test_weights_that_are_only_not_trusted_are_not_called_damaged() -> None:
    console = raised("_pickle.UnpicklingError: Weights only load failed. This file can still be loaded.")
    found = verdict(console + "WeightsUnpickler error: Unsupported global: GLOBAL omegaconf.ListConfig\n")
    assert "damaged" not in found.reason
    assert found.hint == 'for a checkpoint of your own, set TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 in "env"'


def test_weights_that_do_not_fit_after_a_resume_are_an_earlier_runs() -> None:
    console = "Resuming training from checkpoint: /results/train/latest.pth\n" + raised(
        "RuntimeError: Error(s) in loading state_dict for Net:"
    )
    found = verdict(console + "\tsize mismatch for head.weight: copying a param\n")
    assert found.reason == "the checkpoint that training resumes from does not fit this model: head.weight"
    assert "--overwrite" in (found.hint or "")


# Exceptions that no row knows.


def frames(*called: str) -> str:
    """A traceback up to its exception; each of ``called`` is ``file:line:function:source``, the innermost last."""
    parts = [one.split(":", 3) for one in called]
    return "Traceback (most recent call last):\n" + "".join(
        f'  File "{file}", line {line}, in {function}\n    {source}\n'
        for file, line, function, source in parts
    )


LIBRARY = "/usr/local/lib/python3.12/dist-packages/"
STEP = f"{LIBRARY}pytorch_lightning/loops/fit_loop.py:206:run:self.advance()"


def test_the_nearest_frame_that_tells_the_part_of_the_run_counts() -> None:
    loader = f"{LIBRARY}nvidia_tao_pytorch/cv/ocrnet/dataloader/ocr_dataset.py:51:read:return cut(sample)"
    found = verdict(
        frames(STEP, loader, "/usr/lib/python3.12/statistics.py:327:mean:n = count(data)")
        + "ArithmeticError: no data\n"
    )
    assert found.reason == "reading the data failed: ArithmeticError: no data"
    assert (found.hint or "").endswith("; raised in ocr_dataset.py:51 (read)")


def test_a_step_of_training_below_the_optimiser_is_not_its_fault() -> None:
    below = f"{LIBRARY}torch/optim/optimizer.py:385:wrapper:out = func(*args, **kwargs)"
    step = f"{LIBRARY}nvidia_tao_pytorch/cv/dino/model/pl_dino_model.py:210:training_step:return self.model(batch)"
    found = verdict(frames(STEP, below, step) + "ArithmeticError: no data\n")
    assert (found.reason, found.hint) == (
        "ArithmeticError: no data",
        "compare the spec with NVIDIA's example, and the data with what `taorunner networks` shows for this "
        "network; "
        'if both are right, use another "release"; raised in pl_dino_model.py:210 (training_step)',
    )


@pytest.mark.parametrize(
    ("called", "place"),
    [
        (["/usr/lib/python3.12/json/decoder.py:1:decode:x", f"{LIBRARY}torch/x.py:2:f:y"], "x.py:2 (f)"),
        ([f"{LIBRARY}timm/models/swin.py:7:forward:x", f"{LIBRARY}torch/x.py:2:f:y"], "swin.py:7 (forward)"),
        (
            [f"{LIBRARY}nvidia_tao_pytorch/cv/x.py:9:run:x", f"{LIBRARY}timm/models/swin.py:7:forward:x"],
            "x.py:9 (run)",
        ),
    ],
)
def test_the_place_of_an_exception_is_taos_own_code_if_it_can_be(called: list[str], place: str) -> None:
    found = verdict(frames(*called) + "ArithmeticError: no data\n")
    assert (found.hint or "").endswith(f"; raised in {place}")


def test_the_message_of_an_exception_may_begin_on_the_next_line() -> None:
    console = (
        frames("/x/spawn.py:134:check:raise Bug(text)")
        + "RuntimeError: \n        The bolts of sample 7\n        do not fit.\n"
    )
    assert reason(console) == "the code stopped at a check: RuntimeError: The bolts of sample 7"


def test_a_program_that_failed_gives_way_to_what_it_printed() -> None:
    call = "subprocess.CalledProcessError: Command '['ffmpeg']' returned non-zero exit status 1.\n"
    console = frames("/usr/lib/python3.12/subprocess.py:516:run:raise CalledProcessError(retcode)") + call
    assert reason(console).startswith("a program that the run called failed: Command '['ffmpeg']'")
    assert reason("OSError: [Errno 28] No space left on device\n" + console) == "the disk is full"


def test_an_engine_that_was_not_built_is_explained_by_what_tensorrt_said() -> None:
    console = frames("/x/builder.py:4:build:f.write(engine.serialize())")
    console += "AttributeError: 'NoneType' object has no attribute 'serialize'\n"
    assert reason(console) == "TensorRT built no engine"
    said = "[TensorRT] ERROR: ../rtSafe/safeRuntime.cpp (25) - Cuda Error in allocate: 2 (out of memory)\n"
    assert reason(said + console) == "CUDA out of memory"


# A process that ends without a word.


def test_a_child_that_was_killed_is_worth_another_attempt() -> None:
    found = verdict(BAR.format(epoch=2) + "Execution status: FAIL\n")
    assert found.reason == (
        "the training process ended without a message: killed by a signal, most likely for lack of memory"
    )
    assert found.is_transient


def test_a_child_that_got_sigterm_is_reported_although_tao_says_pass() -> None:
    glued = "[rank: 0] Received SIGTERM: 15" + BAR.format(epoch=3) + "Execution status: PASS\n"
    found = verdict(BAR.format(epoch=2) + glued, 0)
    assert (found.reason, found.is_transient) == (
        "ended by SIGTERM, which did not come from taorunner",
        True,
    )


def test_a_child_that_got_sigint_was_interrupted() -> None:
    text = "Detected KeyboardInterrupt, attempting graceful shutdown ...\nExecution status: FAIL\n"
    assert reason(BAR.format(epoch=2) + text) == "interrupted inside the container, not by taorunner"


def test_the_banner_of_the_image_is_none_of_the_last_lines() -> None:
    banner = "=====================\n=== TAO Toolkit ===\n=====================\n\nNVIDIA Release 7.0.1 (build 5)\n"
    more = "Container image Copyright (c) 2026, NVIDIA CORPORATION.\nVarious files include modifications (c) x.\n"
    parser = ConsoleParser(ProgressContract("plain"))
    parser.feed((banner + more + "what went wrong\n").encode())
    assert parser.tail() == ("what went wrong",)


# Two causes that are both certain are both said; what follows from one is not.


def test_two_causes_that_are_real_are_both_named_with_their_next_steps() -> None:
    console = (
        BAR.format(epoch=2)
        + raised("OSError: [Errno 28] No space left on device: '/results/train/model_epoch_002.pth'")
        + "[rank1]: "
        + raised("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 8.00 GiB.")
    )
    said = verdict(console)
    assert said.reason == "CUDA out of memory at epoch 3; also the disk is full at epoch 3"
    assert said.hint is not None
    assert said.hint.startswith("use a smaller batch size")
    assert "; free space where the results are written" in said.hint


def test_a_consequence_is_no_second_cause() -> None:
    console = (
        raised("OSError: [Errno 28] No space left on device: '/results/train/model_epoch_002.pth'")
        + "RuntimeError: [enforce fail at inline_container.cc:603] . unexpected pos 128 vs 22\n"
        + "[W allocator.cpp:1] UserWarning: CUDA out of memory, retrying\n"
        + raised("torch.distributed.DistBackendError: NCCL error in: x.cpp:1, unhandled cuda error")
    )
    assert reason(console) == "the disk is full"


def test_an_unknown_cause_is_called_unknown() -> None:
    said = verdict("reading the data\nthat was all\n", 3)
    assert (said.reason, said.hint) == (
        "TAO ended with exit code 3, cause unknown",
        "look at the last lines of the log",
    )


def test_the_message_of_a_graph_is_the_line_before_its_node() -> None:
    console = (
        frames(
            "/usr/lib/python3/dist-packages/tensorflow/python/eager/execute.py:54:quick_execute:tensors = run()"
        )
        + "tensorflow.python.framework.errors_impl.InternalError: Graph execution error:\n\n"
        + "Detected at node StatefulPartitionedCall defined at (most recent call last):\n"
        + "<stack traces unavailable>\nlibdevice not found at ./libdevice.10.bc\n\t [[{{node Call}}]] [Op:__train_1]\n"
    )
    assert verdict(console).reason == "TensorFlow's compiler (XLA) does not find CUDA's file libdevice"


def test_a_library_that_aborts_says_more_than_the_signal() -> None:
    thrown = "terminate called after throwing an instance of 'std::out_of_range'\n  what():  vector::_M_range_check\n"
    assert verdict(thrown, 134).reason == "a library of the image crashed: vector::_M_range_check"
    assert verdict("nothing\n", 134).reason == "aborted (SIGABRT)"


def test_the_words_of_slurm_are_no_refused_arguments() -> None:
    found = verdict("srun: error: n1: task 0: Exited with exit code 2\n", 2)
    assert found.reason != "TAO refused its arguments: n1: task 0: Exited with exit code 2"


def test_a_traceback_in_a_box_has_frames() -> None:
    box = (
        "╭─────────────────── Traceback (most recent call last) ───────────────────╮\n"
        "│ /usr/local/lib/python3.10/dist-packages/nvidia_tao_pytorch/cv/x.py:42   │\n"
        "│ in run_experiment                                                       │\n"
        "│ ❱  42 │   │   return trainer_fn(*args, **kwargs)                         │\n"
        "╰─────────────────────────────────────────────────────────────────────────╯\n"
    )
    found = verdict(box + "ArithmeticError: no data\n")
    assert (found.hint or "").endswith("; raised in x.py:42")
