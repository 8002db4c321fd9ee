"""Retries of a lost connection, and what is reported while an image is on its way."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from typing import Any

import pytest
from registries import QUICK, Seen

from taorunner.engine.images import DroppedError, LayerState
from taorunner.errors import EngineRefusedError
from taorunner.images.transfer import Patience, follow, with_patience

LOST = EngineRefusedError("the connection was lost")


def test_each_wait_is_twice_as_long_up_to_the_longest() -> None:
    patience = Patience(first_wait_s=1.0, most_wait_s=5.0)
    assert [patience.wait_s(failures) for failures in (1, 2, 3, 4, 5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize(("failures", "is_whole"), [(0, True), (3, True), (4, False)])
def test_a_transfer_is_tried_so_often_and_no_more(failures: int, is_whole: bool) -> None:
    tries: list[int] = []

    def transfer() -> str:
        tries.append(1)
        if len(tries) <= failures:
            raise DroppedError(LOST)
        return "whole"

    watcher = Seen()
    if is_whole:
        assert with_patience("a:1", transfer, watcher, QUICK) == "whole"
    else:
        with pytest.raises(EngineRefusedError) as caught:
            with_patience("a:1", transfer, watcher, QUICK)
        assert caught.value is LOST
    assert len(tries) == min(failures + 1, QUICK.tries)
    assert len(watcher.messages) == len(tries) - 1
    assert all("a:1: the connection was lost; trying again in " in text for text in watcher.messages)


def test_another_error_is_not_tried_again() -> None:
    tries: list[int] = []

    def transfer() -> None:
        tries.append(1)
        raise LOST

    with pytest.raises(EngineRefusedError):
        with_patience("a:1", transfer, Seen(), QUICK)
    assert len(tries) == 1


def test_a_stop_ends_the_wait_for_another_try() -> None:
    patience = Patience(first_wait_s=60.0)
    patience.stop.set()

    def transfer() -> None:
        raise DroppedError(LOST)

    with pytest.raises(EngineRefusedError) as caught:
        with_patience("a:1", transfer, Seen(), patience)
    assert caught.value is LOST


def test_progress_is_reported_to_its_end_with_the_digest() -> None:
    closed: list[bool] = []

    def events() -> Generator[Mapping[str, Any], None, None]:
        try:
            yield {"id": "a", "status": "Pushing", "progressDetail": {"current": 3, "total": 9}}
            yield {"id": "a", "status": "Pushed"}
            yield {"aux": {"Digest": "sha256:1"}}
            yield {"status": "done"}
        finally:
            closed.append(True)

    watcher = Seen()
    assert follow(events(), "a:1", watcher, threading.Event()) == "sha256:1"
    first, *_, last = watcher.states["a:1"]
    assert (first.layers_done, first.layers, first.bytes_done, first.bytes_total) == (0, 1, 3, 9)
    assert (last.layers_done, last.bytes_done) == (1, 9)
    assert watcher.layers["a:1"][-1] == (LayerState("a", "done", 9, 9),)
    assert len(watcher.states["a:1"]) == 2  # not at each event: they come by the thousand
    stopped = threading.Event()
    stopped.set()
    assert follow(events(), "a:1", watcher, stopped) is None
    assert closed == [True, True]


def test_a_wait_that_is_stopped_is_the_last() -> None:
    patience = Patience(tries=5, first_wait_s=60.0)
    patience.stop.set()
    tries: list[int] = []

    def transfer() -> None:
        tries.append(1)
        raise DroppedError(LOST)

    with pytest.raises(EngineRefusedError):
        with_patience("a:1", transfer, Seen(), patience)
    assert len(tries) == 1
