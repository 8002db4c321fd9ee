"""Which runs the words of ``runs diff``, ``compare`` and ``best`` mean. Only reads.

An experiment stands for its newest run of the action that succeeded; ``EXPERIMENT@2`` for the second newest. Without
one that succeeded it stands for the newest that was started.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from taorunner.errors import NoSuchRunError, RunStateError, UsageError
from taorunner.events import RunState
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.resume_origin import records_of
from taorunner.text import is_pattern, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taorunner.runs.state.store import RunStore

_NUMBERED = r"(?P<word>.+)@(?P<number>[0-9]{1,6})\Z"
TRAIN = "train"


def chosen_runs(
    store: RunStore,
    words: Sequence[str],
    action: str = TRAIN,
    project: str | None = None,
    near: str | None = None,
) -> list[RunRecord]:
    """The run of each word, each once. ``project`` limits experiments to one project; those of ``near`` come first.
    Without words: the run of every experiment of ``project``, or of ``near``, or of all.

    Raises:
        UsageError: a word fits several runs, or cannot be a name.
        RunStateError: a word means no run.
    """
    found: dict[str, RunRecord] = {}
    for word in words or ("*",):
        if is_pattern(word):
            within = project or (None if words else near)
            records = _of_pattern(store, word, action, within)
            if not records and words:
                raise RunStateError(
                    f'no run matches "{printable(word)}"', hint="taorunner runs list shows the runs"
                )
        else:
            records = [_of_word(store, word, action, project, near)]
        found.update((record.id, record) for record in records)
    return list(found.values())


def trainings_of(
    store: RunStore, words: Sequence[str], project: str | None = None, near: str | None = None
) -> list[RunRecord]:
    """Every training of the experiments that words name, and the runs that they name, newest first.

    Raises as ``chosen_runs``.
    """
    found: dict[str, RunRecord] = {}
    for word in words:
        within, _, name = word.rpartition("/")
        if is_pattern(word):
            fitting = [one for one in _of_action(store, TRAIN, project) if _fits(one, word)]
            records = fitting or [_of_word(store, word, TRAIN, project, near)]
        else:
            records = _of_experiment(store, name, TRAIN, within or project, near)
            records = records or [_of_word(store, word, TRAIN, project, near)]
        found.update((record.id, record) for record in records if record.started_at is not None)
    return list(found.values())


def _of_word(store: RunStore, word: str, action: str, project: str | None, near: str | None) -> RunRecord:
    match = re.match(_NUMBERED, word)
    name = match["word"] if match is not None else word
    within, _, experiment = name.rpartition("/")
    records = _of_experiment(store, experiment, action, within or project, near)
    if match is None:
        if not records:
            from taorunner.runs.state.lookup.find_run import find_run

            return find_run(store, word, project, near)
        return _standing_for(records)[0]
    if not records:
        raise NoSuchRunError(
            f'no {action} run of "{printable(name)}"', name=name, hint="taorunner runs list shows the runs"
        )
    counted, number = _standing_for(records), int(match["number"])
    if not 1 <= number <= len(counted):
        of = f'"{printable(name)}" has {len(counted)}'
        raise RunStateError(f'no run "{printable(word)}": {of}', hint=f"{printable(name)}@1 is the newest")
    return counted[number - 1]


def _standing_for(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Those that succeeded; without any, those that were started; else all."""
    succeeded = [one for one in records if one.state is RunState.SUCCEEDED]
    return succeeded or [one for one in records if one.started_at is not None] or list(records)


def _of_experiment(
    store: RunStore, experiment: str, action: str, project: str | None, near: str | None
) -> list[RunRecord]:
    """Newest first, of one project: ``project``, else ``near``, else that of the newest."""
    records = [one for one in records_of(store, experiment, action) if project in (None, one.project)]
    preferred = [one for one in records if one.project == near]
    return preferred or [one for one in records if one.project == records[0].project]


def _of_pattern(store: RunStore, pattern: str, action: str, project: str | None) -> list[RunRecord]:
    """The run that each experiment stands for, the newest experiments first."""
    each: dict[tuple[str, str], list[RunRecord]] = {}
    for record in _of_action(store, action, project):
        if _fits(record, pattern):
            each.setdefault((record.project, record.experiment), []).append(record)
    return [_standing_for(records)[0] for records in each.values()]


def _of_action(store: RunStore, action: str, project: str | None) -> Iterable[RunRecord]:
    return (one for one in store.records() if one.action == action and project in (None, one.project))


def _fits(record: RunRecord, pattern: str) -> bool:
    name = f"{record.project}/{record.experiment}" if "/" in pattern else record.experiment
    return fnmatchcase(name, pattern)


def refuse_one_run(records: Sequence[RunRecord], words: Sequence[str]) -> None:
    """Raises UsageError where the two words of a comparison mean the same run."""
    if len(records) < 2:
        raise UsageError(
            f'"{printable(words[0])}" and "{printable(words[-1])}" are the same run',
            hint=f"{printable(words[0])}@2 is the second newest run of an experiment",
        )
