"""What a later supervisor knows of a run that goes on."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from plain_runs import plain_plan

from taorunner.backends.secrets import write_secrets
from taorunner.events import RunState
from taorunner.planning.model.plan import SecretSource
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.pick_up import pick_up

AT = datetime(2026, 11, 20, 9, 5, 7, tzinfo=timezone.utc)


@pytest.mark.parametrize("has_secrets", [True, False])
def test_secrets_are_masked_in_what_is_printed_from_now_on(tmp_path: Path, has_secrets: bool) -> None:
    store = RunStore(tmp_path / ".taorunner")
    record = RunRecord(
        id="r1", batch="b", project="p", experiment="e1", action="evaluate", backend="local",
        state=RunState.RUNNING, queued_at=AT, started_at=AT, launched_at=AT, handle="h1",
    )  # fmt: skip
    paths = store.paths("r1")
    paths.directory.mkdir(parents=True)
    plan = plain_plan(tmp_path, "e1", secrets=(SecretSource("key", "env:KEY", variable="KEY"),))
    if has_secrets:
        write_secrets(plan, paths.directory, {"KEY": "tlt-secret"})
    found = pick_up(store, record, plan, "local")
    found.log.write("stdout", b"the key is tlt-secret\n")
    found.log.close()
    assert (b"tlt-secret" in paths.console.read_bytes()) is not has_secrets
    assert found.recorded.handle is not None
    assert (found.recorded.handle.backend, found.recorded.handle.run_id) == ("local", "r1")
