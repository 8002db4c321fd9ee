"""The runs that words of a command line mean: ids, names of experiments, ``PROJECT/EXPERIMENT`` and patterns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from taorunner.errors import RunStateError, UsageError
from taorunner.runs.state.record import RunRecord, chain_of, current_of
from taorunner.runs.state.store import RunStore
from taorunner.text import is_pattern, printable

_SHOWN = 5


def live_runs(store: RunStore, words: Sequence[str]) -> list[RunRecord]:
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
            records = _fitting(unfinished, word)
            if not records:
                raise RunStateError(
                    f'no run that has not ended matches "{printable(word)}"', hint="taorunner ps lists them"
                )
        else:
            records = [store.find(word)]
        for record in records:
            chain = chain_of(record, (record, *unfinished))
            found.update((one.id, one) for one in chain[chain.index(record) :])
    return list(found.values())


def one_run(store: RunStore, word: str) -> RunRecord:
    """The newest run of ``word``, which may be a pattern that fits one experiment; of a chain the run under way.

    Raises:
        UsageError: the pattern fits several experiments, or the word cannot be the name of a run.
        RunStateError: the word means no run.
    """
    if not is_pattern(word):
        return store.find(word)
    newest: dict[str, RunRecord] = {}
    fitting = _fitting(store.records(), word)
    for record in fitting:
        newest.setdefault(f"{record.project}/{record.experiment}", record)
    if not newest:
        raise RunStateError(f'no run matches "{printable(word)}"', hint="taorunner runs list shows the runs")
    if len(newest) > 1:
        shown = ", ".join(list(newest)[:_SHOWN])
        raise UsageError(
            f'"{printable(word)}" fits {len(newest)} experiments', hint=f"name one of them: {shown}"
        )
    return current_of(next(iter(newest.values())), fitting)


def _fitting(records: Iterable[RunRecord], pattern: str) -> list[RunRecord]:
    has_project = "/" in pattern
    return [
        record
        for record in records
        if fnmatchcase(f"{record.project}/{record.experiment}" if has_project else record.experiment, pattern)
    ]
