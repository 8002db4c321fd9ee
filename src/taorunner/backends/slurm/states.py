"""What a state, a reason or a refusal of Slurm means for a run: one table for each, with a next step. Pure.

Source: slurm.schedmd.com, squeue, JOB STATE CODES and JOB REASON CODES; measured on Slurm 22.05.
"""

from __future__ import annotations

import re

from taorunner.backends.contract import EngineEnd, EngineState
from taorunner.backends.slurm.said import said_end
from taorunner.text import printable
from taorunner.values.value import Value

_WAITING = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
)
_RUNNING = frozenset({"RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "SUSPENDED", "STOPPED", "RESIZING"})
_EXITED = frozenset({
    "COMPLETED", "FAILED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY", "CANCELLED", "NODE_FAIL", "BOOT_FAIL", "PREEMPTED",
    "REVOKED", "LAUNCH_FAILED", "RECONFIG_FAIL",
})  # fmt: skip


def state_of(word: str) -> EngineState | None:
    """None for a word that a newer Slurm may have: the run keeps its state."""
    if word in _WAITING:
        return EngineState.WAITING
    if word in _RUNNING:
        return EngineState.RUNNING
    return EngineState.EXITED if word in _EXITED else None


class Asked(Value):
    """What a run asked of the cluster, for sentences."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    gpus: int = 0
    gpu_type: str | None = None
    time: str | None = None
    memory: str | None = None
    workspace: str = ""
    after: str | None = None

    @property
    def gpu_words(self) -> str:
        of_type = f" of type {self.gpu_type}" if self.gpu_type else ""
        return f"{self.gpus} GPU{'s' if self.gpus != 1 else ''}{of_type}"


_YOURS = "what you may use: sacctmgr show assoc user=$USER format=account,partition,qos"
_GOES_ON = "taorunner resume goes on from its newest checkpoint"

QUEUED = "in the queue"
"""Until Slurm has looked at a job, it gives no reason."""
UNDECIDED = (QUEUED, "PartitionConfig")
"""What it says before it names the limit of a partition that a job is over."""
_GENERIC = frozenset({"None", "BeginTime", "Resources", "Priority", "Cleaning", ""})

HELD_AFTER_START = "launch_failed_requeued_held"
"""A start that the node refused, such as after a crash of the controller, which gave a number to two jobs."""

_NEVER = {
    "PartitionTimeLimit": (
        "it would wait for ever: {time} is more than the partition {partition} allows",
        "a smaller time; sinfo -o '%P %l' shows the limits",
    ),
    "PartitionNodeLimit": (
        "it would wait for ever: the partition {partition} does not have that many nodes for one job",
        "fewer nodes",
    ),
    "DependencyNeverSatisfied": (
        "it would wait for ever for a job that failed",
        "remove the dependency from options",
    ),
    "BadConstraints": (
        "no node has what it asks for",
        "constraint, gpu_type and memory: sinfo -o '%N %G %m %f' shows what there is",
    ),
    "AccountNotAllowed": ("the account {account} may not use the partition {partition}", _YOURS),
    "QOSNotAllowed": ("the QOS {qos} is not allowed in the partition {partition}", _YOURS),
    "InvalidQOS": ("the QOS {qos} is not valid any more", _YOURS),
    "InvalidAccount": ("the account {account} is not valid any more", _YOURS),
    "DeadLine": ("it cannot end before its deadline", "a later --deadline in options, or less time"),
}
_NEVER_PATTERN = re.compile(
    r"(QOS|Assoc)Max(\w+?)PerJob(Limit)?\Z|(QOS|Assoc)MaxWallDurationPerJobLimit\Z|QOSMax\w+PerNode\Z"
)
"""Limits of a single job: waiting changes nothing. ``QOSMax…PerUserLimit`` ends when another job of the user does."""

_WAITS = {
    "Dependency": "waits for {after}",
    "JobHeldUser": "held by its user: scontrol release {id}",
    "JobHeldAdmin": "held by an administrator",
    HELD_AFTER_START: "held by Slurm after a failed start: scontrol release {id}",
    "QOSMaxJobsPerUserLimit": "your other jobs are as many as the QOS allows at a time",
    "ReqNodeNotAvail": "the nodes that it could use are down or drained: sinfo -R",
    "Reservation": "waits for its reservation",
    "Licenses": "waits for a licence",
    "PartitionDown": "the partition {partition} is down",
    "PartitionInactive": "the partition {partition} starts no jobs now",
    "NodeDown": "a node that it needs is down",
    "BeginTime": "not before its begin time (BeginTime)",
    "Cleaning": "Slurm is still cleaning up after an earlier start",
    "Prolog": "its node is being prepared (prolog)",
    "JobArrayTaskLimit": "as many runs of its array are active as its limit allows",
    "FrontEndDown": "the front end of the cluster is down",
    "ReservationDeleted": "its reservation was deleted: remove it from options and submit again",
    "SchedDefer": "the scheduler looks at it later",
    "WaitingForScheduling": "the scheduler has not looked at it yet",
    "JobLaunchFailure": "its start failed, and Slurm tries again",
    "NonZeroExitCode": "its start ended with an error, and Slurm tries again",
    "SystemFailure": "Slurm failed to start it, and tries again",
    "InactiveLimit": "it was inactive for as long as the cluster allows",
    "BurstBufferResources": "waits for room in the burst buffer",
    "BurstBufferStageIn": "its files are being copied into the burst buffer",
}
_LIMIT = re.compile(r"(QOS|Assoc)\w+")
"""A limit of a QOS or an association (user, account) that others, or your other jobs, use up now."""


TIME_LIMIT = "TimeLimit"
_INTERRUPTED = {"PREEMPTED": "Preempted", "REQUEUED": "requeued with scontrol", "NODE_FAIL": "NodeFail"}


def interrupted_text(word: str | None) -> str:
    """Why a start was interrupted. ``word`` is that of the accounting, None where that says nothing."""
    return _INTERRUPTED.get(word or "", "interrupted, and in the queue again")


def is_held_after_start(reason: str) -> bool:
    """squeue writes the words with blanks, scontrol with underscores."""
    return reason.replace(" ", "_") == HELD_AFTER_START


def never_starts(reason: str, asked: Asked) -> EngineEnd | None:
    """Why a job with this reason of Slurm would wait for ever; None for all other reasons."""
    found = _NEVER.get(reason)
    if found is not None:
        return EngineEnd(_filled(found[0], asked), found[1])
    if _NEVER_PATTERN.fullmatch(reason):
        what = f"it would wait for ever: it asks for more than one job may have ({reason})"
        return EngineEnd(
            what, f"sacctmgr show qos {asked.qos or ''} format=name,maxwall,maxtrespj".replace("  ", " ")
        )
    return None


def waiting_text(reason: str, interrupted: str | None, asked: Asked, job: str) -> str:
    """The reason in words. ``interrupted`` says how an earlier start ended; it counts until Slurm has a better one."""
    if interrupted is not None and reason in _GENERIC:
        return interrupted
    if reason in ("None", ""):
        return QUEUED
    word, _, rest = reason.partition(",")
    if word == "Resources":
        return _filled("waits for {gpus}" if asked.gpus else "waits for a free node (Resources)", asked)
    if "GRES" in word or "TRES" in word.upper():
        return f"your share of GPUs is used up ({reason})"
    text = _WAITS.get(HELD_AFTER_START if is_held_after_start(word) else word.strip("()"))
    limit = _LIMIT.fullmatch(word)
    if text is None and limit is not None:
        return f"a limit of your {'QOS' if limit[1] == 'QOS' else 'account'} is reached ({reason})"
    if text is None:
        return reason
    nodes = rest.partition(":")[2].strip("() ")
    return _filled(text, asked).replace("{id}", job) + (f" ({nodes})" if nodes else "")


_REFUSALS = (
    (
        r"Invalid account or account/partition combination",
        "the account {account} may not use the partition {partition}",
        _YOURS,
    ),
    (
        r"invalid partition specified: (?P<what>\S+)",
        'there is no partition "{what}"',
        "sinfo -o %P lists them",
    ),
    (r"Invalid qos specification", "your account has no QOS {qos}", _YOURS),
    (
        r"Requested node configuration is not available",
        "no node of the partition {partition} has {gpus}, or as many CPUs and as much memory",
        "sinfo -o '%P %G %c %m %D' shows what there is",
    ),
    (
        r"Invalid generic resource|Invalid gres|Invalid Trackable RESource",
        "the cluster knows no GPUs of that kind: {gpus}",
        "sinfo -o '%P %G' shows what there is",
    ),
    (
        r"Requested time limit is invalid",
        "the time limit {time} is not allowed in the partition {partition}",
        "sinfo -o '%P %l' shows the limits",
    ),
    (
        r"Job violates accounting/QOS policy",
        "a limit of your account or QOS refuses it",
        "squeue --me; sacctmgr show assoc user=$USER",
    ),
    (
        r"Access/permission denied|User not authorized",
        "you may not submit jobs to this cluster",
        "ask its administrators",
    ),
    (
        r"Node count specification invalid|More processors requested than permitted|Requested nodes are busy",
        "it asks for more nodes or CPUs than the partition {partition} has",
        "fewer nodes, gpus or cpus",
    ),
    (
        r"Memory required by task is not available|Memory specification can not be satisfied",
        "no node of the partition {partition} has {memory}",
        "less memory; sinfo -o '%P %m' shows what there is",
    ),
    (
        r"Invalid feature specification",
        "no node has the features of constraint",
        "sinfo -o '%N %f' shows them",
    ),
    (
        r"unrecognized option '(?P<what>[^']+)'",
        'this sbatch does not know the option "{what}"',
        "remove it from options",
    ),
)


_MOST_SAID = 16 * 1024
"""Characters of an answer that are looked at, as of Slurm's messages in a run's folder."""


def refusal(said: str, asked: Asked) -> EngineEnd:
    """What sbatch said when it refused a job, as a sentence with a next step."""
    said = said[-_MOST_SAID:]
    for pattern, text, hint in _REFUSALS:
        match = re.search(pattern, said)
        if match is not None:
            what = printable(match.groupdict().get("what") or "")[:100]
            return EngineEnd(_filled(text, asked).replace("{what}", what), hint)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = printable(lines[-1])[:300] if lines else "it said nothing"
    return EngineEnd(
        f"sbatch refused the job: {last.removeprefix('sbatch: ').removeprefix('error: ')}",
        "sbatch --test-only with the same options says more",
    )


_NO_LOG = 53
"""In the place of a signal: the file of the output could not be made."""


class Ended(Value):
    """How Slurm says that a job ended. ``code`` is that of its script, 128 + n after a signal."""

    state: str
    code: int
    by: str | None = None
    nodes: str = ""


def was_refused(state: str, nodes: str) -> bool:
    """Whether a job is one that sbatch refused: Slurm 22.05 keeps those in its list, failed and without nodes."""
    return state == "FAILED" and not nodes


def end_of(
    ended: Ended, asked: Asked, *, messages: str | None, was_started: bool, near_limit: bool
) -> EngineEnd | None:
    """None where the exit code of the run says all."""
    node = f' "{ended.nodes}"' if ended.nodes else ""
    if ended.state == "TIMEOUT":
        text = f"the time limit{' of ' + asked.time if asked.time else ''} was reached"
        if not near_limit:
            text += " before it could write a checkpoint"
        return EngineEnd(text, "a longer time, or a larger signal_before_s", is_transient=near_limit)
    if ended.state == "OUT_OF_MEMORY":
        return oom_end(asked)
    if ended.state in ("NODE_FAIL", "BOOT_FAIL"):
        return EngineEnd(f"{_dead_node(ended.nodes, messages)} died", _GOES_ON, is_transient=True)
    if ended.state == "PREEMPTED":
        return EngineEnd(
            "preempted by a job with a higher priority",
            _GOES_ON,
            is_transient=True,
        )
    if ended.state == "DEADLINE":
        return EngineEnd("its deadline has passed", "a later --deadline in options")
    if ended.state == "CANCELLED":
        by = f"user {ended.by}" if ended.by else "somebody"
        return EngineEnd(f"stopped by {by} (scancel)", _GOES_ON, was_stopped=True)
    if ended.state == "FAILED" and messages and (said := said_end(messages, asked.workspace)) is not None:
        return said
    if ended.state == "FAILED" and ended.code == 128 + _NO_LOG and messages is None:
        return EngineEnd(
            f"Slurm could not write its log on the node{node}",
            f'is "{asked.workspace}" mounted there, and may you write? setting workspace',
        )
    if not was_started:
        return EngineEnd(
            f"Slurm ended it before it began ({ended.state}, code {ended.code})",
            "scontrol show job says more",
        )
    return None


def _dead_node(nodes: str, messages: str | None) -> str:
    """The last one that srun missed; without its word, all nodes of the job that Slurm names."""
    missed = re.findall(r"^srun: error: Node failure on (\S+)$", messages or "", re.MULTILINE)
    if missed:
        nodes = missed[-1]
    is_one = re.search(r"[\[,]", nodes) is None
    named = f' "{nodes}"' if nodes else ""
    return f"the node{named}" if is_one else f"one of the nodes{named}"


def tells_of_oom(messages: str) -> bool:
    """A step that ran out of memory leaves its job FAILED: only the message of its node says why."""
    return re.search(r"oom[-_ ]kill event|Out Of Memory", messages) is not None


def oom_end(asked: Asked) -> EngineEnd:
    amount = f" ({asked.memory})" if asked.memory else ""
    hint = "more memory (mem_per_gpu), fewer workers, or a smaller batch"
    return EngineEnd(f"the memory of the job{amount} is used up", hint)


def no_checkpoint_end() -> EngineEnd:
    text = "two attempts reached the time limit without a new checkpoint: an epoch takes longer than the time limit"
    return EngineEnd(text, "a longer time, or a checkpoint more often")


def gave_up_end(fault: str) -> EngineEnd:
    """Of a run of a chain. ``fault`` is what its script noted."""
    word, _, what = fault.partition(":")
    if word == "no_model":
        return EngineEnd(
            f"{what} left no model that can be read",
            "taorunner runs list shows its run, taorunner runs show RUN what it left",
        )
    return EngineEnd(f'"{what}" is there already', "--overwrite sets it aside (nothing is deleted)")


def limit_end(asked: Asked) -> EngineEnd:
    text = f"the time limit{' of ' + asked.time if asked.time else ''} was reached"
    return EngineEnd(text, f"{_GOES_ON}; or a longer time", is_transient=True)


def _filled(text: str, asked: Asked) -> str:
    values = {
        "after": asked.after or "another job",
        "partition": f'"{asked.partition}"' if asked.partition else "of the default",
        "account": f'"{asked.account}"' if asked.account else "that is yours by default",
        "qos": f'"{asked.qos}"' if asked.qos else "of the default",
        "gpus": asked.gpu_words,
        "time": asked.time or "its time",
        "memory": asked.memory or "that much memory",
    }  # fmt: skip
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
