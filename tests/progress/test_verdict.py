"""Every row of TAO's exit-code tables, and every lie that is known.

Source: tao/pytorch.md section 2, tao/tensorflow.md sections 2.3, 3 and 5.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.catalog.load import load_network
from taorunner.contracts import (
    CheckpointContract,
    Contract,
    EpochMark,
    Framework,
    GpuUse,
    ProgressContract,
    SpecContract,
    VerdictContract,
)
from taorunner.events import RunState
from taorunner.progress.status_json import StatusReader, StatusRecord, parse_line
from taorunner.progress.tracker import Tracker
from taorunner.progress.verdict import Caution, Facts, Verdict, judge

DATA = Path(__file__).parent / "data"
T0 = datetime(2026, 11, 20, tzinfo=timezone.utc)

TF1 = VerdictContract(
    success_statuses=("SUCCESS",),
    status_required=True,
    artifacts=("train/*.pth",),
    betrayals=("was interrupted", "Invalid decryption", "Spec file validation failed"),
)
TF2_50 = VerdictContract(success_statuses=("SUCCESS",), status_required=True)
TF2_55 = VerdictContract(
    exit_zero_means_success=False, success_suffix="finished successfully.", status_required=True
)
PYT_52 = VerdictContract(success_statuses=("SUCCESS",), status_required=True)
PYT_55 = VerdictContract(
    exit_zero_means_success=False, success_suffix="finished successfully.", status_required=True
)
PYT_60 = VerdictContract(
    success_suffix="finished successfully.", status_required=True, artifacts=("train/*.pth",)
)
PYT_70 = replace(PYT_60, failure_is_final=False)
DEPLOY_55 = PYT_55
DATA_SERVICES_55 = PYT_55

FAIL = b"2026-11-20 09:05:01,001 [TAO Toolkit] [INFO] root 98: Execution status: FAIL\n"
PASS = b"2026-11-20 09:05:01,001 [TAO Toolkit] [INFO] root 98: Execution status: PASS\n"
SUCCESS = StatusRecord("SUCCESS", message="Training finished successfully.")
FINISHED = StatusRecord("RUNNING", message="Train finished successfully.")


def facts_of(
    contract: VerdictContract,
    console: bytes = b"",
    status: Iterable[StatusRecord] = (),
    *,
    progress: ProgressContract | None = None,
    planned: int | None = None,
    action: str = "train",
) -> Facts:
    """What the real tracker makes of a console and new status records."""
    whole = Contract(
        "net", action, "model", Framework.PYT, "5.0.0", None, (), (),
        SpecContract("yaml", ("train",), keys={"batch_size": "dataset.batch_size"}),
        progress or ProgressContract("plain"), contract, CheckpointContract(), GpuUse.MANY,
    )  # fmt: skip
    tracker = Tracker(whole, "r", planned)
    tracker.feed_console(console, T0)
    tracker.feed_status(status, T0)
    tracker.flush(T0)
    return tracker.facts


def fate(contract: VerdictContract, facts: Facts, **known: object) -> Verdict:
    return judge(contract, replace(facts, **known))


def sample(name: str) -> bytes:
    return (DATA / f"{name}.log").read_bytes()


# The exit codes of each image.


@pytest.mark.parametrize(
    ("contract", "status"),
    [
        (TF1, [SUCCESS]), (TF2_50, [SUCCESS]), (TF2_55, [FINISHED]), (PYT_52, [SUCCESS]), (PYT_55, [FINISHED]),
        (PYT_60, [FINISHED]), (PYT_70, [FINISHED]),
    ],
    ids=["tf1", "tf2-5.0", "tf2-5.5", "pyt-5.2", "pyt-5.5", "pyt-6.0", "pyt-7.0"],
)  # fmt: skip
def test_every_sign_says_success(contract: VerdictContract, status: list[StatusRecord]) -> None:
    facts = facts_of(contract, PASS, status)
    assert fate(contract, facts, exit_code=0, artifact_fresh=True) == Verdict(RunState.SUCCEEDED, "finished")


@pytest.mark.parametrize(
    ("contract", "code"),
    [(TF1, 1), (TF1, 255), (TF2_50, 255), (TF2_55, 1), (PYT_52, 1), (PYT_60, 1), (PYT_70, 1)],
)
def test_an_honest_failure_has_its_tracebacks_reason(contract: VerdictContract, code: int) -> None:
    facts = facts_of(contract, b"Traceback (most recent call last):\n  File x\nKeyError: 'images'\n" + FAIL)
    assert fate(contract, facts, exit_code=code) == Verdict(
        RunState.FAILED, "KeyError: 'images'", "look at the last lines of the log"
    )


@pytest.mark.parametrize("contract", [PYT_55, DEPLOY_55, DATA_SERVICES_55, TF2_55])
@pytest.mark.parametrize("said", [FAIL, b""], ids=["fail", "silent"])
def test_releases_that_exit_0_on_failure(contract: VerdictContract, said: bytes) -> None:
    status = [StatusRecord("STARTED", message="Starting training.")]
    verdict = fate(contract, facts_of(contract, said, status), exit_code=0)
    assert verdict.state is RunState.FAILED
    assert verdict.reason == (
        "TAO reports FAIL although it exited with 0"
        if said
        else "TAO exited with 0, but status.json has no record of success"
    )


def test_exit_0_without_any_sign_is_no_success_where_it_means_nothing() -> None:
    contract = VerdictContract(exit_zero_means_success=False)
    assert fate(contract, facts_of(contract), exit_code=0) == Verdict(
        RunState.FAILED,
        "exit code 0 does not prove success with this release, and there is no other sign of it",
        "look at the last lines of the log",
    )
    assert fate(contract, facts_of(contract, PASS), exit_code=0).state is RunState.SUCCEEDED
    assert fate(contract, facts_of(contract), exit_code=0, artifact_fresh=True).state is RunState.SUCCEEDED


def test_tf1_passes_with_the_wrong_key() -> None:
    verdict = fate(TF1, facts_of(TF1, sample("wrong_key_pass")), exit_code=0)
    assert verdict == Verdict(
        RunState.FAILED,
        "the model key does not fit the weights",
        'check "model_key" of the experiment; public NGC models use nvidia_tlt or tlt_encode',
    )


def test_tf1_passes_with_a_spec_that_it_rejected() -> None:
    facts = facts_of(
        TF1,
        b"Spec file validation failed. Quitting.\n" + PASS,
        [StatusRecord("FAILURE", message="Training was interrupted")],
    )
    verdict = fate(TF1, facts, exit_code=0)
    assert (verdict.state, verdict.reason) == (RunState.FAILED, "TAO rejected the spec")


def test_ctrl_c_inside_counts_as_pass_for_tao_and_not_for_us() -> None:
    for contract in (TF1, PYT_60):
        facts = facts_of(contract, b"Command was interrupted.\n" + PASS, [SUCCESS, FINISHED])
        verdict = fate(contract, facts, exit_code=0, artifact_fresh=True)
        assert (verdict.state, verdict.reason) == (
            RunState.FAILED,
            "interrupted inside the container, not by taorunner",
        )


def test_an_interrupt_only_status_json_knows_of() -> None:
    """detectnet_v2 may still end with SUCCESS."""
    status = [StatusRecord("RUNNING", message="Training was interrupted"), SUCCESS]
    verdict = fate(TF1, facts_of(TF1, PASS, status), exit_code=0, artifact_fresh=True)
    assert (verdict.state, verdict.reason) == (
        RunState.FAILED,
        "interrupted inside the container, not by taorunner",
    )


@pytest.mark.parametrize("code", [0, 1, 137, 143, 255])
def test_stopped_on_request_whatever_tao_says(code: int) -> None:
    facts = facts_of(TF1, b"Command was interrupted.\n" + PASS, [SUCCESS])
    assert fate(TF1, facts, exit_code=code, stop_requested=True) == Verdict(
        RunState.STOPPED, "stopped on request"
    )


def test_a_success_of_an_earlier_attempt_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes((DATA / "status_ssd_5.jsonl").read_bytes())
    reader = StatusReader(path, path.stat().st_size)
    facts = facts_of(TF1, PASS, reader.read_new(last=True))
    assert fate(TF1, facts, exit_code=0, artifact_fresh=True) == Verdict(
        RunState.FAILED, "TAO exited with 0, but wrote no status.json", "look at the last lines of the log"
    )


def test_a_final_failure_record_beats_exit_0_and_pass() -> None:
    status = [StatusRecord("FAILURE", message="File system error: cannot write the events file")]
    verdict = fate(PYT_60, facts_of(PYT_60, PASS, status), exit_code=0, artifact_fresh=True)
    assert (verdict.state, verdict.reason) == (
        RunState.FAILED,
        "File system error: cannot write the events file",
    )


def test_in_7_an_error_that_was_only_logged_is_not_the_end() -> None:
    logged = StatusRecord("FAILURE", "ERROR", "could not reach the cache, going on")
    good = facts_of(PYT_70, PASS, [logged, FINISHED])
    assert fate(PYT_70, good, exit_code=0, artifact_fresh=True) == Verdict(RunState.SUCCEEDED, "finished")
    after = facts_of(PYT_70, PASS, [FINISHED, logged])
    assert fate(PYT_70, after, exit_code=0, artifact_fresh=True).state is RunState.SUCCEEDED
    assert fate(PYT_60, after, exit_code=0, artifact_fresh=True).state is RunState.FAILED
    bad = fate(PYT_70, facts_of(PYT_70, b"", [logged]), exit_code=0, artifact_fresh=True)
    assert (bad.state, bad.reason) == (RunState.FAILED, "could not reach the cache, going on")


def test_success_without_a_new_artifact_is_none() -> None:
    verdict = fate(
        PYT_60, facts_of(PYT_60, PASS, [FINISHED], action="export"), exit_code=0, artifact_fresh=False
    )
    assert (verdict.state, verdict.reason) == (
        RunState.FAILED,
        'TAO exited with 0, but wrote no new file that matches "train/*.pth"',
    )
    globs = replace(PYT_60, artifacts=("a.onnx", "prune/*.tlt"))
    verdict = fate(
        globs, facts_of(globs, PASS, [FINISHED], action="export"), exit_code=0, artifact_fresh=False
    )
    assert verdict.reason == 'TAO exited with 0, but wrote no new file that matches "a.onnx" or "prune/*.tlt"'


def test_a_finished_training_that_was_only_resumed_again() -> None:
    verdict = fate(TF1, facts_of(TF1, PASS, [SUCCESS]), exit_code=0, artifact_fresh=False)
    assert verdict == Verdict(
        RunState.FAILED,
        "nothing was trained: the results folder already holds a finished training",
        "train again with --overwrite, or with more epochs",
    )


def test_telemetry_noise_is_ignored() -> None:
    noise = b"Telemetry data couldn't be sent, but the command ran successfully.\n[Error]: <urlopen error [Errno -2]>\n"
    assert fate(TF1, facts_of(TF1, noise + PASS, [SUCCESS]), exit_code=0, artifact_fresh=True) == Verdict(
        RunState.SUCCEEDED, "finished"
    )


def test_early_stopping_is_a_success_with_fewer_epochs() -> None:
    console = (
        b"Epoch 1/80\n5/5 [===] - 1s 2ms/step - loss: 1.0\nEpoch 2/80\n5/5 [===] - 1s 2ms/step - loss: 1.0\n"
    )
    facts = facts_of(TF1, console + PASS, [SUCCESS], progress=ProgressContract("keras"), planned=80)
    assert fate(TF1, facts, exit_code=0, artifact_fresh=True) == Verdict(
        RunState.SUCCEEDED,
        "finished after 2 of 80 epochs",
        None,
        (Caution("fewer-epochs", "ended after 2 of 80 epochs, as early stopping does"),),
    )


def test_a_training_that_ended_in_nan_says_success() -> None:
    console = b"Epoch 1/1\n5/5 [===] - 1s 2ms/step - loss: nan\nBatch 4: Invalid loss, terminating training\n"
    facts = facts_of(TF1, console + PASS, [SUCCESS], progress=ProgressContract("keras"), planned=1)
    assert fate(TF1, facts, exit_code=0, artifact_fresh=True) == Verdict(
        RunState.SUCCEEDED,
        "finished 1 epoch",
        None,
        (Caution("nan-loss", "the loss became NaN at epoch 1: the weights are likely worthless"),),
    )


_WHY = "most often the training was too short, or names or ids in the labels are not those of the spec"


@pytest.mark.parametrize(
    ("network", "action", "kpis", "said"),
    [
        ("detectnet_v2", "train", [{"mean average precision": 0.0}] * 3, "mAP was 0 in all 2 epochs"),
        ("detectnet_v2", "train", [{"mean average precision": 0.0}, {"mean average precision": 1.5}], None),
        (
            "detectnet_v2",
            "train",
            [{"mean average precision": 9.0}, {"mean average precision": 0.0}],
            "mAP ended at 0",
        ),
        ("detectnet_v2", "train", [{}], None),
        ("dino", "evaluate", [{"test_mAP": 0.0, "test_mAP50": 0.0}], "test_mAP50 was 0"),
        ("dino", "evaluate", [{"test_mAP": 0.0, "test_mAP50": 0.01}], None),
        ("centerpose", "train", [{"val_3DIoU": 0.5, "val_2DMPE": 0.0}], None),  # an error of 0 is no doubt
    ],
)
def test_scores_that_end_at_zero_are_a_doubt(
    network: str, action: str, kpis: list[dict[str, float]], said: str | None
) -> None:
    tracker = Tracker(load_network(network).contract(action), "r", 9 if action == "train" else None)
    for epoch, kpi in enumerate(kpis):
        text = {"status": "RUNNING", "epoch": epoch, "max_epoch": 9, "kpi": kpi, "message": "x"}
        record = parse_line(json.dumps(text).encode())
        assert record is not None
        tracker.feed_status([record], T0)
    facts = replace(
        tracker.facts, exit_code=0, success_message="done", footer_passed=True, artifact_fresh=True
    )
    verdict = judge(load_network(network).contract(action).verdict, facts)
    found = [caution.text for caution in verdict.cautions if caution.code == "no-learning"]
    assert (verdict.state, found) == (RunState.SUCCEEDED, [f"{said}: {_WHY}"] if said is not None else [])


def test_labels_that_a_conversion_left_out_are_a_doubt() -> None:
    contract = load_network("detectnet_v2").contract("dataset_convert")
    tracker = Tracker(contract, "r")
    line = b"Error in object 1 of labels/1.txt. Coordinates: x1 = 9, x2 = 3. Skipping this object\n"
    tracker.feed_console(
        line * 6 + b"There were errors in the labels. Details are logged at /x/_waring.json\n", T0
    )
    facts = replace(
        tracker.facts, exit_code=0, success_message="done", footer_passed=True, artifact_fresh=True
    )
    verdict = judge(contract.verdict, facts)
    assert verdict.state is RunState.SUCCEEDED
    assert verdict.cautions == (
        Caution(
            "labels-left-out",
            'TAO left out parts of the labels, so they are not trained on: the log says "Skipping this object" 6 '
            'times and "There were errors in the labels"',
        ),
    )


def test_the_last_epoch_counts_where_tao_writes_only_beginnings() -> None:
    progress = ProgressContract("session_hook", first_epoch=0, epoch_mark=EpochMark.START)
    status = [*(StatusRecord("RUNNING", epoch=number, max_epoch=3) for number in range(3)), SUCCESS]
    facts = facts_of(TF1, PASS, status, progress=progress, planned=3)
    assert fate(TF1, facts, exit_code=0, artifact_fresh=True) == Verdict(
        RunState.SUCCEEDED, "finished 3 epochs"
    )


# Exit codes that the shell and the kernel give.


def test_exit_2_is_tao_refusing_its_arguments() -> None:
    assert fate(TF1, facts_of(TF1, sample("argparse")), exit_code=2) == Verdict(
        RunState.FAILED,
        "TAO refused its arguments: argument --gpu_index: invalid int value: '0,1'",
        "compare arguments and release: `taorunner networks` shows what this action takes",
    )


def test_exit_2_without_a_usage_is_an_ordinary_failure() -> None:
    assert (
        fate(TF1, facts_of(TF1, b"boom\n"), exit_code=2).reason == "TAO ended with exit code 2, cause unknown"
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (126, "the task's command cannot be executed in this image"),
        (127, "the task's command does not exist in this image"),
        (130, "interrupted (SIGINT), but not by taorunner"),
        (134, "aborted (SIGABRT)"),
        (135, "bus error (SIGBUS): shared memory ran out"),
        (137, "killed (SIGKILL), but not by taorunner"),
        (139, "crashed (segmentation fault)"),
        (143, "ended by SIGTERM, which did not come from taorunner"),
        (-9, "killed (SIGKILL), but not by taorunner"),
        (-11, "crashed (segmentation fault)"),
        (77, "TAO ended with exit code 77, cause unknown"),
    ],
)
def test_codes_of_the_shell_and_of_signals(code: int, reason: str) -> None:
    verdict = fate(PYT_60, facts_of(PYT_60), exit_code=code)
    assert (verdict.state, verdict.reason) == (RunState.FAILED, reason)


def test_out_of_host_memory_is_known_from_the_engine() -> None:
    hint = 'use fewer loader workers or a smaller batch size ("dataset.batch_size"), or give this machine more memory'
    facts = facts_of(PYT_60)
    assert fate(PYT_60, facts, exit_code=137, oom_killed=True) == Verdict(
        RunState.FAILED, "killed: the host's memory limit was reached", hint
    )
    assert fate(PYT_60, facts, exit_code=3, oom_killed=True) == Verdict(
        RunState.FAILED, "a process of the run was killed: the host's memory limit was reached", hint
    )
    assert fate(PYT_55, facts_of(PYT_55, FAIL), exit_code=0, oom_killed=True).reason == (
        "a process of the run was killed: the host's memory limit was reached"
    )


def test_a_killed_child_of_a_successful_run_is_worth_a_word() -> None:
    verdict = fate(
        PYT_60, facts_of(PYT_60, PASS, [FINISHED]), exit_code=0, oom_killed=True, artifact_fresh=True
    )
    assert verdict.state is RunState.SUCCEEDED
    assert [caution.code for caution in verdict.cautions] == ["oom-killed"]


def test_a_known_cause_beats_the_signal() -> None:
    text = b"ERROR: Unexpected bus error encountered in worker. insufficient shared memory (shm).\n"
    assert (
        fate(PYT_60, facts_of(PYT_60, text), exit_code=135).reason == "shared memory ran out in a data loader"
    )


def test_cuda_out_of_memory_names_epoch_and_batch_size() -> None:
    facts = facts_of(PYT_60, sample("cuda_oom"), progress=ProgressContract("lightning", first_epoch=0))
    assert fate(PYT_60, facts, exit_code=1) == Verdict(
        RunState.FAILED,
        "CUDA out of memory at epoch 2",
        'use a smaller batch size ("dataset.batch_size") or a GPU with more memory',
    )


def test_an_unknown_key_of_the_spec() -> None:
    verdict = fate(PYT_60, facts_of(PYT_60, sample("hydra_unknown_key")), exit_code=1)
    assert (verdict.reason, verdict.hint) == (
        'the spec has an unknown key "num_epoch"',
        "correct or remove the key; `taorunner networks` shows what this network knows",
    )


def test_a_missing_file_has_two_names() -> None:
    line = b"FileNotFoundError: [Errno 2] No such file or directory: '/workspace/projects/p/data/x'\n"

    def host_path(inside: str) -> Path | None:
        return (
            Path("/home/u/w") / inside.removeprefix("/workspace/")
            if inside.startswith("/workspace/")
            else None
        )

    facts = facts_of(PYT_60, line)
    assert fate(PYT_60, facts, exit_code=1, host_path=host_path) == Verdict(
        RunState.FAILED,
        'there is no "/workspace/projects/p/data/x" inside the container',
        "check the path in the spec and the mounts; on this host it is /home/u/w/projects/p/data/x",
    )
    elsewhere = facts_of(PYT_60, line.replace(b"/workspace", b"/mnt"))
    verdict = fate(PYT_60, elsewhere, exit_code=1, host_path=host_path)
    assert verdict.hint == "check the path in the spec and the mounts; no mount covers it"


SPEC = """\
results_dir: /results
dataset:
  train_data_sources:
    # - {image_dir: /data/train/images}
    - {image_dir: /data/train/images, json_file: '/data/train/a.json'}
  test_data_sources: {image_dir: /data/test}
  infer_data_sources:
    - /data/infer/images
"""


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/data/train/a.json", '; "json_file" names it'),
        ("/data/train/images/7.jpg", '; "image_dir" names the folder /data/train/images'),
        ("/data/infer/images/7.jpg", '; "infer_data_sources" names the folder /data/infer/images'),
        ("/data/test/7.jpg", '; "image_dir" names the folder /data/test'),
        ("/data/7.jpg", ""),
        ("/data/test", '; "image_dir" names it'),
        ("/data/train/a.js", ""),
        ("/weights/x.pth", '; "train.pretrained_model_path" names it'),
        ("/x", ""),
    ],
)
def test_a_missing_path_is_traced_to_the_key_that_names_it(path: str, named: str) -> None:
    line = f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'\n".encode()
    verdict = fate(
        PYT_60, facts_of(PYT_60, line), exit_code=1, host_path=Path, spec_lines=tuple(SPEC.splitlines()),
        arguments=("dino", "train", "-e", "/specs/x.yaml", "train.pretrained_model_path=/weights/x.pth"),
    )  # fmt: skip
    assert verdict.hint == f"check the path in the spec and the mounts; on this host it is {path}{named}"


def test_the_root_cause_beats_its_consequences() -> None:
    text = b"".join(
        [
            b"[rank1]: torch.distributed.DistBackendError: NCCL error in: x.cpp:1\n",
            b"[rank0]: Traceback (most recent call last):\n[rank0]:   File x\n",
            b"[rank0]: torch.OutOfMemoryError: CUDA out of memory.\n",
            b"Traceback (most recent call last):\n  File y\n",
            b"torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n",
        ]
    )
    assert fate(PYT_60, facts_of(PYT_60, text + FAIL), exit_code=1).reason == "CUDA out of memory"


def test_a_logged_error_line_is_better_than_a_number() -> None:
    line = (
        b"2026-11-20 09:05:01,001 [TAO Toolkit] [ERROR] nvidia_tao_pytorch.core 12: the label map is empty\n"
    )
    assert fate(PYT_60, facts_of(PYT_60, line + FAIL), exit_code=1).reason == "the label map is empty"


# What only the engine knows.


def test_a_run_that_is_gone_is_lost_even_when_it_said_success() -> None:
    facts = facts_of(PYT_60, PASS, [FINISHED])
    assert fate(PYT_60, facts, missing=True, artifact_fresh=True).state is RunState.LOST
    assert fate(PYT_60, facts, missing=True, stop_requested=True).state is RunState.LOST
    assert fate(PYT_60, facts).state is RunState.LOST


def test_what_the_engine_says_about_a_start_that_failed() -> None:
    error = 'OCI runtime create failed: exec: "dino": executable file not found in $PATH: unknown'
    verdict = fate(PYT_60, facts_of(PYT_60), exit_code=127, engine_error=error)
    assert (verdict.state, verdict.reason) == (RunState.FAILED, error)


_MESSAGES = st.none() | st.sampled_from(
    ["", "boom", "Train finished successfully.", "CUDA out of memory", "{x}"]
)


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        VerdictContract,
        exit_zero_means_success=st.booleans(),
        success_statuses=st.sampled_from([(), ("SUCCESS",)]),
        success_suffix=st.none() | st.just("finished successfully."),
        status_required=st.booleans(),
        failure_is_final=st.booleans(),
        footer=st.booleans(),
        artifacts=st.sampled_from([(), ("*.pth",)]),
    ),
    st.builds(
        Facts,
        exit_code=st.none() | st.integers(-70, 300),
        oom_killed=st.booleans(),
        missing=st.booleans(),
        engine_error=_MESSAGES,
        stop_requested=st.booleans(),
        artifact_fresh=st.none() | st.booleans(),
        footer_passed=st.none() | st.booleans(),
        betrayals=st.sampled_from([(), ("was interrupted",)]),
        status_records=st.integers(0, 3),
        success_message=_MESSAGES,
        failure_message=_MESSAGES,
        success_is_last=st.booleans(),
        traceback=_MESSAGES,
        last_lines=st.lists(st.text(max_size=40), max_size=3).map(tuple),
        epochs_planned=st.none() | st.integers(1, 5),
        epochs_done=st.integers(0, 5),
        nan_seen=st.booleans(),
    ),
)
def test_success_needs_every_sign(contract: VerdictContract, facts: Facts) -> None:
    verdict = judge(contract, facts)
    assert verdict.state.is_final
    assert verdict.reason
    assert not verdict.reason.endswith(".")
    assert "\n" not in verdict.reason
    if verdict.state is RunState.SUCCEEDED:
        assert facts.exit_code == 0
        assert not (facts.missing or facts.stop_requested or facts.betrayals)
        assert not (contract.footer and facts.footer_passed is False)
        assert not (contract.artifacts and facts.artifact_fresh is False)
        if contract.status_required and (contract.success_statuses or contract.success_suffix):
            assert facts.success_message is not None


@pytest.mark.parametrize(
    ("sign", "state"),
    [
        ({"success_message": "finished"}, RunState.SUCCEEDED), ({"footer_passed": True}, RunState.SUCCEEDED),
        ({"artifact_fresh": True}, RunState.SUCCEEDED), ({}, RunState.FAILED),
        ({"artifact_fresh": False}, RunState.FAILED), ({"footer_passed": False}, RunState.FAILED),
    ],
)  # fmt: skip
def test_any_one_sign_of_success_is_enough_where_the_exit_code_proves_nothing(
    sign: dict[str, object], state: RunState
) -> None:
    contract = VerdictContract(exit_zero_means_success=False)
    assert judge(contract, Facts(exit_code=0, **sign)).state is state  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("is_final", "sign", "state"),
    [
        (False, {}, RunState.FAILED), (False, {"success_message": "finished"}, RunState.SUCCEEDED),
        (False, {"footer_passed": True}, RunState.SUCCEEDED), (True, {"footer_passed": True}, RunState.FAILED),
        (True, {"success_message": "finished"}, RunState.FAILED),
        (True, {"success_message": "finished", "success_is_last": True}, RunState.SUCCEEDED),
    ],
)  # fmt: skip
def test_a_failure_that_was_logged_counts_where_it_is_final_or_nothing_else_is_said(
    is_final: bool, sign: dict[str, object], state: RunState
) -> None:
    facts = Facts(exit_code=0, failure_message="an error", **sign)  # type: ignore[arg-type]
    assert judge(VerdictContract(failure_is_final=is_final), facts).state is state


@pytest.mark.parametrize("action", ["evaluate", "inference"])
@pytest.mark.parametrize(
    "line",
    [
        "[TRT] [E] IExecutionContext::enqueueV3: Error Code 7: Internal Error (/feature/Concat: axis 2 dimensions must be equal)",
        "[TRT] [E] Error Code 1: Cask (Cask Pooling Runner Execute Failure)",
    ],
)
def test_an_engine_that_did_not_execute_is_no_success_whatever_tao_says(action: str, line: str) -> None:
    """Source: NVIDIA-TAO/tao-skill-bank, tao-train-fast-foundation-stereo."""
    contract = load_network("depth_net").contract(action, None, "deploy")
    tracker = Tracker(contract, "r")
    tracker.feed_console(line.encode() + b"\n", T0)
    done = json.dumps(
        {"date": "1/1/2026", "time": "1:1:1", "status": "SUCCESS", "message": "It finished successfully."}
    )
    record = parse_line(done.encode())
    assert record is not None
    tracker.feed_status([record], T0)
    tracker.flush(T0)
    verdict = judge(contract.verdict, replace(tracker.facts, exit_code=0, artifact_fresh=True))
    assert verdict.state is RunState.FAILED
    assert (
        verdict.reason
        == "the TensorRT engine did not run on this input: what was predicted is wrong or missing"
    )
    assert verdict.hint is not None and "multiple of 32" in verdict.hint
    assert (
        judge(contract.verdict, replace(tracker.facts, exit_code=0, betrayals=())).state is RunState.SUCCEEDED
    )
