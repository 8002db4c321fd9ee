"""The runs that words of a command line mean: ids, names of experiments, ``PROJECT/EXPERIMENT`` and patterns.

``project`` limits experiments to one project; of ``near``, the project of the current folder, they are preferred.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from taorunner.errors import RunStateError
from taorunner.runs.state.record import RunRecord, chain_of, current_of
from taorunner.runs.state.store import RunStore
from taorunner.text import is_pattern, printable


def live_runs(
    store: RunStore, words: Sequence[str], project: str | None = None, near: str | None = None
) -> list[RunRecord]:
    """The run of each word, each once, in the order of the words, and the rest of its chain. A pattern means every run
    that has not ended, of each experiment that fits, newest first; a plain word may mean one that has.

    Raises:
        UsageError: a word cannot be the name of a run.
        RunStateError: a word means no run.
    """
    found: dict[str, RunRecord] = {}
    unfinished = store.unfinished()
    for word in words:
        if is_pattern(word):
            records = _fitting(unfinished, word, project)
            if not records:
                raise RunStateError(
                    f'no run that has not ended matches "{printable(word)}"', hint="taorunner ps lists them"
                )
        else:
            records = [store.find(word, project, near)]
        for record in records:
            chain = chain_of(record, (record, *unfinished))
            found.update((one.id, one) for one in chain[chain.index(record) :])
    return list(found.values())


def newest_runs(
    store: RunStore, words: Sequence[str], project: str | None = None, near: str | None = None
) -> list[RunRecord]:
    """The run of each word, each once; for a pattern the newest run of each experiment that fits, of a chain the run
    under way.

    Raises:
        UsageError: a word cannot be the name of a run, or fits several.
        RunStateError: a word means no run.
    """
    found: dict[str, RunRecord] = {}
    for word in words:
        if not is_pattern(word):
            records = [store.find(word, project, near)]
        else:
            newest: dict[str, RunRecord] = {}
            fitting = _fitting(store.records(), word, project)
            for record in fitting:
                newest.setdefault(f"{record.project}/{record.experiment}", record)
            records = [current_of(record, fitting) for record in newest.values()]
            if not records:
                raise RunStateError(
                    f'no run matches "{printable(word)}"', hint="taorunner runs list shows the runs"
                )
        found.update((record.id, record) for record in records)
    return list(found.values())


def _fitting(records: Iterable[RunRecord], pattern: str, project: str | None) -> list[RunRecord]:
    has_project = "/" in pattern
    return [
        record
        for record in records
        if project in (None, record.project)
        and fnmatchcase(
            f"{record.project}/{record.experiment}" if has_project else record.experiment, pattern
        )
    ]
