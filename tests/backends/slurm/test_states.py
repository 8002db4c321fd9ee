"""What Slurm's words mean: every state, reason, refusal and end has its sentence and a next step."""

from __future__ import annotations

import pytest

from taorunner.backends.contract import EngineState
from taorunner.backends.slurm.said import runtime_end, silent_end
from taorunner.backends.slurm.scheduler import EndRow, JobRow, read_sacct, read_squeue
from taorunner.backends.slurm.states import (
    Asked,
    Ended,
    end_of,
    interrupted_text,
    limit_end,
    never_starts,
    no_checkpoint_end,
    refusal,
    state_of,
    waiting_text,
)

ASKED = Asked(
    partition="gpu", account="vision", qos="short", gpus=8, gpu_type="h100", time="4:00:00", memory="64G", workspace="/w"
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("PENDING CONFIGURING REQUEUED REQUEUE_HOLD SPECIAL_EXIT RESV_DEL_HOLD", EngineState.WAITING),
        ("RUNNING COMPLETING STAGE_OUT SIGNALING SUSPENDED STOPPED RESIZING", EngineState.RUNNING),
        (
            "COMPLETED FAILED TIMEOUT DEADLINE OUT_OF_MEMORY CANCELLED NODE_FAIL BOOT_FAIL PREEMPTED REVOKED",
            EngineState.EXITED,
        ),
        ("A_WORD_OF_TOMORROW", None),
    ],
)
def test_every_state_has_a_meaning(words: str, state: EngineState | None) -> None:
    assert {state_of(word) for word in words.split()} == {state}


def test_rows_of_squeue_and_sacct_are_read_by_their_separators() -> None:
    text = (
        "12|PENDING|Nodes required for job are DOWN, DRAINED|h[1-2]|2026-01-01T00:00:00|tr-a|b\nnot a row\n"
    )
    assert read_squeue(text) == [
        JobRow("12", "PENDING", "Nodes required for job are DOWN, DRAINED", "h[1-2]", "tr-a|b")
    ]
    text = "5|CANCELLED by 1000|0:15|2026-01-01T00:00:00|tr-x\n6|OUT_OF_ME+|0:125|Unknown|tr-y\n7|FAILED|3:0|Unknown|z\n"
    assert read_sacct(text) == [
        EndRow("5", "CANCELLED", 0, 15, "tr-x", "1000"),
        EndRow("6", "OUT_OF_ME", 0, 125, "tr-y"),
        EndRow("7", "FAILED", 3, 0, "z"),
    ]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("PartitionTimeLimit", 'it would wait for ever: 4:00:00 is more than the partition "gpu" allows'),
        ("PartitionNodeLimit", 'it would wait for ever: the partition "gpu" does not have that many nodes for one job'),
        ("DependencyNeverSatisfied", "it would wait for ever for a job that failed"),
        ("QOSMaxWallDurationPerJobLimit", "it would wait for ever: it asks for more than one job may have (QOSMaxWallDurationPerJobLimit)"),
        ("AssocMaxGRESPerJob", "it would wait for ever: it asks for more than one job may have (AssocMaxGRESPerJob)"),
        ("BadConstraints", "no node has what it asks for"),
        ("AccountNotAllowed", 'the account "vision" may not use the partition "gpu"'),
        ("DeadLine", "it cannot end before its deadline"),
        ("QOSMaxGRESPerUser", None),
        ("QOSMaxJobsPerUserLimit", None),
        ("Priority", None),
        ("Resources", None),
    ],
)  # fmt: skip
def test_a_job_that_would_wait_for_ever_is_known_by_its_reason(reason: str, text: str | None) -> None:
    found = never_starts(reason, ASKED)
    assert (found and found.reason) == text
    assert found is None or found.hint


@pytest.mark.parametrize(
    ("reason", "interrupted", "text"),
    [
        ("None", None, "in the queue"),
        ("Priority", None, "Priority"),
        ("Resources", None, "waits for 8 GPUs of type h100"),
        ("BeginTime", "Preempted", "Preempted"),
        ("BeginTime", None, "not before its begin time (BeginTime)"),
        ("AssocGrpCpuLimit", None, "a limit of your account is reached (AssocGrpCpuLimit)"),
        ("QOSJobLimit", None, "a limit of your QOS is reached (QOSJobLimit)"),
        ("Cleaning", None, "Slurm is still cleaning up after an earlier start"),
        ("Resources", "TimeLimit", "TimeLimit"),
        ("JobHeldAdmin", "Preempted", "held by an administrator"),
        ("QOSMaxGRESPerUser", None, "your share of GPUs is used up (QOSMaxGRESPerUser)"),
        ("AssocGrpGRES", None, "your share of GPUs is used up (AssocGrpGRES)"),
        ("ReqNodeNotAvail, UnavailableNodes:h1", None, "the nodes that it could use are down or drained: sinfo -R (h1)"),
        ("launch failed requeued held", None, "held by Slurm after a failed start: scontrol release 7"),
        ("launch_failed_requeued_held", None, "held by Slurm after a failed start: scontrol release 7"),
        ("JobHeldUser", None, "held by its user: scontrol release 7"),
        ("ReasonOfTomorrow", None, "ReasonOfTomorrow"),
    ],
)  # fmt: skip
def test_why_a_run_waits(reason: str, interrupted: str | None, text: str) -> None:
    assert waiting_text(reason, interrupted, ASKED, "7") == text


WORDS = (
    "BeginTime Cleaning Prolog Reservation ReservationDeleted Licenses PartitionDown PartitionInactive NodeDown FrontEndDown "
    "JobArrayTaskLimit SchedDefer WaitingForScheduling BurstBufferResources BurstBufferStageIn JobLaunchFailure "
    "NonZeroExitCode SystemFailure InactiveLimit AssocGrpJobsLimit AssocMaxJobsLimit QOSGrpCpuLimit QOSResourceLimit "
    "QOSTimeLimit QOSUsageThreshold JobHeldUser JobHeldAdmin Dependency ReqNodeNotAvail Resources"
)
"""Reasons of waiting jobs. Source: JOB REASON CODES of squeue's manual page, Slurm 22.05."""


@pytest.mark.parametrize("reason", WORDS.split())
def test_no_reason_is_shown_as_a_bare_word(reason: str) -> None:
    text = waiting_text(reason, None, ASKED, "7")
    assert " " in text and never_starts(reason, ASKED) is None


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("Invalid account or account/partition combination specified", 'the account "vision" may not use the partition "gpu"'),
        ("sbatch: error: invalid partition specified: gpuu", 'there is no partition "gpuu"'),
        ("Batch job submission failed: Invalid qos specification", 'your account has no QOS "short"'),
        ("Requested node configuration is not available", 'no node of the partition "gpu" has 8 GPUs of type h100, or as many CPUs and as much memory'),
        ("Invalid generic resource (gres) specification", "the cluster knows no GPUs of that kind: 8 GPUs of type h100"),
        ("Job violates accounting/QOS policy (job submit limit, …)", "a limit of your account or QOS refuses it"),
        ("sbatch: unrecognized option '--container-image'", 'this sbatch does not know the option "--container-image"'),
        ("User's group not permitted to use this partition; Access/permission denied", "you may not submit jobs to this cluster"),
        ("Invalid feature specification", "no node has the features of constraint"),
        ("sbatch: error: Something of tomorrow", "sbatch refused the job: Something of tomorrow"),
        ("", "sbatch refused the job: it said nothing"),
    ],
)  # fmt: skip
def test_what_sbatch_says_is_a_sentence_with_a_next_step(said: str, text: str) -> None:
    found = refusal(said, ASKED)
    assert found.reason == text
    assert found.hint


@pytest.mark.parametrize(
    ("ended", "facts", "text"),
    [
        (Ended("TIMEOUT", 0), {}, "the time limit of 4:00:00 was reached before it could write a checkpoint"),
        (Ended("TIMEOUT", 0), {"near_limit": True}, "the time limit of 4:00:00 was reached"),
        (Ended("OUT_OF_MEMORY", 125), {}, "the memory of the job (64G) is used up"),
        (Ended("NODE_FAIL", 0, nodes="h2"), {}, 'the node "h2" died'),
        (Ended("NODE_FAIL", 0, nodes="h[1-2]"), {}, 'one of the nodes "h[1-2]" died'),
        (Ended("NODE_FAIL", 0, nodes="h[1-2]"), {"messages": "srun: error: Node failure on h2\n"}, 'the node "h2" died'),
        (Ended("PREEMPTED", 0), {}, "preempted by a job with a higher priority"),
        (Ended("DEADLINE", 0), {}, "its deadline has passed"),
        (Ended("CANCELLED", 0, by="1000"), {}, "stopped by user 1000 (scancel)"),
        (Ended("FAILED", 128 + 53, nodes="h1"), {"messages": None, "was_started": False}, 'Slurm could not write its log on the node "h1"'),
        (Ended("FAILED", 1), {"was_started": False}, "Slurm ended it before it began (FAILED, code 1)"),
        (Ended("FAILED", 125), {"messages": "srun: unrecognized option '--container-image=/i.sqsh'"}, "this cluster has no pyxis"),
        (Ended("FAILED", 1), {"messages": "pyxis: [ERROR] URL https://registry-1.docker.io/v2 returned error code: 401 Unauthorized"}, "the image was looked up at Docker Hub"),
        (Ended("FAILED", 1), {"messages": "pyxis: [ERROR] Could not process JSON input"}, "the cluster has no login for NVIDIA's registry"),
        (Ended("FAILED", 1), {"messages": "enroot: write error: No space left on device"}, "the node has no room left to unpack the image"),
        (Ended("FAILED", 1), {"messages": "slurmstepd: error: couldn't chdir to `/w': No such file"}, 'the workspace "/w" is not there on the node'),
        (Ended("FAILED", 1), {"messages": "/bin/sh: 0: cannot open /w/node.sh: No such file"}, 'the workspace "/w" is not there on the node'),
        (Ended("FAILED", 1), {"messages": "pyxis: https://nvcr.io/v2/nvidia/tao/manifests/7 returned error code: 401"}, "the cluster has no login for NVIDIA's registry"),
        (Ended("FAILED", 127), {"messages": "/w/node.sh: 9: ch-run: not found"}, "the container runtime is not there on the node"),
        (Ended("FAILED", 127), {"messages": "bash: apptainer: command not found"}, "the container runtime is not there on the node"),
        (Ended("FAILED", 1), {"messages": "pyxis: [ERROR] No such file or directory: /images/tao+7.sqsh"}, "the image is not imported yet"),
        (Ended("BOOT_FAIL", 0, nodes="h1"), {}, 'the node "h1" died'),
        (Ended("FAILED", 139), {"was_started": False}, "Slurm ended it before it began (FAILED, code 139)"),
        (Ended("FAILED", 3), {}, None),
        (Ended("COMPLETED", 0), {}, None),
    ],
)  # fmt: skip
def test_what_slurm_says_of_an_end(ended: Ended, facts: dict[str, object], text: str | None) -> None:
    given: dict[str, object] = {"messages": "", "was_started": True, "near_limit": False, **facts}
    found = end_of(ended, ASKED, **given)  # type: ignore[arg-type]
    assert (found and found.reason) == text
    assert found is None or found.hint


def test_the_ends_that_the_script_itself_chooses() -> None:
    assert no_checkpoint_end().reason.startswith(
        "two attempts reached the time limit without a new checkpoint"
    )
    assert limit_end(ASKED).reason == "the time limit of 4:00:00 was reached"


WAITED = """\
srun: Job 4 step creation temporarily disabled, retrying (Requested nodes are busy)
srun: Step created for job 4
"""


def test_a_step_that_was_created_late_was_started() -> None:
    ended = "srun: error: h1: task 0: Exited with exit code 4\n"
    assert silent_end(WAITED + ended, ASKED.workspace) is None
    found = silent_end(WAITED + "slurmstepd: error: no such user\n", ASKED.workspace)
    assert found is not None
    assert found.reason == "it could not be started: slurmstepd: error: no such user"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "ch-run[7]: error: can't mkdir: /img/mnt/x: Permission denied (ch_misc.c:355)",
            "the image has no place for a mount, and none can be made in it: /img/mnt/x: Permission denied",
        ),
        (
            "ch-run[7]: error: can't bind: destination not found: /img/x (ch_core.c:111)",
            "the image has no place for a mount, and none can be made in it: /img/x",
        ),
        (
            "ch-run[7]: error: can't find image: tao (ch-run.c:160)",
            "Charliecloud could not start the container: can't find image: tao",
        ),
    ],
)
def test_what_charliecloud_says_in_place_of_the_run_is_the_reason(line: str, reason: str) -> None:
    found = runtime_end(f"{line}\n", ASKED.workspace)
    assert found is not None
    assert (found.reason, found.hint is not None) == (reason, True)
    assert runtime_end(f"{line}\nTraceback: it was started after all\n", ASKED.workspace) is None


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("PREEMPTED", "Preempted"),
        ("REQUEUED", "requeued with scontrol"),
        ("NODE_FAIL", "NodeFail"),
        (None, "interrupted, and in the queue again"),
    ],
)
def test_why_a_start_was_interrupted(word: str | None, text: str) -> None:
    assert interrupted_text(word) == text
