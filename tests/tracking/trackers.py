"""The Python that has MLflow and TensorBoard: this one, or the one that ``.ci/run`` installs beside the tests."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from taorunner.runs.state.store import RunStore

VARIABLE = "TAORUNNER_TEST_TRACKERS"
"""A virtual environment with the extra ``trackers``; a file ``ready`` in it says that it is complete."""
_INSTALLED_WITHIN_S = 240


def tracker_python(module: str) -> str:
    """Skips the test where ``module`` is not installed; in CI fails it."""
    given = os.environ.get(VARIABLE)
    if given is None:
        if importlib.util.find_spec(module) is not None:
            return sys.executable
        reason = f"not installed: {module} (pip install '.[trackers]')"
        if os.environ.get("CI") == "true":
            pytest.fail(f"may not be skipped in CI: {reason}", pytrace=False)
        pytest.skip(reason)
    ends = time.monotonic() + _INSTALLED_WITHIN_S
    while not (Path(given) / "ready").exists():
        assert time.monotonic() < ends, f"{given} is not complete: see what .ci/run prints"
        time.sleep(0.5)
    return f"{given}/bin/python"


def with_track(store: RunStore, run_id: str, track: dict[str, Any]) -> None:
    path = store.paths(run_id).plan
    path.write_text(json.dumps({**json.loads(path.read_text()), "track": track}))


class RealMlflow:
    """A real server on a database file, which can be ended and started again at the same address."""

    def __init__(self, python: str, folder: Path, port: int) -> None:
        self._python, self._folder, self.port = python, folder, port
        self.address = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [
            self._python, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db",
            "--artifacts-destination", f"{self._folder}/artifacts", "--host", "127.0.0.1", "--port", str(self.port),
            "--workers", "1",
        ]  # fmt: skip
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                words,
                cwd=self._folder,
                env={**os.environ, **quiet},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def said(self) -> str:
        return (self._folder / "log").read_text()[-3000:]

    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def end(self) -> None:
        """With its workers."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
