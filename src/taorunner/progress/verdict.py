"""Decides whether a run succeeded, from several signs, because no single sign is reliable.

Pure. Every known misleading behaviour of TAO is a rule here or a row of ``causes``.
Source: tao/pytorch.md section 2 (exit codes), tao/tensorflow.md sections 2.3, 3 and 5.
"""

from __future__ import annotations

from taorunner.contracts import VerdictContract
from taorunner.events import RunState
from taorunner.progress.causes.cause import LAST_LINES_HINT
from taorunner.progress.explanation import explain, explain_start, refused_arguments, without_label
from taorunner.progress.facts import Facts, HostPath
from taorunner.values.value import Value, replace

_WHY_AT_ZERO = (
    "most often the training was too short, or names or ids in the labels are not those of the spec"
)

UNKNOWN = ", cause unknown"
"""The end of a reason that explains nothing."""


class Caution(Value):
    """A warning about a run that succeeded. ``code`` is stable."""

    code: str
    text: str


class Verdict(Value):
    """``reason`` is one line, lower case, without a full stop; ``hint`` the next step, if known.

    ``is_transient``: the cause is external, so the same run may succeed when repeated.
    """

    state: RunState
    reason: str
    hint: str | None = None
    cautions: tuple[Caution, ...] = ()
    is_transient: bool = False


def judge(contract: VerdictContract, facts: Facts) -> Verdict:
    """The final state of a run that has ended. Doubt counts as failure; a requested stop as stopped."""
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
        return Verdict(RunState.FAILED, *explain_start(facts.engine_error, facts))
    if facts.exit_code is None:
        return Verdict(
            RunState.LOST, "the run ended without leaving an exit code", "look at its log and results folder",
            is_transient=True,
        )  # fmt: skip
    code = facts.exit_code if facts.exit_code >= 0 else 128 - facts.exit_code
    if code:
        return _judge_exit_code(contract, code, facts)
    doubt = _doubt(contract, facts)
    if doubt is not None:
        return doubt
    return Verdict(RunState.SUCCEEDED, _success_reason(facts), None, _cautions(contract, facts))


def _judge_exit_code(contract: VerdictContract, code: int, facts: Facts) -> Verdict:
    if code == 2:
        usage = refused_arguments(facts)
        if usage is not None:
            return Verdict(
                RunState.FAILED,
                f"TAO refused its arguments: {usage}",
                "compare arguments and release: `taorunner networks` shows what this action takes",
            )
    return _failed(contract, facts, f"TAO ended with exit code {code}{UNKNOWN}", code)


def _doubt(contract: VerdictContract, facts: Facts) -> Verdict | None:
    """The reason why exit code 0 is not a success, or None."""
    if contract.footer and facts.footer_passed is False:
        return _failed(contract, facts, "TAO reports FAIL although it exited with 0")
    if any("interrupt" in text for text in facts.betrayals) or _interrupted(facts):
        return replace(
            _failed(contract, facts, "interrupted inside the container, not by taorunner"),
            is_transient=True,
        )
    if facts.betrayals:
        return _failed(contract, facts, f'TAO exited with 0, but its log says "{facts.betrayals[0]}"')
    if (
        facts.failure_message is not None
        and not facts.success_is_last
        and _counts_as_failure(contract, facts)
    ):
        return _failed(contract, facts, "TAO exited with 0, but status.json says FAILURE")
    expects_status = bool(contract.success_statuses or contract.success_suffix)
    if contract.status_required and expects_status and facts.success_message is None:
        if facts.status_records:
            reason = "TAO exited with 0, but status.json has no record of success"
        else:
            reason = "TAO exited with 0, but wrote no status.json"
        return _failed(contract, facts, reason)
    if contract.artifacts and facts.artifact_fresh is False:
        return _no_artifact(contract, facts)
    positive = (
        facts.success_message is not None or facts.footer_passed is True or facts.artifact_fresh is True
    )
    if not contract.exit_zero_means_success and not positive:
        return _failed(
            contract,
            facts,
            "exit code 0 does not prove success with this release, and there is no other sign of it",
        )
    return None


def _counts_as_failure(contract: VerdictContract, facts: Facts) -> bool:
    """7.x writes a FAILURE record for each logged error; there it counts only without any sign of success."""
    return contract.failure_is_final or (facts.success_message is None and facts.footer_passed is not True)


def _interrupted(facts: Facts) -> bool:
    """Whether it was interrupted, which TAO reports as pass. Source: tao/pytorch.md section 2."""
    return any(seen.cause.code == "interrupted" for seen in facts.causes)


def _no_artifact(contract: VerdictContract, facts: Facts) -> Verdict:
    if facts.epochs_done == 0 and facts.success_message is not None and facts.action == "train":
        return Verdict(
            RunState.FAILED,
            "nothing was trained: the results folder already holds a finished training",
            "train again with --overwrite, or with more epochs",
        )
    wanted = " or ".join(f'"{glob}"' for glob in contract.artifacts[:3])
    return _failed(contract, facts, f"TAO exited with 0, but wrote no new file that matches {wanted}")


def _failed(contract: VerdictContract, facts: Facts, fallback: str, code: int = 0) -> Verdict:
    """FAILED with the best known explanation."""
    found = explain(facts, code, status_is_final=contract.failure_is_final)
    if found is None:
        return Verdict(RunState.FAILED, fallback, LAST_LINES_HINT)
    return Verdict(RunState.FAILED, found.reason, found.hint, is_transient=found.is_transient)


def _success_reason(facts: Facts) -> str:
    done, planned = facts.epochs_done, facts.epochs_planned
    if not done:
        return "finished"
    if planned and done < planned:
        return f"finished after {done} of {planned} epochs"
    return f"finished {done} epoch{'s' if done != 1 else ''}"


def _at_zero(name: str, ever_scored: bool, epochs: int) -> str:
    if ever_scored:
        return f"{name} ended at 0"
    return f"{name} was 0" + (f" in all {epochs} epochs" if epochs > 1 else "")


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
    if facts.zero_score is not None:
        said = _at_zero(*facts.zero_score, facts.epochs_done)
        found.append(Caution("no-learning", f"{said}: {_WHY_AT_ZERO}"))
    if facts.omissions:
        said = " and ".join(
            f'"{text}"' + (f" {count} times" if count > 1 else "") for text, count in facts.omissions
        )
        text = f"TAO left out parts of the labels, so they are not trained on: the log says {said}"
        found.append(Caution("labels-left-out", text))
    return tuple(found)


__all__ = ["Caution", "Facts", "HostPath", "Verdict", "judge", "without_label"]
