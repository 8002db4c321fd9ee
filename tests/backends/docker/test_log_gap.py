"""Whether a restarted engine may have lost output: asked of an engine with a memory of events. A real restart: tests/faults."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from taorunner.backends.contract import Handle
from taorunner.backends.docker import engine_memory
from taorunner.backends.docker.log_gap import GAP, LogGaps, remove_mark
from taorunner.engine.client import Engine, connect
from taorunner.engine.containers import ContainerState

STARTED = 1_700_000_000


class Events(ThreadingHTTPServer):
    """Keeps up to 256 events, as the engine does; ``clock`` is its time."""

    daemon_threads = True
    clock = STARTED
    events: list[int]
    refuses = False

    def add(self) -> None:
        self.events = [*self.events, self.clock][-256:]


class Handler(BaseHTTPRequestHandler):
    server: Events

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        body = b""
        if asked.path.endswith("/events"):
            until = int(parse_qs(asked.query)["until"][0])
            body = b"".join(
                json.dumps({"time": at}).encode() + b"\n" for at in self.server.events if at <= until
            )
        self.answer(body)

    def do_POST(self) -> None:
        self.server.add()
        self.answer(b"")

    def answer(self, body: bytes) -> None:
        self.send_response_only(403 if self.server.refuses else 200)
        self.send_header("Api-Version", "1.43")
        self.send_header("Date", formatdate(self.server.clock, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def events() -> Iterator[Events]:
    with Events(("127.0.0.1", 0), Handler) as server:
        server.events = [STARTED]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def listening(events: Events) -> Engine:
    return connect({"DOCKER_HOST": f"tcp://127.0.0.1:{events.server_address[1]}"})


@pytest.fixture
def handle(tmp_path: Path) -> Handle:
    return Handle("docker", "r1", "c1", tmp_path)


def state(status: str = "running") -> ContainerState:
    return ContainerState("c1", status, {}, started_at=datetime.fromtimestamp(STARTED, timezone.utc))


def restart(events: Events) -> None:
    events.clock += 100
    events.events = []


def test_an_engine_that_was_not_restarted_has_lost_nothing(
    listening: Engine, events: Events, handle: Handle
) -> None:
    events.clock += 100
    assert LogGaps().look(listening, state(), handle, was_live=False) is None


def test_a_restart_after_which_a_supervisor_comes_is_a_gap_that_is_reported_once(
    listening: Engine, events: Events, handle: Handle
) -> None:
    restart(events)
    assert LogGaps().look(listening, state(), handle, was_live=False) == GAP
    events.clock += 100
    assert LogGaps().look(listening, state(), handle, was_live=False) is None  # the mark of the one before
    restart(events)
    gaps = LogGaps()
    assert gaps.look(listening, state("exited"), handle, was_live=False) == GAP
    assert gaps.look(listening, state("exited"), handle, was_live=False) is None
    remove_mark(handle.run_dir)
    assert [*handle.run_dir.iterdir()] == []


def test_what_was_read_live_is_not_lost_and_a_second_restart_is_a_gap(
    listening: Engine, events: Events, handle: Handle
) -> None:
    gaps = LogGaps()
    restart(events)
    assert gaps.look(listening, state(), handle, was_live=True) is None
    restart(events)
    assert gaps.look(listening, state(), handle, was_live=False) == GAP


def test_an_engine_that_saw_more_than_it_remembers_is_not_called_restarted(
    listening: Engine, events: Events
) -> None:
    events.clock += 100
    for _ in range(300):
        events.add()
    assert not engine_memory.was_restarted_since(listening, STARTED)
    events.events.pop()
    assert engine_memory.was_restarted_since(listening, STARTED)


def test_where_no_events_are_to_be_had_nothing_is_said(
    listening: Engine, events: Events, handle: Handle
) -> None:
    restart(events)
    events.refuses = True
    assert LogGaps().look(listening, state(), handle, was_live=False) is None


@pytest.mark.parametrize("text", ["", "[]", '{"at": "x"}', '{"at": null}'])
def test_a_damaged_mark_is_none(listening: Engine, events: Events, handle: Handle, text: str) -> None:
    (handle.run_dir / "engine-mark.json").write_text(text)
    restart(events)
    assert LogGaps().look(listening, state(), handle, was_live=False) == GAP
