"""Did it really succeed? The answer from everything that was seen, because no single sign is to be believed.

Pure: looks at facts, touches nothing. Every lie of TAO's that is known is a rule here or a row of ``causes``.
Source: tao/pytorch.md section 2 (exit codes), tao/tensorflow.md sections 2.3, 3 and 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from taorunner.contracts import VerdictContract
from taorunner.events import RunState
from taorunner.progress.causes import SeenCause, find_cause

HostPath = Callable[[str], object | None]
"""From a path inside the container to the one on this host, None where no mount covers it."""

_REASON_LIMIT = 300
_ARGPARSE = re.compile(r"[\w.-]{1,80}(?: [\w-]{1,80}){0,3}: error: (\S.{0,400})")
_ERROR_LINE = re.compile(
    r"\[(?:ERROR|CRITICAL|FATAL)\]|^(?:ERROR|CRITICAL|FATAL|E)\b|^[Ee]rror(?: |:)|: error: "
)
_UNSAID = ("ChildFailedError", "SystemExit", "CalledProcessError")
"""Exceptions that only say that another process failed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the verdict looks at. ``Tracker.facts`` says what was told; the caller adds what the engine
    knows.

    ``missing``: the engine no longer knows the run. ``engine_error``: what the engine says about a run that
    it could not start. ``artifact_fresh`` is None when nobody looked. ``success_message`` and
    ``failure_message`` come from records of this attempt only; ``success_is_last`` says which of the two
    came later.
    """

    action: str = ""
    exit_code: int | None = None
    oom_killed: bool = False
    missing: bool = False
    engine_error: str | None = None
    stop_requested: bool = False
    artifact_fresh: bool | None = None
    host_path: HostPath | None = None

    footer_passed: bool | None = None
    betrayals: tuple[str, ...] = ()
    status_records: int = 0
    success_message: str | None = None
    failure_message: str | None = None
    success_is_last: bool = False
    traceback: str | None = None
    causes: tuple[SeenCause, ...] = ()
    last_lines: tuple[str, ...] = ()
    epochs_planned: int | None = None
    epochs_done: int = 0
    epoch: int | None = None
    nan_epoch: int | None = None
    nan_seen: bool = False
    resumed: bool = False
    batch_key: str | None = None


@dataclass(frozen=True, slots=True)
class Caution:
    """Something to say about a run that nevertheless succeeded. ``code`` is stable."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` is one line, lower case, without a full stop; ``hint`` the next step where it is known.

    ``is_transient``: it ended by something from outside, so the same run may well succeed.
    """

    state: RunState
    reason: str
    hint: str | None = None
    cautions: tuple[Caution, ...] = ()
    is_transient: bool = False


def judge(contract: VerdictContract, facts: Facts) -> Verdict:
    """The final state of a run that has ended. Doubt counts as failure, a request to stop as stopped."""
    if facts.missing:
        return Verdict(
            RunState.LOST,
            "the engine no longer knows this run",
            "look at its results folder, then start it again",
            is_transient=True,
        )
    if facts.stop_requested:
        return Verdict(RunState.STOPPED, "stopped on request")
    if facts.engine_error and facts.exit_code in (None, 125, 126, 127, 128):
        return _failed(facts, _one_line(facts.engine_error), None)
    if facts.exit_code is None:
        return Verdict(
            RunState.LOST, "the run ended without leaving an exit code", "look at its log and results folder",
            is_transient=True,
        )  # fmt: skip
    code = facts.exit_code if facts.exit_code >= 0 else 128 - facts.exit_code
    if code:
        return _judge_exit_code(code, facts)
    doubt = _doubt(contract, facts)
    if doubt is not None:
        return doubt
    return Verdict(RunState.SUCCEEDED, _success_reason(facts), None, _cautions(contract, facts))


def _judge_exit_code(code: int, facts: Facts) -> Verdict:
    cause = _best_cause(facts)
    if facts.oom_killed and (
        cause is None or cause.cause.code in ("host-out-of-memory", "nccl", "assertion")
    ):
        what = "killed" if code == 137 else "a process of the run was killed"
        return Verdict(RunState.FAILED, f"{what}: the host's memory limit was reached", _memory_hint(facts))
    if code == 2:
        usage = _last_match(_ARGPARSE, facts.last_lines)
        if usage is not None:
            return Verdict(
                RunState.FAILED,
                f"TAO refused its arguments: {_one_line(usage.group(1))}",
                "compare arguments and release: `taorunner networks` shows what this action takes",
            )
    fallback = _SIGNALS.get(code)
    if fallback is not None and (cause is None or cause.cause.code in ("assertion", "nccl")):
        reason, hint = fallback
        hint = hint.format(batch=_batch(facts)) if hint else None
        return Verdict(RunState.FAILED, reason, hint, is_transient=code in _FROM_OUTSIDE)
    return _failed(facts, f"TAO ended with exit code {code}", None)


_FROM_OUTSIDE = frozenset({129, 130, 137, 143})
"""Signals that a machine sends which is shut down or wanted by somebody else."""
_SIGNALS: dict[int, tuple[str, str | None]] = {
    125: ("the engine could not run the container", "look at the log; `docker info` tells whether the engine is well"),
    126: ("the task's command cannot be executed in this image", 'check "image" and "release"'),
    127: ("the task's command does not exist in this image", 'check "image" and "release"'),
    129: ("ended by SIGHUP, which did not come from taorunner", None),
    130: ("interrupted (SIGINT), but not by taorunner", "start it again"),
    132: ("illegal instruction: this CPU lacks what the image was built for", None),
    134: ("aborted (SIGABRT)", "look at the last lines of the log"),
    135: (
        "bus error (SIGBUS): shared memory ran out",
        'set a larger "shm_size" (for example 16g) in experiments.yml, or use fewer loader workers',
    ),
    137: (
        "killed (SIGKILL), but not by taorunner",
        "perhaps the host ran out of memory, `dmesg` tells; use fewer loader workers or a "
        "smaller batch size{batch}",
    ),
    139: (
        "crashed (segmentation fault)",
        "often driver and image do not fit: compare `nvidia-smi` with what the release needs",
    ),
    143: (
        "ended by SIGTERM, which did not come from taorunner",
        "perhaps the engine or this machine was shut down",
    ),
}  # fmt: skip


def _doubt(contract: VerdictContract, facts: Facts) -> Verdict | None:
    """Why an exit code of 0 is not a success, or None."""
    if contract.footer and facts.footer_passed is False:
        return _failed(facts, "TAO reports FAIL although it exited with 0", None)
    if any("interrupt" in text for text in facts.betrayals) or _interrupted(facts):
        return replace(
            _failed(facts, "interrupted inside the container, not by taorunner", "start it again"),
            is_transient=True,
        )
    if facts.betrayals:
        return _failed(facts, f'TAO exited with 0, but its log says "{facts.betrayals[0]}"', None)
    if (
        facts.failure_message is not None
        and not facts.success_is_last
        and _counts_as_failure(contract, facts)
    ):
        return _failed(facts, "TAO exited with 0, but status.json says FAILURE", None)
    expects_status = bool(contract.success_statuses or contract.success_suffix)
    if contract.status_required and expects_status and facts.success_message is None:
        if facts.status_records:
            reason = "TAO exited with 0, but status.json has no record of success"
        else:
            reason = "TAO exited with 0, but wrote no status.json"
        return _failed(facts, reason, None)
    if contract.artifacts and facts.artifact_fresh is False:
        return _no_artifact(contract, facts)
    positive = (
        facts.success_message is not None or facts.footer_passed is True or facts.artifact_fresh is True
    )
    if not contract.exit_zero_means_success and not positive:
        return _failed(
            facts, "exit code 0 means nothing with this release, and there is no other sign of success", None
        )
    return None


def _counts_as_failure(contract: VerdictContract, facts: Facts) -> bool:
    """7.x turns each logged error into a FAILURE record: there it counts only without any sign of success."""
    return contract.failure_is_final or (facts.success_message is None and facts.footer_passed is not True)


def _interrupted(facts: Facts) -> bool:
    """Source: tao/pytorch.md section 2: an interrupt counts as pass in every version."""
    return any(seen.cause.code == "interrupted" for seen in facts.causes)


def _no_artifact(contract: VerdictContract, facts: Facts) -> Verdict:
    if facts.epochs_done == 0 and facts.success_message is not None and facts.action == "train":
        return Verdict(
            RunState.FAILED,
            "nothing was trained: the results folder already holds a finished training",
            "use --overwrite, or ask for more epochs",
        )
    wanted = " or ".join(f'"{glob}"' for glob in contract.artifacts[:3])
    return _failed(facts, f"TAO exited with 0, but wrote no new file that matches {wanted}", None)


def _failed(facts: Facts, fallback: str, hint: str | None) -> Verdict:
    """FAILED with the best explanation there is: a known cause, TAO's own words, the last resort."""
    cause = _best_cause(facts)
    if cause is not None:
        return Verdict(RunState.FAILED, _one_line(cause.reason()), _cause_hint(cause, facts))
    if facts.oom_killed:
        return Verdict(
            RunState.FAILED,
            "a process of the run was killed: the host's memory limit was reached",
            _memory_hint(facts),
        )
    said = _said(facts)
    return Verdict(
        RunState.FAILED, _one_line(said) if said else fallback, hint or "look at the last lines of the log"
    )


def _said(facts: Facts) -> str | None:
    """TAO's own words about its failure."""
    if facts.traceback and not any(word in facts.traceback for word in _UNSAID):
        return facts.traceback
    if facts.failure_message and not facts.success_is_last:
        return facts.failure_message
    usage = _last_match(_ARGPARSE, facts.last_lines)
    if usage is not None:
        return usage.group(1)
    for line in reversed(facts.last_lines):
        if _ERROR_LINE.search(line) and "elemetry" not in line:
            return re.sub(
                r"^(?:error: |.{0,80}\[(?:ERROR|CRITICAL|FATAL)\] (?:[\w.]{1,80} \d{1,6}: )?)", "", line
            )
    return facts.traceback


def _best_cause(facts: Facts) -> SeenCause | None:
    seen = list(facts.causes)
    for text in (facts.traceback, facts.failure_message, facts.engine_error):
        if text and (cause := find_cause(text, facts.epoch)):
            seen.append(cause)
    return min(seen, key=lambda cause: cause.rank, default=None)


def _cause_hint(cause: SeenCause, facts: Facts) -> str:
    hint = cause.hint(facts.batch_key)
    if cause.path is None or not cause.path.startswith("/") or facts.host_path is None:
        return hint
    host = facts.host_path(cause.path)
    return f"{hint}; on this host it is {host}" if host is not None else f"{hint}; no mount covers it"


def _memory_hint(facts: Facts) -> str:
    return (
        f"use fewer loader workers or a smaller batch size{_batch(facts)}, or give this machine more memory"
    )


def _batch(facts: Facts) -> str:
    return f' ("{facts.batch_key}")' if facts.batch_key else ""


def _success_reason(facts: Facts) -> str:
    done, planned = facts.epochs_done, facts.epochs_planned
    if not done:
        return "finished"
    if planned and done < planned:
        return f"finished after {done} of {planned} epochs"
    return f"finished {done} epoch{'s' if done != 1 else ''}"


def _cautions(contract: VerdictContract, facts: Facts) -> tuple[Caution, ...]:
    found: list[Caution] = []
    if facts.nan_seen:
        at = f" at epoch {facts.nan_epoch}" if facts.nan_epoch else ""
        found.append(Caution("nan-loss", f"the loss became NaN{at}: the weights are likely worthless"))
    if facts.epochs_planned and 0 < facts.epochs_done < facts.epochs_planned:
        found.append(
            Caution(
                "fewer-epochs",
                f"ended after {facts.epochs_done} of {facts.epochs_planned} epochs, as early stopping does",
            )
        )
    if facts.oom_killed:
        found.append(
            Caution(
                "oom-killed", "a process of the run was killed for lack of memory, yet TAO reports success"
            )
        )
    if (
        facts.status_records
        and facts.success_message is None
        and (contract.success_statuses or contract.success_suffix)
    ):
        found.append(Caution("no-final-status", "status.json has no record of success"))
    return tuple(found)


def _last_match(pattern: re.Pattern[str], lines: tuple[str, ...]) -> re.Match[str] | None:
    for line in reversed(lines):
        if match := pattern.search(line):
            return match
    return None


def _one_line(text: str) -> str:
    """Trimmed to one readable line without a full stop."""
    line = " ".join(text.split()).rstrip(" .:")
    return line if len(line) <= _REASON_LIMIT else line[: _REASON_LIMIT - 1] + "…"
