"""Writes status.json in the form of TAO's PyTorch containers from 6.0 on: appended JSON lines.

Source: tao/pytorch.md section 3. ``kpi`` is sticky: every line repeats the last one. Date and time are the local
clock without leading zeros. Each line is a single write, so readers see only complete lines.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

Kpi: TypeAlias = dict[str, str | float]

STARTED, RUNNING, FAILURE = "STARTED", "RUNNING", "FAILURE"


class StatusLog:
    """Appends to ``folder/status.json``. ``kpi`` may be set at any time and is part of every later line."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / "status.json", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        self.kpi: Kpi = {}

    def write(
        self, status: str, message: str, fields: dict[str, str | int] | None = None, verbosity: str = "INFO"
    ) -> None:
        now = datetime.now()
        line: dict[str, object] = {
            **(fields or {}),
            "date": f"{now.month}/{now.day}/{now.year}",
            "time": f"{now.hour}:{now.minute}:{now.second}",
            "status": status,
            "verbosity": verbosity,
            "message": message,
        }
        if self.kpi:
            line["kpi"] = self.kpi
        os.write(self._file, (json.dumps(line) + "\n").encode())
