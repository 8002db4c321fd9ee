"""The results about specs that one command has computed. The command creates it, passes it along and drops it.

Each module that caches results defines its own table, so this module needs none of their types.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, ClassVar, Generic, TypeVar

_Question = TypeVar("_Question", bound=Hashable)
_Answer = TypeVar("_Answer")
_Table = TypeVar("_Table", bound="Answers[Any, Any]")


class Answers(Generic[_Question, _Answer]):
    """Answers by question, ``MOST`` at most: the oldest is dropped for a new one."""

    MOST: ClassVar[int] = 512
    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[_Question, _Answer] = {}

    def get(self, question: _Question, make: Callable[[], _Answer]) -> _Answer:
        """The cached answer; without one, the result of ``make``, which is cached."""
        try:
            return self._known[question]  # hashed once: a question may be large
        except KeyError:
            pass
        answer = make()
        if len(self._known) >= self.MOST:
            del self._known[next(iter(self._known))]
        self._known[question] = answer
        return answer


class SpecMemory:
    """The tables of one command. Not shared between threads."""

    __slots__ = ("_tables",)

    def __init__(self) -> None:
        self._tables: dict[type, Any] = {}

    def table(self, kind: type[_Table]) -> _Table:
        """The table of that type, empty when it is first asked for."""
        try:
            table: _Table = self._tables[kind]
        except KeyError:
            table = self._tables[kind] = kind()
        return table
