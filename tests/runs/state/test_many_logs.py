"""``logs`` of several runs, and ``--since``: what came when."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.events import RunFinished, RunState
from taorunner.runs.state.log.console_log import ConsoleLog
from taorunner.runs.state.log.log_position import RecordedLog
from taorunner.runs.state.log.log_reader import copy_log, has_times
from taorunner.runs.state.lookup.log_times import offset_since, times_path
from taorunner.runs.state.lookup.many_logs import copy_logs, names_of
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

AT = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path)


def put(store: RunStore, experiment: str, log: bytes, state: RunState = RunState.SUCCEEDED) -> RunRecord:
    record = RunRecord(f"20261120-120000-{experiment}-train-{len(store.run_ids()):06x}", "b", "p", experiment,
                       "train", "docker", state, AT, started_at=AT)  # fmt: skip
    store.paths(record.id).directory.mkdir(parents=True)
    store.save(record)
    store.paths(record.id).console.write_bytes(log)
    return record


def printed(store: RunStore, *records: RunRecord, **options: object) -> list[str]:
    out = io.BytesIO()
    asked: dict[str, object] = {"follow": False, "tail": None, **options}
    copy_logs(store, names_of(store, records), out, **asked)  # type: ignore[arg-type]
    return out.getvalue().decode().splitlines()


def test_each_line_has_the_name_of_its_run(store: RunStore) -> None:
    first, second = put(store, "rtdetr_01", b"one\ntwo"), put(store, "dino", b"three\n")
    assert printed(store, first, second) == ["rtdetr_01 | one", "rtdetr_01 | two", "dino      | three"]
    assert printed(store, second, first, tail=1) == ["dino      | three", "rtdetr_01 | two"]


def test_two_runs_of_an_experiment_have_their_short_ids(store: RunStore) -> None:
    first, second = put(store, "e", b"one\n"), put(store, "e", b"two\n")
    assert printed(store, first, second) == ["e 000000 | one", "e 000001 | two"]


def test_of_an_overwritten_line_the_last_text_is_printed(store: RunStore) -> None:
    bar, other = put(store, "a", b" 1%\r50%\r100%\r\ndone\r\n"), put(store, "b", b"")
    assert printed(store, bar, other) == ["a | 100%", "a | done"]


def test_a_very_long_line_is_printed_in_pieces(store: RunStore) -> None:
    """A line that is held whole takes its length in memory, and the square of it in time."""
    lines = printed(store, put(store, "a", b"x" * 5_000_000 + b"\nend\n"))
    assert [line[:5] for line in lines] == ["a | x"] * (len(lines) - 1) + ["a | e"]
    assert max(map(len, lines)) < 2_000_000 and sum(line.count("x") for line in lines) == 5_000_000


def test_a_run_without_a_log_prints_nothing(store: RunStore) -> None:
    first, second = put(store, "a", b""), put(store, "b", b"x\n")
    store.paths(first.id).console.unlink()
    assert printed(store, first, second) == ["b | x"]


def test_following_goes_on_until_the_last_run_has_ended(store: RunStore) -> None:
    first, second = (put(store, name, b"begun ", RunState.RUNNING) for name in ("a", "b"))
    waits = 0

    def wait(_seconds: float) -> None:
        nonlocal waits
        waits += 1
        for record in (first, second):
            with store.paths(record.id).console.open("ab") as log:
                log.write(f"{waits}\nnext ".encode())
        ended = {2: first, 3: second}.get(waits)
        if ended is not None:
            end = RunFinished(run="r", at=AT, state=RunState.SUCCEEDED, reason="fine", exit_code=0)
            store.save(store.load(ended.id).finished(end))

    lines = printed(store, first, second, follow=True, wait=wait)
    assert lines == [
        "a | begun 1",
        "b | begun 1",
        "a | next 2",
        "a | next ",
        "b | next 2",
        "b | next 3",
        "b | next ",
    ]
    assert waits == 3


class Clock:
    """Unix time that stands still until it is set."""

    now = AT.timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_times_of_a_log_are_known_to_ten_seconds(store: RunStore, clock: Clock) -> None:
    record = put(store, "e", b"")
    log = ConsoleLog(store.paths(record.id).console, clock=clock)
    for second in range(100):
        clock.now = AT.timestamp() + second
        if second < 30 or second >= 60:
            log.write("stdout", f"{second}\n".encode())
    log.close()
    assert len(times_path(store.paths(record.id).console).read_text().splitlines()) == 7

    def first_line(second: float) -> str:
        out = io.BytesIO()
        copy_log(store, record.id, out, follow=False, tail=None, since=AT + timedelta(seconds=second))
        return out.getvalue().decode().partition("\n")[0]

    found = {second: first_line(second) for second in (-5, 0, 9, 10, 25, 45, 60, 75, 99, 110)}
    assert found == {
        -5: "0",
        0: "0",
        9: "0",
        10: "10",
        25: "20",
        45: "60",
        60: "60",
        75: "70",
        99: "90",
        110: "",
    }


def test_since_and_tail_are_both_obeyed(store: RunStore, clock: Clock) -> None:
    record = put(store, "e", b"")
    log = ConsoleLog(store.paths(record.id).console, clock=clock)
    for second in range(0, 60, 20):
        clock.now = AT.timestamp() + second
        log.write("stdout", f"{second}\n".encode())
    log.close()
    for tail, expected in ((1, b"40\n"), (9, b"20\n40\n")):
        out = io.BytesIO()
        copy_log(store, record.id, out, follow=False, tail=tail, since=AT + timedelta(seconds=15))
        assert out.getvalue() == expected


def test_what_a_later_supervisor_cuts_off_has_no_time(store: RunStore, clock: Clock) -> None:
    console = store.paths(put(store, "e", b"").id).console
    log = ConsoleLog(console, clock=clock)
    log.write("stdout", b"kept\n")
    kept = log.recorded
    clock.now += 60
    log.write("stdout", b"cut off\n")
    log.close()
    clock.now += 60
    again = ConsoleLog(
        console, recorded=RecordedLog(kept.size, kept.stdout, kept.stderr, kept.start), clock=clock
    )
    again.write("stdout", b"again\n")
    again.close()
    assert console.read_bytes() == b"kept\nagain\n"
    assert offset_since(console, AT + timedelta(seconds=60)) == len(b"kept\n")


@pytest.mark.parametrize("text", ["", "\x00", "x y\n", "5\n", "nan nan\n"])
def test_damaged_times_are_no_times(store: RunStore, text: str) -> None:
    record = put(store, "e", b"a line\n")
    times_path(store.paths(record.id).console).write_text(text)
    assert offset_since(store.paths(record.id).console, AT) is None
    assert not has_times(store, record.id, AT + timedelta(seconds=1))


def test_a_log_of_an_older_version_is_whole_or_nothing(store: RunStore) -> None:
    """Where the record says that all of it came before or after, that is enough."""
    record = put(store, "e", b"a line\n")
    store.save(replace(record, finished_at=AT + timedelta(hours=1)))
    for hours, is_known, expected in ((-1, True, b"a line\n"), (0.5, False, b"a line\n"), (2, True, b"")):
        since = AT + timedelta(hours=hours)
        out = io.BytesIO()
        copy_log(store, record.id, out, follow=False, tail=None, since=since)
        assert (has_times(store, record.id, since), out.getvalue()) == (is_known, expected)
