"""Chooses the explanation of a failed run from all texts, by their reliability.

The order is that of ``Step``: facts of the machine, exhausted resources, the exception that ended the run, error lines,
status.json, other processes, the signal. A consequence never hides its cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import IntEnum

from taorunner.progress.causes.cause import LAST_LINES_HINT, Place, SeenCause, Weight
from taorunner.progress.causes.table import find_cause, is_harmless
from taorunner.progress.console.line_kind import own_words, place_of
from taorunner.progress.facts import Facts
from taorunner.progress.raised import is_hollow
from taorunner.values.value import Value

_REASON_LIMIT = 300
_ARGPARSE = re.compile(
    r"(?<![\w.-])(?!(?:srun|sbatch|salloc|slurmstepd|mpirun|docker|podman|kubectl): )"
    r"[\w.-]{1,80}(?: [\w-]{1,80}){0,3}: error: (\S.{0,400})"
)
_LABEL = re.compile(
    r"^(?:Parameter validation error|Configuration error|File system error|Feature not implemented): (?=\S)"
)
_FALSE_LABEL = re.compile(r"^Parameter validation error: (?=\S)")
_KEY_BEFORE = re.compile(r"([A-Za-z_][\w.]{0,120})\"? {0,8}[:=] {0,8}['\"\[{]{0,3} {0,8}\Z")
_RESUMING = re.compile(r"[Rr]esum(?:e|ing)[^\n]{0,40} (?:training )?from")


class Step(IntEnum):
    """The order of explanations; the lowest is taken."""

    MACHINE = 1
    ENGINE_OUT_OF_MEMORY = 2
    RESOURCE = 3
    ASSERTION = 4
    CAUSE_OF_EXCEPTION = 5
    TOOL_ERROR = 6
    EXCEPTION = 7
    LINE = 8
    STATUS = 9
    PEERS = 10
    SIGNAL = 11
    LINE_BESIDE_SIGNAL = 12
    BACKGROUND = 13
    HOLLOW_CAUSE = 14
    ERROR_LINE = 15
    HOLLOW = 16


_UNEXPLAINED = (
    "compare the spec with NVIDIA's example, and the data with what `taorunner networks` shows for this "
    "network; if both "
    'are right, use another "release"'
)


class Explanation(Value):
    """``reason`` is one line, ``hint`` the next step. ``is_transient``: the cause is external."""

    reason: str
    hint: str | None
    is_transient: bool = False


_FROM_OUTSIDE = frozenset({129, 130, 137, 143})
"""Signals sent at a shutdown of the machine or by a scheduler that reclaims it."""
_TRANSIENT = frozenset(
    {"terminated", "interrupted", "killed", "node-failure", "preempted", "gpu-taken-away", "slurm-launch"}
)
"""Causes that may be absent in the next attempt."""
_ABORTED = 134
_SIGNALS: dict[int, tuple[str, str | None]] = {
    125: ("the engine could not run the container", "look at the log; `docker info` shows whether the engine works"),
    126: ("the task's command cannot be executed in this image", 'check "image" and "release"'),
    127: ("the task's command does not exist in this image", 'check "image" and "release"'),
    129: ("ended by SIGHUP, which did not come from taorunner", None),
    130: ("interrupted (SIGINT), but not by taorunner", "start it again"),
    132: ("illegal instruction: this CPU lacks what the image was built for", None),
    134: ("aborted (SIGABRT)", LAST_LINES_HINT),
    135: (
        "bus error (SIGBUS): shared memory ran out",
        'set a larger "shm_size" (for example 16g) in experiments.yml, or use fewer loader workers',
    ),
    137: (
        "killed (SIGKILL), but not by taorunner",
        "perhaps the host ran out of memory, `dmesg` shows it; use fewer loader workers or a "
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


def explain(facts: Facts, code: int, *, status_is_final: bool = True) -> Explanation | None:
    """The best explanation of a failed run, or None.

    ``code`` is the exit code, 128 + n for a signal. ``status_is_final``: a FAILURE in status.json ends the run.
    """
    candidates = [
        *_from_causes(facts, code),
        *_from_engine(facts, code),
        *_from_words(facts, status_is_final),
        *_from_signal(facts, code),
    ]
    if candidates:
        best = min(candidates, key=lambda candidate: candidate[:2])[2]
        return _with_second(best, facts)
    if facts.footer_passed is False and (facts.epoch or facts.epochs_done):
        return Explanation(
            "the training process ended without a message: killed by a signal, most likely for lack of memory",
            f"`dmesg` shows it; {_memory_hint(facts)}",
            is_transient=True,
        )
    return None


_FACTS = frozenset(
    {"gpu-lost", "gpu-memory-fault", "host-out-of-memory", "cuda-out-of-memory", "shared-memory", "disk-full",
     "temporary-disk-full", "open-files", "time-limit", "node-failure"}
)  # fmt: skip
"""Causes that are certain and independent of each other: where two are seen, both are real."""


def _with_second(best: Explanation, facts: Facts) -> Explanation:
    """The explanation with a second cause that is as certain as the first."""
    certain = {seen.cause.code: seen for seen in facts.causes if _is_fact(seen)}
    reasons = {_one_line(seen.reason()): seen for seen in certain.values()}
    if best.reason not in reasons:
        return best
    for reason, seen in reasons.items():
        if reason != best.reason:
            hint = "; ".join(part for part in (best.hint, _cause_hint(seen, facts)) if part)
            return Explanation(_one_line(f"{best.reason}; also {reason}"), hint, best.is_transient)
    return best


def _is_fact(seen: SeenCause) -> bool:
    return seen.cause.code in _FACTS and seen.place not in (Place.WARNING, Place.HOLLOW)


def explain_start(error: str, facts: Facts) -> tuple[str, str]:
    """Reason and hint for a run that the engine could not start, from its error text."""
    cause = find_cause(error, None, Place.TOOL_ERROR)
    if cause is not None:
        return _one_line(cause.reason()), _cause_hint(cause, facts)
    return _one_line(error), LAST_LINES_HINT


def refused_arguments(facts: Facts) -> str | None:
    """The error message of argparse about the arguments."""
    for line in reversed(facts.last_lines):
        if match := _ARGPARSE.search(line):
            return _one_line(match.group(1))
    return None


def without_label(message: str) -> str:
    """A message of status.json without its label, because TAO gives one label to different errors.

    Source: tao/pytorch.md section 3: every ValueError and TypeError is a "Parameter validation error".
    """
    return _LABEL.sub("", message)


_Candidate = tuple[Step, int, Explanation]
_AFTER_ROWS = 10_000


def _from_causes(facts: Facts, code: int) -> Iterator[_Candidate]:
    hollow = facts.traceback is not None and is_hollow(facts.traceback)
    seen_causes = list(facts.causes)
    if facts.failure_message and (
        seen := find_cause(without_label(facts.failure_message), facts.epoch, Place.STATUS)
    ):
        seen_causes.append(seen)
    for seen in seen_causes:
        step = _step(seen, code)
        if step is Step.BACKGROUND and seen.cause.weight is Weight.BACKGROUND and not hollow:
            continue
        transient = seen.cause.code in _TRANSIENT or (step is Step.PEERS and code in _FROM_OUTSIDE)
        yield step, seen.rank, _of_cause(seen, facts, transient)


def _step(seen: SeenCause, code: int) -> Step:
    weight, place = seen.cause.weight, seen.place
    if weight is Weight.BACKGROUND or place is Place.WARNING:
        return Step.BACKGROUND
    if place is Place.HOLLOW:
        return Step.HOLLOW_CAUSE
    if weight < Weight.SPECIFIC:
        return {Weight.MACHINE: Step.MACHINE, Weight.RESOURCE: Step.RESOURCE}.get(weight, Step.ASSERTION)
    if weight > Weight.GENERAL:
        return Step.PEERS if weight is Weight.PEERS else Step.SIGNAL
    if weight is Weight.GENERAL:
        return Step.EXCEPTION if place is Place.EXCEPTION else Step.ERROR_LINE
    if place is Place.LINE:
        return Step.LINE_BESIDE_SIGNAL if code in _FROM_OUTSIDE else Step.LINE
    return {
        Place.EXCEPTION: Step.CAUSE_OF_EXCEPTION,
        Place.TOOL_ERROR: Step.TOOL_ERROR,
        Place.STATUS: Step.STATUS,
    }.get(place, Step.LINE)


def _from_engine(facts: Facts, code: int) -> Iterator[_Candidate]:
    if facts.oom_killed:
        what = "killed" if code == 137 else "a process of the run was killed"
        reason = f"{what}: the host's memory limit was reached"
        yield Step.ENGINE_OUT_OF_MEMORY, 0, Explanation(reason, _memory_hint(facts))


def _from_words(facts: Facts, status_is_final: bool) -> Iterator[_Candidate]:
    """TAO's own messages about its failure, when no row matches."""
    if facts.traceback:
        hollow = is_hollow(facts.traceback) or _is_consequence(facts.traceback)
        yield Step.HOLLOW if hollow else Step.EXCEPTION, _AFTER_ROWS, _in_own_words(facts.traceback, facts)
    if facts.failure_message and not facts.success_is_last:
        message = _FALSE_LABEL.sub("", facts.failure_message)
        step = Step.STATUS if status_is_final else Step.ERROR_LINE
        if is_hollow(message) or _is_consequence(message):
            step = Step.HOLLOW
        yield step, _AFTER_ROWS, _in_own_words(message)
    line = refused_arguments(facts) or _error_line(facts.last_lines)
    if line:
        yield Step.ERROR_LINE, _AFTER_ROWS + 1, _in_own_words(line)


def _from_signal(facts: Facts, code: int) -> Iterator[_Candidate]:
    if code in _SIGNALS:
        reason, hint = _SIGNALS[code]
        hint = hint.format(batch=_batch(facts)) if hint else None
        rank = (
            _AFTER_ROWS if code == _ABORTED else -1
        )  # the library that aborted says more, if it says anything
        yield Step.SIGNAL, rank, Explanation(reason, hint, is_transient=code in _FROM_OUTSIDE)


def _is_consequence(text: str) -> bool:
    seen = find_cause(text, place=Place.EXCEPTION)
    return seen is not None and seen.cause.weight in (Weight.PEERS, Weight.SIGNAL)


def _error_line(lines: tuple[str, ...]) -> str | None:
    """The last line marked as an error; for TensorRT the first, because the others follow from it."""
    marked = [
        line
        for line in lines
        if place_of(line) is Place.TOOL_ERROR and not is_harmless(line) and "Error executing job" not in line
    ]
    of_tensorrt = [line for line in marked if "[TRT]" in line]
    return own_words(of_tensorrt[0] if of_tensorrt else marked[-1]) if marked else None


def _in_own_words(text: str, facts: Facts | None = None) -> Explanation:
    if facts and facts.raised_in:
        return Explanation(_one_line(text), f"{_UNEXPLAINED}; raised in {facts.raised_in}")
    return Explanation(_one_line(text), LAST_LINES_HINT)


def _of_cause(seen: SeenCause, facts: Facts, transient: bool) -> Explanation:
    if seen.cause.code == "weights-do-not-fit" and _resumes(facts):
        return Explanation(
            _one_line(
                f"the checkpoint that training resumes from does not fit this model: {seen.what or seen.path or ''}"
            ),
            "TAO resumes by itself from what an earlier run left in the results: train again "
            "with --overwrite, or into other results",
        )
    hint = _cause_hint(seen, facts)
    if seen.cause.weight is Weight.GENERAL and seen.place is Place.EXCEPTION and facts.raised_in:
        hint = f"{hint}; raised in {facts.raised_in}"
    return Explanation(_one_line(seen.reason()), hint, transient)


def _resumes(facts: Facts) -> bool:
    return facts.resumed or any(_RESUMING.search(line) for line in facts.last_lines)


def _cause_hint(cause: SeenCause, facts: Facts) -> str:
    hint = cause.hint(facts.batch_key)
    if cause.path is None or not cause.path.startswith("/") or facts.host_path is None:
        return hint
    host = facts.host_path(cause.path)
    hint += f"; on this host it is {host}" if host is not None else "; no mount covers it"
    return hint + _named_by(cause.path, facts)


_TOP = 2
"""A path of so few parts, such as ``/data``, is no evidence about the files below it."""


def _named_by(path: str, facts: Facts) -> str:
    """Which key of the spec or the arguments names the path, or the nearest folder above it; empty if none does."""
    parts = path.rstrip("/").split("/")
    for count in (len(parts), *range(len(parts) - 1, _TOP, -1)):
        named = "/".join(parts[:count])
        key = _key_of(named, facts.spec_lines) or _key_of(named, facts.arguments)
        if key is not None:
            return f'; "{key}" names it' if count == len(parts) else f'; "{key}" names the folder {named}'
    return ""


def _key_of(value: str, lines: Sequence[str]) -> str | None:
    """The key whose value holds ``value`` as a whole path: on its line, or at the end of the nearest line above."""
    lines = [line for line in lines if not line.lstrip().startswith("#")]
    for number, line in enumerate(lines):
        at = line.find(value)
        if at < 0 or line[at + len(value) :].strip()[:1] not in ("", "'", '"', ",", "}", "]", "#"):
            continue
        for above in (line[:at], *reversed(lines[:number])):
            if match := _KEY_BEFORE.search(above):
                return match.group(1)
    return None


def _memory_hint(facts: Facts) -> str:
    return (
        f"use fewer loader workers or a smaller batch size{_batch(facts)}, or give this machine more memory"
    )


def _batch(facts: Facts) -> str:
    return f' ("{facts.batch_key}")' if facts.batch_key else ""


def _one_line(text: str) -> str:
    """Trimmed to one readable line without a full stop."""
    line = " ".join(text.split()).rstrip(" .:")
    return line if len(line) <= _REASON_LIMIT else line[: _REASON_LIMIT - 1] + "…"
