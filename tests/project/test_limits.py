"""Nodes, CPUs, memory and time: the texts that are read, and what is said of others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taorunner.errors import UsageError
from taorunner.project import limits
from taorunner.project.limits import Limits
from taorunner.project.load import Project

ENTRY = "experiments:\n  e:\n    head: dssd\n    dataset: kitti\n    {key}: {value}\n"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400), ("12h", 43_200), ("2d", 172_800), ("2 d", 172_800), ("1m", 60), ("366d", 31_622_400),
        ("12:00:00", 43_200), ("100:30:05", 361_805), ("0:01:00", 60), ("2-00:00:00", 172_800), ("1-02:03:04", 93_784),
    ],
)  # fmt: skip
def test_times(text: str, seconds: int) -> None:
    assert limits.time_limit_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "12:00", "90", "90s", "1.5h", "0h", "00:00:59", "1:60:00", "1:00:60", "367d", "-1h", "1h\n", "1-1", "1d12h", "٣h"],
)  # fmt: skip
def test_texts_that_are_no_time(text: str) -> None:
    assert limits.time_limit_s(text) is None


def test_all_are_read_from_a_file(load: Callable[[str], Project]) -> None:
    project = load(
        "tao_config: {nodes: 2, cpus: 8, memory: 64G, time: 2d}\n"
        "experiments:\n"
        "  a: {head: dssd, dataset: kitti}\n"
        '  b: {extends: a, nodes: 1, memory: 68719476736, time: "12:00:00"}\n'
        "  c:\n    extends: a\n    time: 12:00:00\n"
    )
    assert project.findings == ()
    assert [one.limits for one in project.experiments.values()] == [
        Limits(2, 8, 64 << 30, 172_800),
        Limits(1, 8, 64 << 30, 43_200),
        Limits(2, 8, 64 << 30, 43_200),
    ]


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        ("nodes", "0", '"nodes" must be a whole number from 1 to 512, not the number 0', None),
        ("nodes", "2.0", '"nodes" must be a whole number from 1 to 512, not the number 2.0', None),
        ("cpus", "1025", '"cpus" must be a whole number from 1 to 1024, not the number 1025', None),
        ("cpus", '"8"', '"cpus" must be a whole number from 1 to 1024, not "8"', "without quotes: 8"),
        ("memory", "64", '"memory" must be a size of at least 64 MiB, such as 64G, not the number 64',
         'did you mean "64G"?'),
        ("memory", "63M", '"memory" must be a size of at least 64 MiB, such as 64G, not "63M"', None),
        ("memory", "all", '"memory" must be a size of at least 64 MiB, such as 64G, not "all"', None),
        ("time", "12:00", None, 'hours, minutes and seconds: "12:00:00", or minutes: "12m"'),
        ("time", "3days", None, 'did you mean "3d"?'),
        ("time", "12 Hours", None, 'did you mean "12h"?'),
        ("time", "90", None, 'with a unit: "90m", "90h" or "90d"'),
        ("time", "soon", None, None),
    ],
)  # fmt: skip
def test_other_values_are_errors_at_their_place(
    load: Callable[[str], Project], key: str, value: str, message: str | None, hint: str | None
) -> None:
    (finding,) = load(ENTRY.format(key=key, value=value)).findings
    if message is None:
        message = f'"time" must be {limits.EXPECTED["time"]}, not '
        message += "the number 90" if value == "90" else f'"{value}"'
    assert (finding.message, finding.hint) == (message, hint)
    assert (finding.line, finding.column) == (5, 7 + len(key))


def test_the_command_line_takes_the_same() -> None:
    assert limits.read_limits(2, 8, "64G", "12h") == Limits(2, 8, 64 << 30, 43_200)
    assert limits.read_limits(memory=1 << 30) == Limits(memory_bytes=1 << 30)
    assert limits.read_limits() == Limits()
    for wrong in (
        {"nodes": 0},
        {"cpus": 2000},
        {"memory": "1k"},
        {"memory": "1G\n"},
        {"memory": 5},
        {"time": "9"},
    ):
        ((key, value),) = wrong.items()
        with pytest.raises(UsageError, match=f"^{key} must be a") as caught:
            limits.read_limits(**wrong)  # type: ignore[arg-type]  # each value has the type of its key
        assert str(value).strip() in caught.value.message
        if key == "memory" and value == 5:
            assert caught.value.hint == 'did you mean "5G"?'
    assert caught.value.hint == 'with a unit: "9m", "9h" or "9d"'
