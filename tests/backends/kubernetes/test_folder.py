"""What is no state of a run is none: neither a word of a command, nor an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from nested_folders import nested_folders

from taorunner.backends.kubernetes.folder import Folder, KnownJob

JOB = {"name": "tr-a-1", "uid": "u", "context": None, "namespace": "vision"}


@pytest.mark.parametrize(
    ("change", "is_read"),
    [
        ({}, True),
        ({"name": "--all"}, False),
        ({"name": 7}, False),
        ({"context": 7}, False),
        ({"more": 1}, False),
    ],
)
def test_only_a_job_of_ours_is_read(tmp_path: Path, change: dict[str, Any], is_read: bool) -> None:
    folder = Folder(tmp_path)
    folder.keep_job(KnownJob("tr-a-1", "u", None, "vision"))
    (folder.path / "job.json").write_text(json.dumps({**JOB, **change}))
    assert (folder.job() is not None) is is_read


@pytest.mark.parametrize("text", ["", "7", "[]", "{}", '{"claim": 1}', '{"run_id": "x", "image": []}'])
def test_a_cluster_of_another_form_is_none(tmp_path: Path, text: str) -> None:
    folder = Folder(tmp_path)
    folder.keep_job(KnownJob("tr-a-1", "u", None, "vision"))
    (folder.path / "cluster.json").write_text(text)
    assert folder.cluster() is None


def test_a_container_that_writes_a_request_to_stop_was_not_asked_to(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.inner.mkdir(parents=True)
    (folder.inner / "stop").touch()
    assert not folder.is_stop_requested
    folder.request_stop()
    assert folder.is_stop_requested and (folder.inner / "stop").exists()


def test_what_a_container_nests_in_its_folder_is_removed_with_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep_job(KnownJob("tr-a-1", "u", None, "vision"))
    folder.inner.mkdir()
    with nested_folders(folder.inner):
        folder.remove()
        assert list(folder.path.iterdir()) == []


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00", "now", "1" * 5000]
)
def test_a_time_that_is_none_in_every_zone_is_none(tmp_path: Path, at: str) -> None:
    folder = Folder(tmp_path)
    folder.inner.mkdir(parents=True)
    (folder.inner / "events.jsonl").write_text(
        json.dumps({"at": at, "attempt": 0, "event": "started"}) + "\n"
    )
    (folder.inner / "exit").write_text(f"0 {at[:100]}\n")
    first, last = folder.starts()
    assert (first, last is not None) == (None, True)
    found = folder.exit()
    assert found is not None and found[0] == 0 and 2000 < found[1].astimezone().year < 9000
